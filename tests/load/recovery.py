"""How large checkpoints are and how fast a worker is back: `python -m tests.load.recovery`.

A worker reads the frames of a centre from Apache Kafka, goes on at the centre's own pace, and is
killed with kill -9. Measured are its checkpoints, what they leave in the changelogs, its memory,
and the time from the start of the next process until its state is recovered and all frames are
read. The figures of both must be those of an engine that has seen the same frames.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from rich.console import Console

from agents_stream.changelog import key_of
from agents_stream.checkpoint import MARKER_PART
from agents_stream.tables import CHANGELOGS
from bench import machine
from bench.workload import SITE, Size, read_frames, write_frames
from pipeline.engine import Site
from pipeline.topics import ensure_topics_patiently, partition_of
from schemas.frames import decode_frame
from schemas.live import LiveParts, decode_live
from schemas.settings import SiteSettings
from schemas.topics import FRAMES, LIVE, TOPICS
from tests.e2e.figures import Figures, differences, of_board
from tests.load.results import finish
from tests.load.system import Json, System
from tests.load.watching import MIB, usage

MOST_RECORD_BYTES = 2 * 256 * 1024
"""A part before and after, each up to 256 KiB."""
MOST_LIVE_BYTES = 256 * 1024
MOST_SETS = 200
PARTITIONS = 4
LIVE_S = 25.0
"""Frames come at the centre's own pace for so long, which is time for two checkpoints."""
HANDOVER_MS = 100
PATIENCE_S = 1_800.0


@dataclass(frozen=True, slots=True)
class Centre:
    """A site to measure, and how many minutes of its day the worker has seen."""

    name: str
    size: Size


CENTRES = {
    "2000": Centre("2,000 agents", Size(2_000, 200, 60_000, 30)),
    "48000": Centre("48,000 agents", Size(48_000, 1_000, 1_440_000, 4)),
}


