"""The job by Bytewax, in one worker: `--sliding` uses its own sliding windows.

Contacts and agents are stateful steps. Without `--sliding` panes of ten seconds are kept by hand in
a stateful step for each queue; with it the queues' figures come from `fold_window` over a
`SlidingWindower`. Time in states has no window of Bytewax's to be clipped to, so that the site's
rows come from panes by hand in both.

A step takes a batch key by key, so that moments reach a queue out of order by as much as a batch
spans; hence `SLACK_MS`. A quiet queue's rows come when it has news again, or at the end.
"""

# mypy: disable-error-code="import-not-found,misc"
# Bytewax is not in the environment that is checked.
from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.files import FileSink, FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic, windowing
from bytewax.testing import run_main

from bench.peers.job import PANE_MS, PANES, SITE_ROW, WINDOW_MS, line_of
from bench.peers.process import main
from bench.peers.steps import (
    AGENT_TYPES,
    CONTACT_TYPES,
    WIDTH,
    Agent,
    Change,
    Contact,
    Presence,
    Trailing,
)

SLACK_MS = 600_000
BATCH = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TO_THE_END = (PANES + SLACK_MS // PANE_MS) * PANE_MS


class _Contacts(StatefulBatchLogic[Any, Any, Contact]):
    def __init__(self, state: Contact | None) -> None:
        self.state = state or Contact()

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        take = self.state.take
        return [count for event in values for count in take(event)], self.state.done()

    def snapshot(self) -> Contact:
        return self.state


class _Agents(StatefulBatchLogic[Any, Any, Agent]):
    def __init__(self, state: Agent | None) -> None:
        self.state = state or Agent()

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        take = self.state.take
        return [change for event in values for change in take(event)], False

    def snapshot(self) -> Agent:
        return self.state


class _Panes(StatefulBatchLogic[Any, Any, Trailing]):
    def __init__(self, state: Trailing | None) -> None:
        self.state = state or Trailing(WIDTH, SLACK_MS)

    def on_batch(self, values: list[Any]) -> tuple[Iterable[Any], bool]:
        for _, ts, amounts in values:
            self.state.add(ts, amounts)
        return list(self.state.closed()), False

    def on_eof(self) -> tuple[Iterable[Any], bool]:
        return list(self.state.closed(self.state.newest + _TO_THE_END)), True

    def snapshot(self) -> Trailing:
        return self.state


class _Site(_Panes):
    def __init__(self, state: Trailing | None) -> None:
        self.state = self.presence = Presence(SLACK_MS)

    def on_batch(self, values: list[Change]) -> tuple[Iterable[Any], bool]:
        for change in values:
            self.presence.change(change)
        return list(self.state.closed()), False


def _line(item: tuple[str, tuple[int, list[int]]]) -> tuple[str, str]:
    queue, (edge, figures) = item
    return "", line_of(edge, queue, figures)[:-1]


def _add(acc: list[int], count: tuple[str, int, tuple[int, ...]]) -> list[int]:
    for i, amount in enumerate(count[2]):
        if amount:
            acc[i] += amount
    return acc


def _merge(a: list[int], b: list[int]) -> list[int]:
    return [x + y for x, y in zip(a, b, strict=True)]


def _moment(count: tuple[str, int, tuple[int, ...]]) -> datetime:
    return _EPOCH + timedelta(milliseconds=count[1])


def _sliding(counts: Any) -> Any:
    clock = windowing.EventClock(_moment, timedelta(milliseconds=SLACK_MS))
    windower = windowing.SlidingWindower(
        timedelta(milliseconds=WINDOW_MS), timedelta(milliseconds=PANE_MS), _EPOCH
    )
    folded = windowing.fold_window(
        "windows", counts, clock, windower, lambda: [0] * WIDTH, _add, _merge
    )
    return op.map_value("edge", folded.down, lambda it: (it[0] * PANE_MS + WINDOW_MS, it[1]))


def flow(events: str, results: str, sliding: bool) -> Dataflow:
    """The dataflow from a day's file to the results."""
    made = Dataflow("job")
    decoded = op.map("decode", op.input("day", made, FileSource(events, BATCH)), orjson.loads)
    of_contacts = op.filter("of contacts", decoded, lambda event: event["type"] in CONTACT_TYPES)
    of_agents = op.filter("of agents", decoded, lambda event: event["type"] in AGENT_TYPES)
    contacts = op.key_on("by contact", of_contacts, lambda event: event["contact"])
    agents = op.key_on("by agent", of_agents, lambda event: event["agent"])
    counted = op.key_rm("counted", op.stateful_batch("contacts", contacts, _Contacts))
    counts = op.key_on("by queue", counted, lambda count: count[0])
    changed = op.key_rm("changed", op.stateful_batch("agents", agents, _Agents))
    changes = op.key_on("by site", changed, lambda _: SITE_ROW)
    queues = _sliding(counts) if sliding else op.stateful_batch("panes", counts, _Panes)
    site = op.stateful_batch("site", changes, _Site)
    lines = op.map("line", op.merge("all", queues, site), _line)
    op.output("results", lines, FileSink(Path(results)))
    return made


def run(sliding: bool, events: str, results: str) -> int:
    """Read a day, write the results; how many events it had."""
    run_main(flow(events, results, sliding))
    with open(events, "rb") as lines:
        return sum(1 for _ in lines)


if __name__ == "__main__":
    main(partial(run, "--sliding" in sys.argv))
