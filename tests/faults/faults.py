"""The faults: what each does to a cluster, and how it is taken away.

A fault strikes, lasts, and ends. `strike` and `mend` block; several may last at a time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.cluster import EXTRA, Cluster
from tests.faults.load import Load
from tests.faults.processes import Role

CHANGELOG = b"callboard-agents-state-changelog"
_PATIENCE_S = 30.0
FULL_BYTES = 1
"""Files of a store on a full disk may not grow beyond this."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Where faults strike."""

    cluster: Cluster
    load: Load


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: when it strikes (seconds after the start), how long it lasts, and whom."""

    at_s: float
    kind: str
    target: str = ""
    lasts_s: float = 0.0
    size: float = 0.0

    def __str__(self) -> str:
        more = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        size = f" ({self.size:g})" if self.size else ""
        return f"{self.at_s:6.1f} s  {self.kind} {self.target}{more}{size}"


class NotMet(Exception):
    """What the fault waits for did not come."""


Do = Callable[[Scene, Fault], None]


def strike(scene: Scene, fault: Fault) -> None:
    """Let it happen and last, and take it away; blocks for so long. Raises `NotMet`."""
    begin, end = KINDS[fault.kind]
    try:
        begin(scene, fault)
        if fault.kind not in _LASTING:
            time.sleep(fault.lasts_s)
    finally:
        end(scene, fault)


def _nothing(_scene: Scene, _fault: Fault) -> None:
    return None


# --- processes ------------------------------------------------------------------------------------


def _kill(scene: Scene, fault: Fault) -> None:
    scene.cluster.role(fault.target).kill()


def _terminate(scene: Scene, fault: Fault) -> None:
    """SIGTERM, as of a rollout; the supervisor starts the next one."""
    role = scene.cluster.role(fault.target)
    role.stop()
    role.start()


def _pause(scene: Scene, fault: Fault) -> None:
    scene.cluster.role(fault.target).pause()


def _resume(scene: Scene, fault: Fault) -> None:
    scene.cluster.role(fault.target).resume()


def _storm(scene: Scene, fault: Fault) -> None:
    """A further worker joins and leaves again, in quick turns, in order or not."""
    role = _extra(scene)
    for turn in range(int(fault.size)):
        role.start()
        scene.cluster.until(lambda: role.pid, "the further worker starts")
        time.sleep(fault.lasts_s / fault.size)
        if turn % 2:
            role.stop()
        else:
            role.wanted = False
            role.kill()


def _extra(scene: Scene) -> Role:
    found = scene.cluster.supervisor.roles.get(EXTRA)
    return found if found is not None else scene.cluster.add_worker(EXTRA)


def _terminate_in_checkpoint(scene: Scene, fault: Fault) -> None:
    """SIGTERM while state records are on their way to the broker."""
    _await_checkpoint(scene, fault)
    _terminate(scene, fault)


def _kill_in_checkpoint(scene: Scene, fault: Fault) -> None:
    """kill -9 while state records are on their way to the broker."""
    _await_checkpoint(scene, fault)
    _kill(scene, fault)


def _pause_in_checkpoint(scene: Scene, fault: Fault) -> None:
    """The worker stands still in its checkpoint, and comes back after its session has ended."""
    _await_checkpoint(scene, fault)
    _pause(scene, fault)


def _await_checkpoint(scene: Scene, fault: Fault) -> None:
    """A request of this worker with state records has just gone to the broker."""
    seen: threading.Event = scene.cluster.links[fault.target].seen(CHANGELOG)
    if not seen.wait(_PATIENCE_S):
        raise NotMet(f"no checkpoint within {_PATIENCE_S} s")


def _await(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not true():
        if time.monotonic() > deadline:
            raise NotMet(f"{what} within {_PATIENCE_S} s")
        time.sleep(0.05)


# --- senders --------------------------------------------------------------------------------------


def _jump(scene: Scene, fault: Fault) -> None:
    scene.load.centres[fault.target].shift_ms = int(fault.size)


def _jump_back(scene: Scene, fault: Fault) -> None:
    scene.load.centres[fault.target].shift_ms = 0


# --- the broker -----------------------------------------------------------------------------------


def _stop_broker(scene: Scene, _fault: Fault) -> None:
    scene.cluster.kafka.stop()


def _kill_broker(scene: Scene, _fault: Fault) -> None:
    scene.cluster.kafka.kill()


def _pause_broker(scene: Scene, _fault: Fault) -> None:
    scene.cluster.kafka.pause()


def _start_broker(scene: Scene, _fault: Fault) -> None:
    scene.cluster.kafka.start()


def _slow_link(scene: Scene, fault: Fault) -> None:
    for line in scene.cluster.lines(fault.target):
        line.delay_s = fault.size


def _cut_link(scene: Scene, fault: Fault) -> None:
    for line in scene.cluster.lines(fault.target):
        line.cut()


def _silence_link(scene: Scene, fault: Fault) -> None:
    for line in scene.cluster.lines(fault.target):
        line.silence()


def _forsake_link(scene: Scene, fault: Fault) -> None:
    for line in scene.cluster.lines(fault.target):
        line.forsake()


def _heal_link(scene: Scene, fault: Fault) -> None:
    for line in scene.cluster.lines(fault.target):
        line.heal()


# --- the store ------------------------------------------------------------------------------------


def _store_away(scene: Scene, _fault: Fault) -> None:
    scene.cluster.front.away = True


def _store_slow(scene: Scene, fault: Fault) -> None:
    scene.cluster.front.delay_s = fault.size


def _heal_front(scene: Scene, _fault: Fault) -> None:
    scene.cluster.front.heal()


def _lose_answers(scene: Scene, fault: Fault) -> None:
    scene.cluster.front.lost_answers += int(fault.size)


def _answer_wrongly(scene: Scene, fault: Fault) -> None:
    scene.cluster.front.wrong_answers += int(fault.size)


def _tear(scene: Scene, fault: Fault) -> None:
    scene.cluster.front.torn += int(fault.size)


def _until_met(scene: Scene, _fault: Fault) -> None:
    """Sinks may be away themselves: it lasts until as many inserts as were meant have met it."""
    front = scene.cluster.front
    _await(lambda: not (front.lost_answers or front.wrong_answers or front.torn), "no insert")


def _fill_disk(scene: Scene, fault: Fault) -> None:
    """Until an insert has been refused, at least."""
    refused = scene.cluster.front.met["insert refused"]
    scene.cluster.role("store").limit_files(FULL_BYTES)
    time.sleep(fault.lasts_s)
    _await(lambda: scene.cluster.front.met["insert refused"] > refused, "no insert refused")


def _clear_disk(scene: Scene, _fault: Fault) -> None:
    scene.cluster.role("store").limit_files()


_LASTING = frozenset({"rebalance storm", "disk full"})
"""Kinds that take their time in their strike."""

KINDS: dict[str, tuple[Do, Do]] = {
    "kill": (_kill, _nothing),
    "terminate": (_terminate, _nothing),
    "pause": (_pause, _resume),
    "pause beyond session": (_pause, _resume),
    "rebalance storm": (_storm, _nothing),
    "terminate in checkpoint": (_terminate_in_checkpoint, _nothing),
    "kill in checkpoint": (_kill_in_checkpoint, _nothing),
    "pause in checkpoint": (_pause_in_checkpoint, _resume),
    "clock jump": (_jump, _jump_back),
    "broker stopped": (_stop_broker, _start_broker),
    "broker killed": (_kill_broker, _start_broker),
    "broker paused": (_pause_broker, _start_broker),
    "slow line": (_slow_link, _heal_link),
    "cut line": (_cut_link, _heal_link),
    "silent line": (_silence_link, _heal_link),
    "half-open line": (_forsake_link, _heal_link),
    "store away": (_store_away, _heal_front),
    "store slow": (_store_slow, _heal_front),
    "insert applied, answer lost": (_lose_answers, _until_met),
    "insert applied, error answered": (_answer_wrongly, _until_met),
    "insert torn": (_tear, _until_met),
    "disk full": (_fill_disk, _clear_disk),
}
