"""Ticks: the site's time goes on while nothing happens, and never overtakes unread input.

A tick carries the clock as it was read *before* the end of the input was asked for. Everything the
broker had by then is read before the tick is sent, so a backlog delays ticks and nothing in it can
look late. The end is known from answers to fetches that were sent after the clock was read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from schemas.clock import Clock


@dataclass(frozen=True, slots=True)
class Reading:
    """What the consumer knows of a partition: the next offset to read, where the partition ended
    at the last answer to a fetch, and when (wall ms) that answer came; None before the first."""

    position: int
    end: int | None
    polled: int | None


@dataclass(slots=True)
class _Probe:
    """A question: has everything been read that the broker had at `now`?"""

    now: int
    polled: int | None
    answers: int = 0
    end: int | None = None

    def answered(self, reading: Reading) -> bool:
        if self.end is None and reading.polled != self.polled:
            self.polled = reading.polled
            self.answers += 1
            # The first answer may be to a fetch the broker had looked at before the question.
            if self.answers >= 2:
                self.end = reading.end
        return self.end is not None and reading.position >= self.end


class Ticker:
    """Says which sites tick, and to which moment.

    No site ticks before every partition of the process has once been read to its end: records of
    a site may stand in another partition than its own, and nobody knows yet.
    """

    def __init__(self, clock: Clock, interval_ms: int) -> None:
        self._clock = clock
        self._interval_s = interval_ms / 1000
        self._due = 0.0
        self._probes: dict[int, _Probe] = {}
        self._read_to: dict[int, int] = {}

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop partitions that are no longer ours."""
        for partition in partitions:
            self._probes.pop(partition, None)
            self._read_to.pop(partition, None)

    def advance(self, readings: Mapping[int, Reading], turn: float) -> list[int]:
        """Ask when it is time to, and return the partitions whose sites may tick now."""
        if turn >= self._due:
            self._due = turn + self._interval_s
            now = self._clock.now_ms()
            for partition, reading in readings.items():
                self._probes.setdefault(partition, _Probe(now, reading.polled))
        reached = []
        for partition, reading in readings.items():
            probe = self._probes.get(partition)
            if probe is not None and probe.answered(reading):
                self._read_to[partition] = probe.now
                del self._probes[partition]
                reached.append(partition)
        return reached if self._read_to.keys() >= readings.keys() else []

    def moment(self, partition: int, others: Iterable[int]) -> int:
        """Up to when the input of a site is read that comes over these partitions, epoch ms."""
        return min(self._read_to.get(one, -1) for one in (partition, *others))


def partitions_by_stray(strays: Mapping[int, Iterable[str]]) -> Mapping[str, list[int]]:
    """For each site the partitions, beside its own, that its records come over."""
    found: dict[str, list[int]] = defaultdict(list)
    for partition, sites in strays.items():
        for site in sites:
            found[site].append(partition)
    return found
