"""Snapshots from a history: what is known at a moment, whatever the file's order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any

import pytest

from pipeline.replay import History, read_history, snapshots
from pipeline.replay.machine import FRAME_EVENTS
from pipeline.sources import FORMATS, BadLine, bank1999
from schemas.events import event_key
from schemas.settings import SiteSettings, load_site_file, parse_site

SETTINGS = SiteSettings(site="s")
BANK = load_site_file(bank1999.SETTINGS)
DAY = date(1999, 1, 3)


@cache
def bank_day() -> tuple[bytes, ...]:
    calls = [call for call in bank1999.bundled_calls() if call.date == DAY]
    return tuple(event_key(event) + b"\n" for event in bank1999.events_of(calls, "bank"))


def history(lines: Iterable[bytes], site: str | None = "s", until: int | None = None) -> History:
    return read_history(lines, FORMATS["canonical"], site, until)


def queued(contact: str, ts: int, site: str = "s") -> bytes:
    event = {"type": "contact.queued", "site": site, "ts": ts, "contact": contact, "queue": "q"}
    return event_key(event) + b"\n"


def voice(view: dict[str, Any], window: str = "total") -> dict[str, Any]:
    found: dict[str, Any] = view["queues"]["q"]["voice"]["windows"][window]
    return found


def test_a_history_keeps_what_is_known_by_its_end_and_counts_the_rest() -> None:
    lines = [queued("b", 20), b"broken\n", queued("a", 10), queued("c", 30), b"broken\n"]
    read = history(lines, until=20)
    assert [event["ts"] for event in read.events] == [10, 20]
    assert (read.site, read.last, read.dead) == ("s", 30, 2)


def test_a_history_tells_each_bad_line() -> None:
    told: list[BadLine] = []
    read_history([b"x\n", queued("a", 1), b"y\n"], FORMATS["canonical"], "s", report=told.append)
    assert [bad.line for bad in told] == [1, 3]


def test_a_history_without_readable_events_has_no_moment() -> None:
    read = history([b"x\n", queued("a", 1, site="other")])
    assert (read.site, read.last, read.dead, read.events) == (None, None, 1, [])


def test_the_clock_is_an_event_for_the_last_moment() -> None:
    clock = b'{"type":"clock","site":"s","ts":99}\n'
    assert history([clock, queued("a", 1)]).last == 99


def test_exactly_the_events_up_to_a_moment_are_known() -> None:
    read = history([queued("a", 10_000), queued("b", 20_000)])
    moments = [0, 9_999, 10_000, 19_999, 20_000, 10**9]
    views = snapshots(read, SETTINGS, moments)
    assert [view["at"] for view in views] == moments
    offered = [view["all"]["queues"]["windows"]["total"]["offered"] for view in views]
    assert offered == [0, 0, 1, 1, 2, 2]


def test_a_moment_after_the_end_lets_waits_run_on() -> None:
    [view] = snapshots(history([queued("a", 0)]), SETTINGS, [20_001])
    assert view["queues"]["q"]["voice"]["now"]["longest_wait_ms"] == 20_001
    assert voice(view)["sl_missed"] == 1


def test_snapshots_come_in_the_order_asked_and_as_often() -> None:
    read = history([queued("a", 10), queued("b", 20)])
    views = snapshots(read, SETTINGS, [20, 5, 10, 20])
    assert [view["at"] for view in views] == [20, 5, 10, 20]
    assert views[0] == views[3]


def test_unreadable_lines_count_at_every_moment() -> None:
    read = history([queued("a", 10), b"x\n", queued("b", 20), b"x\n"])
    views = snapshots(read, SETTINGS, [-5, 10, 20, 30])
    assert [view["dead_lettered"] for view in views] == [2, 2, 2, 2]
    assert [view["late"] for view in views] == [0, 0, 0, 0]


def test_a_gap_longer_than_the_lateness_makes_nothing_late() -> None:
    week = 7 * 86_400_000
    lines = [queued(f"c{n}", n * week) for n in range(20)]
    settings = parse_site({"site": "s", "lateness_ms": 0}, "here")
    [view] = snapshots(history(lines), settings, [20 * week])
    assert view["late"] == 0
    assert voice(view)["offered"] == 20


def test_times_before_1970_are_times() -> None:
    views = snapshots(history([queued("a", -50_000), b"x\n"]), SETTINGS, [-60_000, -40_000])
    assert [view["dead_lettered"] for view in views] == [1, 1]
    assert views[1]["queues"]["q"]["voice"]["now"]["longest_wait_ms"] == 10_000


@pytest.mark.parametrize("ts", [-(2**63), -62_135_596_800_001, 253_402_300_800_000, 2**63 - 1])
def test_a_moment_beyond_the_calendar_breaks_nothing(ts: int) -> None:
    [view] = snapshots(history([queued("a", 0), queued("b", ts)]), SETTINGS, [max(ts, 0)])
    assert voice(view)["offered"] == 2


def test_progress_tells_every_event_once() -> None:
    told: list[int] = []
    read = history(queued(f"c{n}", n) for n in range(FRAME_EVENTS * 2 + 5))
    snapshots(read, SETTINGS, [100, 10**6], told.append)
    assert sum(told) == FRAME_EVENTS * 2 + 5


def test_the_order_and_repetition_of_lines_change_nothing() -> None:
    lines = list(bank_day())
    moments = [915_375_600_000, 915_390_000_123, 915_400_000_000]
    straight = snapshots(history(lines, "bank"), BANK, moments)
    shuffled = lines + lines[::3]
    random.Random(7).shuffle(shuffled)
    again = snapshots(history(shuffled, "bank"), BANK, moments)
    assert again == straight
    assert straight[2]["all"]["queues"]["windows"]["total"]["answered"] > 1000


def test_a_snapshot_is_the_same_whatever_else_is_asked() -> None:
    read = history(bank_day(), "bank")
    rng = random.Random(11)
    first, last = read.events[0]["ts"], read.events[-1]["ts"]
    moments = [rng.randint(first - 10_000, last + 3_600_000) for _ in range(6)]
    together = snapshots(read, BANK, moments)
    assert together == [snapshots(read, BANK, [moment])[0] for moment in moments]


def test_a_file_cut_at_the_moment_gives_the_same_snapshot() -> None:
    whole = history(bank_day(), "bank")
    moment = whole.events[len(whole.events) // 2]["ts"]
    cut = history(bank_day(), "bank", until=moment)
    assert len(cut.events) < len(whole.events)
    assert cut.last == whole.last
    assert snapshots(cut, BANK, [moment]) == snapshots(whole, BANK, [moment])
