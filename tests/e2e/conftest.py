"""One embedded stack at a time, shared by the tests that want it in the same mode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import RunningStack

PACE = 30
"""A minute of the bank is two seconds here. At a higher pace, what lasts seconds when a role starts
would be so many minutes that events came too late."""


class Stacks:
    """Keeps the stack that was asked for last. Two at once would starve each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._options: tuple[str, ...] = ()
        self._stack: RunningStack | None = None
        self._count = 0

    def running(self, *options: str) -> RunningStack:
        """A stack with these options: the one that runs, or a new one in a folder of its own."""
        if self._stack is None or self._options != options or not self._stack.running:
            self.stop()
            self._count += 1
            self._options = options
            self._stack = RunningStack(self._folder / f"data{self._count}", *options)
            self._stack.start()
        self._stack.thaw()
        return self._stack

    def stop(self) -> None:
        """End the stack that runs."""
        stack, self._stack = self._stack, None
        if stack is not None and stack.running:
            assert stack.stop() == 0


@pytest.fixture(scope="package")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stacks]:
    """The stack of these tests."""
    found = Stacks(tmp_path_factory.mktemp("stack"))
    yield found
    found.stop()


@pytest.fixture(scope="module")
def bank(stacks: Stacks) -> RunningStack:
    """The bank's day; time goes fast in it."""
    stack = stacks.running("--pace", str(PACE))
    # Every role is ready when it is up; the first frame may still be on its way to the board.
    stack.until(lambda: stack.board("bank"), 60, "the board shows the bank")
    return stack


@pytest.fixture(scope="module")
def empty(stacks: Stacks) -> RunningStack:
    """A stack with nothing in it but the site `default`."""
    return stacks.running("--empty")
