"""The Anonymous Bank's call-by-call files of 1999, one row a call, as canonical events.

What a row gives: `contact.queued` at the start of its queue interval (a call that did not wait: at
the end of the voice response unit), `contact.answered` or `contact.abandoned` when the queue ends,
`contact.released` and `contact.wrapped` when the service ends. Callers who hang up in the voice
response unit and PHANTOM rows give nothing.

The files know no logins: `agent.state` available is inferred at a server's first service and after
each one, so occupancy on this data is an approximation. Where the server is unknown (`NO_SERVER`)
the call is answered by an agent of that name, who gets no `agent.state`: the call and its handle
time count, the name is nobody's, and its calls overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pipeline.sources.lines import BadLine, LineFile
from schemas.moments import from_datetime

COLUMNS = (
    "vru+line",
    "call_id",
    "customer_id",
    "priority",
    "type",
    "date",
    "vru_entry",
    "vru_exit",
    "vru_time",
    "q_start",
    "q_exit",
    "q_time",
    "outcome",
    "ser_start",
    "ser_exit",
    "ser_time",
    "server",
)
SOURCE = "bank-1999"
SITE = "bank"
UNKNOWN_SERVER = "NO_SERVER"
OTHER_QUEUE = "other"
TYPES = frozenset({"PS", "PE", "IN", "NE", "NW", "TT"})
"""The documented call types; each is a queue. A few rows carry another one."""

DATA = Path(__file__).parent.parent / "data" / "anonymous-bank-1999"
MONTHS = (DATA / "january.txt.gz", DATA / "february.txt.gz")
SETTINGS = DATA / "bank.yml"

_CLOCKS = ("vru_entry", "vru_exit", "q_start", "q_exit", "ser_start", "ser_exit")
_INTEGERS = ("call_id", "priority", "vru_time", "q_time", "ser_time")
_NAMES = ("vru+line", "type", "server")
_OUTCOMES = ("AGENT", "HANG", "PHANTOM")

_ZONE = ZoneInfo("Asia/Jerusalem")
_DAY = 86_400
_CLOCK = re.compile(r"(\d{1,2}):([0-5]\d):([0-5]\d)", re.ASCII)
_CUSTOMER = re.compile(r"\d{1,20}|\d\.\d+E\+\d+", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,9}", re.ASCII)
_MAX_NAME = 100

Outcome = Literal["AGENT", "HANG"]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was offered to the queue. Moments are epoch ms, durations ms."""

    contact: str
    customer: str | None
    priority: int
    queue: str
    date: date
    queued: int
    wait: int
    outcome: Outcome
    service: int
    server: str


class _FirstServices:
    """When each server was first seen to serve; calls come in any order."""

    def __init__(self) -> None:
        self._moments: dict[str, int] = {}

    def see(self, call: Call) -> None:
        if call.outcome == "AGENT" and call.server != UNKNOWN_SERVER:
            answered = call.queued + call.wait
            self._moments[call.server] = min(answered, self._moments.get(call.server, answered))

    def states(self, site: str) -> Iterator[dict[str, Any]]:
        return (_available(site, server, moment) for server, moment in self._moments.items())


class _FieldError(ValueError):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


def read(lines: Iterable[bytes], site: str | None) -> Iterator[dict[str, Any] | BadLine]:
    """Yield the events of the calls in the order of the file, and a `BadLine` for a broken row.

    The file names no site: without `site` it is `bank`. Rows are not in the order of time.
    """
    site = site or SITE
    first = _FirstServices()
    for item in read_calls(lines):
        if isinstance(item, BadLine):
            yield item
        else:
            first.see(item)
            yield from call_events(item, site)
    yield from first.states(site)


def read_calls(lines: Iterable[bytes]) -> Iterator[Call | BadLine]:
    """Yield the offered calls of a file's rows, in its order, and a `BadLine` for a broken row.

    The header and empty lines are nothing.
    """
    for number, line in enumerate(lines, 1):
        if line.isspace() or not line or (number == 1 and line.startswith(b"vru+line")):
            continue
        try:
            call = _call(_columns(line))
        except _FieldError as error:
            yield BadLine(number, error.field, error.reason)
            continue
        if call is not None:
            yield call


def bundled_calls() -> list[Call]:
    """The offered calls of the two months that come with the program, by the moment they queue."""
    calls: list[Call] = []
    for month in MONTHS:
        with LineFile(month) as lines:
            calls += (call for call in read_calls(lines) if isinstance(call, Call))
    calls.sort(key=lambda call: call.queued)
    return calls


def events_of(calls: Iterable[Call], site: str) -> list[dict[str, Any]]:
    """All events of some calls in the order of time, the inferred first `agent.state` included."""
    first = _FirstServices()
    events: list[dict[str, Any]] = []
    for call in calls:
        first.see(call)
        events += call_events(call, site)
    return sorted(chain(events, first.states(site)), key=itemgetter("ts"))


def call_events(call: Call, site: str) -> list[dict[str, Any]]:
    """The validated events of one call, in their order."""
    ended = call.queued + call.wait
    if call.outcome == "HANG":
        return [_queued(call, site), _event("contact.abandoned", site, ended, call)]
    released = ended + call.service
    agent = {"agent": call.server}
    events = [
        _queued(call, site),
        _event("contact.answered", site, ended, call) | agent | {"channel": "voice"},
        _event("contact.released", site, released, call) | agent | {"reason": "completed"},
        _event("contact.wrapped", site, released, call) | agent,
    ]
    if call.server != UNKNOWN_SERVER:
        events.append(_available(site, call.server, released))
    return events


