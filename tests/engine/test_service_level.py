"""The KPIs of contract section 4: the seven formulas, short abandons, ratios without data."""

import pytest

from tests.engine.stories import DAY, HOUR, Event, abandoned, answered, queued, site, wrapped
from tests.engine.subjects import Subject

AT = 100_000


def mixed() -> list[Event]:
    """5 answered within 20 s, 2 after; 1 abandoned short, 1 more within 20 s, 1 after; 1 waits."""
    ends = [answered] * 7 + [abandoned] * 3
    waits = [1_000, 2_000, 3_000, 20_000, 20_000, 20_001, 40_000, 5_000, 9_000, 30_000]
    calls: list[Event] = [queued(0, "waits")]
    for n, (end, wait) in enumerate(zip(ends, waits, strict=True)):
        calls.append(queued(0, f"c{n}"))
        more = {"agent": f"a{n}"} if end is answered else {}
        calls.append(end(wait, f"c{n}", **more))
    return calls


FORMULAS = {
    "answered_only": 5 / 7,
    "ignore_abandons": 5 / (7 + 3 - 2),
    "abandons_negative": 5 / (7 + 3),
    "abandons_positive": (5 + 2) / (7 + 3),
    "sl_event_negative": 5 / (5 + 4 + 2),
    "sl_event_ignore": 5 / (5 + 4),
    "sl_event_positive": (5 + 2) / (5 + 4 + 2),
}
WITHOUT_SHORT = FORMULAS | {
    "ignore_abandons": 5 / (7 + 2 - 1),
    "abandons_negative": 5 / (7 + 2),
    "abandons_positive": (5 + 1) / (7 + 2),
}


@pytest.mark.parametrize(("formula", "expected"), FORMULAS.items())
def test_the_formula_of_the_queue_gives_its_service_level(
    subject: Subject, formula: str, expected: float
) -> None:
    settings = site(queues={"sales": {"formula": formula}})
    seen = subject.replay(mixed(), at=AT, settings=settings)
    assert seen.window()["service_level"] == expected


@pytest.mark.parametrize(("formula", "expected"), WITHOUT_SHORT.items())
def test_exclude_short_leaves_short_abandons_out_of_the_four_outcome_formulas(
    subject: Subject, formula: str, expected: float
) -> None:
    settings = site(defaults={"exclude_short": True, "formula": formula})
    seen = subject.replay(mixed(), at=AT, settings=settings)
    assert seen.window()["service_level"] == expected


def test_exclude_short_changes_neither_counters_nor_abandonment(subject: Subject) -> None:
    usual = subject.replay(mixed(), at=AT)
    without = subject.replay(mixed(), at=AT, settings=site(defaults={"exclude_short": True}))
    assert without.counted() == usual.counted()
    assert without.window()["abandonment"] == 3 / 10


def test_a_short_limit_above_the_threshold_takes_no_more_than_there_is(subject: Subject) -> None:
    """Abandoned after 1 s and 8 s with T = 5 s, S = 10 s: two are short, one is within T."""
    keys = {"threshold_ms": 5_000, "short_abandon_ms": 10_000, "exclude_short": True}
    events = [
        *(queued(0, "a"), abandoned(1_000, "a"), queued(0, "b"), abandoned(8_000, "b")),
        *(queued(0, "d"), answered(5_000, "d"), queued(0, "e"), answered(6_000, "e", "bob")),
    ]
    for formula in ("ignore_abandons", "abandons_positive", "abandons_negative"):
        settings = site(defaults={**keys, "formula": formula})
        seen = subject.replay(events, at=AT, settings=settings)
        assert seen.window()["service_level"] == 1 / 2


def test_the_default_formula_is_abandons_negative(subject: Subject) -> None:
    assert subject.replay(mixed(), at=AT).window()["service_level"] == 5 / 10


def test_all_queues_have_the_formula_of_the_defaults(subject: Subject) -> None:
    settings = site(
        defaults={"formula": "answered_only"},
        queues={"sales": {"formula": "abandons_positive", "exclude_short": True}},
    )
    seen = subject.replay(mixed(), at=AT, settings=settings)
    assert seen.data["all"]["queues"]["windows"]["total"]["service_level"] == 5 / 7


def test_all_queues_exclude_short_only_if_the_defaults_do(subject: Subject) -> None:
    settings = site(defaults={"exclude_short": True}, queues={"sales": {"exclude_short": False}})
    seen = subject.replay(mixed(), at=AT, settings=settings)
    assert seen.window()["service_level"] == 5 / 10
    assert seen.data["all"]["queues"]["windows"]["total"]["service_level"] == 5 / 9


def test_no_traffic_is_no_data(subject: Subject) -> None:
    seen = subject.replay([queued(0)], at=10_000)
    for name in ("service_level", "abandonment", "asa_ms", "aht_ms"):
        assert seen.window()[name] is None
    assert seen.occupancy() is None


def test_only_misses_are_a_service_level_of_zero_by_event(subject: Subject) -> None:
    settings = site(defaults={"formula": "sl_event_negative"})
    seen = subject.replay([queued(0)], at=20_001, settings=settings)
    assert seen.window()["service_level"] == 0.0


def test_the_other_ratios_are_quotients_of_their_counters(subject: Subject) -> None:
    events = [
        *(queued(0, "a"), answered(1_000, "a"), wrapped(11_000, "a")),
        *(queued(0, "b"), answered(2_001, "b", "bob"), wrapped(4_000, "b", "bob")),
        *(queued(0, "d"), abandoned(3_000, "d")),
    ]
    window = subject.replay(events, at=AT).window()
    assert window["asa_ms"] == 3_001 / 2
    assert window["aht_ms"] == 11_999 / 2
    assert window["abandonment"] == 1 / 3


def test_a_threshold_that_passes_in_a_silence_is_missed_then(subject: Subject) -> None:
    settings = site(pane_ms=1_000, stuck_after_ms=10 * DAY, defaults={"threshold_ms": 12 * HOUR})
    seen = subject.replay([queued(20 * HOUR)], at=DAY + 15 * HOUR, settings=settings)
    assert seen.counted(window="today") == {"sl_missed": 1}
