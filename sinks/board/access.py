"""Who may see what on the board: everybody, holders of tokens, or whom a proxy vouches for.

A `Guard` finds out who sends a request; the answer, an `Identity`, says which sites that is. What
no guard has let through sees nothing but the way to log in and whether the board is well.
"""

from __future__ import annotations

import logging
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from aiohttp import hdrs, web

from schemas.config import Config, ConfigError, variable_of
from schemas.events import MAX_ID
from service.callers import LOCALHOST, FailureLimit, Proxies, is_address, is_loopback
from service.serving import proxies_of
from sinks.board.sessions import Sessions
from sinks.board.viewers import MAX_TOKEN, Entry, Viewers

log = logging.getLogger(__name__)

FAILURES = 20
FAILURES_S = 60.0
"""So many wrong tokens of an address, and as many more each minute; then the answer is to wait. A
right token is taken all the same: tokens cannot be guessed, and whoever shares an office or a proxy
with somebody who tries must not be kept out."""
MIN_KEY = 32
ALL = "*"


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose request it is: a name for people, the sites (None for all), until when (epoch ms).

    `digest` and `cookie_until` are of the token that was shown and of the cookie it was shown by.
    """

    name: str
    sites: frozenset[str] | None
    until: int | None = None
    digest: str = ""
    cookie_until: int | None = None

    def sees(self, site: str) -> bool:
        """Whether this site is among them."""
        return self.sites is None or site in self.sites


ANYBODY = Identity("", None)


class Stranger(Exception):
    """A request of which nobody knows whose it is; `wait_s` is when it may try again."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s


class Guard(ABC):
    """Says whose a request is.

    `proxies` are those whose headers are believed, `board_url` where people reach the board.
    `stream_ms` is how long one answer holds for a stream, None for as long as `still` says.
    """

    kind: ClassVar[str]
    stream_ms: ClassVar[int | None] = None

    def __init__(self, proxies: Proxies | None = None, board_url: str = "") -> None:
        self.proxies = proxies or Proxies()
        self._board = urlsplit(board_url)

    @abstractmethod
    def identify(self, request: web.Request) -> Identity:
        """Whose a request is. Raises `Stranger`."""

    def still(self, identity: Identity, site: str) -> bool:
        """Whether one who was let in a while ago may go on seeing a site."""
        return identity.sees(site)

    def address(self, request: web.Request) -> str:
        """Where a request comes from, behind our proxies."""
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        return self.proxies.caller(request.remote, forwarded)

    def is_secure(self, request: web.Request) -> bool:
        """Whether the way from the browser to here, or to our proxy, is encrypted."""
        said = request.headers.get("X-Forwarded-Proto", "").strip().lower()
        by_proxy = self.proxies.trusts(request.remote) and said == "https"
        return request.secure or by_proxy or self._board.scheme == "https"

    def is_same_origin(self, request: web.Request) -> bool:
        """Whether a request that changes something comes from a page of ours, or from no page.

        Browsers send `Sec-Fetch-Site` over https only, `Origin` always; programs send neither.
        """
        site = request.headers.get("Sec-Fetch-Site")
        if site is not None and site != "same-origin":
            return False
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return True
        place = origin.partition("://")[2]
        return place != "" and place in (request.host, self._board.netloc)


class Open(Guard):
    """The board of a machine of one's own: whoever reaches it sees every site."""

    kind = "open"

    def __init__(
        self, proxies: Proxies | None = None, board_url: str = "", *, here_only: bool = False
    ) -> None:
        super().__init__(proxies, board_url)
        self._here_only = here_only

    def identify(self, request: web.Request) -> Identity:
        """Anybody; of a board for its own machine only by a name of that. Raises `Stranger`.

        A page from elsewhere can make a name of its own lead to this machine, and would then read
        the board as if it were a part of it.
        """
        name = host_of(f"//{request.host}")
        if self._here_only and not (is_address(name) or name in (LOCALHOST, self._board.hostname)):
            raise Stranger(
                f"this board goes by {self._board.netloc or LOCALHOST}, not by {_text(name)}"
            )
        return ANYBODY


