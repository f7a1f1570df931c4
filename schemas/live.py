"""What the board shows now, as records of the live topic: parts of one site that changed.

`data` is the whole content of its part: what is absent from a newer part is gone. `LiveParts` keeps
the newest record of each part and `assemble` puts them together to the object of the contract.

Records of the kind `quality` do not come from the worker but from the sink, which asks the store.
They have a time of their own, come and go by themselves and never move the board's time or epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, cast
from zlib import crc32

import orjson
from typing_extensions import TypedDict

VERSION = 1
PARTS = 64
ONLY_PART = "0"

Kind = Literal["queues", "teams", "agents", "totals", "trend", "quality"]
KINDS: tuple[Kind, ...] = ("queues", "teams", "agents", "totals", "trend", "quality")
QUALITY: Kind = "quality"
QUALITY_WINDOWS = ("today", "7d", "30d")

TREND_STEP_MS = 60_000
TREND_STEPS = 60


class LiveRecord(TypedDict):
    """One record of the live topic; `at` is the site's time in epoch ms."""

    v: int
    site: str
    epoch: int
    offset: int
    at: int
    kind: Kind
    part: str
    data: dict[str, Any]


class QueueNow(TypedDict):
    """The present state of a queue and channel."""

    waiting: int
    longest_wait_ms: int | None
    in_service: int
    waiting_past_threshold: int


class QueueEntry(TypedDict):
    """One queue and channel on the board; each window holds the twenty counters and four KPIs."""

    now: QueueNow
    windows: dict[str, dict[str, Any]]
    name: str
    formula: str
    exclude_short: bool
    threshold_ms: int
    min_volume: int
    targets: dict[str, float]


class TeamEntry(TypedDict):
    """One team on the board; each window holds the seven state times and the occupancy."""

    agents: dict[str, int]
    windows: dict[str, dict[str, Any]]
    name: str
    occupancy_target: list[float] | None


class AgentEntry(TypedDict, total=False):
    """One agent on the board; `since` is epoch ms, `contacts` those of the open legs."""

    team: str
    state: str
    since: int
    reason: str
    contacts: list[str]


class Trend(TypedDict):
    """The last hour in steps of a minute; `start` is the epoch ms of the first step."""

    step_ms: int
    start: int
    all: dict[str, list[Any]]
    queues: dict[str, dict[str, list[Any]]]


class LiveError(ValueError):
    """A message on the live topic that is no record of this version."""


def part_of(name: str) -> str:
    """The part that holds a queue, a team or an agent."""
    return str(crc32(name.encode()) % PARTS)


def record_key(site: str, kind: str, part: str) -> bytes:
    """The Kafka key of a live record."""
    return f"{site}|{kind}|{part}".encode()


TREND = "trend"
TREND_QUEUES = 100
"""Queues of one trend record; a queue's hour is up to 1.5 KB."""


