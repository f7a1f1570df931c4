"""Who may do what at the broker: one user a role, with the rights it needs and no more.

The files of the deployment are written from here (`deploy/kafka/generate.py`), and a role looks
only after the topics that its user may see.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from schemas.topics import (
    ALERTS,
    CHANGELOGS,
    DEAD,
    FRAMES,
    LIVE,
    MEMORY,
    RAW,
    ROWS,
    TOPICS,
    TopicSpec,
)

_SPECS = (*TOPICS, *CHANGELOGS)
_ALL = tuple(spec.name for spec in _SPECS)
_STATE = tuple(spec.name for spec in CHANGELOGS)

UserName = Literal["door", "ingest", "worker", "sink", "board", "operator", "source"]


@dataclass(frozen=True, slots=True)
class Acl:
    """Rights of a user on things of one kind; a `prefix` pattern means all that begin so."""

    kind: Literal["topic", "group"]
    names: tuple[str, ...]
    operations: tuple[str, ...]
    pattern: Literal["literal", "prefix"] = "literal"


@dataclass(frozen=True, slots=True)
class User:
    """A user of the broker: topics that it reads and writes, and the groups that it is in.

    `makes` are topics that it may create, and so look at; `watches` are the beginnings of groups
    whose offsets it may see.
    """

    purpose: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    group: Acl | None = None
    makes: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()

    @property
    def topics(self) -> tuple[TopicSpec, ...]:
        """All topics that it may see."""
        seen = {*self.reads, *self.writes, *self.makes}
        return tuple(spec for spec in _SPECS if spec.name in seen)

    def acls(self) -> Iterator[Acl]:
        """Its rights, those on topics first; topics with the same rights are in one."""
        same: dict[tuple[str, ...], list[str]] = {}
        for spec in self.topics:
            same.setdefault(self._on(spec.name), []).append(spec.name)
        for operations, names in same.items():
            yield Acl("topic", tuple(names), operations)
        if self.group is not None:
            yield self.group
        if self.watches:
            yield Acl("group", self.watches, ("Describe",), "prefix")

    def _on(self, topic: str) -> tuple[str, ...]:
        # Reading and writing include looking; who makes topics only looks at most of them.
        given = {
            "Create": topic in self.makes,
            "Read": topic in self.reads,
            "Write": topic in self.writes,
            "Describe": topic not in {*self.reads, *self.writes},
            "DescribeConfigs": True,
        }
        return tuple(operation for operation, has in given.items() if has)


def _member(name: str, pattern: Literal["literal", "prefix"]) -> Acl:
    return Acl("group", (name,), ("Read",), pattern)


USERS: dict[UserName, User] = {
    "door": User("takes events and notifications of alerts", writes=(RAW, ALERTS)),
    "ingest": User(
        "makes frames",
        reads=(RAW, FRAMES, MEMORY),
        writes=(FRAMES, DEAD, MEMORY),
        group=_member("callboard-ingest-", "prefix"),
    ),
    "worker": User(
        "applies frames, keeps its state in changelogs",
        reads=(FRAMES, *_STATE),
        writes=(LIVE, ROWS, DEAD, *_STATE),
        group=_member("callboard-agents", "literal"),
    ),
    "sink": User(
        "writes rows into the store, quality to the board",
        reads=(ROWS, ALERTS),
        writes=(LIVE, DEAD),
        group=_member("callboard-sink-", "prefix"),
    ),
    "board": User("shows the live topic", reads=(LIVE,)),
    "operator": User(
        "makes topics, backfills, looks at dead letters, lags and the newest frames",
        reads=(RAW, FRAMES, DEAD),
        makes=_ALL,
        watches=("callboard-",),
    ),
    "source": User("your own producers of events", writes=(RAW,)),
}
"""The users by name. At the broker each is called `USER_PREFIX` and its name."""

USER_PREFIX = "kafka-"


def principal_of(name: UserName) -> str:
    """What a user is called at the broker, and in `CALLBOARD_KAFKA_USER`."""
    return USER_PREFIX + name
