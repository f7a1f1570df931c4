"""Garbage, duplicates and disorder at the raw topic: counted once each, and nothing stops."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import DEAD, RAW
from tests.e2e.figures import Json, differences, of_board
from tests.e2e.running import RunningStack, contract, replayed
from tests.e2e.sites import minutes_of_calls, new_site, now_ms

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SITE = "lab"
KEPT = 65_536
Bad = tuple[bytes, str, str, str | None]
"""A payload, why it is dead-lettered, the field that is wrong, and the site it names, if any."""


def _of_the_site(now: int) -> list[Bad]:
    """Bad records that count under the site they name."""
    good = {"type": "contact.queued", "site": SITE, "ts": now, "contact": "x", "queue": "q"}
    survey = {"type": "survey.answered", "site": SITE, "ts": now, "contact": "x"}
    wrong: list[tuple[Json, str, str]] = [
        ({**good, "ts": "noon"}, "unreadable", "ts"),
        ({**good, "ts": True}, "unreadable", "ts"),
        ({**good, "ts": now + 0.5}, "unreadable", "ts"),
        ({**good, "contact": ""}, "unreadable", "contact"),
        ({**good, "contact": "x" * 201}, "unreadable", "contact"),
        ({**good, "contact": 7}, "unreadable", "contact"),
        ({**good, "type": "contact.teleported"}, "unreadable", "type"),
        ({**good, "channel": "pigeon"}, "unreadable", "channel"),
        ({**survey, "csat": 6}, "unreadable", "csat"),
        ({**survey, "nps": "9"}, "unreadable", "nps"),
        ({**good, "ts": now + 3_600_000}, "future", "ts"),
    ]
    return [(orjson.dumps(event), reason, field, SITE) for event, reason, field in wrong]


def _of_nobody(now: int) -> list[Bad]:
    """Bad records that name no site there is."""
    stranger = {"type": "contact.queued", "site": "nowhere", "ts": now, "contact": "x"}
    return [
        (b"not JSON at all", "unreadable", "payload", None),
        (b"\xff\xfe", "unreadable", "payload", None),
        (b"[1, 2]", "unreadable", "payload", None),
        (b"{}", "unreadable", "type", None),
        (random.Random(3).randbytes(1_000_000), "unreadable", "payload", None),
        (orjson.dumps({**stranger, "queue": "q"}), "unknown_site", "site", "nowhere"),
    ]


async def _produce(stack: RunningStack, payloads: Iterable[bytes], key: str) -> list[int]:
    """Write raw records as a user's own producer may; their offsets."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stack.config.bootstrap, max_request_size=4_000_000
    )
    await producer.start()
    try:
        sent = []
        for payload in payloads:
            received = str(now_ms()).encode()
            headers = [("format", b"canonical"), ("source", b"test"), ("received", received)]
            sent.append(await producer.send(RAW, payload, key=key.encode(), headers=headers))
        await producer.flush()
        return [(await future).offset for future in sent]
    finally:
        await producer.stop()


async def _letters(stack: RunningStack, wanted: int) -> list[Json]:
    """Everything on the topic of dead letters, at least `wanted`, each with its key."""
    consumer = AIOKafkaConsumer(bootstrap_servers=stack.config.bootstrap)
    await consumer.start()
    try:
        place = TopicPartition(DEAD, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        found: list[Json] = []
        # A fetch of a busy broker may bring nothing although there is more.
        while (records := (await consumer.getmany(place, timeout_ms=500)).get(place, [])) or len(
            found
        ) < wanted:
            found += [{"key": orjson.loads(r.key), **orjson.loads(r.value)} for r in records]
        return found
    finally:
        await consumer.stop()


async def test_duplicates_disorder_and_garbage_give_the_same_integers(
    empty: RunningStack, tmp_path: Path
) -> None:
    new_site(empty, SITE)
    now = now_ms()
    events = [orjson.dumps(event) for event in minutes_of_calls(SITE, now)]
    shuffled = events * 2
    random.Random(1).shuffle(shuffled)
    # The first event of some calls comes only behind the garbage.
    before, after = shuffled[:500], shuffled[500:]
    assert set(before) < set(events)
    mine, nobodys = _of_the_site(now), _of_nobody(now)
    await _produce(empty, before, SITE)
    offsets = await _produce(empty, [bad[0] for bad in mine], SITE)
    offsets += await _produce(empty, [bad[0] for bad in nobodys], "nowhere")
    await _produce(empty, after, SITE)
    empty.until(lambda: empty.board(SITE)["dead_lettered"] >= len(mine), 60, "it is counted")

    empty.drained(SITE)
    at = empty.freeze(SITE)
    file = tmp_path / "events.ndjson"
    # The time machine knows no arrival, so what came from the future is left out for it.
    readable = [bad[0] for bad in mine if bad[1] != "future"]
    file.write_bytes(b"\n".join(events + readable) + b"\n")
    replay = replayed(file, empty.folder / "settings" / f"{SITE}.yml", at)
    board = empty.board(SITE)
    assert differences(of_board(board), of_board(replay)) == []
    for key in ("queues", "teams", "all", "inconsistent", "late"):
        assert contract(board)[key] == contract(replay)[key], key
    assert board["dead_lettered"] == len(mine) == replay["dead_lettered"] + 1
    assert differences(empty.figures_in_sql(SITE), of_board(board)) == []
    assert empty.sql("SELECT * FROM reconciliation") == []
    empty.thaw()

    letters = await _letters(empty, len(offsets))
    assert [_told(letter) for letter in sorted(letters, key=lambda found: found["offset"])] == [
        _expected(empty, offset, bad)
        for offset, bad in zip(offsets, [*mine, *nobodys], strict=True)
    ]
    assert all(letter["detail"] for letter in letters)
    counted = sum(
        float(line.rpartition(" ")[2])
        for line in empty.metrics("ingest").splitlines()
        if "dead_letters_total{" in line
    )
    assert counted == len(letters)


def _told(letter: Json) -> Json:
    kept = ("key", "reason", "field", "payload")
    return {**{key: letter[key] for key in kept}, "site": letter.get("site")}


def _expected(stack: RunningStack, offset: int, bad: Bad) -> Json:
    payload, reason, field, site = bad
    return {
        "key": [stack.config.epoch, RAW, 0, offset],
        "reason": reason,
        "field": field,
        "payload": payload[:KEPT].decode(errors="replace"),
        "site": site,
    }
