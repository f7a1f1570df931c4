"""A supervisor's session: log in over the REST interface, be put to work, find the WebSocket.

`Five9Refused` is raised for what no retry can mend, `Five9Error` for what may pass.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp

log = logging.getLogger(__name__)

LOGIN_URL = "https://app.five9.com"
_PATH = "/supsvcs/rs/svc"
MOST_BYTES = 64 * 1024 * 1024
"""Of one frame: the full picture of some ten thousand agents is a quarter of that."""
_MOST_STEPS = 6
"""Station, notices, station again: a session that is not at work after so many steps never is."""


class Five9Error(RuntimeError):
    """Five9 does not do what was asked, now."""


class Five9Refused(RuntimeError):
    """Five9 will not let this account in, however often it asks."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who logs in, and where: `login_url` is that of the domain's region."""

    username: str
    password: str = field(repr=False)
    login_url: str = LOGIN_URL


class Session:
    """A session that is logged in. Address and token are those of its data centre."""

    def __init__(self, http: aiohttp.ClientSession, login_url: str, metadata: Any) -> None:
        self._http = http
        self._scheme = urlsplit(login_url).scheme
        self._adopt(metadata)

    @classmethod
    async def open(cls, http: aiohttp.ClientSession, account: Account) -> Session:
        """Log in. Raises `Five9Refused`, `Five9Error` and what aiohttp raises."""
        if not account.username or not account.password:
            raise Five9Refused("Five9 asks for a user and a password, and one of them is empty")
        body = {
            "passwordCredentials": {"username": account.username, "password": account.password},
            "appKey": "callboard",
            "policy": "AttachExisting",
        }
        async with http.post(f"{account.login_url}{_PATH}/auth/login", json=body) as answer:
            if answer.status in (401, 403):
                # Asked again and again with a wrong password, Five9 locks the account.
                raise Five9Refused(f"Five9 refuses the login of {account.username}")
            if answer.status >= 400:
                raise Five9Error(f"the login is answered with {answer.status}")
            metadata = await answer.json(content_type=None)
        return cls(http, account.login_url, metadata)

    async def work(self) -> None:
        """Bring the session to work: no station, every maintenance notice accepted."""
        for _ in range(_MOST_STEPS):
            state = await self._ask("GET", f"/supervisors/{self._user}/login_state")
            if state == "WORKING":
                return
            if state == "SELECT_STATION":
                await self._ask(
                    "PUT",
                    f"/supervisors/{self._user}/session_start?force=true",
                    {"stationId": "", "stationType": "EMPTY"},
                )
            elif state == "RELOGIN":
                await self._ask("PUT", f"/supervisors/{self._user}/session_restart")
            elif state == "ACCEPT_NOTICE":
                await self._accept_notices()
            else:
                raise Five9Error(f"unknown login state {state!r:.60}")
        raise Five9Error("the session does not come to work")

    async def connect(self) -> aiohttp.ClientWebSocketResponse:
        """The WebSocket, under a key of its own: a second one of the same key ends the first."""
        scheme = "ws" if self._scheme == "http" else "wss"
        url = f"{scheme}://{self._host}/supsvcs/sws/callboard-{uuid4().hex}"
        return await self._http.ws_connect(url, headers=self._headers, max_msg_size=MOST_BYTES)

    async def ask_for_everything(self) -> None:
        """Let the WebSocket send the full picture, event 5000."""
        await self._ask("PUT", f"/supervisors/{self._user}/request_full_statistics")

    def moved(self, metadata: Any) -> bool:
        """Take up the new place of a migrated domain; False if the message does not tell it."""
        try:
            self._adopt(metadata)
        except Five9Error:
            return False
        return True

    async def _accept_notices(self) -> None:
        path = f"/supervisors/{self._user}/maintenance_notices"
        notices = await self._ask("GET", path) or []
        if not isinstance(notices, list) or not all(isinstance(one, dict) for one in notices):
            raise Five9Error("the maintenance notices are no list of objects")
        for notice in notices:
            if not notice.get("accepted"):
                log.info("accepting the maintenance notice %s", notice.get("id"))
                await self._ask("PUT", f"{path}/{notice.get('id')}/accept")

    async def _ask(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self._scheme}://{self._host}{_PATH}{path}"
        async with self._http.request(method, url, json=body, headers=self._headers) as answer:
            if answer.status >= 400:
                raise Five9Error(f"{method} {path.partition('?')[0]} is answered {answer.status}")
            if not await answer.read():
                return None
            return await answer.json(content_type=None)

    def _adopt(self, metadata: Any) -> None:
        try:
            centres = metadata["metadata"]["dataCenters"]
            centre = next((one for one in centres if one.get("active")), centres[0])
            server = centre["apiUrls"][0]
            host = f"{server['host']}:{server['port']}"
            token, farm = metadata["tokenId"], metadata["context"]["farmId"]
            user = metadata["userId"]
        except (KeyError, TypeError, IndexError, AttributeError):
            raise Five9Error("the login's answer does not name a data centre") from None
        self._host, self._user = host, user
        self._headers = {
            "Authorization": f"Bearer-{token}",
            "farmId": str(farm),
            "Accept": "application/json, text/javascript",
        }
