"""A client of the door that does not give up: batches of records in, safe on the other side out.

`DoorRefused` is raised only for what no retry can mend: a wrong token, a wrong address.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp
import orjson

from service.logs import about

EVENTS_PATH = "/v1/events"
SOURCES_PATH = "/v1/sources/"
"""With the name of a platform after it: where its payloads are taken."""
FIRST_DELAY_S = 0.2
MOST_DELAY_S = 5.0
_REQUEST_TIMEOUT_S = 30.0
_PASSING = frozenset({408, 425, 429})
_TOO_LARGE = 413
MAX_TOLD = 100
"""Refused records that a receipt names; a feeder that never ends adds up receipts for ever."""

log = logging.getLogger(__name__)


class DoorRefused(RuntimeError):
    """The door will not take these events however often they are sent."""


class Record(Protocol):
    """A payload and the site it belongs to."""

    @property
    def site(self) -> str:
        """The site's id."""
        ...

    @property
    def payload(self) -> bytes:
        """The payload, one line without its end."""
        ...


@dataclass(slots=True)
class Receipt:
    """How many records the door has taken, and how many it refused as unreadable.

    `told` has the first that it named: their place from 1 in what was sent for one site, and why.
    """

    taken: int = 0
    refused: int = 0
    told: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: Receipt, after: int = 0) -> None:
        """Sum up another one, of records that came `after` so many others."""
        self.taken += other.taken
        self.refused += other.refused
        told = [(place + after, reason) for place, reason in other.told]
        self.told = (self.told + told)[:MAX_TOLD]


def events_url(address: str, path: str = EVENTS_PATH) -> str:
    """The door's address for events: `http://host:port` is completed, any other path kept."""
    parts = urlsplit(address if "://" in address else f"http://{address}")
    path = path if parts.path in ("", "/") else parts.path
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def has_password(address: str) -> bool:
    """Whether an address names a user, with or without a password: `http://user:…@host`."""
    return "@" in urlsplit(address if "://" in address else f"http://{address}").netloc


def _shown(url: str) -> str:
    """The address for a message."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


class DoorClient:
    """Posts records: canonical events, or payloads of a platform by the name of its `source`.

    `on_retry` is told why and for how many seconds a batch has to wait.
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        on_retry: Callable[[str, float], None] | None = None,
        first_delay_s: float = FIRST_DELAY_S,
        source: str = "",
    ) -> None:
        self._url = events_url(address, SOURCES_PATH + source if source else EVENTS_PATH)
        if token and has_password(self._url):
            raise DoorRefused("the door's address holds a password, and there is a token: use one")
        self._headers = {"Content-Type": "application/x-ndjson"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._on_retry = on_retry
        self._first_delay_s = first_delay_s
        self._session: aiohttp.ClientSession | None = None
        self._met = False

    async def __aenter__(self) -> DoorClient:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_S)
        self._session = aiohttp.ClientSession(timeout=timeout, headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, records: Sequence[Record]) -> Receipt:
        """Return once the door has all records safe; each site's keep their order.

        Waits and tries again, for ever, while the door cannot be reached or says that it cannot
        keep them now, so records may arrive twice. Raises `DoorRefused`.
        """
        sites: dict[str, list[bytes]] = {}
        for record in records:
            sites.setdefault(record.site, []).append(record.payload)
        receipt = Receipt()
        for site, payloads in sites.items():
            receipt.add(await self._send_site(site, payloads))
        return receipt

    async def _send_site(self, site: str, payloads: list[bytes]) -> Receipt:
        delay = self._first_delay_s
        while True:
            answer = await self._post(site, payloads)
            if isinstance(answer, Receipt):
                return answer
            if answer.too_large:
                return await self._send_halves(site, payloads)
            wait = min(answer.retry_after or delay, MOST_DELAY_S)
            if self._on_retry is not None:
                self._on_retry(answer.reason, wait)
            await asyncio.sleep(wait)
            delay = min(delay * 2, MOST_DELAY_S)

    async def _send_halves(self, site: str, payloads: list[bytes]) -> Receipt:
        if len(payloads) == 1:
            told = "the door finds an event of %d bytes too large, left out"
            log.warning(told, len(payloads[0]), extra=about(site=site))
            return Receipt(0, 1, [(1, "too large")])
        middle = len(payloads) // 2
        receipt = await self._send_site(site, payloads[:middle])
        receipt.add(await self._send_site(site, payloads[middle:]), after=middle)
        return receipt

    async def _post(self, site: str, payloads: list[bytes]) -> Receipt | _Obstacle:
        assert self._session is not None, "use the door as a context manager"
        url = f"{self._url}?site={quote(site, safe='')}"
        body = b"\n".join(payloads) + b"\n"
        try:
            async with self._session.post(url, data=body) as response:
                self._met = True
                text = await response.read()
                if response.status == 200:
                    return _receipt(text, len(payloads), site)
                return _obstacle(response.status, response.headers.get("Retry-After"), text)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            raise DoorRefused(f"{_shown(self._url)} is no address of a door") from None
        except aiohttp.ClientConnectorDNSError as error:
            # A resolver that is away, or forgets a host it knew, comes to its senses again.
            if self._met or error.os_error.errno == socket.EAI_AGAIN:
                return _Obstacle(f"the name {error.host} does not resolve")
            raise DoorRefused(f"there is no host {error.host} for the door's address") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return _Obstacle(f"{type(error).__name__}: {error}".rstrip(": "))


@dataclass(frozen=True, slots=True)
class _Obstacle:
    reason: str
    retry_after: float = 0.0
    too_large: bool = False


def _obstacle(status: int, retry_after: str | None, text: bytes) -> _Obstacle:
    said = text[:200].decode("utf-8", "replace").strip()
    if status == _TOO_LARGE:
        return _Obstacle("too large", too_large=True)
    if status < 500 and status not in _PASSING:
        hint = "; give the door's token" if status in (401, 403) else ""
        raise DoorRefused(f"the door answers {status}: {said or 'no reason given'}{hint}")
    # The header may also hold a date; then the client's own pace is as good.
    seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
    return _Obstacle(f"{status} {said}".strip(), seconds)


def _receipt(text: bytes, sent: int, site: str) -> Receipt:
    try:
        answer = orjson.loads(text)
        count = int(answer["refused_count"])
        told = [(int(one["line"]), _why(one)) for one in answer.get("refused", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        # Whatever answers here, 200 says that all is safe.
        return Receipt(sent, 0)
    if count:
        said = text[:300].decode("utf-8", "replace")
        log.warning(
            "the door refused %d of %d events: %s", count, sent, said, extra=about(site=site)
        )
    return Receipt(sent - count, count, told)


def _why(refused: dict[str, str]) -> str:
    return f"{refused.get('field', '')}: {refused.get('reason', '')}".strip(": ")
