"""The history of agents in a checkpoint: what does not change is not written again."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.engine import Site
from pipeline.engine.agents import HISTORY_MS, HISTORY_PARTS
from tests.engine.figures import figures
from tests.engine.stories import (
    HOUR,
    MINUTE,
    Event,
    answered,
    queued,
    released,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import frame

Parts = dict[str, bytes]


class Day:
    """Agents who take a call every two minutes, and the parts of all checkpoints so far."""

    def __init__(self, agents: int = 3) -> None:
        self.engine = Site(site(lateness_ms=5 * MINUTE))
        self.saved: Parts = {}
        self.agents = [f"a{n}" for n in range(agents)]
        self._offset = 0

    def apply(self, *events: Event, now: int | None = None) -> None:
        ordered = sorted(events, key=lambda event: event["ts"])
        at = now if now is not None else ordered[-1]["ts"]
        self.engine.apply(frame(ordered, at, 100 * self._offset), self._offset)
        self._offset += 1

    def call(self, at: int) -> None:
        for agent in self.agents:
            contact = f"{agent} {at}"
            self.apply(
                state(at, "available", agent, team="sales"),
                queued(at + 1_000, contact),
                answered(at + 5_000, contact, agent),
                released(at + 40_000, contact, agent),
                wrapped(at + 60_000, contact, agent),
                state(at + 90_000, "not_ready", agent),
            )

    def until(self, end: int, begin: int = 0) -> None:
        for at in range(begin, end, 2 * MINUTE):
            self.call(at)

    def checkpoint(self) -> dict[str, bytes | None]:
        changed = self.engine.dirty_parts()
        for name, part in changed.items():
            if part is None:
                self.saved.pop(name, None)
            else:
                self.saved[name] = part
        return changed

    def restored(self) -> Site:
        return Site.restore(self.saved)


def periods(names: Iterable[str]) -> set[int]:
    """The ten minutes of which history is among the names of parts."""
    return {int(name.split(":")[1]) for name in names if name.startswith("past:")}


def test_a_checkpoint_writes_the_history_of_now_alone() -> None:
    day = Day()
    day.until(HOUR)
    day.checkpoint()
    assert periods(day.saved) == set(range(HOUR // HISTORY_MS))
    day.until(HOUR + 4 * MINUTE, HOUR)
    assert periods(day.checkpoint()) == {HOUR // HISTORY_MS}
    assert figures(day.restored().view()) == figures(day.engine.view())


def test_a_late_event_writes_the_history_of_its_time_again() -> None:
    day = Day()
    day.until(30 * MINUTE)
    day.checkpoint()
    at = 26 * MINUTE
    day.apply(wrapped(at + 70_000, f"a0 {at}", "a0"), state(at + 71_000, "busy", "a1"))
    assert 2 in periods(day.checkpoint())
    assert figures(day.restored().view()) == figures(day.engine.view())
    assert reports(day.restored()) == reports(day.engine)


def test_history_that_nobody_needs_is_dropped() -> None:
    day = Day()
    for hour in range(6):
        day.until((hour + 1) * HOUR, hour * HOUR)
        day.checkpoint()
    kept = periods(day.saved)
    assert min(kept) >= (6 * HOUR - HOUR - 40 * MINUTE) // HISTORY_MS
    assert len([name for name in day.saved if name.startswith("past:")]) <= 3 * len(kept)
    again = day.restored()
    assert figures(again.view()) == figures(day.engine.view())
    assert reports(again) == reports(day.engine)


def test_what_is_restored_is_what_is_saved_then() -> None:
    day = Day(agents=40)
    day.until(HOUR)
    day.checkpoint()
    whole = day.engine.all_parts()
    assert whole.keys() == day.saved.keys()
    again = Site.restore(whole)
    assert again.all_parts().keys() == whole.keys()
    assert reports(again) == reports(day.engine)
    assert {name: agent.past_spans() for name, agent in again.ledger.agents.items()} == {
        name: agent.past_spans() for name, agent in day.engine.ledger.agents.items()
    }


def test_a_restored_site_drops_the_history_that_it_found() -> None:
    day = Day()
    day.until(HOUR)
    day.checkpoint()
    day.engine = day.restored()
    day.apply(now=4 * HOUR)
    day.until(5 * HOUR, 4 * HOUR)
    day.checkpoint()
    assert min(periods(day.saved)) >= HOUR // HISTORY_MS - 1


def reports(engine: Site) -> dict[str, list[tuple[int, object]]]:
    agents = engine.ledger.agents.items()
    return {name: [(report.at, report.said) for report in agent.reports] for name, agent in agents}


def test_shares_are_spread_over_the_parts() -> None:
    day = Day(agents=100)
    day.until(2 * MINUTE)
    assert len({agent.share for agent in day.engine.ledger.agents.values()}) == HISTORY_PARTS
