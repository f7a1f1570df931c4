"""An XMPP stream: bytes in, stanzas out, none of them trusted.

A stream that declares a document type, or whose stanza does not end, is broken off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers.expat import ExpatError, ParserCreate
from xml.sax.saxutils import quoteattr

from pipeline.collect.link import LinkBroken

_MOST_BYTES = 1 << 20
_CHUNK = 65_536
_DEEPEST = 100
"""An update that is not escaped has some ten."""


class Stream:
    """One connection. Tags come without their namespaces, which say nothing here."""

    def __init__(
        self, domain: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._domain = domain
        self._reader = reader
        self._writer = writer

    async def open(self) -> Element:
        """Begin, or after logging in begin anew; returns the features that the server offers."""
        self._parser = ParserCreate(namespace_separator="}")
        # The text of one update must come whole, however the network cut it.
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse
        self._builder = TreeBuilder()
        self._depth = self._unfinished = 0
        self._stanzas: deque[Element] = deque()
        await self.send(
            f"<?xml version='1.0'?><stream:stream to={quoteattr(self._domain)}"
            " xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"
        )
        return await self.next()

    async def next(self) -> Element:
        """The next stanza. Raises `LinkBroken` and `EOFError`."""
        while not self._stanzas:
            data = await self._reader.read(_CHUNK)
            if not data:
                raise EOFError("the server closed the stream")
            self._unfinished += len(data)
            try:
                self._parser.Parse(data)
            except ExpatError as error:
                raise LinkBroken(f"not XMPP: {error}") from None
            if not self._stanzas and self._unfinished > _MOST_BYTES:
                raise LinkBroken(f"a stanza of more than {_MOST_BYTES} bytes")
        self._unfinished = 0
        stanza = self._stanzas.popleft()
        if stanza.tag == "error":
            raise LinkBroken(f"the server ends the stream: {[child.tag for child in stanza]}")
        return stanza

    async def send(self, xml: str) -> None:
        """Write and wait until the network has room."""
        self._writer.write(xml.encode())
        await self._writer.drain()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise LinkBroken(f"a stanza nested deeper than {_DEEPEST}")
        if self._depth > 1:
            self._builder.start(_local(name), attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            raise LinkBroken("the server ends the stream")
        self._builder.end(_local(name))
        if self._depth == 1:
            self._stanzas.append(self._builder.close())
            self._builder = TreeBuilder()

    def _text(self, data: str) -> None:
        if self._depth > 1:
            self._builder.data(data)

    def _refuse(self, *_: object) -> None:
        raise LinkBroken("the stream declares a document type")


def _local(name: str) -> str:
    return name.rpartition("}")[2]
