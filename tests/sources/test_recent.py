"""What translators remember of ids is bounded in number and in event time."""

from __future__ import annotations

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
