"""The queues' part of the job by Pathway, one worker: `--sliding` uses its own sliding windows.

Events come through a Python connector and are committed as Pathway does it, by the clock. A contact
is a group with a stateful reducer whose result lists what the contact counts; the list is flattened
and grouped again. Without `--sliding` Pathway sums panes of ten seconds, and thirty of them are
added by hand when the day is over.

The site's part is left out: who is busy at a moment depends on all earlier events of an agent, so
that a group would list an agent's whole day anew with every event.
"""

# mypy: disable-error-code="import-not-found,misc,untyped-decorator"
# Pathway is not in the environment that is checked.
from __future__ import annotations

import sys
from functools import partial
from typing import Any

import orjson
import pathway as pw

from bench.peers.job import PANE_MS, PANES, WINDOW_MS, edge_after, line_of
from bench.peers.process import main
from bench.peers.steps import CONTACT_TYPES, WIDTH, Contact, Trailing

pw.set_license_key(None)


class _Event(pw.Schema):
    type: str
    ts: int
    contact: str
    queue: str
    agent: str
    place: int


class _Day(pw.io.python.ConnectorSubject):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.events = 0

    def run(self) -> None:
        with open(self.path, "rb") as lines:
            for line in lines:
                event = orjson.loads(line)
                self.events += 1
                if event["type"] in CONTACT_TYPES:
                    self.next(
                        type=event["type"],
                        ts=event["ts"],
                        contact=event["contact"],
                        queue=event.get("queue", ""),
                        agent=event.get("agent", ""),
                        place=self.events,
                    )


class _Story:
    """A contact and all that it has counted so far."""

    def __init__(self) -> None:
        self.contact = Contact()
        self.counts: list[tuple[Any, ...]] = []


@pw.reducers.stateful_many
def _story(
    state: pw.PyObjectWrapper[_Story] | None, rows: list[tuple[list[Any], int]]
) -> pw.PyObjectWrapper[_Story]:
    story = _Story()
    if state is not None:
        story.contact, story.counts = state.value.contact, list(state.value.counts)
    for (_, kind, ts, queue, agent), _diff in sorted(rows):
        event = {"type": kind, "ts": ts, "queue": queue, "agent": agent}
        story.counts += [(queue, ts, *added) for queue, ts, added in story.contact.take(event)]
    return pw.PyObjectWrapper(story)


_Counts = list[tuple[str, int, int, int, int, int, int, int, int]]


def _counts_of(story: pw.PyObjectWrapper[_Story]) -> _Counts:
    return tuple(story.value.counts)  # type: ignore[return-value]


def _counts(day: _Day) -> Any:
    events = pw.io.python.read(day, schema=_Event)
    this = pw.this
    stories = events.groupby(this.contact).reduce(
        story=_story(this.place, this.type, this.ts, this.queue, this.agent)
    )
    listed = stories.select(counts=pw.apply_with_type(_counts_of, _Counts, this.story))
    one = listed.flatten(this.counts)
    figures = {f"f{i}": this.counts[2 + i] for i in range(WIDTH)}
    return one.select(queue=this.counts[0], ts=this.counts[1], **figures)


def _sums() -> dict[str, Any]:
    return {f"f{i}": pw.reducers.sum(getattr(pw.this, f"f{i}")) for i in range(WIDTH)}


def _panes(counts: Any) -> Any:
    edged = counts.with_columns(edge=pw.this.ts // PANE_MS * PANE_MS + PANE_MS)
    this = pw.this
    return edged.groupby(this.queue, this.edge).reduce(this.queue, this.edge, **_sums())


def _windows(counts: Any) -> Any:
    window = pw.temporal.sliding(hop=PANE_MS, duration=WINDOW_MS, origin=0)
    by = counts.windowby(pw.this.ts, window=window, instance=pw.this.queue)
    return by.reduce(queue=pw.this["_pw_instance"], edge=pw.this["_pw_window_end"], **_sums())


class _Rows:
    """The rows of a table as they stand after all changes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], tuple[int, ...]] = {}

    def change(self, key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        place = (row["queue"], row["edge"])
        figures = tuple(row[f"f{i}"] for i in range(WIDTH))
        if is_addition:
            self.rows[place] = figures
        elif self.rows.get(place) == figures:
            del self.rows[place]

    def trailing(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """The sums of thirty panes at each edge."""
        queues: dict[str, Trailing] = {}
        for (queue, edge), figures in self.rows.items():
            queues.setdefault(queue, Trailing(WIDTH)).add(edge - 1, figures)
        end = edge_after(max(trailing.newest for trailing in queues.values())) + PANES * PANE_MS
        return {
            (queue, edge): tuple(figures)
            for queue, trailing in queues.items()
            for edge, figures in trailing.closed(end)
        }


def run(sliding: bool, events: str, results: str) -> int:
    """Read a day, write the results; how many events it had."""
    day, rows = _Day(events), _Rows()
    counts = _counts(day)
    pw.io.subscribe(_windows(counts) if sliding else _panes(counts), on_change=rows.change)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)
    found = rows.rows if sliding else rows.trailing()
    with open(results, "w") as out:
        out.writelines(line_of(edge, queue, figures) for (queue, edge), figures in found.items())
    return day.events


if __name__ == "__main__":
    main(partial(run, "--sliding" in sys.argv))
