"""A simulated centre's events as a stock that never ends, to be posted at any rate."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.simulate.options import Options
from pipeline.simulate.stream import Simulation

_TS = re.compile(rb'"ts":\d+')
_CONTACT = b'"contact":"'
_AGENT = b'"agent":"'


@dataclass(frozen=True, slots=True)
class Payload:
    """One event for the door."""

    site: str
    payload: bytes


class Stock:
    """Events in the order of the simulation; when they are used up, new contacts do the same.

    `mark` keeps several stocks apart: an agent, like a contact, is known to one producer. Another
    stock of the same mark has the same agents, and contacts of its own.
    """

    def __init__(self, options: Options, mark: str, limit: int = 100_000) -> None:
        self.site = options.site
        self._base = [record.payload for record, _ in zip(
            Simulation(options).records(), range(limit), strict=False)]  # fmt: skip
        self._mark = mark
        self._began = time.monotonic_ns()
        self._cycle = 0
        self._events = self._endless()

    def _endless(self) -> Iterator[bytes]:
        while True:
            self._cycle += 1
            contact = _CONTACT + f"{self._mark}{self._began}-{self._cycle}-".encode()
            agent = _AGENT + self._mark.encode()
            for payload in self._base:
                yield payload.replace(_CONTACT, contact, 1).replace(_AGENT, agent, 1)

    def take(self, count: int, now_ms: int) -> list[Payload]:
        """The next events, as if they happened now."""
        stamp = b'"ts":%d' % now_ms
        return [
            Payload(self.site, _TS.sub(stamp, next(self._events), count=1)) for _ in range(count)
        ]
