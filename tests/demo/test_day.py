"""The demo's days: zone and date for any hour, the bank's figures, and one day after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from pipeline.demo.day import (
    FIRST_BANK_DAY,
    DemoError,
    DemoPlan,
    played_days,
)
from pipeline.simulate.options import DAY, HOUR, MINUTE
from pipeline.simulate.stream import Record
from pipeline.sources.bank1999 import SETTINGS, Call, bundled_calls, events_of
from schemas.events import validate_event
from schemas.moments import day_start
from schemas.settings import load_site_file
from tests.demo.played import bank_day_at, morning_records

ROUND_THE_CLOCK = [
    datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    for year, month, day in ((2026, 11, 23), (2026, 12, 31), (2028, 2, 29))
    for hour in range(24)
    for minute, second in ((0, 0), (30, 0), (59, 59))
]
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def plan_at(moment: datetime = NOON) -> DemoPlan:
    return DemoPlan.choose(ms(moment))


def days(plan: DemoPlan, number: int, after: int | None = None) -> Iterator[Record]:
    """The records of the plan's first days."""
    return takewhile(lambda record: record.at < plan.midnight(number), plan.records(after))


@lru_cache(maxsize=1)
def all_calls() -> list[Call]:
    return bundled_calls()


def real_events(bank_day: date) -> list[dict[str, Any]]:
    """The events of a day of the data as they were."""
    return events_of((call for call in all_calls() if call.date == bank_day), "bank")


@lru_cache(maxsize=4)
def first_days(number: int) -> list[dict[str, Any]]:
    return [orjson.loads(record.payload) for record in days(plan_at(), number)]


@pytest.mark.parametrize("now", ROUND_THE_CLOCK, ids=str)
def test_whatever_the_clock_says_it_is_mid_morning_of_the_local_date(now: datetime) -> None:
    plan = plan_at(now)
    local = now.astimezone(ZoneInfo(plan.zone))
    assert 10 <= local.hour < 12
    assert (local.minute, local.second) == (now.minute, now.second)
    assert plan.local_date == local.date()
    assert plan.zone.startswith("Etc/GMT")
    midnight = plan.midnight(0)
    assert midnight == day_start(ms(now), ZoneInfo(plan.zone))
    assert 10 * HOUR <= ms(now) - midnight < 12 * HOUR
    assert plan.midnight(1) - midnight == DAY
    assert plan.open_at(ms(now))
    assert bank_day_at(plan, ms(now)) == FIRST_BANK_DAY


@pytest.mark.parametrize("now", ROUND_THE_CLOCK[:72:7], ids=str)
def test_the_morning_behind_is_the_bank_s_own_to_the_second(now: datetime) -> None:
    plan = plan_at(now)
    elapsed = timedelta(milliseconds=ms(now) - plan.midnight(0))
    until = datetime(1999, 1, 3, tzinfo=ZoneInfo("Asia/Jerusalem")) + elapsed
    morning = [orjson.loads(payload) for _, payload in morning_records(plan, ms(now))]
    real = [event for event in real_events(FIRST_BANK_DAY) if event["ts"] <= ms(until)]
    for event in morning:
        event.pop("team", None)
        event["ts"] += ms(until) - ms(now)
    assert morning == real
    assert len(morning) > 1500


def test_the_morning_is_received_when_it_came_due() -> None:
    plan = plan_at()
    morning = list(morning_records(plan, ms(NOON)))
    assert all(received == orjson.loads(payload)["ts"] for received, payload in morning)
    assert all(earlier[0] <= later[0] for earlier, later in pairwise(morning))
    assert morning[0][0] >= plan.midnight(0)
    assert ms(NOON) - MINUTE < morning[-1][0] <= ms(NOON)