class Recovery:
    """One centre, from its first frame to the worker that comes after the one that was killed."""

    def __init__(self, system: System, frames: list[bytes]) -> None:
        self._system = system
        self._frames = frames
        self._partition = partition_of(SITE, PARTITIONS)
        first, last = decode_frame(frames[0]).now, decode_frame(frames[-1]).now
        self._pace = len(frames) / max(1, last - first) * 1000
        self._sent = 0
        self._at_its_pace = False
        self.checkpoints: list[Json] = []

    async def run(self) -> Json:
        """Read on, go on, be killed, be back; returns what was measured."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._system.config.bootstrap, acks="all",
            max_batch_size=900_000, max_request_size=2 * MIB, linger_ms=5,
        )  # fmt: skip
        await producer.start()
        try:
            live = int(LIVE_S * self._pace)
            await self._send(producer, len(self._frames) - 2 * live)
            began = time.monotonic()
            self._system.roles["agents"].start()
            await self._applied()
            first = {"read_s": time.monotonic() - began, "events": self._events()}
            await self._at_pace(producer, live)
            settled = self._look()
            self._system.roles["agents"].kill()
            back = await self._back()
            await self._at_pace(producer, live)
            await self._applied()
            after = self._look()
        finally:
            await producer.stop()
        return {
            "first": first,
            "before_kill": settled,
            "back": back,
            "after": after,
            "checkpoints": self.checkpoints,
        }

    async def _send(self, producer: Any, count: int) -> None:
        sent = [
            await producer.send(FRAMES, frame, SITE.encode(), self._partition)
            for frame in self._frames[self._sent : self._sent + count]
        ]
        self._sent += len(sent)
        await asyncio.gather(*sent)

    async def _at_pace(self, producer: Any, count: int) -> None:
        """Send frames as the centre has them, looking at checkpoints."""
        self._at_its_pace = True
        began, already = time.monotonic(), self._sent
        while self._sent < already + count:
            due = min(count, int((time.monotonic() - began) * self._pace)) + already
            await self._send(producer, due - self._sent)
            self._note_checkpoint()
            await asyncio.sleep(0.1)

    async def _back(self) -> Json:
        """From the start of the process until its state is recovered, and all frames are read."""
        began = time.monotonic()
        self._system.roles["agents"].start()
        answered = recovered = 0.0
        while True:
            metrics = self._metrics()
            now = time.monotonic() - began
            answered = answered or (now if metrics else 0.0)
            recovered = recovered or (now if metrics.get("callboard_worker_partitions") else 0.0)
            if metrics.get("callboard_worker_recoveries_total", 0) >= PARTITIONS:
                return {
                    "page_s": answered,
                    "recovered_s": recovered,
                    "caught_up_s": now,
                    "frames_again": metrics["callboard_worker_frames_total"],
                    "states_lost": metrics["callboard_worker_states_lost_total"],
                    "rss": usage(self._system.roles["agents"].pid).rss,
                }
            assert now < PATIENCE_S, self._system.words()
            await asyncio.sleep(0.02)

    async def _applied(self) -> None:
        """Wait until the worker has read all frames sent."""
        deadline = time.monotonic() + PATIENCE_S
        while self._lag():
            assert time.monotonic() < deadline, self._system.words()
            self._note_checkpoint()
            await asyncio.sleep(0.2)

    def _lag(self) -> float:
        metrics = self._metrics()
        ready = metrics.get("callboard_worker_recoveries_total", 0) >= PARTITIONS
        return metrics.get("callboard_worker_lag_frames", 1.0) if ready else 1.0

    def _note_checkpoint(self) -> None:
        metrics = self._metrics()
        count = metrics.get("callboard_worker_checkpoints_total", 0)
        if not count or (self.checkpoints and self.checkpoints[-1]["count"] == count):
            return
        self.checkpoints.append(
            {
                "count": count,
                "bytes": metrics["callboard_worker_last_checkpoint_size_bytes"],
                "parts": metrics["callboard_worker_last_checkpoint_parts"],
                "seconds": metrics["callboard_worker_last_checkpoint_duration_seconds"],
                # An owner's first one writes everything.
                "full": count == 1,
                "live": self._at_its_pace and count > 1,
            }
        )

    def _look(self) -> Json:
        role = self._system.roles["agents"]
        topics = self._system.topic_bytes()
        return {
            "rss": usage(role.pid).rss,
            "changelog_bytes": sum(topics.get(spec.name, 0) for spec in CHANGELOGS),
            "live_bytes": topics.get(LIVE, 0),
        }

    def _events(self) -> float:
        return self._metrics().get("callboard_worker_events_total", 0.0)

    def _metrics(self) -> dict[str, float]:
        try:
            return self._system.metrics("agents")
        except OSError:
            return {}


# --- what the topics hold -------------------------------------------------------------------------


async def _records(system: System, topic: str, partition: int) -> AsyncIterator[Any]:
    """Every record of a partition."""
    place = TopicPartition(topic, partition)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.config.bootstrap, max_partition_fetch_bytes=8 * MIB
    )
    await consumer.start()
    try:
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        while await consumer.position(place) < end:
            for record in (await consumer.getmany(place, timeout_ms=500)).get(place, []):
                yield record
    finally:
        await consumer.stop()


async def _state_records(system: System, partition: int) -> Json:
    """The newest records of the changelogs: how many, how large, and of what kinds."""
    sizes: dict[Any, int] = {}
    largest = 0
    for spec in CHANGELOGS:
        async for record in _records(system, spec.name, partition):
            key = key_of(record.key)
            if record.value is None:
                sizes.pop(key, None)
            else:
                sizes[key] = len(record.value)
                largest = max(largest, len(record.value))
    kinds: Counter[str] = Counter()
    for key, size in sizes.items():
        if key.part != MARKER_PART:
            kinds[key.part.partition(":")[0]] += size
    return {
        "records": len(sizes),
        "bytes": sum(sizes.values()),
        "largest": largest,
        "by_kind": dict(kinds),
    }


async def _live_records(system: System, partition: int) -> tuple[Json, Json]:
    """The largest record of the live topic, and the board that they add up to."""
    parts, sizes = LiveParts(), Counter[str]()
    async for record in _records(system, LIVE, partition):
        live = decode_live(record.value)
        parts.take(live)
        sizes[live["kind"]] = max(sizes[live["kind"]], len(record.value))
    return dict(sizes), parts.assemble()


def _right(frames: list[bytes]) -> Figures:
    """The figures of an engine that has seen the same frames."""
    site = Site(SiteSettings(site=SITE), rows=False)
    for offset, payload in enumerate(frames):
        site.apply(decode_frame(payload), offset)
    return of_board(site.view())


async def measure(centre: Centre, folder: Path) -> Json:
    """One centre in a folder of its own."""
    path = folder / "frames"
    workload = write_frames(centre.size, HANDOVER_MS, path)
    frames = read_frames(path)
    system = System(folder, PARTITIONS, epoch=0)
    try:
        system.kafka.start()
        await ensure_topics_patiently(system.config.brokers, PARTITIONS, (*TOPICS, *CHANGELOGS))
        run = Recovery(system, frames)
        found = await run.run()
        system.roles["agents"].stop()
        number = partition_of(SITE, PARTITIONS)
        state = await _state_records(system, number)
        live, board = await _live_records(system, number)
    finally:
        system.kill()
    wrong = differences(of_board(board), _right(frames))
    return {
        "centre": centre.name,
        "size": asdict(centre.size),
        "words": workload.words,
        **found,
        "state": state,
        "largest_live": live,
        "differences": wrong,
    }


def judged(found: Json) -> list[tuple[str, bool]]:
    """What must hold of a centre, in words."""
    name, live = found["centre"], max(found["largest_live"].values())
    usual = [one["parts"] for one in found["checkpoints"] if one["live"]]
    sets = max(usual, default=0)
    largest = found["state"]["largest"]
    return [
        (f"{name}: the board is right after kill -9", not found["differences"]),
        (f"{name}: no state was lost", not found["back"]["states_lost"]),
        (f"{name}: largest state record {largest / 1024:.0f} KiB", largest <= MOST_RECORD_BYTES),
        (f"{name}: largest live record {live / 1024:.0f} KiB", live <= MOST_LIVE_BYTES),
        (f"{name}: at most {sets:.0f} sets in a checkpoint", sets <= MOST_SETS),
    ]


async def recovery(centres: list[Centre], report: Callable[[str], None]) -> Json:
    """Measure centres one after the other; returns the result with its verdicts."""
    result: Json = {"machine": machine.describe(), "centres": []}
    lines: list[tuple[str, bool]] = []
    for centre in centres:
        report(f"{centre.name}: {centre.size}")
        with tempfile.TemporaryDirectory(prefix="recovery-") as folder:
            found = await measure(centre, Path(folder))
        result["centres"].append(found)
        lines += judged(found)
        report(str({key: found[key] for key in ("first", "before_kill", "back", "state")}))
    result["verdicts"] = [{"what": what, "holds": holds} for what, holds in lines]
    return result


def main(
    only: Annotated[str, typer.Option(help="2000 or 48000 alone.")] = "",
    name: Annotated[str, typer.Option(help="Name of the result's file.")] = "recovery-last",
) -> None:
    """Measure recovery; ends with 1 if anything that must hold does not."""
    console = Console()
    centres = [centre for key, centre in CENTRES.items() if only in ("", key)]
    finish(console, asyncio.run(recovery(centres, console.print)), name)


if __name__ == "__main__":
    typer.run(main)
