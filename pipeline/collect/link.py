"""Keeps up a connection to a platform that speaks by itself, and hands on what it says.

What the platform says while nobody listens is lost. Each session therefore begins with a marker
and with the platform's answer to who waits now, and translators end the rest as lost.

`LoginRefused` is raised when the first login fails; later ones are tried again, because a platform
that starts may refuse everybody for a while. `LinkBroken` never leaves this module.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from pipeline.collect.outbox import DoorAway, Outbox

log = logging.getLogger(__name__)

Open = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Connects; the payloads log in first, and end when the platform closes the session."""


class LoginRefused(RuntimeError):
    """The platform does not let us in: a wrong password, or an address it does not allow."""


class LinkBroken(ConnectionError):
    """The session cannot go on: the platform is silent, or says what its protocol does not have."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: the first and the longest pause before connecting again; how long a full outbox
    may stop the reading before the session is given up; how long to wait for the door at the end.
    A session that lasted `steady_s` makes the next pause the first one again.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    patience_s: float = 5.0
    steady_s: float = 30.0
    farewell_s: float = 5.0


async def collect(name: str, open_session: Open, outbox: Outbox, pace: Pace | None = None) -> None:
    """Read and send until cancelled; then send what waits, as far as the door takes it soon.

    `name` is the platform's, for the log. Raises `LoginRefused` and `DoorRefused`.
    """
    pace = pace or Pace()
    sending = asyncio.create_task(outbox.run())
    reading = asyncio.create_task(_keep_reading(name, open_session, outbox, pace))
    try:
        done, _ = await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        reading.cancel()
        await asyncio.wait({reading})
        if not sending.done():
            await _farewell(outbox, pace.farewell_s)
            sending.cancel()
            await asyncio.wait({sending})


async def _farewell(outbox: Outbox, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await outbox.below(0)
    except TimeoutError:
        log.warning("%d payloads are lost: the door does not take them", len(outbox))


async def _keep_reading(name: str, open_session: Open, outbox: Outbox, pace: Pace) -> None:
    clock = asyncio.get_running_loop().time
    pause, welcome = pace.first_s, False
    while True:
        began, inside = clock(), False
        try:
            async with open_session() as payloads:
                async for payload in payloads:
                    if not inside:
                        inside = welcome = True
                        log.info("%s: connected and logged in", name)
                    await outbox.put(payload, pace.patience_s)
            reason = "it closed the connection"
        except LoginRefused as error:
            if not welcome:
                raise
            reason = str(error)
        except DoorAway as error:
            log.warning("%s: %s; disconnected until half of them are gone", name, error)
            await outbox.below(0.5)
            continue
        except (OSError, EOFError) as error:
            reason = f"{type(error).__name__}: {error}".rstrip(": ")
        if clock() - began >= pace.steady_s:
            pause = pace.first_s
        log.warning("%s: %s; again in %.1f s", name, reason, pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, pace.most_s)
