"""The queues' part of the job by Faust's windowed tables: DAY RESULTS BROKER, `--hopping` or not.

The naive program of Faust's documentation: an event a message, a table of lists by queue, hopping
over five minutes every ten seconds, `apply` adds to all thirty windows an event lies in. Without
`--hopping` the table tumbles over ten seconds and thirty panes are added by hand when the day is
over. Contacts are a plain dictionary, which flatters it: a restart loses them.

Time in states fits no windowed table; the site's part is left out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from functools import partial
from typing import Any

import faust
import orjson

from bench.peers.job import PANE_MS, PANES, WINDOW_MS, line_of
from bench.peers.messages import END_TYPE, TOPIC
from bench.peers.process import begin, main
from bench.peers.steps import CONTACT_TYPES, WIDTH, Contact, Trailing


class _Program:
    """The application: one agent over the day's topic, one windowed table."""

    def __init__(self, broker: str, hopping: bool, folder: str) -> None:
        self.app = faust.App(
            "peers-faust",
            broker=f"kafka://{broker}",
            topic_partitions=1,
            web_enabled=False,
            datadir=folder,
            consumer_auto_offset_reset="earliest",
        )
        self.done = asyncio.Event()
        self.contacts: dict[str, Contact] = {}
        self.events = 0
        table = self.app.Table("figures", default=lambda: [0] * WIDTH, partitions=1)
        window_s, pane_s = WINDOW_MS / 1000, PANE_MS / 1000
        self.table = table.hopping(window_s, pane_s) if hopping else table.tumbling(pane_s)
        topic = self.app.topic(TOPIC, key_serializer="raw", value_serializer="raw")
        self.app.agent(topic)(self._take_all)

    async def _take_all(self, payloads: Any) -> None:
        async for payload in payloads:
            if not self.events:
                begin()
            event = orjson.loads(payload)
            if event["type"] == END_TYPE:
                self.done.set()
                continue
            self.events += 1
            if event["type"] in CONTACT_TYPES:
                self._take(event)

    def _take(self, event: dict[str, Any]) -> None:
        table: Any = self.table
        contact = self.contacts.setdefault(event["contact"], Contact())
        for queue, ts, added in contact.take(event):
            table.relative_to(ts / 1000)[queue].apply(_sum, added)
        if contact.done():
            del self.contacts[event["contact"]]

    def rows(self) -> dict[tuple[str, int], list[int]]:
        """Figures of the windows by queue and start (ms)."""
        return {
            (queue, round(window[0] * 1000)): figures
            for (queue, window), figures in self.table.table.items()
        }


def _sum(figures: list[int], added: tuple[int, ...]) -> list[int]:
    return [a + b for a, b in zip(figures, added, strict=True)]


async def _run(program: _Program) -> None:
    await program.app.start()
    await program.done.wait()


def run(hopping: bool, events: str, results: str) -> int:
    """Read the topic, write the results; how many events the day had."""
    with tempfile.TemporaryDirectory() as folder:
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        program = _Program(sys.argv[3], hopping, folder)
        loop.run_until_complete(_run(program))
        _write(program.rows(), hopping, results)
    return program.events


def _write(rows: dict[tuple[str, int], list[int]], hopping: bool, results: str) -> None:
    with open(results, "w") as out:
        if hopping:
            for (queue, start), figures in rows.items():
                out.write(line_of(start + WINDOW_MS, queue, figures))
            return
        queues: dict[str, Trailing] = {}
        for (queue, start), figures in sorted(rows.items()):
            queues.setdefault(queue, Trailing(WIDTH)).add(start, tuple(figures))
        for queue, trailing in queues.items():
            for edge, sums in trailing.closed(trailing.newest + (PANES + 1) * PANE_MS):
                out.write(line_of(edge, queue, sums))


if __name__ == "__main__":
    main(partial(run, "--hopping" in sys.argv))
    os._exit(0)  # the threads of an application that was not stopped would wait for ever
