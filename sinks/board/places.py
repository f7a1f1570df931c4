"""How many streams there may be: in all, and for one address, which may be a whole office."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.callers import neighbourhood


class Crowded(Exception):
    """One address has all the streams it may have."""


class Full(Exception):
    """There are as many streams as there may be."""


class Places:
    """Counts the streams that are open."""

    def __init__(self, most: int, of_one: int) -> None:
        self._most = most
        self._of_one = of_one
        self._taken: Counter[str] = Counter()

    @contextmanager
    def one_more(self, address: str) -> Iterator[None]:
        """A place while the block lasts. Raises `Crowded` or `Full`."""
        key = neighbourhood(address)
        if self._taken[key] >= self._of_one:
            raise Crowded(f"{self._of_one} streams are open from this address")
        if self._taken.total() >= self._most:
            raise Full(f"{self._most} streams are open")
        self._taken[key] += 1
        try:
            yield
        finally:
            self._taken[key] -= 1
            if not self._taken[key]:
                del self._taken[key]
