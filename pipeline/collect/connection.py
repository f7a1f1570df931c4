"""A connection to a platform that is there for as long as a session lasts."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
USUAL_BYTES = 1 << 16


@asynccontextmanager
async def connected(
    host: str,
    port: int,
    within_s: float,
    tls: ssl.SSLContext | None = None,
    limit: int = USUAL_BYTES,
) -> AsyncIterator[Ends]:
    """Connect within so many seconds, and close at the end; `limit` bounds a line, in bytes.

    Raises `OSError`; `TimeoutError` is one.
    """
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_connection(host, port, ssl=tls, limit=limit)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
