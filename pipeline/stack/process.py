"""One role as a process: started with its log file, watched, stopped kindly or at once."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
LOG_BYTES = 10_000_000
"""A log larger than this is set aside at the role's next start; one of those is kept."""
_STEADY_S = 10.0
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


class RoleProcess:
    """A process of the stack. On Linux it dies with the stack, also when that is killed."""

    def __init__(
        self, name: str, command: Sequence[str], environ: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._command = list(command)
        self._environ = dict(environ)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._started = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._turn = asyncio.Lock()
        self._over = False

    @property
    def pid(self) -> int:
        """Process id, 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.returncode is None

    @property
    def log(self) -> Path:
        """Where what it prints goes."""
        return self._log

    async def start(self) -> None:
        """Start the process, unless it was stopped for good meanwhile.

        A start that its caller gives up goes on: cut off, it could leave a process nobody knows.
        """
        await asyncio.shield(self._start())

    async def _start(self) -> None:
        async with self._turn:
            if not self._over:
                await self._spawn()

    async def _spawn(self) -> None:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._set_large_log_aside()
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                env=self._environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_DIE_WITH_PARENT,
            )
        self._started = asyncio.get_running_loop().time()

    def _set_large_log_aside(self) -> None:
        """A role that cannot run is started again for weeks, and says why each time."""
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > LOG_BYTES:
                self._log.replace(self._log.with_name(self._log.name + ".1"))

    async def wait(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        assert self._process is not None
        return await self._process.wait()

    def pause_before_restart(self) -> float:
        """Seconds to wait before the next start: longer each time it did not last."""
        lasted = asyncio.get_running_loop().time() - self._started
        if lasted > _STEADY_S:
            self._pause_s = _FIRST_PAUSE_S
        pause, self._pause_s = self._pause_s, min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause

    async def start_again(self, code: int) -> None:
        """Say that the process has ended and start it again, after a pause."""
        pause = self.pause_before_restart()
        log.warning(
            "%s ended (%s), it is started again in %.1f s; its log is %s",
            self.name,
            ending(code),
            pause,
            self._log,
        )
        await asyncio.sleep(pause)
        await self.start()

    async def stop(self, grace_s: float) -> None:
        """End the process for good: ask it to, and kill it if it has not within the grace.

        With a grace of 0 it is killed at once.
        """
        self._over = True
        async with self._turn:
            if self._process is None or not self.running:
                return
            if grace_s:
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), grace_s)
            if self.running:
                self._process.kill()
            await self._process.wait()

    def last_words(self, lines: int = 5) -> str:
        """The end of the log, for an error message."""
        try:
            text = self._log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])


def ending(code: int) -> str:
    """An exit code, negative for a signal, in words."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


# Only Linux has it: elsewhere a stack that is killed leaves its roles running.
_DIE_WITH_PARENT = _die_with_parent if sys.platform == "linux" else None
