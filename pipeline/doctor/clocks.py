"""Clocks: this machine's beside those of ClickHouse, of the roles and of whoever wrote frames."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pipeline.doctor.around import Around, Newest
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, seconds, unknown, warning
from pipeline.doctor.pages import ROLES
from schemas.clock import Clock, ClockError

ODD_MS = 2_000
"""More than the second to which pages cut their time, and than a slow answer."""
BAD_MS = 30_000
"""Half of what an event may usually be ahead of its moment (`max_ahead_ms`)."""
STILL_MS = 15_000
"""Ingest ticks every second: a newest frame older than this means that time stands still."""
_NTP = "set the clocks by NTP: events are stamped and judged by them"


async def check(around: Around) -> list[Finding]:
    """Compare every clock that can be asked."""
    return [
        *[finding async for finding in _of_store(around)],
        *[finding async for finding in _of_pages(around)],
        *[finding async for finding in _of_frames(around)],
    ]


async def _of_store(around: Around) -> AsyncIterator[Finding]:
    try:
        await around.store()
        began = around.now_ms()
        rows = await around.query("SELECT toUnixTimestamp64Milli(now64(3))")
    except CannotTell as error:
        yield unknown("ClickHouse", str(error))
        return
    yield _compared("ClickHouse", int(rows[0][0]) - (began + around.now_ms()) / 2)


async def _of_pages(around: Around) -> AsyncIterator[Finding]:
    async def skew(role: str) -> tuple[str, float] | None:
        try:
            page = await around.page(role, "/healthz")
        except CannotTell:
            return None
        if page.date is None:
            return None
        # Cut to the second: half a second later on the average.
        return role, page.date + 500 - page.asked_at

    asked = await asyncio.gather(*map(skew, ROLES))
    found = [one for one in asked if one is not None]
    odd = [one for one in found if abs(one[1]) > ODD_MS]
    for role, ahead in odd:
        yield _compared(role, ahead)
    if found and not odd:
        yield ok("roles", f"{len(found)} asked, all as here to about a second")


async def _of_frames(around: Around) -> AsyncIterator[Finding]:
    try:
        frames = await around.newest_frames()
    except CannotTell as error:
        yield unknown("frames", str(error))
        return
    if not frames:
        return
    newest = max(frames, key=lambda frame: frame.written)
    age = around.now_ms() - newest.written
    if age < -ODD_MS:
        yield _compared("ingest, by its newest frame", -age)
    elif age > STILL_MS:
        todo = "is ingest running? Its /readyz and its log say what it waits for"
        yield failed("frames", f"the newest was written {seconds(age)} ago", todo)
    else:
        yield ok("frames", f"the newest was written {seconds(age)} ago")
        yield _site_time(around, newest)


def _site_time(around: Around, newest: Newest) -> Finding:
    """The site's time comes from ingest's clock, which a file may shift and pace."""
    name = "site time"
    try:
        clock = Clock.from_file(around.config.clock_file)
    except ClockError as error:
        return failed(name, str(error), "restart the stack: it writes the file anew")
    ahead = newest.now - clock.at(int(around.now_ms()))
    allowed = BAD_MS * max(1.0, clock.pace)
    if abs(ahead) <= allowed:
        return ok(name, f"{seconds(ahead)} {'ahead of' if ahead > 0 else 'behind'} the clock")
    way = "ahead of" if ahead > 0 else "behind"
    told = f"the newest frame is {seconds(ahead)} {way} the clock"
    if around.config.clock_file:
        return failed(name, told, "clock.json is not that of this stack: restart it")
    todo = "behind: ingest reads what waited, or stands still; ahead: its machine's clock is wrong"
    return warning(name, told, todo)


def _compared(name: str, ahead: float) -> Finding:
    told = f"{seconds(ahead)} {'ahead of' if ahead > 0 else 'behind'} this machine"
    if abs(ahead) > BAD_MS:
        return failed(name, told, _NTP)
    return warning(name, told, _NTP) if abs(ahead) > ODD_MS else ok(name, told)
