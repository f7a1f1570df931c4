"""The clock of live processes: the wall clock, or one that a file shifts and paces.

It is the one place where pace lives. The door stamps with it, ingest ticks with it and the board
compares ages with it, so a day replayed at any pace looks to all of them like time passing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import orjson


class ClockError(ValueError):
    """A clock file that cannot be read or does not hold a clock."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`now = site_ms + (wall - wall_ms) * pace`; the default is the wall clock itself.

    `wall_ms` and `site_ms` are epoch milliseconds of the same moment by either clock.
    """

    wall_ms: int = 0
    site_ms: int = 0
    pace: float = 1.0

    def now_ms(self) -> int:
        """The present moment by this clock, in epoch milliseconds."""
        return self.at(time.time_ns() // 1_000_000)

    def at(self, wall_ms: int) -> int:
        """What this clock shows at a moment of the wall clock."""
        elapsed = wall_ms - self.wall_ms
        return self.site_ms + (elapsed if self.pace == 1.0 else int(elapsed * self.pace))

    @classmethod
    def from_file(cls, path: str | Path) -> Clock:
        """Read a clock file; an empty path is the wall clock. Raises `ClockError`."""
        if str(path) in ("", "."):
            return cls()
        try:
            obj = orjson.loads(Path(path).read_bytes())
            clock = cls(int(obj["wall_ms"]), int(obj["site_ms"]), float(obj["pace"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ClockError(f"{path}: not a clock file: {error!r}") from error
        if not 0 < clock.pace < float("inf"):
            raise ClockError(f"{path}: pace must be greater than 0, not {clock.pace}")
        return clock

    def write(self, path: Path) -> None:
        """Write the clock file, replacing an earlier one at once."""
        obj = {"wall_ms": self.wall_ms, "site_ms": self.site_ms, "pace": self.pace}
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(orjson.dumps(obj))
        fresh.replace(path)
