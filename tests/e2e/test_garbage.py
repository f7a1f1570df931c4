"""Garbage, duplicates and disorder at the raw topic: counted once, and nothing stops."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import RAW
from tests.e2e.running import RunningStack, contract, replayed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SITE = "default"
Json = dict[str, Any]


def _day(now: int) -> list[Json]:
    """A few minutes of a small centre, whose last event lies just before now."""
    dice = random.Random(7)
    events: list[Json] = []
    for n in range(200):
        at = now - 300_000 + n * 1200
        about = {"site": SITE, "contact": f"c{n}"}
        agent = f"a{dice.randrange(5)}"
        wait, talk = dice.randrange(30_000), dice.randrange(1, 30_000)
        events.append({"type": "contact.queued", "ts": at, "queue": f"q{n % 3}", **about})
        if n % 7 == 0:
            events.append({"type": "contact.abandoned", "ts": at + wait, **about})
            continue
        events.append({"type": "contact.answered", "ts": at + wait, "agent": agent, **about})
        ended = {"ts": at + wait + talk, "agent": agent, **about}
        events += [{"type": "contact.released", **ended}, {"type": "contact.wrapped", **ended}]
    return [event for event in events if event["ts"] < now]


def _garbage(now: int) -> list[bytes]:
    queued = {"type": "contact.queued", "site": SITE, "ts": now, "contact": "x", "queue": "q"}
    wrong: list[Json] = [
        {**queued, "ts": "noon"},
        {**queued, "ts": True},
        {**queued, "contact": ""},
        {**queued, "contact": "x" * 201},
        {**queued, "type": "contact.teleported"},
        {**queued, "channel": "pigeon"},
        {**queued, "ts": now + 3_600_000},
    ]
    return [orjson.dumps(event) for event in wrong]


async def _produce(stack: RunningStack, payloads: list[bytes], key: str = SITE) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.config.bootstrap, max_request_size=4_000_000
    )
    await producer.start()
    try:
        for payload in payloads:
            received = str(int(time.time() * 1000)).encode()
            headers = [("format", b"canonical"), ("source", b"test"), ("received", received)]
            await producer.send(RAW, payload, key=key.encode(), headers=headers)
        await producer.flush()
    finally:
        await producer.stop()


async def test_duplicates_disorder_and_garbage_give_the_same_integers(tmp_path: Path) -> None:
    with RunningStack(tmp_path / "data", "--empty") as stack:
        now = int(time.time() * 1000)
        events = [orjson.dumps(event) for event in _day(now)]
        shuffled = events * 2
        random.Random(1).shuffle(shuffled)
        garbage = _garbage(now)
        # Without a readable site these count under none, but are dead letters all the same.
        nameless = [b"not JSON at all", b"\xff\xfe", b"[1, 2]", b"{}"]
        noise = [random.Random(3).randbytes(1_000_000)]
        stranger = [orjson.dumps({**orjson.loads(garbage[0]), "ts": now, "site": "nowhere"})]
        await _produce(stack, shuffled[:400] + garbage + shuffled[400:])
        await _produce(stack, nameless + noise + stranger, key="nowhere")
        stack.until(lambda: stack.board(SITE)["dead_lettered"] == len(garbage), 30, "counted")
        at = stack.freeze(SITE)
        file = tmp_path / "events.ndjson"
        # The time machine knows no arrival, so what came from the future is left out for it.
        file.write_bytes(b"\n".join(events + garbage[:-1]) + b"\n")
        replay = replayed(file, stack.folder / "settings" / "default.yml", at)
        board = stack.board(SITE)
        for key in ("queues", "teams", "all", "inconsistent", "late"):
            assert contract(board)[key] == contract(replay)[key], key
        assert board["dead_lettered"] == len(garbage) == replay["dead_lettered"] + 1
        assert stack.sql("SELECT * FROM reconciliation") == []
        ingest = stack.config.ingest_port
        stack.thaw()
        page = ""

        def counted() -> bool:
            nonlocal page
            page = stack.get(f"http://127.0.0.1:{ingest}/metrics").decode()
            letters = [line for line in page.splitlines() if "dead_letters_total{" in line]
            total = sum(float(line.rpartition(" ")[2]) for line in letters)
            return total == len(garbage) + len(nameless) + len(noise) + len(stranger)

        stack.until(counted, 20, "every dead letter is counted once")
