"""Records on their way out: their shape, their size, and the wait until they are safe."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from agents_stream.publish import (
    FULL_EVERY_S,
    MAX_PAYLOAD_BYTES,
    MAX_ROWS_BYTES,
    LivePublisher,
    Outbox,
    refused_letter,
    row_records,
    views_of,
)
from pipeline.engine import Site
from schemas.frames import decode_frame
from schemas.live import decode_live
from schemas.settings import SiteSettings
from schemas.topics import LIVE
from sinks.prometheus.figures import WorkerFigures
from tests.agents_stream.fakes import CountingSite, frame, frame_of


def _site(offset: int = 3, epoch: int = 2) -> CountingSite:
    site = CountingSite(SiteSettings(site="s"))
    site.apply(decode_frame(frame("s", offset, ["a"], 1_000_000, epoch)), offset)
    return site


class _Broker:
    """Confirms when told to."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes, int | None]] = []
        self.futures: list[asyncio.Future[Any]] = []

    async def send(
        self, topic: str, key: bytes, value: bytes, partition: int | None
    ) -> asyncio.Future[Any]:
        self.sent.append((topic, key, value, partition))
        self.futures.append(asyncio.get_running_loop().create_future())
        return self.futures[-1]


def test_rows_of_a_frame_are_one_record_with_its_version() -> None:
    [record] = row_records(_site(), {"visits": [{"n": 1}], "legs": [{"n": 2}]})
    assert orjson.loads(record) == {
        "v": 1,
        "site": "s",
        "epoch": 2,
        "offset": 3,
        "version": 2 << 40 | 3,
        "at": 1_000_000,
        "part": 0,
        "parts": 1,
        "tables": {"visits": [{"n": 1}], "legs": [{"n": 2}]},
    }


def test_rows_of_a_large_frame_are_split_without_a_loss() -> None:
    rows = [{"n": n, "text": "x" * 1000} for n in range(2500)]
    records = [orjson.loads(r) for r in row_records(_site(), {"visits": rows, "legs": rows[:10]})]
    assert all(len(orjson.dumps(record)) < MAX_ROWS_BYTES + 500 for record in records)
    assert [record["part"] for record in records] == list(range(records[0]["parts"]))
    found = [row for record in records for row in record["tables"].get("visits", [])]
    assert found == rows
    assert sum(len(record["tables"].get("legs", [])) for record in records) == 10


def test_a_letter_keeps_the_first_64_kib_of_its_payload() -> None:
    key, value = refused_letter((1, 2, 3), "s", "why", b"\xff" + b"x" * 100_000).record()
    letter = orjson.loads(value)
    assert orjson.loads(key) == [1, "events.frames", 2, 3]
    assert letter["payload"] == "\ufffd" + "x" * (MAX_PAYLOAD_BYTES - 1)
    assert letter["detail"] == "why"


async def test_settling_waits_for_the_broker() -> None:
    broker = _Broker()
    outbox = Outbox(broker.send, WorkerFigures())
    await outbox.send("t", b"k", b"v", 1)
    settling = asyncio.create_task(outbox.settle())
    await asyncio.sleep(0)
    assert not settling.done()
    broker.futures[0].set_result(None)
    await settling


async def test_what_the_broker_refuses_is_raised_also_after_many_other_records() -> None:
    broker = _Broker()
    outbox = Outbox(broker.send, WorkerFigures())
    await outbox.send("t", b"k", b"v", 1)
    broker.futures[0].set_exception(RuntimeError("too large"))
    for _ in range(2000):
        await outbox.send("t", b"k", b"v", 1)
        broker.futures[-1].set_result(None)
    with pytest.raises(RuntimeError, match="too large"):
        await outbox.settle()


