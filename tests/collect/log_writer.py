"""`python -m tests.collect.log_writer LOG KINDS COUNT MS`: writes as Asterisk and logrotate do.

Lines are numbered, about `MS` apart. After every twentieth or so the log is rotated in the next of
the ways named. `truncate` loses what was not read by then: the writer says so and waits for a line
of stdin.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from pathlib import Path
from typing import IO

LONG = 9_000


def line(number: int) -> bytes:
    """A line by its number; some are longer than Asterisk's own limit."""
    filler = b"x" * LONG if number % 97 == 50 else b""
    return b"%d|%d|q|NONE|ENTERQUEUE||%s|1" % (1_700_000_000 + number, number, filler)


class Writer:
    """One process with the log open, and the tool that rotates it."""

    def __init__(self, log: Path, pause_s: float) -> None:
        self._log = log
        self._pause_s = pause_s
        self._rng = random.Random(1)
        self._number = 0
        self._file = self._opened()

    def _opened(self) -> IO[bytes]:
        return self._log.open("ab", buffering=0)

    def write(self, count: int) -> None:
        """Some lines, a third of them in two writes."""
        for _ in range(count):
            text = line(self._number) + b"\n"
            cut = self._rng.randrange(len(text)) if self._rng.random() < 0.3 else 0
            if cut:
                self._file.write(text[:cut])
                time.sleep(0.002)
            self._file.write(text[cut:])
            self._number += 1
            time.sleep(self._pause_s)

    def rotate(self, kind: str) -> None:
        """`rename`, `rename-twice`, `copytruncate` or `truncate`."""
        if kind == "copytruncate":
            self._shift()
            shutil.copy(self._log, f"{self._log}.1")
            os.truncate(self._log, 0)
        elif kind == "truncate":
            print("truncates", self._number, flush=True)
            sys.stdin.readline()
            os.truncate(self._log, 0)
        else:
            self._rename()
            if kind == "rename-twice":
                self.write(3)
                self._rename()

    def _rename(self) -> None:
        self._shift()
        self._log.rename(f"{self._log}.1")
        self._log.touch()
        # The tool has renamed; Asterisk writes on until it is told to open the log again.
        self.write(2)
        self._file.close()
        self._file = self._opened()

    def _shift(self) -> None:
        for number in range(200, 0, -1):
            old = Path(f"{self._log}.{number}")
            if old.exists():
                old.rename(f"{self._log}.{number + 1}")

    def run(self, kinds: list[str], count: int) -> None:
        """Write at least so many lines, rotating in turn."""
        turn = 0
        while self._number < count:
            self.write(self._rng.randrange(10, 30))
            self.rotate(kinds[turn % len(kinds)])
            turn += 1
        self.write(5)
        print("done", self._number, flush=True)


if __name__ == "__main__":
    Writer(Path(sys.argv[1]), float(sys.argv[4]) / 1000).run(
        sys.argv[2].split(","), int(sys.argv[3])
    )
