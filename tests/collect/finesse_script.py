"""A scripted Finesse on real sockets: XMPP in pieces, and its REST API."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from aiohttp import web

from tests.collect.scripted import Script, write

DOMAIN = "finesse1.example.com"
_HEADER = (
    "<?xml version='1.0' encoding='UTF-8'?><stream:stream xmlns:stream="
    f"'http://etherx.jabber.org/streams' xmlns='jabber:client' from='{DOMAIN}' id='7'"
    " version='1.0'>"
)


@dataclass
class FinesseScript(Script):
    """Logs in `user`; refuses nodes in `unknown`; answers pings while `alive`."""

    user: str = "1001050"
    password: str = "s3cret & more"
    mechanism: str = "PLAIN"
    unknown: set[str] = field(default_factory=set)
    nodes: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    pings: int = 0
    alive: bool = True
    whole: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One stanza after the other: what is said goes out in pieces."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""
        features = (
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
            f"<mechanism>{self.mechanism}</mechanism></mechanisms>"
        )
        await reader.readuntil(b"version='1.0'>")
        await self._write(writer, f"{_HEADER}<stream:features>{features}</stream:features>")
        auth = (await reader.readuntil(b"</auth>")).decode()
        secret = base64.b64decode(re.sub("<[^>]*>", "", auth)).decode()
        if secret != f"\0{self.user}\0{self.password}" or self.sessions in self.refused:
            reason = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>"
            await self._write(writer, reason)
            return
        await self._write(writer, "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")
        await reader.readuntil(b"version='1.0'>")
        bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        await self._write(writer, f"{_HEADER}<stream:features>{bind}</stream:features>")
        self.logins += 1
        while True:
            raw = (await reader.readuntil(b">")).decode()
            if raw.startswith("<iq"):
                raw += "" if raw.endswith("/iq>") else (await reader.readuntil(b"</iq>")).decode()
                await self._answer(writer, raw)
            elif raw == "</stream:stream>":
                await self._write(writer, raw)
                return
            elif raw.startswith("<presence>"):
                await reader.readuntil(b"</presence>")
                self.inside.append(writer)

    async def _answer(self, writer: asyncio.StreamWriter, iq: str) -> None:
        name = _between(iq, "id='", "'")
        if "<ping" in iq:
            self.pings += 1
            if not self.alive:
                return
        if "<bind" in iq:
            jid = f"<jid>{self.user}@{DOMAIN}/{_between(iq, '<resource>', '</resource>')}</jid>"
            body = f"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{jid}</bind>"
            await self._write(writer, f"<iq type='result' id='{name}'>{body}</iq>")
            return
        node = _between(iq, 'node="', '"') if "node=" in iq else ""
        if "<subscribe" in iq:
            self.nodes.append(node)
        if "<unsubscribe" in iq:
            self.left.append(node)
        how = "error" if node in self.unknown else "result"
        await self._write(writer, f"<iq type='{how}' id='{name}'/>")

    async def publish(self, node: str, update: str, escaped: bool = True) -> None:
        """Notify everybody who is logged in, as the service does."""
        text = escape(update) if escaped else update
        stanza = (
            f"<message from='pubsub.{DOMAIN}' to='x' id='{node}__1'>"
            "<event xmlns='http://jabber.org/protocol/pubsub#event'>"
            f"<items node='{node}'><item id='1'>"
            f"<notification xmlns='http://jabber.org/protocol/pubsub'>{text}</notification>"
            "</item></items></event></message>"
        )
        async with self.whole:
            await self.say(stanza.encode())

    async def _write(self, writer: asyncio.StreamWriter, text: str) -> None:
        async with self.whole:
            await write(writer, text.encode())


def _between(text: str, start: str, end: str) -> str:
    return text.split(start, 1)[1].split(end, 1)[0]


@asynccontextmanager
async def rest_api(users: dict[str, str]) -> AsyncIterator[str]:
    """The REST API: the XML of each path; 401 for others."""

    async def get(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        if request.path not in users:
            return web.Response(status=401)
        return web.Response(text=users[request.path], content_type="application/xml")

    app = web.Application()
    app.router.add_get("/{path:.*}", get)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
