"""Agents as a checkpoint has them: what holds now, and their history in parts by time.

A checkpoint writes what changed since the last one. An agent's last hours never change, or hardly
ever, so they are kept apart from what does: a part of the history holds five minutes of a share of
the agents. What lies before the base of an agent may still stand in its history; it counts for
nothing and is left out when the state is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.engine.agents import HISTORY_MS, HISTORY_PARTS
from pipeline.engine.model import Report, said_state

if TYPE_CHECKING:
    from pipeline.engine.agents import Agent
    from pipeline.engine.ledger import Ledger

Json = dict[str, Any]
_PREFIX = "past:"


# --- what holds now -----------------------------------------------------------------------------


def agents(ledger: Ledger, wanted: Mapping[str, None] | None) -> dict[str, list[Json]]:
    """Agents by the name of their part, those of the parts wanted or all."""
    found: dict[str, list[Json]] = {}
    for agent in ledger.agents.values():
        if wanted is None or agent.part in wanted:
            found.setdefault(agent.part, []).append(_agent(agent))
    return found


def _agent(agent: Agent) -> Json:
    base = [agent.intervals[0], agent.base_state, agent.base_team, agent.base_reason]
    return {"id": agent.id, "base": base, "base_at": agent.base_at}


def restore_agents(ledger: Ledger, part: list[Json]) -> None:
    """Takes one part of agents; up to version 3 their history stands in it."""
    for saved in part:
        agent = ledger.agent(saved["id"])
        (start, state, team), agent.base_state, agent.base_team, agent.base_reason = saved["base"]
        agent.intervals = [(start, state, team)]
        agent.base_at = saved.get("base_at", start)
        agent.soil(agent.base_at)
        if "reports" in saved:
            agent.reports = _old_reports(saved)
            agent.put_back(_old_past(saved))
            ledger.note_unsaved(agent)


def _old_reports(saved: Json) -> list[Report]:
    if "said" not in saved:
        return [Report(event.pop("ts"), event, said_state(event)) for event in saved["reports"]]
    return _reports(saved["said"], saved["reports"], 0)


def _old_past(saved: Json) -> list[int]:
    if "past" in saved:
        spans = _spans(saved["past"], 0)
    else:
        spans = [(kind, start, end) for _, kind, start, end in saved["frozen"]]
    spans.sort(key=_end)
    return _flat(spans)


def _end(span: tuple[int, int, int]) -> int:
    return span[2]


# --- the history --------------------------------------------------------------------------------


def part_name(key: int) -> str:
    """The name of a part of the history by its key, see `Agent.history_key`."""
    return f"{_PREFIX}{key // HISTORY_PARTS}:{key % HISTORY_PARTS}"


def part_key(name: str) -> int | None:
    """The key of a part of the history, None for any other part."""
    if not name.startswith(_PREFIX):
        return None
    period, share = name[len(_PREFIX) :].split(":")
    return int(period) * HISTORY_PARTS + int(share)


def history(ledger: Ledger, wanted: Iterable[int] | None) -> dict[int, list[Any]]:
    """History by the key of its part, of the parts wanted that hold anything, or of all."""
    found: dict[int, list[Any]] = {}
    by_share: dict[int, list[int]] = {}
    for key in () if wanted is None else wanted:
        by_share.setdefault(key % HISTORY_PARTS, []).append(key)
    for agent in ledger.agents.values():
        keys = agent.history_keys() if wanted is None else by_share.get(agent.share, ())
        for key in keys:
            since = key // HISTORY_PARTS * HISTORY_MS
            reports, spans = agent.history(since, since + HISTORY_MS)
            if reports or spans:
                saved = [agent.id, *_report_steps(reports, since), _span_steps(spans, since)]
                found.setdefault(key, []).append(saved)
    return found


def restore_history(ledger: Ledger, key: int, part: list[Any]) -> None:
    """Takes one part of the history; the agents are known, and parts come in the order of time."""
    since = key // HISTORY_PARTS * HISTORY_MS
    for name, said, report_steps, span_steps in part:
        agent = ledger.agent(name)
        reports = _reports(said, report_steps, since)
        agent.reports += [report for report in reports if report.at > agent.base_at]
        spans = _spans(span_steps, since)
        agent.put_back(_flat([span for span in spans if span[2] > agent.base_at]))


# Moments as steps from the one before: there are many of them.


def _report_steps(reports: list[Report], since: int) -> tuple[list[Json], list[int]]:
    """What reports say, each once; for each report the step from the moment before, and which."""
    said: list[Json] = []
    steps: list[int] = []
    places: dict[int, int] = {}
    before = since
    for report in reports:
        place = places.setdefault(id(report.said), len(said))
        if place == len(said):
            said.append(report.said)
        steps.extend((report.at - before, place))
        before = report.at
    return said, steps


def _reports(said: list[Json], steps: list[int], since: int) -> list[Report]:
    reports: list[Report] = []
    at = since
    for i in range(0, len(steps), 2):
        at += steps[i]
        one = said[steps[i + 1]]
        reports.append(Report(at, one, said_state(one)))
    return reports


def _span_steps(spans: list[tuple[int, int, int]], since: int) -> list[int]:
    """For each ended segment its kind, the step from the start before, and its length."""
    steps: list[int] = []
    before = since
    for kind, start, end in spans:
        steps.extend((kind, start - before, end - start))
        before = start
    return steps


def _spans(steps: list[int], since: int) -> list[tuple[int, int, int]]:
    spans: list[tuple[int, int, int]] = []
    start = since
    for i in range(0, len(steps), 3):
        start += steps[i + 1]
        spans.append((steps[i], start, start + steps[i + 2]))
    return spans


def _flat(spans: list[tuple[int, int, int]]) -> list[int]:
    return [number for span in spans for number in span]
