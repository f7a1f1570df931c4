"""The history of agents in a checkpoint: what does not change is not written again."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from zlib import crc32

from pipeline.engine import Site
from pipeline.engine.agents import HISTORY_MS, HISTORY_PARTS
from tests.engine.figures import figures
from tests.engine.stories import (
    HOUR,
    MINUTE,
    Event,
    answered,
    held,
    offered,
    queued,
    released,
    resumed,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import frame, lay_over

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
        lay_over(self.saved, changed)
        return changed

    def restored(self) -> Site:
        return Site.restore(self.saved)


def spans(engine: Site) -> dict[str, list[tuple[int, int, int]]]:
    """Ended segments that count: those from before an agent's base may be saved or not."""
    agents = engine.ledger.agents.items()
    return {
        name: [span for span in agent.past_spans() if span[2] > agent.base_at]
        for name, agent in agents
    }


def periods(names: Iterable[str]) -> set[int]:
    """The five minutes of which history is among the names of parts."""
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
    assert at // HISTORY_MS in periods(day.checkpoint())
    assert figures(day.restored().view()) == figures(day.engine.view())
    assert reports(day.restored()) == reports(day.engine)
    assert spans(day.restored()) == spans(day.engine)


def test_an_end_that_moves_to_an_earlier_part_is_taken_out_of_the_later_one() -> None:
    day = Day(agents=1)
    edge = 4 * HISTORY_MS
    call = [queued(edge - 50_000, "x"), answered(edge - 40_000, "x", "a0")]
    day.apply(*call, wrapped(edge + 5_000, "x", "a0"))
    day.checkpoint()
    day.apply(released(edge - 30_000, "x", "a0"), wrapped(edge - 20_000, "x", "a0"), now=edge)
    day.checkpoint()
    assert [end for _, _, end in day.engine.ledger.agents["a0"].past_spans()][-1] == edge - 20_000
    assert spans(day.restored()) == spans(day.engine)


def test_an_agent_who_is_silent_for_hours_is_still_what_the_platform_said() -> None:
    """What it said is dropped from the history, and stands in the agent's base."""
    day = Day(agents=1)
    day.apply(state(1_000, "available", "quiet", team="sales"))
    day.checkpoint()
    for hour in range(4):
        day.until((hour + 1) * HOUR, hour * HOUR)
        day.checkpoint()
    assert reports(day.engine)["quiet"] == []
    assert day.restored().view()["agents"]["quiet"] == day.engine.view()["agents"]["quiet"]


def test_history_that_nobody_needs_is_dropped() -> None:
    day = Day()
    for hour in range(6):
        day.until((hour + 1) * HOUR, hour * HOUR)
        day.checkpoint()
    kept = periods(day.saved)
    assert min(kept) >= (6 * HOUR - HOUR - 40 * MINUTE) // HISTORY_MS
    assert spans(day.restored()) == spans(day.engine)
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
    assert spans(again) == spans(day.engine)


def test_a_part_of_a_very_large_centre_is_no_larger_than_a_record_may_be() -> None:
    """48,000 agents are 1,500 a part; each takes three calls in five minutes."""
    day, moments = Day(), Random(1)
    names = [f"agent-{n:05}" for n in range(48_000)]
    for agent in [name for name in names if crc32(name.encode()) % HISTORY_PARTS == 0]:
        for number in range(3):
            steps = [moments.randrange(1_000, 15_000) for _ in range(6)]
            at, contact = 90_000 * number + moments.randrange(10_000), f"{agent} {number}"
            said = [state(at, "available", agent), state(at + sum(steps), "not_ready", agent)]
            told = [queued, offered, answered, held, resumed, released]
            rest = [e(at + sum(steps[:n]), contact, *who(e, agent)) for n, e in enumerate(told)]
            day.apply(*said, *rest, wrapped(at + sum(steps), contact, agent))
    day.apply(now=10 * MINUTE)
    parts = day.engine.all_parts()
    assert 100_000 < len(parts["past:0:0"]) < 256 * 1024


def who(told: object, agent: str) -> list[str]:
    return [] if told is queued else [agent]


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
