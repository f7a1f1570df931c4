"""The bank's rows: one test a trap, and the totals that were counted from the files by hand."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources import BadLine, bank1999
from pipeline.sources.bank1999 import Call
from pipeline.sources.lines import LineFile
from schemas.events import validate_event
from schemas.moments import iso
from schemas.settings import load_site_file

COLUMNS = bank1999.COLUMNS
_ROW = (
    "AA0101 33116 9664491 2 PS 990101 10:00:31 10:00:36 5 10:00:36 10:03:09 153 AGENT "
    "10:03:08 10:05:08 120 AVNI"
)
WAITED = dict(zip(COLUMNS, _ROW.split(), strict=True))  # noqa: SIM905  # reads like the file
AT_ONCE = WAITED | {"q_start": "0:00:00", "q_exit": "0:00:00", "q_time": "0"}
NO_SERVICE = {"ser_start": "0:00:00", "ser_exit": "0:00:00", "ser_time": "0", "server": "NO_SERVER"}


def line(row: dict[str, str]) -> bytes:
    return "\t".join(row[name] for name in COLUMNS).encode() + b"\r\n"


def read(*rows: dict[str, str]) -> list[dict[str, Any]]:
    items = bank1999.read([line(row) for row in rows], None)
    return [item for item in items if isinstance(item, dict)]


def stamps(*rows: dict[str, str]) -> list[tuple[str, str]]:
    """Type and local time of each event."""
    events = sorted(read(*rows), key=lambda event: int(event["ts"]))
    return [(e["type"], iso(e["ts"], "Asia/Jerusalem")[:-10]) for e in events]


@cache
def calls_of(month: Path) -> list[Call]:
    with LineFile(month) as lines:
        items = list(bank1999.read_calls(lines))
    assert not [item for item in items if isinstance(item, BadLine)]
    return [item for item in items if isinstance(item, Call)]


JANUARY, FEBRUARY = bank1999.MONTHS


def test_a_call_that_waited_tells_its_whole_story() -> None:
    assert stamps(WAITED) == [
        ("contact.queued", "1999-01-01T10:00:36"),
        ("contact.answered", "1999-01-01T10:03:09"),
        ("agent.state", "1999-01-01T10:03:09"),
        ("contact.released", "1999-01-01T10:05:09"),
        ("contact.wrapped", "1999-01-01T10:05:09"),
        ("agent.state", "1999-01-01T10:05:09"),
    ]


def test_the_events_of_a_call_carry_its_keys() -> None:
    queued, answered = read(WAITED)[:2]
    assert queued == {
        "type": "contact.queued",
        "site": "bank",
        "ts": 915_177_636_000,
        "source": "bank-1999",
        "contact": "990101-AA0101-33116",
        "queue": "PS",
        "channel": "voice",
        "direction": "inbound",
        "priority": 2,
        "customer": "9664491",
    }
    assert (answered["agent"], answered["contact"]) == ("AVNI", "990101-AA0101-33116")


def test_the_site_is_the_one_asked_for() -> None:
    assert {event["site"] for event in bank1999.read([line(WAITED)], "acme")} == {"acme"}  # type: ignore[index]  # no bad line


def test_a_call_that_did_not_wait_is_answered_when_it_leaves_the_vru() -> None:
    assert stamps(AT_ONCE)[:2] == [
        ("contact.queued", "1999-01-01T10:00:36"),
        ("contact.answered", "1999-01-01T10:00:36"),
    ]


def test_a_hang_up_with_a_queue_stamp_is_abandoned_even_without_a_wait() -> None:
    hang = WAITED | NO_SERVICE | {"outcome": "HANG"}
    assert stamps(hang)[1] == ("contact.abandoned", "1999-01-01T10:03:09")
    at_once = hang | {"q_exit": "10:00:36", "q_time": "0"}
    assert [name for name, _ in stamps(at_once)] == ["contact.queued", "contact.abandoned"]
    assert stamps(at_once)[1][1] == "1999-01-01T10:00:36"


def test_a_hang_up_in_the_vru_and_a_phantom_give_nothing() -> None:
    assert read(AT_ONCE | NO_SERVICE | {"outcome": "HANG"}) == []
    assert read(WAITED | NO_SERVICE | {"outcome": "PHANTOM"}) == []


def test_a_server_on_a_hang_up_is_ignored() -> None:
    hang = WAITED | {"outcome": "HANG", "server": "TOVA"}
    assert [name for name, _ in stamps(hang)] == ["contact.queued", "contact.abandoned"]


def test_a_call_that_queued_at_midnight_did_wait() -> None:
    midnight = WAITED | {
        "date": "990215",
        "vru_entry": "23:59:54",
        "vru_exit": "23:59:54",
        "vru_time": "0",
        "q_start": "0:00:00",
        "q_exit": "0:00:27",
        "q_time": "27",
        "ser_time": "67",
    }
    assert [moment for _, moment in stamps(midnight)] == [
        "1999-02-16T00:00:00",
        "1999-02-16T00:00:27",
        "1999-02-16T00:00:27",
        "1999-02-16T00:01:34",
        "1999-02-16T00:01:34",
        "1999-02-16T00:01:34",
    ]


def test_midnight_in_the_queue_and_in_the_service_is_crossed() -> None:
    queue = WAITED | {
        "vru_entry": "23:58:00",
        "vru_exit": "23:58:10",
        "q_start": "23:58:10",
        "q_exit": "0:00:43",
    }
    assert stamps(queue)[0][1] == "1999-01-01T23:58:10"
    assert stamps(queue)[1][1] == "1999-01-02T00:00:43"
    service = AT_ONCE | {"vru_entry": "23:59:00", "vru_exit": "23:59:10"}
    assert stamps(service)[-1][1] == "1999-01-02T00:01:10"


def test_a_vru_that_crosses_midnight_is_the_next_day_and_its_set_back_clock_is_not() -> None:
    crossing = AT_ONCE | {"vru_entry": "23:59:58", "vru_exit": "0:00:06"}
    assert stamps(crossing)[0][1] == "1999-01-02T00:00:06"
    set_back = AT_ONCE | {"vru_entry": "10:05:00", "vru_exit": "10:02:41", "vru_time": "-139"}
    assert stamps(set_back)[0][1] == "1999-01-01T10:02:41"


def test_a_service_that_starts_before_the_queue_ends_is_answered_when_the_queue_ends() -> None:
    early = WAITED | {"ser_start": "9:57:59", "ser_exit": "9:59:59"}
    assert stamps(early) == stamps(WAITED)


def test_a_call_without_a_server_counts_and_nobody_becomes_available() -> None:
    unknown = read(WAITED | {"server": "NO_SERVER"})
    assert [event["type"] for event in unknown] == [
        "contact.queued",
        "contact.answered",
        "contact.released",
        "contact.wrapped",
    ]
    assert {event["agent"] for event in unknown[1:]} == {"NO_SERVER"}


def test_a_server_is_available_from_its_earliest_service_wherever_that_row_stands() -> None:
    later = AT_ONCE | {"call_id": "2", "vru_entry": "15:00:00", "vru_exit": "15:00:05"}
    states = [moment for name, moment in stamps(later, WAITED) if name == "agent.state"]
    assert states == ["1999-01-01T10:03:09", "1999-01-01T10:05:09", "1999-01-01T15:02:05"]


def test_an_unknown_customer_and_one_cut_by_a_spreadsheet_are_nobody() -> None:
    for customer in ("0", "6.02E+11"):
        assert "customer" not in read(WAITED | {"customer_id": customer})[0]


def test_an_undocumented_type_goes_to_the_queue_other() -> None:
    assert read(WAITED | {"type": "AA"})[0]["queue"] == "other"


def test_the_same_call_id_on_another_line_or_day_is_another_contact() -> None:
    rows = [WAITED, WAITED | {"vru+line": "AA0102"}, WAITED | {"date": "990102"}]
    assert len({event["contact"] for event in read(*rows) if "contact" in event}) == 3


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"vru+line": ""}, "vru+line"),
        ({"call_id": "x"}, "call_id"),
        ({"call_id": "-1"}, "call_id"),
        ({"customer_id": "none"}, "customer_id"),
        ({"priority": "2.5"}, "priority"),
        ({"type": " "}, "type"),
        ({"date": "990231"}, "date"),
        ({"date": "19990101"}, "date"),
        ({"vru_entry": "10:60:00"}, "vru_entry"),
        ({"vru_exit": "24:00:00"}, "vru_exit"),
        ({"vru_time": "five"}, "vru_time"),
        ({"q_start": "10:00"}, "q_start"),
        ({"q_exit": ""}, "q_exit"),
        ({"q_time": "-153"}, "q_time"),
        ({"outcome": "agent"}, "outcome"),
        ({"ser_start": "noon"}, "ser_start"),
        ({"ser_exit": "10:05:08.5"}, "ser_exit"),
        ({"ser_time": "1e3"}, "ser_time"),
        ({"server": ""}, "server"),
        ({"server": "A\tB"}, "row"),
        ({"server": "é"}, "row"),
    ],
)
def test_a_broken_row_is_reported_with_its_field_and_the_others_go_on(
    change: dict[str, str], field: str
) -> None:
    lines = [b"vru+line\tcall_id\r\n", line(WAITED | change), b"\r\n", line(AT_ONCE)]
    bad, *rest = bank1999.read(lines, "bank")
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field) == (2, field)
    assert sum(isinstance(item, dict) for item in rest) == 6


def test_a_row_that_breaks_off_is_broken() -> None:
    [bad] = bank1999.read([line(WAITED)[:60]], "bank")
    assert isinstance(bad, BadLine)
    assert bad.field == "row"


def test_every_event_of_both_months_is_a_validated_one() -> None:
    for month in bank1999.MONTHS:
        with LineFile(month) as lines:
            for event in bank1999.read(lines, "bank"):
                assert validate_event(event) == event


@pytest.mark.parametrize(
    ("month", "digest"),
    [
        (JANUARY, "0274cfb02703a5ffadc7d381064cb177ac0b4be2fe6ce439283e80d95de9103f"),
        (FEBRUARY, "4004237dcb32355816e9bf98b9a61401ec4ded56c5c66c4a51d3e78f9802cf46"),
    ],
)
def test_the_files_are_the_published_ones(month: Path, digest: str) -> None:
    assert month.stat().st_size < 2 * 1024 * 1024
    with LineFile(month) as lines:
        assert hashlib.sha256(b"".join(lines)).hexdigest() == digest


@pytest.mark.parametrize(
    ("month", "answered", "abandoned", "waits_s", "services_s", "longest_s"),
    [
        (JANUARY, (27060, 16402), (3101, 1006, 195), 947857, 4964204, 1500),
        (FEBRUARY, (27162, 16209), (3963, 1257, 274), 1107512, 4790100, 908),
    ],
)
def test_the_months_have_their_known_totals(
    month: Path,
    answered: tuple[int, int],
    abandoned: tuple[int, int, int],
    waits_s: int,
    services_s: int,
    longest_s: int,
) -> None:
    calls = calls_of(month)
    agent = [call for call in calls if call.outcome == "AGENT"]
    hang = [call for call in calls if call.outcome == "HANG"]
    assert (len(agent), sum(call.wait <= 20_000 for call in agent)) == answered
    within = (sum(call.wait <= limit for call in hang) for limit in (20_000, 5_000))
    assert (len(hang), *within) == abandoned
    assert sum(call.wait for call in agent) == waits_s * 1000
    assert sum(call.service for call in agent) == services_s * 1000
    assert max(call.wait for call in calls) == longest_s * 1000
    assert len({call.contact for call in calls}) == len(calls)


def test_january_has_its_known_queues_and_days() -> None:
    calls = calls_of(JANUARY)
    queues = Counter(call.queue for call in calls)
    assert (queues["PS"], queues["NW"]) == (22033, 5233)
    days = Counter(call.date for call in calls)
    assert days[date(1999, 1, 3)] == 2053
    assert sorted({date(1999, 1, day) for day in range(1, 32)} - days.keys()) == [
        date(1999, 1, 11),
        date(1999, 1, 12),
    ]


def test_five_calls_wait_at_half_past_three_on_7_february() -> None:
    moment = 918_394_200_000
    waiting = [c for c in calls_of(FEBRUARY) if c.queued <= moment < c.queued + c.wait]
    elapsed = sorted((moment - call.queued) // 1000 for call in waiting)
    assert elapsed == [26, 31, 35, 44, 52]
    by_elapsed = sorted(waiting, key=lambda call: -call.queued)
    assert [call.wait // 1000 for call in by_elapsed] == [36, 107, 305, 213, 86]


def test_both_months_come_in_the_order_of_arrival_and_their_events_in_that_of_time() -> None:
    calls = bank1999.bundled_calls()
    assert len(calls) == 30161 + 31125
    assert [call.queued for call in calls] == sorted(call.queued for call in calls)
    day = [call for call in calls if call.date == date(1999, 1, 3)]
    events = bank1999.events_of(day, "demo")
    assert [event["ts"] for event in events] == sorted(event["ts"] for event in events)
    assert Counter(event["type"] for event in events)["contact.queued"] == 2053
    assert {event["site"] for event in events} == {"demo"}


def test_the_bank_has_settings_for_all_its_queues() -> None:
    settings = load_site_file(bank1999.SETTINGS)
    assert (settings.site, settings.time_zone) == (bank1999.SITE, "Asia/Jerusalem")
    assert settings.queues.keys() == bank1999.TYPES | {bank1999.OTHER_QUEUE}
    assert settings.queue("PS").threshold_ms == 20_000
