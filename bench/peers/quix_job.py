"""The queues' part of the job by Quix Streams: DAY RESULTS BROKER, `--hopping` for its own windows.

It reads Kafka and nothing else, so the day lies in a topic already, an event a message, keyed by
contact; contacts are a stateful step, and `group_by` sends what they count through a topic of its
own to the queue's key. Without `--hopping` its tumbling windows are the panes of ten seconds, of
which thirty are added by hand. Two last messages far ahead close all windows: by itself a window
closes when a later message comes.

Time in states fits none of its windows; the site's part is left out.
"""

# mypy: disable-error-code="import-not-found"
# Quix Streams is not in the environment that is checked.
from __future__ import annotations

import sys
import tempfile
from functools import partial
from typing import Any

from quixstreams import Application

from bench.peers.job import PANE_MS, PANES, WINDOW_MS, line_of
from bench.peers.messages import END_TYPE, TOPIC
from bench.peers.process import begin, main
from bench.peers.steps import CONTACT_TYPES, WIDTH, Contact, Trailing

_END = "~end"


class _FirstMessage:
    """Tells the clock of the first message: until then a group was joined."""

    seen = False


def _take(event: dict[str, Any], state: Any) -> list[dict[str, Any]]:
    if not _FirstMessage.seen:
        _FirstMessage.seen = True
        begin()
    if event["type"] == END_TYPE:
        return [{"queue": _END, "f": [0] * WIDTH}]
    if event["type"] not in CONTACT_TYPES:
        return []
    contact = Contact()
    contact.waiting, contact.legs = state.get("contact", ({}, {}))
    counts = [{"queue": queue, "f": added} for queue, _, added in contact.take(event)]
    if contact.done():
        state.delete("contact")
    else:
        state.set("contact", (contact.waiting, contact.legs))
    return counts


def _first(count: dict[str, Any]) -> list[int]:
    return list(count["f"])


def _add(figures: list[int], count: dict[str, Any]) -> list[int]:
    return [a + b for a, b in zip(figures, count["f"], strict=True)]


class _Rows:
    """What the windows gave, as rows; stops the application at the end of the day."""

    def __init__(self, app: Application, hopping: bool) -> None:
        self.app, self.hopping = app, hopping
        self.lines: list[str] = []
        self.queues: dict[str, Trailing] = {}

    def take(self, window: dict[str, Any], queue: str, timestamp: int, headers: Any) -> None:
        if queue == _END:
            self.app.stop()
        elif self.hopping:
            self.lines.append(line_of(window["end"], queue, window["value"]))
        else:
            trailing = self.queues.setdefault(queue, Trailing(WIDTH))
            trailing.add(window["start"], tuple(window["value"]))
            self._write(queue, window["start"])

    def _write(self, queue: str, until: int) -> None:
        for edge, figures in self.queues[queue].closed(until):
            self.lines.append(line_of(edge, queue, figures))

    def finish(self) -> None:
        for queue, trailing in self.queues.items():
            self._write(queue, trailing.newest + (PANES + 1) * PANE_MS)


def run(hopping: bool, events: str, results: str) -> int:
    """Read the topic, write the results; how many events the day had."""
    with tempfile.TemporaryDirectory() as folder:
        app = Application(
            broker_address=sys.argv[3],
            consumer_group="quix",
            auto_offset_reset="earliest",
            state_dir=folder,
            loglevel="WARNING",
        )
        rows = _Rows(app, hopping)
        _build(app, rows)
        app.run()
    rows.finish()
    with open(results, "w") as out:
        out.writelines(rows.lines)
    with open(events, "rb") as day:
        return sum(1 for _ in day)


def _build(app: Application, rows: _Rows) -> None:
    topic = app.topic(
        TOPIC,
        value_deserializer="json",
        key_deserializer="str",
        timestamp_extractor=lambda value, headers, timestamp, kind: value["ts"],
    )
    counts: Any = app.dataframe(topic).apply(_take, stateful=True, expand=True)
    counts = counts.group_by(lambda count: count["queue"], name="queue", key_serializer="str",
                             key_deserializer="str")  # fmt: skip
    if rows.hopping:
        windows = counts.hopping_window(WINDOW_MS, PANE_MS)
    else:
        windows = counts.tumbling_window(PANE_MS)
    closed = windows.reduce(_add, _first).final(closing_strategy="partition")
    closed.update(rows.take, metadata=True)


if __name__ == "__main__":
    main(partial(run, "--hopping" in sys.argv))
