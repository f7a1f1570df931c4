"""What translators remember of ids is bounded in number and in event time."""

from __future__ import annotations

import random
import zlib

import orjson

from pipeline.ingest.memory import MAX_MEMORY_BYTES
from pipeline.sources.recent import Recent


def test_an_id_keeps_what_was_told_first() -> None:
    recent = Recent()
    recent.add("a", 10, "first")
    recent.add("a", 20, "second")
    assert recent.get("a") == (10, "first")
    assert "a" in recent
    assert recent.get("b") is None
    recent.drop("a")
    recent.drop("b")
    assert "a" not in recent


def test_the_oldest_go_beyond_the_number() -> None:
    recent = Recent(most=2)
    for at, met in enumerate("abc"):
        recent.add(met, at)
    assert [met for met in "abc" if met in recent] == ["b", "c"]


def test_the_oldest_go_beyond_the_span() -> None:
    recent = Recent(span_ms=100)
    recent.add("a", 0)
    recent.add("b", 50)
    recent.add("c", 120)
    assert [met for met in "abc" if met in recent] == ["b", "c"]


def test_what_is_remembered_is_json_and_can_be_taken_up() -> None:
    recent, again = Recent(), Recent()
    assert recent.memory() is None
    recent.add("a", 10, "first")
    assert recent.memory() == [["a", 10, "first"]]
    again.recall(recent.memory())
    assert again.get("a") == (10, "first")
    again.recall(None)
    assert again.memory() is None


def test_two_of_them_fit_into_one_kept_memory_whatever_the_ids_are() -> None:
    rng, held = random.Random(1), (Recent(), Recent())
    for at in range(1_000):
        for recent in held:
            met, told = ("".join(map(chr, rng.choices(range(1, 0xD800), k=200))) for _ in "ab")
            recent.add(met, at, told)
    memory = orjson.dumps([recent.memory() for recent in held])
    assert len(zlib.compress(memory, 1)) < MAX_MEMORY_BYTES


def test_ids_of_usual_length_are_all_kept() -> None:
    recent = Recent()
    for at in range(2_000):
        recent.add(f"{at:036d}", at, "q" * 40)
    assert len(recent.memory()) == 2_000


def test_an_id_that_is_larger_than_all_may_be_is_not_kept() -> None:
    recent, again = Recent(most_bytes=500), Recent(most_bytes=500)
    recent.add("a", 1)
    recent.add("b" * 1_000, 2)
    assert recent.memory() is None
    recent.add("c" * 300, 3)
    again.recall(recent.memory())
    again.add("d" * 300, 4)
    assert ("c" * 300 in again, "d" * 300 in again) == (False, True)
