"""The bank's days of 1999, shifted so that one of them is today and in its busy hour.

The zone is the fixed-offset one in which the clock now stands between ten and eleven in the
morning, so `today`, midnight and every label on the board are true and a morning lies behind. After
the first bank day the next one follows at each local midnight: Fridays, Saturdays and days without
rows, on which the bank was closed or half closed, are skipped, and the first follows the last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import count
from operator import itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from pipeline.demo.settings import BANK_TEAM, STOCK_TEAM
from pipeline.simulate.options import DAY
from pipeline.simulate.stream import Record
from pipeline.simulate.zones import morning_zone
from pipeline.sources.bank1999 import SITE, SOURCE, Call, bundled_calls, events_of
from schemas.moments import from_datetime, local_date

FIRST_BANK_DAY = date(1999, 1, 3)
OPENS_HOUR = 7
_BANK_ZONE = ZoneInfo("Asia/Jerusalem")
_FRIDAY, _SATURDAY = 4, 5
_STOCK_QUEUE = "NE"

Days = Mapping[date, list[Call]]


class DemoError(ValueError):
    """A demo that cannot be played: an unknown bank day, or a plan file that holds no plan."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Which bank day is played on which local date; every later date follows from it."""

    zone: str
    local_date: date
    bank_day: date

    @classmethod
    def choose(cls, now_ms: int, bank_day: date = FIRST_BANK_DAY) -> DemoPlan:
        """The plan for a demo that starts now. Raises `DemoError` for a day that is not played."""
        if bank_day not in played_days():
            raise DemoError(f"{bank_day} is not among the bank's full days, January and February")
        zone = morning_zone(now_ms)
        today = local_date(now_ms, ZoneInfo(zone))
        assert today is not None
        return cls(zone, today, bank_day)

    @classmethod
    def load(cls, path: Path) -> DemoPlan | None:
        """The plan in a file, None where there is no such file. Raises `DemoError`."""
        try:
            obj = orjson.loads(path.read_bytes())
            dates = (date.fromisoformat(obj[key]) for key in ("local_date", "bank_day"))
            return cls(ZoneInfo(obj["zone"]).key, *dates)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise DemoError(f"{path}: not a demo plan: {error!r}") from error

    def save(self, path: Path) -> None:
        """Write the plan to a file, replacing an earlier one at once."""
        obj = {"zone": self.zone, "local_date": self.local_date, "bank_day": self.bank_day}
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(orjson.dumps(obj))
        fresh.replace(path)

    def open_at(self, now_ms: int) -> bool:
        """Whether the demo's bank is open at that moment, on its first date or a later one."""
        local = datetime.fromtimestamp(now_ms // 1000, ZoneInfo(self.zone))
        return local.date() >= self.local_date and local.hour >= OPENS_HOUR

    def midnight(self, number: int) -> int:
        """Epoch ms at which the demo's day `number` (0 is the first) begins."""
        day = self.local_date + timedelta(days=number)
        return _midnight(day, ZoneInfo(self.zone))

    def records(self, after: int | None = None, site: str = SITE) -> Iterator[Record]:
        """The events from `after` on (None: from the first day's), without end, as they come due.

        An event that a bank day has beyond its own midnight comes due on the next date.
        """
        calls = _calls_by_day()
        first = 0 if after is None else max(0, (after - self.midnight(0)) // DAY - 1)
        at = self.midnight(first)
        spill: list[dict[str, Any]] = []
        for number in count(first):
            tomorrow = self.midnight(number + 1)
            events = [*spill, *self._day_events(number, calls, site)]
            spill = [event for event in events if event["ts"] >= tomorrow]
            events = [event for event in events if event["ts"] < tomorrow]
            for event in sorted(events, key=itemgetter("ts")):
                # Should a call lie before its day's midnight, it is handed over a little late.
                at = max(at, event["ts"])
                if after is None or at >= after:
                    yield Record(at, site, orjson.dumps(event))

    def _day_events(self, number: int, calls: Days, site: str) -> list[dict[str, Any]]:
        bank_day = _day_after(self.bank_day, number)
        shift = self.midnight(number) - _midnight(bank_day, _BANK_ZONE)
        events = events_of(calls[bank_day], site)
        for event in events:
            event["ts"] += shift
        _name_teams(events, calls[bank_day])
        return [*events, *_closing_time(events, self.midnight(number + 1), site)]


@lru_cache(maxsize=1)
def _calls_by_day() -> Days:
    days: dict[date, list[Call]] = {}
    for call in bundled_calls():
        if call.date.weekday() not in (_FRIDAY, _SATURDAY):
            days.setdefault(call.date, []).append(call)
    return days


def played_days() -> list[date]:
    """The bank's days that are played, in order."""
    return sorted(_calls_by_day())


def _day_after(bank_day: date, days: int) -> date:
    played = played_days()
    return played[(played.index(bank_day) + days) % len(played)]


def _midnight(day: date, zone: ZoneInfo) -> int:
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC))


def _name_teams(events: Iterable[dict[str, Any]], calls: Iterable[Call]) -> None:
    """Say each server's team with the first state of the day: the desk that took most calls.

    Apart from the stock exchange's the data show no desks; internet calls go to everybody.
    """
    served: dict[str, Counter[bool]] = {}
    for call in calls:
        served.setdefault(call.server, Counter())[call.queue == _STOCK_QUEUE] += 1
    named: set[str] = set()
    for event in events:
        if event["type"] == "agent.state" and event["agent"] not in named:
            agent = event["agent"]
            named.add(agent)
            event["team"] = STOCK_TEAM if served[agent][True] > served[agent][False] else BANK_TEAM


def _closing_time(
    events: Iterable[dict[str, Any]], midnight: int, site: str
) -> Iterator[dict[str, Any]]:
    """Send the day's servers home when the bank closes, or after their last call.

    The files know no logouts; without this everyone would stand ready all through the night.
    """
    last = {event["agent"]: event["ts"] for event in events if event["type"] == "agent.state"}
    for agent, ts in last.items():
        yield {
            "type": "agent.state",
            "site": site,
            "ts": max(midnight, ts + 1),
            "source": SOURCE,
            "agent": agent,
            "state": "offline",
            "reason": "closed",
        }
