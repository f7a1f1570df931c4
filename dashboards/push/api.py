"""The API of a Grafana, with errors that say what to do.

`PushError` is the only one that leaves: its text names what was asked for and never holds a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast
from urllib.parse import unquote, urlsplit, urlunsplit

import niquests
from grafana_client.api import GrafanaApi
from grafana_client.client import GrafanaException

TIMEOUT_S = 30.0

Json = dict[str, Any]


class PushError(Exception):
    """A push that cannot go on; what was done before it stays done."""


class Grafana:
    """A Grafana at an address, asked with a token or with the user in the address.

    `secrets` are blotted out of whatever Grafana answers. Raises `PushError` when the address
    cannot be one or nobody is named who asks.
    """

    def __init__(self, url: str, token: str, secrets: Iterable[str] = ()) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise PushError(f"{_shown(url)} is no address of a Grafana; give http://host:port")
        if not token and not (parts.username and parts.password):
            raise PushError(
                "no token: give a service account's token by CALLBOARD_GRAFANA_TOKEN or --token, "
                "or a user in the address: http://user:password@host:port"
            )
        self.url = _shown(url)
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        self._secrets = [t for t in (token, password, parts.password or "", *secrets) if t]
        # The client puts "api" behind the path as it is.
        self._api = GrafanaApi.from_url(
            f"{self.url}/", credential=token or (user, password), timeout=TIMEOUT_S
        )

    @property
    def alerting(self) -> Any:
        """The client's part for alerting; its calls go through `ask`."""
        return self._api.alertingprovisioning

    @property
    def client(self) -> Any:
        """The client's plain verbs, paths below /api."""
        return self._api.client

    @property
    def api(self) -> Any:
        """The whole client."""
        return self._api

    def find(self, what: str, call: Callable[[], Any]) -> Any:
        """The answer, None where there is no such thing."""
        try:
            return self._call(what, call)
        except _NotFound:
            return None

    def ask(self, what: str, call: Callable[[], Any]) -> Any:
        """The answer; `what` is said in the error where there is none."""
        try:
            return self._call(what, call)
        except _NotFound as error:
            raise PushError(f"{what}: {self.url} answers 404: {error}") from None

    def organization(self) -> Json:
        """The organization of the token, which also proves that this is a Grafana."""
        try:
            found = self._call("asking who is asked", lambda: self.client.GET("/org"))
        except _NotFound:
            raise PushError(f"{self.url} is no Grafana: it has no /api/org") from None
        if not isinstance(found, dict) or "id" not in found:
            raise PushError(f"{self.url} is no Grafana: /api/org is none of its answers")
        return cast(Json, found)

    def _call(self, what: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except GrafanaException as error:
            raise self._error(what, error) from None
        except niquests.exceptions.JSONDecodeError:
            raise PushError(f"{what}: {self.url} does not answer as a Grafana does") from None
        except (niquests.exceptions.RequestException, OSError):
            raise PushError(f"{what}: {self.url} cannot be reached") from None

    def _error(self, what: str, error: GrafanaException) -> Exception:
        told = self._blotted(_message(error))
        if error.status_code == 404:
            return _NotFound(told)
        if error.status_code == 401:
            return PushError(f"{self.url} does not know the token (401); is it revoked or expired?")
        if error.status_code == 403:
            return PushError(
                f"{what}: the token may not (403: {told}); it needs the role Editor, "
                "and Admin for contact points and policies"
            )
        if error.status_code == 0:
            return PushError(f"{what}: {self.url} does not answer in time")
        return PushError(f"{what}: {self.url} answers {error.status_code}: {told}")

    def _blotted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


class _NotFound(Exception):
    """There is no such thing."""


def _message(error: GrafanaException) -> str:
    told = error.response
    if isinstance(told, dict):
        return str(told.get("message") or told.get("error") or told)
    return str(told or error.message).strip()[:500]


def _shown(url: str) -> str:
    """An address without the password in it."""
    parts = urlsplit(url)
    return urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", "")
    )