class ByToken(Guard):
    """A token in `Authorization: Bearer …`, or the cookie for which it was exchanged."""

    kind = "token"

    def __init__(
        self,
        viewers: Viewers,
        sessions: Sessions,
        proxies: Proxies | None = None,
        board_url: str = "",
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(proxies, board_url)
        self.viewers = viewers
        self.sessions = sessions
        self.now_ms = now_ms
        self._monotonic = monotonic
        self._failures = FailureLimit(FAILURES, FAILURES_S)

    def identify(self, request: web.Request) -> Identity:
        """The holder of the token. Raises `Stranger`."""
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return _identity_of(self.admit(request, token.strip()))
        cookie = request.cookies.get(cookie_name(secure=self.is_secure(request)))
        found = cookie and self.sessions.read(cookie, self.viewers.of_id, self.now_ms())
        if not found:
            raise Stranger("log in")
        return _identity_of(*found)

    def admit(self, request: web.Request, token: str) -> Entry:
        """The entry of a token. Raises `Stranger`; its failures are counted by address."""
        entry = self.viewers.of_token(token) if len(token) <= MAX_TOKEN else None
        if entry is not None and not entry.over(self.now_ms()):
            return entry
        address, now = self.address(request), self._monotonic()
        wait_s = self._failures.wait_s(address, now)
        if wait_s:
            raise Stranger("too many wrong tokens; wait a little", wait_s)
        self._failures.failed(address, now)
        log.warning("a wrong or expired token from %s", address)
        raise Stranger("this token is not known, or no longer")

    def still(self, identity: Identity, site: str) -> bool:
        """Whether the token is still in the file, for this site, and its time is not over."""
        entry = self.viewers.of_digest(identity.digest)
        now = self.now_ms()
        over = identity.cookie_until is not None and now >= identity.cookie_until
        return entry is not None and not over and not entry.over(now) and entry.sees(site)


def _identity_of(entry: Entry, cookie_until: int | None = None) -> Identity:
    sites = None if entry.sites == ALL else frozenset(entry.sites)
    return Identity(entry.name, sites, cookie_until or entry.expires, entry.sha256, cookie_until)


class ByProxy(Guard):
    """A proxy that has asked who it is, and says so in two headers; nobody else may say so."""

    kind = "proxy"
    stream_ms = 300_000

    def __init__(
        self, proxies: Proxies, board_url: str, user_header: str, sites_header: str
    ) -> None:
        super().__init__(proxies, board_url)
        self._user_header = user_header
        self._sites_header = sites_header

    def identify(self, request: web.Request) -> Identity:
        """Whom the proxy names. Raises `Stranger`."""
        if not self.proxies.trusts(request.remote):
            raise Stranger("the board is reached through its log-in only")
        # Of a header that stands twice one may be the caller's own.
        user = request.headers.getall(self._user_header, [])
        sites = request.headers.getall(self._sites_header, [])
        if len(user) != 1 or not user[0].strip() or len(sites) != 1:
            raise Stranger("the log-in has not said who this is, and for which sites")
        return Identity(_text(user[0].strip()[:100]), _sites_of(_text(sites[0])))


def _text(header: str) -> str:
    """A header as text: bytes that are no UTF-8 come as half pairs, which no answer may hold."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _sites_of(header: str) -> frozenset[str] | None:
    """The sites of a header: ids between commas, percent-encoded where need be; `*` for all."""
    parts = [part.strip() for part in header.split(",")]
    if ALL in parts:
        return None
    names = (unquote(part) for part in parts)
    return frozenset(name for name in names if 0 < len(name) <= MAX_ID)


# --- of the configuration -----------------------------------------------------------------------


def guard_of(config: Config) -> Guard:
    """The guard that the configuration asks for. Raises `ConfigError`."""
    kind = variable_of("board_access")
    proxies = proxies_of(config)
    if config.board_access == "token":
        _refuse_short(config)
        sessions = Sessions(config.board_session_key)
        return ByToken(Viewers(viewers_file(config)), sessions, proxies, config.board_url)
    if config.board_access == "proxy":
        if not proxies:
            raise ConfigError(
                f"{kind}=proxy needs {variable_of('trusted_proxies')}: the networks of the proxies "
                "that may say who somebody is, such as 10.0.0.0/8"
            )
        headers = config.board_user_header, config.board_sites_header
        return ByProxy(proxies, config.board_url, *headers)
    if not is_loopback(config.board_host):
        if config.board_access == "auto":
            raise ConfigError(
                f"{variable_of('board_host')}={config.board_host} shows every site to whoever "
                f"reaches it. Say {kind}=token or {kind}=proxy to ask who they are, or "
                f"{kind}=open if that is what you want"
            )
        log.warning("the board at %s shows every site to whoever reaches it", config.board_host)
    return Open(proxies, config.board_url, here_only=config.board_access == "auto")


def _refuse_short(config: Config) -> None:
    key = variable_of("board_session_key")
    if not config.board_session_key:
        log.info("%s is not set: who is logged in must log in again after a restart", key)
    elif len(config.board_session_key) < MIN_KEY:
        raise ConfigError(f"{key} is shorter than {MIN_KEY} characters: whoever guesses it is in")


def viewers_file(config: Config) -> Path:
    """Where the viewers are."""
    return Path(config.board_viewers) if config.board_viewers else config.data_dir / "viewers.yml"


def host_of(url: str) -> str:
    """The host that an address names, empty if it is no address."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def cookie_name(*, secure: bool) -> str:
    """The session cookie; a browser takes one of the first name only by https, and for no more
    than this host.
    """
    return "__Host-callboard" if secure else "callboard"


_ORIGIN = re.compile(r"https?://[A-Za-z0-9.*-]+(:[0-9*]+)?|'self'")


def frame_ancestors(config: Config) -> str:
    """The sources of the policy about frames. Raises `ConfigError`."""
    origins = config.board_frame_ancestors.split()
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"{variable_of('board_frame_ancestors')}: {origin!r} is no origin such as "
                "https://intranet.example.org"
            )
    return " ".join(origins) or "'none'"
