"""The roles as processes of their own, started again when they end, as an orchestrator does."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

from pipeline.stack.roles import environment, role_command
from schemas.config import Config
from tests.programs import children

ROOT = Path(__file__).resolve().parents[2]
NO_LIMIT = resource.RLIM_INFINITY


class Role:
    """One process of a role. `wanted` says that it should run: then it is started whenever it
    has ended."""

    def __init__(self, role: str, name: str, config: Config, folder: Path) -> None:
        self.role = role
        self.name = name
        self.config = config
        self.log = folder / f"{name}.log"
        self.wanted = False
        self.starts = 0
        self.ends: list[int] = []
        """How its processes ended by themselves: exit codes, signals as negative numbers."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process, 0 if there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def start(self) -> None:
        """Have it run from now on."""
        self.wanted = True
        self.look()

    def look(self) -> None:
        """Start it if it should run and does not."""
        with self._lock:
            if self.wanted and not self.pid:
                self._note_end()
                self._launch()

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                role_command(self.role),
                env=environment(self.config),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )
        self.starts += 1

    def _note_end(self) -> None:
        if self._process is not None:
            self.ends.append(self._process.wait())
            self._process = None

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; says whether there was a process to take it."""
        with self._lock:
            pid = self.pid
            if pid:
                os.kill(pid, number)
            return bool(pid)

    def pause(self) -> bool:
        """SIGSTOP."""
        return self.signal(signal.SIGSTOP)

    def resume(self) -> bool:
        """SIGCONT."""
        return self.signal(signal.SIGCONT)

    def kill(self) -> bool:
        """kill -9; the supervisor starts it again if it is wanted."""
        return self.signal(signal.SIGKILL)

    def stop(self, patience_s: float = 90.0) -> int:
        """SIGTERM, and it is not started again; its exit code. Killed if it does not end."""
        with self._lock:
            self.wanted = False
            process = self._process
        if process is None:
            return 0
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)
        try:
            code = process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(
                f"{self.name} does not end after SIGTERM\n{self.words()}"
            ) from None
        with self._lock:
            # Two may stop it at a time, and the other has started the next one by now.
            if self._process is process:
                self._process = None
        return code

    def end(self) -> None:
        """Kill it for good."""
        with self._lock:
            self.wanted = False
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def limit_files(self, size: int = NO_LIMIT) -> None:
        """Let neither it nor its children write files beyond a size, as on a disk that is full."""
        pid = self.pid
        for one in [pid, *children(pid)] if pid else []:
            try:
                resource.prlimit(one, resource.RLIMIT_FSIZE, (size, NO_LIMIT))
            except ProcessLookupError:
                continue

    def words(self, size: int = 3000) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"== {self.name} (ended {self.ends[-8:]})\n{text[-size:]}"


class Supervisor:
    """Looks after roles in a thread of its own."""

    def __init__(self) -> None:
        self.roles: dict[str, Role] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def add(self, role: Role) -> Role:
        """Look after one more."""
        self.roles = {**self.roles, role.name: role}
        return role

    def close(self) -> None:
        """Kill them all."""
        self._end.set()
        self._thread.join(30)
        for role in self.roles.values():
            role.end()

    def _watch(self) -> None:
        while not self._end.is_set():
            for role in self.roles.values():
                role.look()
            time.sleep(0.1)
