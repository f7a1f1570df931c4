"""Levels of loggers that change while a process runs, and go back by themselves.

For an hour of looking at something, not for configuration: `CALLBOARD_LOG_LEVEL` is what a process
starts with and comes back to.
"""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import time
from dataclasses import dataclass

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
DEFAULT_S = 600.0
LONGEST_S = 86_400.0
ROOT = "root"
_UNITS = {"s": 1, "m": 60, "h": 3600}

log = logging.getLogger(__name__)


class LevelError(ValueError):
    """A level, a logger or a time that cannot be; the message says what can."""


def seconds_of(text: str) -> float:
    """The seconds of `90s`, `10m` or `2h`. Raises `LevelError`."""
    found = re.fullmatch(r"(\d{1,6})([smh])", text.strip())
    seconds = int(found[1]) * _UNITS[found[2]] if found else 0
    if not 0 < seconds <= LONGEST_S:
        raise LevelError(f"{text!r} is no time up to a day: 90s, 10m or 2h, say")
    return seconds


@dataclass(slots=True)
class _Changed:
    """A logger whose level is not its own: `before` comes back when `timer` ends."""

    before: int
    until: float
    timer: asyncio.TimerHandle


class Levels:
    """The levels changed in this process. Needs a running event loop, for the way back."""

    def __init__(self) -> None:
        self._changed: dict[str, _Changed] = {}

    def set(self, name: str, level: str, seconds: float = DEFAULT_S) -> None:
        """Give a logger, `root` for all, a level for so long. Raises `LevelError`.

        A second change begins its time anew; what comes back is the level of before the first.
        """
        name, level = name or ROOT, level.upper()
        if level not in LEVELS:
            raise LevelError(f"{level!r} is no level: {', '.join(LEVELS)}")
        if not 0 < seconds <= LONGEST_S:
            raise LevelError(f"{seconds:g} s: more than none and at most a day")
        if name != ROOT and not re.fullmatch(r"\w+(\.\w+)*", name, re.ASCII):
            raise LevelError(f"{name[:100]!r} is no name of a logger, such as aiokafka.consumer")
        earlier = self._changed.get(name)
        if earlier is not None:
            earlier.timer.cancel()
        before = earlier.before if earlier is not None else _logger(name).level
        timer = asyncio.get_running_loop().call_later(seconds, self.restore, name)
        self._changed[name] = _Changed(before, time.monotonic() + seconds, timer)
        log.warning("logger %s: level %s for %.0f s", name, level, seconds)
        _logger(name).setLevel(level)

    def restore(self, name: str) -> None:
        """Give a logger its own level back."""
        changed = self._changed.pop(name, None)
        if changed is None:
            return
        changed.timer.cancel()
        _logger(name).setLevel(changed.before)
        log.warning("logger %s: level %s again", name, logging.getLevelName(changed.before))

    def toggle(self) -> None:
        """DEBUG for ten minutes, or, where anything is changed, back."""
        if not self._changed:
            self.set(ROOT, "DEBUG")
            return
        for name in list(self._changed):
            self.restore(name)

    def listen(self) -> None:
        """Toggle at SIGUSR1, for hosts where no page can be reached."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.toggle)

    def shown(self) -> dict[str, dict[str, object]]:
        """Each logger with a level of its own: the level, and for how many seconds yet if changed.

        `root` is always there.
        """
        names = [ROOT, *sorted(logging.root.manager.loggerDict)]
        found: dict[str, dict[str, object]] = {}
        for name in names:
            level = _logger(name).level
            if level == logging.NOTSET and name not in self._changed:
                continue
            found[name] = {"level": logging.getLevelName(level)}
            changed = self._changed.get(name)
            if changed is not None:
                found[name]["seconds_left"] = round(max(0.0, changed.until - time.monotonic()))
        return found


def _logger(name: str) -> logging.Logger:
    return logging.getLogger("" if name == ROOT else name)
