"""Events in, snapshots out: one pass over a history, stopping at each moment asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipeline.engine import Site
from pipeline.replay.reading import History
from schemas.frames import Frame
from schemas.settings import SiteSettings

FRAME_EVENTS = 2000
"""Events a frame; it bounds what the engine holds of one frame, and how often progress is told."""

Progress = Callable[[int], None]


def snapshots(
    history: History,
    settings: SiteSettings,
    moments: Sequence[int],
    progress: Progress = lambda _: None,
) -> list[dict[str, Any]]:
    """What the board shows at each moment (epoch ms), in the order given.

    At a moment exactly the events with `ts` up to it are known; unreadable lines count at every
    one. `progress` is told how many events were applied.
    """
    site = Site(settings, rows=False)
    offset = 0
    views: dict[int, dict[str, Any]] = {}
    for moment, frames in _stops(history, settings.site, sorted(set(moments))):
        for frame in frames:
            site.apply(frame, offset)
            offset += 1
            progress(len(frame.events))
        site.advance(moment)
        views[moment] = site.view()
    return [views[moment] for moment in moments]


def _stops(
    history: History, site: str, moments: list[int]
) -> Iterator[tuple[int, Iterator[Frame]]]:
    """Each moment with the frames that lead to it; the first frame carries the dead lines."""
    at, total = 0, len(history.events)
    for number, moment in enumerate(moments):
        end = _first_after(history.events, moment, at, total)
        yield moment, _frames(history, site, at, end, moment if number == 0 else None)
        at = end


def _frames(
    history: History, site: str, start: int, end: int, first_moment: int | None
) -> Iterator[Frame]:
    """Frames of the events from `start` to `end`, none of which is late.

    `now` is the first event's `ts`: a later one would judge the events before it late.
    """
    dead = history.dead
    if first_moment is not None and dead:
        now = history.events[start]["ts"] if start < end else first_moment
        yield Frame(site, 0, now, (0, 0, dead - 1), dead=list(range(dead)))
    for low in range(start, end, FRAME_EVENTS):
        events = history.events[low : min(low + FRAME_EVENTS, end)]
        offsets = list(range(dead + low, dead + low + len(events)))
        yield Frame(
            site, 0, events[0]["ts"], (0, offsets[0], offsets[-1]), events=events, offsets=offsets
        )


def _first_after(events: list[dict[str, Any]], moment: int, low: int, high: int) -> int:
    while low < high:
        middle = (low + high) // 2
        if events[middle]["ts"] <= moment:
            low = middle + 1
        else:
            high = middle
    return low
