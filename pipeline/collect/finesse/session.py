"""A session with the Finesse Notification Service: log in, subscribe, ask how it stands, listen."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import Element, tostring
from xml.sax.saxutils import escape, quoteattr

import aiohttp
import orjson

from pipeline.collect.connection import connected
from pipeline.collect.finesse.stream import Stream
from pipeline.collect.link import LinkBroken, LoginRefused

SOURCE = "cisco-finesse"
PORT = 5223
_PUBSUB = "http://jabber.org/protocol/pubsub"
_AT_ONCE = 10
_FAREWELL_S = 2.0
_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>")

log = logging.getLogger(__name__)


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Login:
    """Where, as whom, and whose nodes to follow.

    `rest` is where the REST API is asked for the state at the beginning, empty for not at all.
    `ping_s`: Finesse expects a ping every 20 s; a server that answers none is taken for dead.
    """

    host: str
    user: str
    password: str = field(repr=False)
    agents: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    port: int = PORT
    domain: str = ""
    rest: str = ""
    ca: Path | None = None
    tls: bool = True
    resource: str = "callboard"
    connect_s: float = 10.0
    ping_s: float = 15.0
    now: Callable[[], int] = _wall_clock

    @property
    def nodes(self) -> list[str]:
        """The nodes to subscribe to."""
        agents = [f"/finesse/api/User/{agent}" for agent in self.agents]
        teams = [f"/finesse/api/Team/{team}/Users" for team in self.teams]
        dialogs = [f"{agent}/Dialogs{media}" for agent in agents for media in ("", "/Media")]
        return [*agents, *dialogs, *teams]


@asynccontextmanager
async def session(login: Login) -> AsyncIterator[AsyncIterator[bytes]]:
    """A session: its payloads begin once it is logged in and subscribed.

    They, and this, raise `LoginRefused`, or `OSError` and `EOFError`.
    """
    context = ssl.create_default_context(cafile=login.ca) if login.tls else None
    async with connected(login.host, login.port, login.connect_s, context) as (reader, writer):
        talk = _Session(login, Stream(login.domain or login.host, reader, writer))
        payloads = talk.payloads()
        try:
            yield payloads
        finally:
            await payloads.aclose()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await talk.leave()


class _Session:
    def __init__(self, login: Login, stream: Stream) -> None:
        self._login = login
        self._stream = stream
        self._domain = login.domain or login.host
        self._jid = ""
        self._asked: dict[str, str] = {}
        self._pings = 0
        self._clock = asyncio.get_running_loop().time
        self._next_ping = 0.0

    async def payloads(self) -> AsyncGenerator[bytes]:
        """How agents and their dialogs stand, then all notifications in their order."""
        async with asyncio.timeout(self._login.connect_s):
            await self._enter()
            await self._subscribe()
        if self._login.rest:
            async for payload in self._as_it_stands():
                yield payload
        while True:
            for payload in self._read(await self._next()):
                yield payload

    async def leave(self) -> None:
        """Unsubscribe: what is left behind costs Finesse, and stays for ever."""
        if self._jid:
            for number, node in enumerate(self._login.nodes):
                await self._ask_pubsub(f"leave-{number}", "unsubscribe", node)
            await self._stream.send("<presence type='unavailable'/></stream:stream>")
            # Closing with something unread would take back what the server has not read yet.
            with suppress(EOFError, LinkBroken):
                while True:
                    await self._stream.next()

    async def _enter(self) -> None:
        features = await self._stream.open()
        mechanisms = [element.text for element in features.iter("mechanism")]
        if "PLAIN" not in mechanisms:
            raise LinkBroken(f"the server offers no SASL PLAIN but {mechanisms}")
        secret = f"\0{self._login.user}\0{self._login.password}".encode()
        await self._stream.send(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
            f"{base64.b64encode(secret).decode()}</auth>"
        )
        answer = await self._stream.next()
        if answer.tag != "success":
            reasons = [child.tag for child in answer]
            raise LoginRefused(f"Finesse refuses the user {self._login.user!r}: {reasons}")
        await self._stream.open()
        bound = await self._call(
            "bind",
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            f"<resource>{escape(self._login.resource)}</resource></bind>",
        )
        self._jid = bound.findtext("bind/jid") or ""
        if not self._jid:
            raise LinkBroken("the server binds no resource")
        await self._call("session", "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>")
        # With a negative priority, or none, nothing would be delivered.
        await self._stream.send("<presence><priority>0</priority></presence>")

    async def _call(self, name: str, body: str) -> Element:
        """An answer is awaited; nothing is subscribed to yet, so nothing else is missed."""
        await self._stream.send(f"<iq type='set' id='{name}'>{body}</iq>")
        while (answer := await self._stream.next()).get("id") != name:
            pass
        return answer

    async def _subscribe(self) -> None:
        for number, node in enumerate(self._login.nodes):
            name = f"subscribe-{number}"
            self._asked[name] = node
            await self._ask_pubsub(name, "subscribe", node)
        self._next_ping = self._clock() + self._login.ping_s

    async def _ask_pubsub(self, name: str, verb: str, node: str) -> None:
        to = quoteattr(f"pubsub.{self._domain}")
        await self._stream.send(
            f"<iq type='set' to={to} id='{name}'><pubsub xmlns='{_PUBSUB}'>"
            f"<{verb} node={quoteattr(node)} jid={quoteattr(self._jid)}/></pubsub></iq>"
        )

    async def _next(self) -> Element:
        """The next stanza; pings go out by the clock, however busy the stream is."""
        while True:
            if self._clock() >= self._next_ping:
                await self._ping()
            try:
                async with asyncio.timeout_at(self._next_ping) as limit:
                    return await self._stream.next()
            except TimeoutError:
                # The network's own time-out is one too, and comes again at each reading.
                if not limit.expired():
                    raise

    async def _ping(self) -> None:
        if self._pings >= 2:
            raise LinkBroken("Finesse answers no ping")
        self._pings += 1
        self._next_ping = self._clock() + self._login.ping_s
        await self._stream.send(
            f"<iq type='get' to={quoteattr(self._domain)} id='ping'>"
            "<ping xmlns='urn:xmpp:ping'/></iq>"
        )

    def _read(self, stanza: Element) -> list[bytes]:
        self._pings = 0
        if stanza.tag == "iq":
            node = self._asked.pop(stanza.get("id", ""), None)
            if node is not None and stanza.get("type") == "error":
                log.warning("Finesse does not subscribe us to %s; nothing comes of it", node)
        if stanza.tag != "message":
            return []
        now = self._login.now()
        return [
            orjson.dumps({"node": items.get("node", ""), "update": update, "received": now})
            for items in stanza.iterfind("event/items")
            for update in _updates(items)
        ]

    # How things stand

    async def _as_it_stands(self) -> AsyncIterator[bytes]:
        """Users and their dialogs by REST, put as notifications: nobody publishes what is."""
        login = self._login
        context = ssl.create_default_context(cafile=login.ca) if login.tls else True
        basic = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        async with aiohttp.ClientSession(
            headers={"Authorization": f"Basic {basic}"},
            timeout=aiohttp.ClientTimeout(total=login.connect_s),
        ) as http:
            paths = [
                f"/finesse/api/User/{agent}{more}"
                for agent in login.agents
                for more in ("", "/Dialogs")
            ]
            for start in range(0, len(paths), _AT_ONCE):
                some = paths[start : start + _AT_ONCE]
                answers = await asyncio.gather(*(self._get(http, path, context) for path in some))
                for path, text in zip(some, answers, strict=True):
                    if text:
                        yield _as_update(path, text, self._login.now())
                if self._clock() >= self._next_ping:
                    self._pings = 0  # answers wait unread while REST is asked
                    await self._ping()

    async def _get(
        self, http: aiohttp.ClientSession, path: str, context: ssl.SSLContext | bool
    ) -> str:
        try:
            async with http.get(self._login.rest + quote(path), ssl=context) as response:
                if response.status == 200:
                    return await response.text()
                reason = str(response.status)
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError) as error:
            reason = f"{type(error).__name__}: {error}"
        log.warning("Finesse does not tell %s (%s); known with its next change", path, reason)
        return ""


def _updates(items: Element) -> list[str]:
    """The text of each notification; some servers leave its XML unescaped."""
    found = []
    for notification in items.iterfind("item/notification"):
        text = (notification.text or "").strip()
        if text:
            found.append(text)
        elif len(notification):
            found.append(tostring(notification[0], encoding="unicode"))
    return found


def _as_update(path: str, text: str, now: int) -> bytes:
    body = _PROLOG.sub("", text).strip()
    update = (
        f"<Update><data>{body}</data><event>PUT</event><requestId></requestId>"
        f"<source>{escape(path)}</source></Update>"
    )
    return orjson.dumps({"node": path, "update": update, "received": now})
