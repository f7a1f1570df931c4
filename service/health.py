"""Whether the loops of a process turn: what `/healthz` means.

That a page answers says only that the event loop turns. A loop of ours may hang all the same, in a
call that never returns. So each loop says when it turns; how long it may take is ten seconds, and
three minutes where it waits for a broker or a store, for every such call ends by itself sooner: a
role that waits for a broker that is away is not ready and not stuck.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE_S = 10.0
"""How long a turn may take. A large site's checkpoint is a second or two on a busy machine."""
WAIT_S = 180.0
"""How long one call to a broker or a store may take: an insert is given up after two minutes."""

Check = Callable[[], str]
"""Says what is wrong, empty if nothing is."""


class Pulse:
    """One loop. It counts from its first turn on, until it rests."""

    def __init__(
        self,
        name: str,
        patience_s: float = PATIENCE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.patience_s = patience_s
        self.wait_s = WAIT_S
        self._monotonic = monotonic
        self._since: float | None = None
        self._waits: list[str] = []

    def turn(self) -> None:
        """The loop begins a turn."""
        self._since = self._monotonic()

    def rest(self) -> None:
        """The loop has nothing to do, or has ended: its silence says nothing."""
        self._since = None

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """The block waits for something outside of this process; its end is a turn."""
        self._waits.append(what)
        self.turn()
        try:
            yield
        finally:
            self._waits.pop()
            self.turn()

    def stuck(self) -> str:
        """Why the loop does not turn, empty if it does or rests."""
        if self._since is None:
            return ""
        age = self._monotonic() - self._since
        if self._waits:
            late = age > self.wait_s
            return f"{self.name} has waited for {self._waits[-1]} for {age:.0f} s" if late else ""
        return f"{self.name} has not turned for {age:.0f} s" if age > self.patience_s else ""
