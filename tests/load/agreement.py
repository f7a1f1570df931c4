"""Everybody's figures at one moment: board, SQL, time machine and the simulator's own count."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.kpis import COUNTERS
from schemas.topics import DEAD, RAW
from tests.e2e.figures import VIEWS, WINDOWS, Figures, Json, differences, of_board, of_sql
from tests.load.system import ROOT, System

PATIENCE_S = 300.0
_COUNTED = ("late", "inconsistent", "dead_lettered")


def drained(system: System, site: str, patience_s: float = PATIENCE_S) -> None:
    """Wait until all that was posted up to now is on the board and in the store."""
    fed = time.time_ns() // 1_000_000
    # A tick later than the last input says that all of it was read.
    system.until(lambda: _at(system, site) > fed, "all input is on the board", patience_s)
    system.until(lambda: stored_at(system, site) > fed, "all rows are stored", patience_s)


def standstill(system: System, site: str) -> int:
    """End ingest, and so the site's time; returns it once board and store have it."""
    system.roles["ingest"].stop()
    seen, since = -1, time.monotonic()
    deadline = since + PATIENCE_S
    while time.monotonic() - since < 1.5:
        time.sleep(0.1)
        at = _at(system, site)
        if at != seen or system.metrics("agents")["callboard_worker_lag_frames"]:
            seen, since = at, time.monotonic()
        assert time.monotonic() < deadline, "time does not stand still"
    system.until(lambda: stored_at(system, site) == seen, "the store has all rows", PATIENCE_S)
    return seen


def _at(system: System, site: str) -> int:
    return int(system.moment(site)["at"] or 0)


def stored_at(system: System, site: str) -> int:
    """The time up to which the store knows a site, 0 if it does not."""
    sql = f"SELECT toUnixTimestamp64Milli(at) AS at FROM progress WHERE site = '{site}'"
    rows = system.sql(sql)
    return int(rows[0]["at"]) if rows else 0


def compared(system: System, site: str, folder: Path, totals: Json | None = None) -> Json:
    """What differs at a standstill, and how much was compared; nothing may differ.

    `totals` are the simulator's own. Raises `AssertionError` if time does not stand still.
    """
    at = standstill(system, site)
    board = system.board(site)
    assert board["at"] == at
    right = of_board(board)
    in_sql = of_sql({(view, window): system.sql(
        f"SELECT * FROM {view}(site = '{site}', window = '{window}', at = NULL)"
    ) for view in VIEWS for window in WINDOWS})  # fmt: skip
    events = folder / "events.ndjson"
    told = asyncio.run(_raw(system, site, events))
    again = _replayed(events, system.settings / f"{site}.yml", at)
    counted = [f"{key}: {again[key]}, board {board[key]}" for key in _COUNTED
               if again[key] != board[key]]  # fmt: skip
    found: Json = {
        "at": at,
        "events": told,
        "figures_compared": len(right),
        "board_and_sql": differences(in_sql, right),
        "board_and_time_machine": differences(of_board(again), right) + counted,
        "reconciliation": system.sql("SELECT * FROM reconciliation")[:5],
        "dead_letters": asyncio.run(_count(system, DEAD)),
        "offered": board["all"]["queues"]["windows"]["total"]["offered"],
        "late": board["late"],
    }  # fmt: skip
    if totals is not None:
        found["board_and_simulator"] = _beside(board, totals)
    return found


def verdicts(found: Json) -> list[tuple[str, bool]]:
    """What must hold of `compared`, in words."""
    lines = [
        (f"board = SQL in {found['figures_compared']:,} figures", not found["board_and_sql"]),
        (f"board = time machine over {found['events']:,} events",
         not found["board_and_time_machine"]),
        ("reconciliation is empty", not found["reconciliation"]),
        ("no dead letter, nothing late", not found["dead_letters"] and not found["late"]),
    ]  # fmt: skip
    if "board_and_simulator" in found:
        lines.append(("board = the simulator's own totals", not found["board_and_simulator"]))
    return lines


def _beside(board: Json, totals: Json) -> list[str]:
    """Where the totals of queues differ from the simulator's."""
    windows = {
        queue: {channel: entry["windows"]["total"] for channel, entry in channels.items()}
        for queue, channels in board["queues"].items()
    }
    return differences(_counters(windows), _counters(totals))


def _counters(queues: Json) -> Figures:
    """All but misses: who still waits when the simulation ends crosses the threshold after it."""
    return {
        ((queue, channel), "total", name): counters[name]
        for queue, channels in queues.items()
        for channel, counters in channels.items()
        for name in COUNTERS
        if counters[name] and name != "sl_missed"
    }


def _replayed(file: Path, settings: Path, at: int) -> Json:
    command = [sys.executable, "-m", "pipeline.cli.main", "replay", str(file)]
    command += ["--settings", str(settings), "--at", str(at), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: Json = orjson.loads(done.stdout)
    return found


async def _raw(system: System, site: str, path: Path) -> int:
    """Write the payloads of the raw topic to a file, one a line; returns how many they are."""
    count = 0
    with path.open("wb") as file:
        async for record in _records(system, RAW):
            if record.key == site.encode():
                file.write(record.value + b"\n")
                count += 1
    return count


async def _count(system: System, topic: str) -> int:
    return len([0 async for _ in _records(system, topic)])


async def _records(system: System, topic: str) -> AsyncIterator[Any]:
    """Every record of a topic, partition by partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.config.bootstrap, max_partition_fetch_bytes=8 * 1024 * 1024
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, n) for n in range(system.config.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                for record in batch:
                    yield record
    finally:
        await consumer.stop()
