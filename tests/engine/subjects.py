"""The two that must agree, the engine and its oracle, behind one face, and what a test reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from schemas.frames import Frame
from schemas.settings import SiteSettings
from tests import oracle
from tests.engine.stories import SITE, Event, site

TIMES = (
    "talk_ms",
    "hold_ms",
    "wrap_ms",
    "busy_state_ms",
    "ringing_ms",
    "available_ms",
    "not_ready_ms",
)
COUNTERS = (
    *("offered", "answered", "answered_in", "wait_ms"),
    *("abandoned", "abandoned_in", "abandoned_short", "abandoned_wait_ms"),
    *("left_callback", "left_overflow", "left_other"),
    *("sl_met", "sl_missed", "sl_abandoned"),
    *("declined", "transferred", "handled", "talk_ms", "hold_ms", "wrap_ms"),
)


def lay_over(saved: dict[str, bytes], changed: Mapping[str, bytes | None]) -> None:
    """A checkpoint: the parts that changed replace those saved before, and those gone go."""
    for name, part in changed.items():
        if part is None:
            saved.pop(name, None)
        else:
            saved[name] = part


def without_zeros(figures: dict[str, Any], names: Iterable[str]) -> dict[str, int]:
    return {name: figures[name] for name in names if figures[name] != 0}


@dataclass
class Board:
    """The object of contract 7 with the questions tests ask of it; answers leave out zeros."""

    data: dict[str, Any]

    def window(
        self, queue: str = "sales", channel: str = "voice", window: str = "total"
    ) -> dict[str, Any]:
        entry: dict[str, Any] = self.data["queues"][queue][channel]["windows"][window]
        return entry

    def counted(
        self, queue: str = "sales", channel: str = "voice", window: str = "total"
    ) -> dict[str, int]:
        """The counters that are not zero; none for a place that is absent."""
        if channel not in self.data["queues"].get(queue, {}):
            return {}
        return without_zeros(self.window(queue, channel, window), COUNTERS)

    def now(self, queue: str = "sales", channel: str = "voice") -> dict[str, int | None]:
        entry = self.data["queues"][queue][channel]["now"]
        return {name: entry[name] for name in ("waiting", "longest_wait_ms", "in_service")}

    def in_all(self, window: str = "total") -> dict[str, int]:
        return without_zeros(self.data["all"]["queues"]["windows"][window], COUNTERS)

    def agents(self, team: str | None = None) -> dict[str, int]:
        """Agents by state, of a team or of all."""
        of = self.data["all"] if team is None else self.data["teams"].get(team, {"agents": {}})
        return {name: n for name, n in of["agents"].items() if n}

    def time(self, team: str | None = None, window: str = "total") -> dict[str, int]:
        """Milliseconds of agent time, of a team or of all."""
        if team is not None and team not in self.data["teams"]:
            return {}
        of = self.data["all"] if team is None else self.data["teams"][team]
        return without_zeros(of["windows"][window], TIMES)

    def occupancy(self, window: str = "total") -> float | None:
        found: float | None = self.data["all"]["windows"][window]["occupancy"]
        return found

    @property
    def inconsistent(self) -> int:
        return int(self.data["inconsistent"])

    @property
    def late(self) -> int:
        return int(self.data["late"])

    @property
    def dead_lettered(self) -> int:
        return int(self.data["dead_lettered"])


class Subject(Protocol):
    """Someone who knows the contract."""

    def replay(
        self, events: Iterable[Event], at: int, settings: SiteSettings | None = None
    ) -> Board:
        """The board at `at` if exactly the events up to then are known."""

    def live(
        self, frames: Sequence[Frame], settings: SiteSettings | None = None
    ) -> tuple[Board, list[int]]:
        """The board after the frames and the raw offsets of the late events."""


class OracleSubject:
    """The oracle of this test suite."""

    def replay(
        self, events: Iterable[Event], at: int, settings: SiteSettings | None = None
    ) -> Board:
        return Board(oracle.snapshot(events, settings or site(), at))

    def live(
        self, frames: Sequence[Frame], settings: SiteSettings | None = None
    ) -> tuple[Board, list[int]]:
        seen, late = oracle.live(frames, settings or site())
        return Board(seen), late


class EngineSubject:
    """The engine of the product."""

    def replay(
        self, events: Iterable[Event], at: int, settings: SiteSettings | None = None
    ) -> Board:
        from pipeline.engine import Site

        engine = Site(settings or site())
        for offset, frame in enumerate(by_moment(e for e in events if e["ts"] <= at)):
            engine.apply(frame, offset)
        engine.advance(at)
        return Board(engine.view())

    def live(
        self, frames: Sequence[Frame], settings: SiteSettings | None = None
    ) -> tuple[Board, list[int]]:
        from pipeline.engine import Site

        engine = Site(settings or site())
        late: list[int] = []
        for offset, frame in enumerate(frames):
            late += [raw for raw, _ in engine.apply(frame, offset).late]
        return Board(engine.view()), late


def by_moment(events: Iterable[Event]) -> Iterable[Frame]:
    """Replay's order: a frame for each moment, so that nothing can be late."""
    first = 0
    for ts, same in groupby(sorted(events, key=lambda e: int(e["ts"])), lambda e: int(e["ts"])):
        together = list(same)
        yield frame(together, now=ts, first=first)
        first += len(together)


def frame(
    events: Sequence[Event],
    now: int,
    first: int = 0,
    *,
    dead: Sequence[int] = (),
    settings: SiteSettings | None = None,
    partition: int = 0,
    epoch: int = 0,
) -> Frame:
    """A frame whose events have the raw offsets from `first` on, with the dead ones left out."""
    offsets: list[int] = []
    offset = first
    while len(offsets) < len(events):
        if offset not in dead:
            offsets.append(offset)
        offset += 1
    covered = sorted([*offsets, *dead])
    return Frame(
        site=SITE,
        epoch=epoch,
        now=now,
        raw=(partition, covered[0], covered[-1]) if covered else None,
        dead=list(dead),
        events=list(events),
        offsets=offsets,
        settings=None if settings is None else settings.dump(),
    )


def tick(now: int, settings: SiteSettings | None = None, epoch: int = 0) -> Frame:
    return frame([], now, settings=settings, epoch=epoch)