def test_the_first_day_has_the_bank_s_golden_totals() -> None:
    """1999-01-03: offered 2053, answered 1880, of these 1200 within 20 s, abandoned 173."""
    queued = {e["contact"]: e["ts"] for e in first_days(2) if e["type"] == "contact.queued"}
    mine = {contact for contact in queued if contact.startswith("990103-")}
    counts: Counter[str] = Counter()
    for event in first_days(2):
        if event.get("contact") in mine:
            counts[event["type"]] += 1
            if event["type"] in ("contact.answered", "contact.abandoned"):
                within = event["ts"] - queued[event["contact"]] <= 20_000
                counts[event["type"] + " in"] += within
    assert counts == {
        "contact.queued": 2053,
        "contact.answered": 1880,
        "contact.answered in": 1200,
        "contact.released": 1880,
        "contact.wrapped": 1880,
        "contact.abandoned": 173,
        "contact.abandoned in": 62,
    }


def test_every_event_of_the_first_days_is_valid() -> None:
    for event in first_days(5):
        assert validate_event(event) == event


def test_fridays_saturdays_and_days_without_rows_are_not_played() -> None:
    played = played_days()
    assert len(played) == 39
    assert {day.weekday() for day in played} == {6, 0, 1, 2, 3}
    assert date(1999, 1, 11) not in played
    assert date(1999, 1, 12) not in played
    assert (played[0], played[-1]) == (FIRST_BANK_DAY, date(1999, 2, 28))


def test_the_next_bank_day_follows_at_each_local_midnight() -> None:
    plan = plan_at()
    expected = [3, 4, 5, 6, 7, 10, 13, 14, 17]
    for number, day in enumerate(expected):
        assert bank_day_at(plan, plan.midnight(number)) == date(1999, 1, day)
        assert bank_day_at(plan, plan.midnight(number + 1) - 1) == date(1999, 1, day)
    assert bank_day_at(plan, plan.midnight(38)) == date(1999, 2, 28)
    assert bank_day_at(plan, plan.midnight(39)) == FIRST_BANK_DAY


def test_each_date_shows_the_calls_of_its_bank_day() -> None:
    plan = plan_at()
    for event in first_days(7):
        if event["type"] == "contact.queued":
            date_of_call = datetime.strptime(event["contact"][:6], "%y%m%d").date()  # noqa: DTZ007
            shown = bank_day_at(plan, event["ts"])
            # A caller of just before midnight may still reach the queue after it.
            assert shown == date_of_call or bank_day_at(plan, event["ts"] - 10 * MINUTE) == (
                date_of_call
            )


def test_records_come_in_order_across_midnights_and_none_is_lost() -> None:
    plan = plan_at()
    records = list(days(plan, 7))
    assert all(earlier.at <= later.at for earlier, later in pairwise(records))
    real: Counter[str] = Counter()
    for number in range(6):
        real.update(e["type"] for e in real_events(bank_day_at(plan, plan.midnight(number))))
    told: Counter[str] = Counter()
    last = bank_day_at(plan, plan.midnight(6)).strftime("%y%m%d")
    for event in map(orjson.loads, (record.payload for record in records)):
        if event["type"].startswith("contact.") and not event["contact"].startswith(last):
            told[event["type"]] += 1
    del real["agent.state"]
    assert told == real


def test_calls_that_cross_midnight_end_on_the_next_date() -> None:
    """On 1999-01-03 some are still served after midnight; the next day begins beside them."""
    plan = plan_at()
    after = [e for e in first_days(2) if e["ts"] >= plan.midnight(1)]
    crossing = [e for e in after if e.get("contact", "").startswith("990103-")]
    assert crossing
    assert max(e["ts"] for e in crossing) < plan.midnight(1) + HOUR


def test_after_the_last_bank_day_the_first_comes_again() -> None:
    plan, lap = plan_at(), len(played_days())
    noon = plan.midnight(lap) + 12 * HOUR
    again = takewhile(lambda record: record.at < noon + HOUR, plan.records(noon))
    shifted = [(record.at - lap * DAY, orjson.loads(record.payload)) for record in again]
    first = [e for e in first_days(1) if 0 <= e["ts"] - (noon - lap * DAY) < HOUR]
    assert len(first) > 200
    assert [event | {"ts": at} for at, event in shifted] == first


