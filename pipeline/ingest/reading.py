"""Bodies of posts, read within a bound: what is being read at once never exceeds it."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from pipeline.ingest.intake import NotKept

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_READING_BYTES = 64 * 1024 * 1024
MAX_UNPROVED_BYTES = 32 * 1024 * 1024
"""Beside these, bodies of callers who prove only by the body who they are: a share of their own, so
that whoever can prove nothing cannot keep out those who have shown a token."""
READ_WITHIN_S = 30.0
"""A body that takes longer is given up: a few callers who never end would keep all others out."""


class Refusal(Exception):
    """A post that is not taken at all: HTTP status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Reading:
    """The bodies that are being read; one that has no length, or is compressed, counts whole."""

    def __init__(self, most: int = MAX_READING_BYTES) -> None:
        self._most = most
        self._held = 0

    async def body(self, request: web.Request) -> bytes:
        """The body. Raises `NotKept` if too many are read, aiohttp's 413 if it is too large.

        408 is the `Refusal` of one that does not end.
        """
        length = request.content_length
        packed = "Content-Encoding" in request.headers
        size = MAX_BODY_BYTES if length is None or packed else min(length, MAX_BODY_BYTES)
        if self._held and self._held + size > self._most:
            raise NotKept("too many posts are being read")
        self._held += size
        try:
            async with asyncio.timeout(READ_WITHIN_S):
                return await request.read()
        except TimeoutError:
            reason = f"the body did not come within {READ_WITHIN_S:.0f} s"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, reason) from None
        except ConnectionError:
            # Nobody is there to read it; without it a sender that goes away would be an error here.
            raise Refusal(HTTPStatus.BAD_REQUEST, "the connection was lost") from None
        finally:
            self._held -= size
