"""`callboard dead` on a real broker: what was refused, why, where, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from pipeline.letters import Letters, LettersError
from schemas.config import Config
from schemas.topics import DEAD
from tests.ingest.broker import PARTITIONS, Broker, DeadReader, put_raw, raw_headers
from tests.ingest.roles import REPO, running_ingest, until
from tests.ports import free_port

PROGRAM = "from pipeline.cli.main import main; main()"
PATIENCE_S = 180.0


def command(address: str, *options: str) -> tuple[list[str], dict[str, str]]:
    env = {**os.environ, "CALLBOARD_BOOTSTRAP": address, "PYTHONPATH": str(REPO)}
    return [sys.executable, "-c", PROGRAM, "dead", *options], {**env, "COLUMNS": "80"}


async def dead(address: str, *options: str, code: int = 0) -> tuple[str, str]:
    """What the command prints, and what it says beside it."""
    args, env = command(address, *options)
    done = await asyncio.to_thread(
        subprocess.run, args, env=env, capture_output=True, timeout=PATIENCE_S, check=False
    )
    said = done.stderr.decode()
    assert done.returncode == code, said
    return done.stdout.decode(), said


async def letters(address: str, *options: str) -> list[dict[str, Any]]:
    said, _ = await dead(address, "--json", *options)
    return [orjson.loads(line) for line in said.splitlines()]


def letter(number: int, **fields: Any) -> dict[str, Any]:
    """A letter as the stages write them; its time is not what the others are ordered by."""
    return {"site": "north", "reason": "late", "at": 1_000, "offset": number, **fields}


async def put(address: str, numbered: Iterable[tuple[int, dict[str, Any]]]) -> None:
    """Write letters one after another, each to its partition."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all")
    await producer.start()
    began = time.time_ns() // 1_000_000
    try:
        for at, (partition, value) in enumerate(numbered):
            key = orjson.dumps([1, "events.raw", partition, value["offset"]])
            await producer.send(
                DEAD, orjson.dumps(value), key=key, partition=partition, timestamp_ms=began + at
            )
        await producer.flush()
    finally:
        await producer.stop()


async def test_what_ingest_refuses_is_shown_with_reason_field_and_place(config: Config) -> None:
    now = time.time_ns() // 1_000_000
    bad = [
        b'{"type": "contact.queued", "site": "north", "ts": 1}',
        b'{"type": "clock", "site": "nowhere", "ts": 1}',
        b"\x1b[31mno JSON\r\n",
    ]
    places = await put_raw(config.bootstrap, [(None, one, raw_headers(now)) for one in bad])
    alone = config.model_copy(update={"alone": True})
    async with DeadReader(config.bootstrap) as reader, running_ingest(alone):
        await until(lambda: len(reader.letters) == 3, reader)
    table, _ = await dead(config.bootstrap)
    assert max(map(len, table.splitlines())) <= 80
    for reason in ("unreadable", "unknown_site"):
        assert reason in table
    for partition, offset in places:
        assert f"events.raw/{partition}/{offset}" in table
    assert "contact: is required" in table
    assert "no JSON" in table
    assert "\x1b[31m" not in table
    shown = await letters(config.bootstrap)
    assert sorted(map(str, shown)) == sorted(map(str, reader.letters.values()))
    assert [one["site"] for one in await letters(config.bootstrap, "--site", "north")] == ["north"]
    (unknown,) = await letters(config.bootstrap, "--reason", "unknown_site")
    assert unknown["payload"] == bad[1].decode()


async def test_the_newest_of_all_partitions_are_found_and_stand_last(config: Config) -> None:
    rare = {"site": "south"}
    written = [
        (n % PARTITIONS, letter(n, **(rare if n in (3, 5, 402) else {}))) for n in range(900)
    ]
    await put(config.bootstrap, [*written, written[899], written[898]])
    offsets = [one["offset"] for one in await letters(config.bootstrap)]
    assert sorted(offsets) == list(range(850, 900))
    assert offsets[:48] == list(range(850, 898))
    few = await letters(config.bootstrap, "--site", "south", "--limit", "2")
    assert [one["offset"] for one in few] == [5, 402]


async def test_those_that_come_follow_until_it_is_interrupted(config: Config) -> None:
    await put(config.bootstrap, [(0, letter(1)), (1, letter(2))])
    args, env = command(config.bootstrap, "--json", "--follow")
    process = await asyncio.create_subprocess_exec(
        *args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            first = [orjson.loads(await process.stdout.readline()) for _ in range(2)]
            await put(config.bootstrap, [(2, letter(3))])
            came = orjson.loads(await process.stdout.readline())
            process.send_signal(signal.SIGINT)
            status = await process.wait()
            said = await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
    assert [one["offset"] for one in [*first, came]] == [1, 2, 3]
    assert (status, said) == (0, b"")


async def test_what_is_no_letter_is_shown_as_it_is(config: Config) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=config.bootstrap)
    await producer.start()
    await producer.send_and_wait(DEAD, b"not ours", partition=0)
    await producer.stop()
    table, _ = await dead(config.bootstrap)
    assert "not ours" in table


async def test_that_there_are_none_is_said(config: Config) -> None:
    at = config.bootstrap
    assert await dead(at) == ("", f"no dead letters at {at}\n")
    asked = ("--site", "north", "--reason", "late")
    assert await dead(at, *asked) == ("", f"no dead letters of site north, late at {at}\n")


async def test_a_broker_that_nobody_used_has_no_such_topic(broker: Broker) -> None:
    _, said = await dead(broker.address, code=1)
    assert said == f"the broker at {broker.address} has no topic {DEAD} yet\n"


async def test_a_broker_that_is_not_there_is_named_in_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    said, error = await dead(address, code=1)
    assert said == ""
    assert error.startswith(f"no answer from the broker at {address}: ")
    assert len(error.splitlines()) == 1


async def test_a_broker_that_says_nothing_is_not_waited_for_for_ever(
    broker: Broker, config: Config
) -> None:
    broker.pause()
    try:
        with pytest.raises(LettersError, match="no answer"):
            async with Letters(config.brokers, patience_s=0.5):
                pass
    finally:
        broker.resume()
