"""The soak is a program that works: a minute of a small centre, and it finds what grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.load.soak import Load, soak
from tests.load.trends import changelog_bytes_per_event, judged, summary
from tests.load.watching import MIB


@pytest.mark.stack
@pytest.mark.timeout(480)
def test_a_short_soak_ends_with_everybody_in_agreement(tmp_path: Path) -> None:
    seen: list[Any] = []
    load = Load(minutes=0.2, agents=120, queues=12, calls=3_600)
    result = soak(load, 3, tmp_path, 2, lambda sample, _: seen.append(sample))
    wrong = {key: found for key, found in result["agreement"].items() if isinstance(found, list)}
    assert wrong == dict.fromkeys(wrong, [])
    assert result["agreement"]["dead_letters"] == result["agreement"]["late"] == 0
    assert result["agreement"]["events"] > 50
    assert len(seen) >= 2
    for name in ("store", "door", "ingest", "agents", "sink", "board", "broker", "simulator"):
        process = result["summary"]["processes"][name]
        assert process["rss_most"] > MIB
        assert process["fds_most"] > 0
    assert result["changelog_bytes_per_event"]["written"] > 0
    assert result["changelog_bytes_per_event"]["held_bytes"] > 0
    assert 0 < result["summary"]["parts"]["most"] < 1_000


def _samples(
    rise_mib_h: float, fresh_fds: int, parts: int, minutes: int = 120, filled: float = 121
) -> list[Any]:
    """One process that grows from the start, until so many minutes are over."""
    return [
        {
            "t": 60 * minute,
            "processes": {
                "agents": [
                    (200 + rise_mib_h * min(minute, filled) / 60) * MIB,
                    12 + fresh_fds * minute // 120,
                    3,
                    0.2,
                ]
            },
            "events": 1_000 * minute,
            "checkpoint_bytes": 400_000 * minute,
            "checkpoints": 6 * minute,
            "checkpoint_s": 0.6 * minute,
            "age_ms": 500,
            "lag_records": 0,
            "lag_frames": 0,
            "lag_rows": 0,
            "parts": parts,
            "topics": {"callboard-agents-state-changelog": 9_000, "events.raw": 7},
        }
        for minute in range(minutes + 1)
    ]


def _broken(samples: list[Any]) -> list[str]:
    return [what for what, holds in judged(summary(samples)) if not holds]


@pytest.mark.parametrize(
    ("rise_mib_h", "fresh_fds", "parts", "broken"),
    [
        (10, 0, 40, ""),
        (90, 0, 40, "memory rises by 90.0 MiB an hour"),
        (10, 50, 40, "descriptors"),
        (10, 0, 5_000, "5000 parts"),
    ],
)
def test_what_grows_is_found(rise_mib_h: float, fresh_fds: int, parts: int, broken: str) -> None:
    failed = _broken(_samples(rise_mib_h, fresh_fds, parts))
    assert len(failed) == bool(broken)
    assert all(broken in what for what in failed)


def test_what_fills_for_an_hour_and_a_half_and_no_longer_does_not_grow() -> None:
    assert _broken(_samples(120, 0, 40, filled=85)) == []
    assert len(_broken(_samples(120, 0, 40, filled=121))) == 1
    # A run that ends before that is judged by its half.
    assert len(_broken(_samples(120, 0, 40, minutes=100, filled=85))) == 1
    assert _broken(_samples(120, 0, 40, minutes=100, filled=50)) == []


def test_descriptors_that_come_and_go_do_not_grow() -> None:
    samples = _samples(0, 0, 40)
    for sample in samples[90], samples[-1]:
        sample["processes"]["agents"][1] = 90
    assert _broken(samples) == []


def test_memory_that_is_taken_for_moments_does_not_grow() -> None:
    samples = _samples(0, 0, 40)
    for sample in samples[110:118:2]:
        sample["processes"]["agents"][0] += 400 * MIB
    assert _broken(samples) == []


def test_what_checkpoints_cost_is_told_by_event() -> None:
    found = changelog_bytes_per_event(_samples(0, 0, 1))
    assert found == {"written": 400.0, "held_bytes": 9_000, "held_most_bytes": 9_000}


def test_a_counter_that_began_anew_is_counted_on() -> None:
    samples = _samples(0, 0, 1)
    for sample in samples[60:]:
        sample["events"] -= 60_000
        sample["checkpoint_bytes"] -= 24_000_000
    assert changelog_bytes_per_event(samples)["written"] == 400.0
