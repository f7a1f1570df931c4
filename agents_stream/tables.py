"""The worker's two Faust tables, and the only place that touches Faust's table internals.

`panes` is a tumbling windowed table that holds the panes, `state` a plain one that holds open
stories, running sums and the markers. Three habits of Faust are mended here.

- Faust commits offsets while changelog records still sit in its buffer, so a kill loses them for
  good. `SettledTable` keeps the future of every record; `settle` waits for the broker.
- Faust expires windows by the wall clock, without deleting them from the changelog, and keeps a
  heap entry for every set. Here keys live until they are deleted, whatever the site's time is.
- The memory store keeps stale copies of partitions that left. `forget` drops them and makes Faust
  read the whole changelog at the next assignment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import faust
from faust.tables.wrappers import WindowWrapper
from faust.types import TP

from agents_stream.changelog import read_changelogs
from agents_stream.checkpoint import StateKey
from schemas.brokers import Brokers
from schemas.topics import CHANGELOGS as CHANGELOGS

GROUP = "callboard-agents"
"""Name of the Faust app: the consumer group, and how its changelogs begin."""

PANES = "panes"
STATE = "state"
PANE_PREFIX = "pane:"

# The table's own window only says about which pane a key is; the key names its pane exactly, so
# sites with other pane lengths share the table.
WINDOW = timedelta(seconds=10)
# Nothing expires by it, see above; Faust's compiled windows misbehave when it is not given.
EXPIRES = timedelta(days=30)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SettledTable(faust.Table[Any, bytes]):
    """A table whose changelog records can be awaited and whose keys name their partition."""

    mundane_level = "debug"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.unsettled: list[asyncio.Future[Any]] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> Any:
        """Send a record to the changelog and keep its future."""
        future = super().send_changelog(*args, **kwargs)
        self.unsettled.append(future)
        return future

    def partition_for_key(self, key: Any) -> int:
        """The partition the key names, so that the last checkpoint needs no event in hand."""
        return _partition_of(key)

    def discard(self, key: Any) -> None:
        """Delete a key here and in the changelog, also one that is not here."""
        self.on_key_del(key)
        self.data.pop(key, None)

    def forget(self, partition: int) -> None:
        """Drop the local copy of a partition; the changelog stays as it is."""
        for key in [key for key in self.data if _partition_of(key) == partition]:
            del self.data[key]
        changelog = TP(self.changelog_topic.get_topic_name(), partition)
        cast(Any, self.app.tables).recovery.revoke(changelog)

    def _should_expire_keys(self) -> bool:
        return False


def _partition_of(key: Any) -> int:
    """Windowed keys are (key, (start, end)), plain ones begin with the partition."""
    first = key[0]
    return int(first if isinstance(first, int) else first[0])


class StateTables:
    """State records by key, in the table each belongs to."""

    def __init__(self, app: faust.App, brokers: Brokers, partitions: int) -> None:
        self._app = app
        self._brokers = brokers
        self._state = self._table(app, STATE, partitions)
        self._panes = self._table(app, PANES, partitions)
        self._windows = cast(WindowWrapper, self._panes.tumbling(WINDOW, expires=EXPIRES))
        self.written_bytes = 0

    @staticmethod
    def _table(app: faust.App, name: str, partitions: int) -> SettledTable:
        table = app.Table(
            name,
            value_type=bytes,
            partitions=partitions,
            # With `compact,delete`, Faust's own choice for windowed tables, recovery can hang.
            extra_topic_configs={"cleanup.policy": "compact"},
        )
        assert isinstance(table, SettledTable)
        return table

    def put(self, key: StateKey, value: bytes) -> None:
        """Set a record; it is safe once `settle` has returned."""
        moment = _pane_of(key)
        if moment is None:
            self._state[tuple(key)] = value
        else:
            self._windows.relative_to(moment)[tuple(key)] = value
        self.written_bytes += len(value)

    def delete(self, key: StateKey) -> None:
        """Write a tombstone, safe once `settle` has returned."""
        moment = _pane_of(key)
        if moment is None:
            self._state.discard(tuple(key))
            return
        for window in cast(Any, self._panes.window).ranges(moment.timestamp()):
            self._panes.discard((tuple(key), window))

    async def settle(self) -> None:
        """Wait until the broker has every record written so far; raises what a write raised."""
        for table in (self._state, self._panes):
            pending, table.unsettled = table.unsettled, []
            await asyncio.gather(*pending)

    def records(self, partition: int) -> Iterator[tuple[StateKey, bytes]]:
        """What the tables hold of a partition; whole only right after recovery."""
        for key, value in self._state.data.items():
            if key[0] == partition:
                yield StateKey(*key), value
        for (key, _), value in self._panes.data.items():
            if key[0] == partition:
                yield StateKey(*key), value

    async def reread(self, partition: int) -> list[tuple[StateKey, bytes]]:
        """What the changelogs hold of a partition, read again without Faust."""
        topics = [spec.name for spec in CHANGELOGS]
        ends = await self._app.consumer.highwaters(*[TP(topic, partition) for topic in topics])
        if not any(ends.values()):
            return []
        return await read_changelogs(self._brokers, topics, partition)

    def forget(self, partition: int) -> None:
        """Drop the local copy of a partition that is revoked."""
        self._state.forget(partition)
        self._panes.forget(partition)


def _pane_of(key: StateKey) -> datetime | None:
    if not key.part.startswith(PANE_PREFIX):
        return None
    return _EPOCH + timedelta(milliseconds=int(key.part.removeprefix(PANE_PREFIX)))