def pieces(kind: str, part: str, data: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A part as records may hold it: the trend of many queues is more than one."""
    queues = data.get("queues", {}) if kind == TREND else {}
    if len(queues) <= TREND_QUEUES:
        yield kind, part, data
        return
    yield kind, part, {**data, "queues": {}}
    names = list(queues)
    for number, first in enumerate(range(0, len(names), TREND_QUEUES)):
        chunk = {name: queues[name] for name in names[first : first + TREND_QUEUES]}
        yield kind, f"queues:{number}", {"start": data["start"], "queues": chunk}


def live_record(
    site: str, stamp: tuple[int, int], at: int, kind: str, part: str, data: dict[str, Any]
) -> LiveRecord:
    """A record of one part; `stamp` is (epoch, frame offset)."""
    return {
        "v": VERSION,
        "site": site,
        "epoch": stamp[0],
        "offset": stamp[1],
        "at": at,
        "kind": cast(Kind, kind),
        "part": part,
        "data": data,
    }


def encode_live(record: LiveRecord) -> bytes:
    """The value of a record on the live topic."""
    return orjson.dumps(record)


def decode_live(payload: bytes) -> LiveRecord:
    """Read a record of the live topic; raise `LiveError` if it is none of this version."""
    try:
        obj = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise LiveError(f"not JSON: {error}") from None
    if not isinstance(obj, dict) or obj.get("v") != VERSION:
        raise LiveError(f"not a live record of version {VERSION}")
    missing = LiveRecord.__required_keys__ - obj.keys()
    if missing or obj["kind"] not in KINDS:
        raise LiveError(f"not a live record: lacks {sorted(missing)}, kind {obj.get('kind')!r}")
    return cast(LiveRecord, obj)


class LiveParts:
    """The newest record of each part of one site."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], LiveRecord] = {}
        self._quality: dict[str, LiveRecord] = {}
        self._epoch = -1

    def take(self, record: LiveRecord) -> bool:
        """Keep the record unless a newer one of its part is held; say whether it was kept.

        The first record of a newer epoch drops all of an older one: a worker begins an epoch by
        sending everything, so what it does not send any more is gone. What the store said stays.
        """
        if record["kind"] == QUALITY:
            return self._take_quality(record)
        if record["epoch"] < self._epoch:
            return False
        if record["epoch"] > self._epoch:
            self._records.clear()
            self._epoch = record["epoch"]
        key = (record["kind"], record["part"])
        held = self._records.get(key)
        if held is not None and record["offset"] < held["offset"]:
            return False
        self._records[key] = record
        return True

    def _take_quality(self, record: LiveRecord) -> bool:
        held = self._quality.get(record["part"])
        if held is not None and _stamp(record) < _stamp(held):
            return False
        self._quality[record["part"]] = record
        return True

    def records(self) -> list[LiveRecord]:
        """All records held."""
        return [*self._records.values(), *self._quality.values()]

    def assemble(self) -> dict[str, Any]:
        """The object of the contract from what is held; empty before the first totals."""
        return assemble(self.records())


def assemble(records: Iterable[LiveRecord]) -> dict[str, Any]:
    """Put the parts of one site together to the object the board, `replay` and the contract share.

    Beyond the contract it carries `agents`, `trend`, `epoch`, what the totals say of the site and,
    where the store has been asked, `quality`. Without a totals record there is no board yet and the
    result is empty.
    """
    by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}
    site, at, epoch = "", 0, -1
    trends: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["kind"] == QUALITY:
            _add_quality(by_kind[QUALITY], record)
            continue
        if record["kind"] == TREND:
            trends[record["part"]] = record["data"]
        else:
            by_kind[record["kind"]].update(record["data"])
        site, epoch = record["site"], record["epoch"]
        at = max(at, record["at"]) if epoch >= 0 and at else record["at"]
    totals = by_kind["totals"]
    if not totals:
        return {}
    return {
        "site": site,
        "at": at,
        "queues": _sorted(by_kind["queues"]),
        "teams": _sorted(by_kind["teams"]),
        **totals,
        "agents": _sorted(by_kind["agents"]),
        "trend": _joined(trends),
        "epoch": epoch,
        **({QUALITY: {"windows": by_kind[QUALITY]}} if by_kind[QUALITY] else {}),
    }


def _joined(trends: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The trend of its pieces, without those that are left from when there were more queues."""
    head = trends.get(ONLY_PART, {})
    if not head or head.get("queues"):
        return head
    found = [
        piece["queues"]
        for part, piece in trends.items()
        if part != ONLY_PART and abs(piece["start"] - head.get("start", 0)) <= TREND_STEP_MS
    ]
    queues = {name: series for each in found for name, series in each.items()}
    return {**head, "queues": _sorted(queues)} if found else head


def _add_quality(windows: dict[str, Any], record: LiveRecord) -> None:
    """One part into its window; a window is as old as the oldest of its parts."""
    for name, said in record["data"].items():
        window = windows.setdefault(name, {"at": record["at"], "queues": {}, "teams": {}})
        window["at"] = min(window["at"], record["at"])
        for key, value in said.items():
            window[key] = {**window[key], **value} if key in ("queues", "teams") else value


def _stamp(record: LiveRecord) -> tuple[int, int, int]:
    return record["epoch"], record["offset"], record["at"]


def _sorted(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entries[name] for name in sorted(entries)}
