"""Rows gather by partition until they are worth an insert, within a bound of memory."""

from __future__ import annotations

from collections import deque

from sinks.clickhouse.batch import Batch

MAX_ROWS = 50_000
"""Rows of a batch; a larger one makes catching up no faster and a retry dearer."""
HELD_ROWS = 2 * MAX_ROWS
"""Rows of all batches that gather: a backlog fills those of many partitions at once."""
GATHER_S = 1.0
"""How long rows gather, so that a table gets about one insert a second."""
GATHER_MORE_S = 0.25
"""How much longer for each further partition with rows, for each is an insert of its own."""


class Gathering:
    """The batches of all partitions; `full` are closed and wait to be written, in this order."""

    def __init__(self) -> None:
        self.full: deque[Batch] = deque()
        self._open: dict[int, Batch] = {}
        self._since: dict[int, float] = {}
        self._rows = 0

    def add(self, partition: int, offset: int, payload: bytes, now: float) -> None:
        """Take the next record of a partition; `now` is seconds of a clock that only ticks."""
        batch = self._open.get(partition)
        if batch is None:
            batch = self._open[partition] = Batch(partition)
            self._since[partition] = now
        self._rows -= batch.rows
        batch.add(offset, payload)
        self._rows += batch.rows
        if batch.rows >= MAX_ROWS:
            self._close(partition)
        elif self._rows > HELD_ROWS:
            self._close(max(self._open, key=lambda number: self._open[number].rows))

    def close_due(self, now: float) -> None:
        """Close the batches that have gathered for long enough."""
        patience = GATHER_S + GATHER_MORE_S * max(0, len(self._open) - 1)
        for partition in [p for p, since in self._since.items() if now - since >= patience]:
            self._close(partition)

    def drop(self, partition: int) -> None:
        """Forget the rows of a partition: whoever has it next reads them again."""
        self._forget(partition)
        self.full = deque(batch for batch in self.full if batch.partition != partition)

    def _close(self, partition: int) -> None:
        batch = self._forget(partition)
        if batch is not None:
            self.full.append(batch)

    def _forget(self, partition: int) -> Batch | None:
        self._since.pop(partition, None)
        batch = self._open.pop(partition, None)
        if batch is not None:
            self._rows -= batch.rows
        return batch
