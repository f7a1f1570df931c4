"""The topics, with what each needs of the broker: every role creates and checks them from here."""

from __future__ import annotations

from dataclasses import dataclass

RAW = "events.raw"
FRAMES = "events.frames"
LIVE = "kpi.live"
ROWS = "kpi.rows"
DEAD = "events.dead"
ALERTS = "alerts.raw"
MEMORY = "events.memory"
STATE_CHANGELOG = "callboard-agents-state-changelog"
PANES_CHANGELOG = "callboard-agents-panes-changelog"
"""Named by Faust, after the worker's group and its tables."""

HEADER_FORMAT = "format"
HEADER_SOURCE = "source"
HEADER_RECEIVED = "received"
"""Epoch milliseconds as ASCII digits, stamped once at the door."""
HEADER_JOURNAL = "journal"
"""Sequence number in the door's journal as ASCII digits; only the embedded stack has one."""

_HOUR = 3_600_000
_DAY = 24 * _HOUR
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic: `retention_ms` -1 keeps for ever; `max_message_bytes` limits one record."""

    name: str
    cleanup_policy: str
    retention_ms: int
    max_message_bytes: int


# A raw record may be larger than anything we accept: it must arrive to be dead-lettered.
# What an alert said is asked for weeks later, when a store was away or is filled anew.
TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(RAW, "delete", 7 * _DAY, 2 * _MIB),
    TopicSpec(FRAMES, "delete", 7 * _DAY, _MIB),
    TopicSpec(LIVE, "delete", _HOUR, _MIB),
    TopicSpec(ROWS, "delete", 7 * _DAY, _MIB),
    TopicSpec(DEAD, "delete", 30 * _DAY, _MIB),
    TopicSpec(ALERTS, "delete", 30 * _DAY, 2 * _MIB),
    TopicSpec(MEMORY, "compact", -1, _MIB),
)

# A record holds its part before and after, each up to 256 KiB.
CHANGELOGS: tuple[TopicSpec, ...] = tuple(
    TopicSpec(name, "compact", -1, 2 * _MIB) for name in (STATE_CHANGELOG, PANES_CHANGELOG)
)
"""The topics behind the worker's tables; they must exist like any other before it starts."""