def _queued(call: Call, site: str) -> dict[str, Any]:
    event = _event("contact.queued", site, call.queued, call)
    event |= {"queue": call.queue, "channel": "voice", "direction": "inbound"}
    event["priority"] = call.priority
    if call.customer is not None:
        event["customer"] = call.customer
    return event


def _event(name: str, site: str, ts: int, call: Call) -> dict[str, Any]:
    return {"type": name, "site": site, "ts": ts, "source": SOURCE, "contact": call.contact}


def _available(site: str, server: str, ts: int) -> dict[str, Any]:
    return {
        "type": "agent.state",
        "site": site,
        "ts": ts,
        "source": SOURCE,
        "agent": server,
        "state": "available",
    }


def _columns(line: bytes) -> dict[str, str]:
    try:
        values = line.rstrip(b"\r\n").decode("ascii").split("\t")
    except UnicodeDecodeError as error:
        raise _FieldError("row", f"is not ASCII text (byte {error.start})") from None
    if len(values) != len(COLUMNS):
        raise _FieldError("row", f"has {len(values)} columns, not {len(COLUMNS)}")
    return dict(zip(COLUMNS, values, strict=True))


def _call(row: dict[str, str]) -> Call | None:
    """The call of a row, None if it was not offered to the queue; every column is checked."""
    row_date = _date(row["date"])
    clocks = {name: _clock(row, name) for name in _CLOCKS}
    numbers = {name: _integer(row, name) for name in _INTEGERS}
    for name in _NAMES:
        if not row[name].strip() or len(row[name]) > _MAX_NAME:
            raise _FieldError(name, f"{row[name][:20]!r} is empty or too long for a name")
    if _CUSTOMER.fullmatch(row["customer_id"]) is None:
        raise _FieldError("customer_id", f"{row['customer_id'][:40]!r} is no customer number")
    if row["outcome"] not in _OUTCOMES:
        raise _FieldError("outcome", f"{row['outcome']!r} is none of {', '.join(_OUTCOMES)}")
    # 0:00:00 stands for "did not wait", but there is one caller who queued at midnight.
    waited = bool(clocks["q_start"] or clocks["q_exit"] or numbers["q_time"])
    if row["outcome"] == "PHANTOM" or (row["outcome"] == "HANG" and not waited):
        return None
    return _offered(row, row_date, clocks, numbers, waited)


def _offered(
    row: dict[str, str],
    row_date: date,
    clocks: dict[str, int],
    numbers: dict[str, int],
    waited: bool,
) -> Call:
    left_vru = _beside(clocks["vru_entry"], clocks["vru_exit"])
    queued = _beside(left_vru, clocks["q_start"]) if waited else left_vru
    return Call(
        contact=f"{row['date']}-{row['vru+line']}-{row['call_id']}",
        customer=_customer(row["customer_id"]),
        priority=numbers["priority"],
        queue=row["type"] if row["type"] in TYPES else OTHER_QUEUE,
        date=row_date,
        queued=_epoch_ms(row_date, queued),
        wait=numbers["q_time"] * 1000 if waited else 0,
        outcome="AGENT" if row["outcome"] == "AGENT" else "HANG",
        service=numbers["ser_time"] * 1000,
        server=row["server"],
    )


def _customer(text: str) -> str | None:
    """The customer, None for 0 and for a number a spreadsheet has cut to `6.02E+11`."""
    return text if text.isdecimal() and int(text) else None


def _beside(reference: int, clock: int) -> int:
    """The clock time on the day that brings it nearest to the reference, in seconds of the first.

    `date` is the day the call began: a queue entered after midnight lies on the next one. The
    exchange's clock was set back by minutes now and then, so a small step back is no new day.
    """
    return clock + _DAY * round((reference - clock) / _DAY)


@lru_cache(maxsize=4096)
def _local_hour(day: date, hour: int) -> int:
    moment = datetime(day.year, day.month, day.day, hour, tzinfo=_ZONE)
    return from_datetime(moment)


def _epoch_ms(day: date, seconds: int) -> int:
    days, second = divmod(seconds, _DAY)
    hour, rest = divmod(second, 3600)
    return _local_hour(day + timedelta(days=days), hour) + rest * 1000


@lru_cache(maxsize=4096)
def _date(text: str) -> date:
    try:
        if len(text) != 6:
            raise ValueError
        return date(1900 + int(text[:2]), int(text[2:4]), int(text[4:]))
    except ValueError:
        raise _FieldError("date", f"{text!r} is no date YYMMDD") from None


def _clock(row: dict[str, str], name: str) -> int:
    seconds = _seconds(row[name])
    if seconds is None:
        raise _FieldError(name, f"{row[name]!r} is no clock time H:MM:SS")
    return seconds


@lru_cache(maxsize=_DAY)
def _seconds(text: str) -> int | None:
    match = _CLOCK.fullmatch(text)
    if match is None or int(match[1]) > 23:
        return None
    return int(match[1]) * 3600 + int(match[2]) * 60 + int(match[3])


def _integer(row: dict[str, str], name: str) -> int:
    if _INTEGER.fullmatch(row[name]) is None:
        raise _FieldError(name, f"{row[name]!r} is no whole number")
    number = int(row[name])
    # The VRU's clock was set back at times; nothing else in a row may be negative.
    if number < 0 and name != "vru_time":
        raise _FieldError(name, f"{number} is negative")
    return number