async def test_live_records_go_to_the_sites_partition_and_metrics_show_exactly_them() -> None:
    broker = _Broker()
    live = LivePublisher(Outbox(broker.send, WorkerFigures()), lambda: 0.0)
    site = _site()
    live.changed(7, "s")
    assert live.published() == []
    await live.publish(site)
    [(topic, key, value, partition)] = broker.sent
    assert (topic, key, partition) == (LIVE, b"s|totals|0", 7)
    record = decode_live(value)
    assert (record["epoch"], record["offset"], record["at"]) == (2, 3, 1_000_000)
    assert live.published() == [[value]]
    [view] = views_of(live.published())
    assert (view["site"], view["total"], view["at"]) == ("s", 1, 1_000_000)


async def test_a_revoked_partition_leaves_the_metrics() -> None:
    broker = _Broker()
    live = LivePublisher(Outbox(broker.send, WorkerFigures()), lambda: 0.0)
    live.changed(7, "s")
    await live.publish(_site())
    live.forget(7)
    assert live.published() == []
    await live.publish(_site())
    assert len(broker.sent) == 1


class _TwoParts(CountingSite):
    """A site of two parts that share what they show."""

    def live_parts(self, full: bool) -> list[tuple[str, str, dict[str, Any]]]:
        parts = super().live_parts(full)
        return [(kind, part, data) for kind, _, data in parts for part in ("0", "1")]


async def test_all_parts_are_of_one_moment_though_frames_come_while_they_are_sent() -> None:
    site = _TwoParts(SiteSettings(site="s"))
    site.apply(decode_frame(frame("s", 3, ["a"], 1_000_000, 2)), 3)
    broker = _Broker()

    async def slow(topic: str, key: bytes, value: bytes, partition: int | None) -> Any:
        offset = site.offset + 1
        site.apply(decode_frame(frame("s", offset, ["b"], 1_000_000 + offset, 2)), offset)
        return await broker.send(topic, key, value, partition)

    live = LivePublisher(Outbox(slow, WorkerFigures()), lambda: 0.0)
    live.changed(7, "s")
    await live.publish(site)
    records = [decode_live(value) for _, _, value, _ in broker.sent]
    assert [(r["part"], r["offset"], r["at"]) for r in records] == [
        ("0", 3, 1_000_000),
        ("1", 3, 1_000_000),
    ]


async def test_metrics_miss_no_part_while_everything_is_sent_again() -> None:
    site = _TwoParts(SiteSettings(site="s"))
    site.apply(decode_frame(frame("s", 3, ["a"], 1_000_000, 2)), 3)
    broker, now, seen = _Broker(), [0.0], []

    async def looked_at(topic: str, key: bytes, value: bytes, partition: int | None) -> Any:
        seen.append([decode_live(value)["at"] for value in live.published()[0]])
        return await broker.send(topic, key, value, partition)

    live = LivePublisher(Outbox(looked_at, WorkerFigures()), lambda: now[0])
    live.changed(7, "s")
    await live.publish(site)
    now[0], later = FULL_EVERY_S, 1_005_000
    site.apply(decode_frame(frame("s", 4, ["b"], later, 2)), 4)
    live.changed(7, "s")
    await live.publish(site)
    assert seen == [[1_000_000] * 2] * 2 + [[later] * 2] * 2


async def test_metrics_keep_the_teams_of_which_nothing_new_was_published() -> None:
    site, now = Site(SiteSettings(site="s")), [0.0]
    broker = _Broker()
    live = LivePublisher(Outbox(broker.send, WorkerFigures()), lambda: now[0])
    said = [[("ann", "busy"), ("bob", "busy"), ("cyd", "busy")], [("bob", "offline")], [], []]
    for n, states in enumerate(said):
        # The last publication is of everything again, those between are not.
        at, now[0] = 1_000_000 + n, n if n < 3 else 2 * FULL_EVERY_S
        events = [
            {"type": "agent.state", "site": "s", "ts": at, "agent": agent, "state": state}
            | {"team": f"team of {agent}"}
            for agent, state in states
        ]
        site.apply(frame_of("s", 10 * n, events, at), 10 * n)
        live.changed(7, "s")
        await live.publish(site)
        [view] = views_of(live.published())
        assert view["teams"] == orjson.loads(orjson.dumps(site.view()["teams"]))
    assert len(view["teams"]) == 3
