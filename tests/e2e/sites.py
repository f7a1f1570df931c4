"""Sites of their own for tests that share a stack, and a small centre's events."""

from __future__ import annotations

import random
import time

from tests.e2e.figures import Json
from tests.e2e.running import RunningStack


def new_site(stack: RunningStack, site: str, settings: str = "") -> str:
    """Put a settings file into the watched folder and wait until the site ticks."""
    write_settings(stack, site, settings)
    stack.until(lambda: stack.board(site)["at"], 60, f"site {site} begins")
    return site


def write_settings(stack: RunningStack, site: str, settings: str) -> None:
    """Write a site's settings as an editor does that replaces the file."""
    path = stack.folder / "settings" / f"{site}.yml"
    fresh = path.with_suffix(".new")
    fresh.write_text(f"site: {site}\n{settings}")
    fresh.replace(path)


def now_ms() -> int:
    """The wall clock, which is that of a stack that was not given a pace."""
    return time.time_ns() // 1_000_000


def minutes_of_calls(site: str, until: int, calls: int = 200) -> list[Json]:
    """Five minutes of a small centre up to a moment; some calls have not ended yet."""
    dice = random.Random(7)
    events: list[Json] = []
    for n in range(calls):
        at = until - 300_000 + n * 1200
        about = {"site": site, "contact": f"c{n}"}
        agent = f"a{dice.randrange(5)}"
        wait, talk = dice.randrange(30_000), dice.randrange(1, 30_000)
        events.append({"type": "contact.queued", "ts": at, "queue": f"q{n % 3}", **about})
        if n % 7 == 0:
            events.append({"type": "contact.abandoned", "ts": at + wait, **about})
            continue
        events.append({"type": "contact.answered", "ts": at + wait, "agent": agent, **about})
        ended = {"ts": at + wait + talk, "agent": agent, **about}
        events += [{"type": "contact.released", **ended}, {"type": "contact.wrapped", **ended}]
    return [event for event in events if event["ts"] < until]