@pytest.mark.parametrize("hours", [-5, 0, 0.5, 9, 13.2, 23.99, 24, 24.1, 33, 71])
def test_the_stream_goes_on_from_any_moment(hours: float) -> None:
    plan = plan_at()
    after = plan.midnight(0) + int(hours * HOUR)
    whole = [record for record in days(plan, 4) if record.at >= after]
    assert list(days(plan, 4, after)) == whole


def test_morning_and_feed_meet_without_gap_or_overlap() -> None:
    plan, now = plan_at(), ms(NOON)
    morning = [payload for _, payload in morning_records(plan, now)]
    rest = [record.payload for record in days(plan, 1, now + 1)]
    assert morning + rest == [record.payload for record in days(plan, 1)]


def test_a_morning_after_a_stop_holds_only_what_came_due_meanwhile() -> None:
    plan, now = plan_at(), ms(NOON)
    gap = [received for received, _ in morning_records(plan, now, after=now - HOUR)]
    assert min(gap) >= now - HOUR
    assert max(gap) <= now
    assert len(gap) > 200


def test_every_server_is_named_a_team_and_goes_home_at_midnight() -> None:
    plan = plan_at()
    states = [event for event in first_days(2) if event["type"] == "agent.state"]
    today = [event for event in states if event["ts"] < plan.midnight(1)]
    teams = {event["agent"]: event["team"] for event in today if "team" in event}
    assert sum("team" in event for event in today) == len(teams)
    assert {event["agent"] for event in today} == set(teams)
    assert {event["state"] for event in today} == {"available"}
    assert {agent for agent, team in teams.items() if team != "Agents"} == {"ELI", "ZOHARI"}
    night = [event for event in states if 0 <= event["ts"] - plan.midnight(1) < HOUR]
    last = {event["agent"]: event["state"] for event in night}
    assert {last[agent] for agent in teams} == {"offline"}


def test_the_stock_exchange_desk_serves_mostly_its_queue() -> None:
    queue_of = {e["contact"]: e["queue"] for e in first_days(1) if e["type"] == "contact.queued"}
    served: dict[str, Counter[str]] = {}
    for event in first_days(1):
        if event["type"] == "contact.answered":
            served.setdefault(event["agent"], Counter())[queue_of[event["contact"]]] += 1
    for event in first_days(1):
        if "team" in event:
            share = served[event["agent"]]["NE"] / served[event["agent"]].total()
            assert (share > 0.5) == (event["team"] == "Stock exchange")


def test_when_the_demo_s_bank_is_open() -> None:
    plan = plan_at()
    for hour, is_open in ((0, False), (6, False), (7, True), (23, True), (24, False), (31, True)):
        assert plan.open_at(plan.midnight(0) + hour * HOUR) is is_open
    assert not plan.open_at(plan.midnight(0) - 1)


def test_another_bank_day_can_be_played_but_no_closed_one() -> None:
    plan = DemoPlan.choose(ms(NOON), date(1999, 2, 7))
    first = next(plan.records())
    assert b'"contact":"990207-' in first.payload
    for closed in (date(1999, 1, 1), date(1999, 1, 2), date(1999, 1, 11), date(2026, 1, 4)):
        with pytest.raises(DemoError, match=str(closed)):
            DemoPlan.choose(ms(NOON), closed)


def test_a_plan_survives_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    assert DemoPlan.load(path) is None
    plan_at().save(path)
    assert DemoPlan.load(path) == plan_at()
    assert [entry.name for entry in tmp_path.iterdir()] == ["demo.json"]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"zone": "Etc/GMT", "local_date": "today", "bank_day": "1999-01-03"}',
        '{"zone": "Nowhere", "local_date": "2026-11-23", "bank_day": "1999-01-03"}',
    ],
)
def test_a_file_without_a_plan_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "demo.json"
    path.write_text(content)
    with pytest.raises(DemoError, match=r"demo\.json"):
        DemoPlan.load(path)


def test_all_queues_of_the_data_have_a_name_in_its_settings() -> None:
    named = load_site_file(SETTINGS).queues
    assert {e["queue"] for e in first_days(5) if "queue" in e} <= set(named)
