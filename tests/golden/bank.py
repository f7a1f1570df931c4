"""The bank's months of 1999 on their way through the engine."""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.replay import History, read_history, snapshots
from pipeline.sources import FORMATS
from pipeline.sources.bank1999 import MONTHS, SETTINGS
from pipeline.sources.lines import LineFile
from schemas.frames import Frame
from schemas.settings import SiteSettings, load_site_file, parse_site
from tests.replay.command import boards as printed

JANUARY, FEBRUARY = MONTHS
ZONE = ZoneInfo("Asia/Jerusalem")
MINUTE = 60_000

Event = dict[str, Any]
Board = dict[str, Any]


@cache
def events_of(month: Path) -> Sequence[Event]:
    """The events of a month's file in the order of time; the file has no unreadable row."""
    with LineFile(month) as lines:
        history = read_history(lines, FORMATS["bank-1999"], None)
    assert history.dead == 0
    return history.events


def settings(**changes: Any) -> SiteSettings:
    """The bank's settings; a change to `defaults` keeps its other keys."""
    keys = load_site_file(SETTINGS).dump()
    keys["defaults"] |= changes.pop("defaults", {})
    return parse_site(keys | changes, "golden")


def local(text: str) -> int:
    """Epoch milliseconds of a wall-clock time in the bank's city."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()) * 1000


def framed(events: Sequence[Event], size: int = 500) -> Iterator[tuple[int, Frame]]:
    """The events as frames in the order given; `now` is the newest moment before each frame."""
    now = min((e["ts"] for e in events), default=0)
    for n, low in enumerate(range(0, len(events), size)):
        part = list(events[low : low + size])
        offsets = list(range(low, low + len(part)))
        yield n, Frame("bank", 0, now, (0, low, offsets[-1]), events=part, offsets=offsets)
        now = max(now, *(e["ts"] for e in part))


def boards(
    events: Sequence[Event], site_settings: SiteSettings, moments: Sequence[int]
) -> dict[int, Board]:
    """What the time machine shows of the events at each moment."""
    history = History("bank", events[-1]["ts"], events=list(events))
    return dict(zip(moments, snapshots(history, site_settings, moments), strict=True))


def replayed(month: Path, moments: Sequence[int]) -> dict[int, Board]:
    """What `callboard replay` prints of a month's file at each moment, in one run."""
    ats = [word for moment in moments for word in ("--at", moment)]
    options = ("--format", "bank-1999", "--settings", SETTINGS, *ats)
    return dict(zip(moments, printed(month, *options, patience_s=500), strict=True))


def in_disorder(events: Sequence[Event], seed: int) -> list[Event]:
    """Each event delayed by up to ten minutes, one in ten delivered twice."""
    chance = random.Random(seed)
    delivered = [(e["ts"] + chance.randrange(10 * MINUTE), n, e) for n, e in enumerate(events)]
    again = [
        (at + chance.randrange(MINUTE), n, e)
        for at, n, e in chance.sample(delivered, len(events) // 10)
    ]
    return [e for _, _, e in sorted([*delivered, *again], key=lambda d: d[:2])]


def counters(board: Board, window: str = "total", queue: str | None = None) -> dict[str, Any]:
    """Counters and KPIs of all queues, or of one."""
    of = board["all"]["queues"] if queue is None else board["queues"][queue]["voice"]
    found: dict[str, Any] = of["windows"][window]
    return found
