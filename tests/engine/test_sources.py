"""How far each source has told."""

from __future__ import annotations

from pipeline.engine.sources import Sources


def heard(*told: tuple[str, int]) -> Sources:
    sources = Sources()
    for source, at in told:
        sources.hear(source, at)
    return sources


def test_the_newest_moment_of_each_source_stands_whoever_tells_in_between() -> None:
    sources = heard(("a", 5), ("b", 9), ("a", 3), ("b", 7), ("a", 6), ("c", 1))
    assert sources.newest() == {"a": 6, "b": 9, "c": 1}


def test_nobody_has_told_anything() -> None:
    assert Sources().newest() == {}


def test_what_was_saved_is_no_older_afterwards() -> None:
    again = Sources()
    again.restore(heard(("", 8), ("a", 5)).newest())
    again.hear("", 2)
    again.hear("a", 3)
    again.hear("b", 4)
    assert again.newest() == {"": 8, "a": 5, "b": 4}


def test_what_was_handed_out_does_not_move() -> None:
    sources = heard(("a", 5), ("b", 5))
    newest = sources.newest()
    sources.hear("a", 9)
    sources.hear("b", 9)
    assert newest == {"a": 5, "b": 5}
