"""A seed's schedule: which faults strike when. The same seed and sizes give the same schedule."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.faults import Fault

_SINGLE = ("door", "board", "store")
_OTHERS = ("ingest0", "ingest1", "sink0", "sink1")
_ROLES = ("ingest", "agents", "sink")
SESSION_S = 6.0
"""Of ingest, worker and sink: who is paused for longer is taken for dead."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What faults may strike: so many seconds, sites and workers."""

    dice: random.Random
    seconds: float
    sites: Sequence[str]
    workers: Sequence[str]

    def one(self, *names: str) -> str:
        """One of these."""
        return self.dice.choice(names)

    def lasting(self, least: float, most: float) -> float:
        """Seconds between two bounds, to the millisecond."""
        return round(self.dice.uniform(least, most), 3)


Make = Callable[[Stage, float], Fault]


def schedule(
    seed: int, seconds: float, every_s: float, sites: Sequence[str], workers: int
) -> list[Fault]:
    """Faults from the first second on, one about every `every_s`, that end within `seconds`.

    Most last for longer than that, so several are at work at a time.
    """
    dice = random.Random(seed)
    stage = Stage(dice, seconds, sites, [f"agents{number}" for number in range(workers)])
    found: list[Fault] = []
    at = 1.0
    while at < seconds * 0.85:
        make = dice.choices(_MAKERS, _WEIGHTS)[0]
        fault = make(stage, round(at, 3))
        if at + fault.lasts_s <= seconds and not _clashes(fault, found):
            found.append(fault)
            at += dice.expovariate(1 / every_s)
        else:
            at += 0.1
    return found


def _clashes(fault: Fault, others: Sequence[Fault]) -> bool:
    """The broker is away once at a time, and not for most of the time."""
    if not fault.kind.startswith("broker"):
        return False
    brokers = [other for other in others if other.kind.startswith("broker")]
    return any(fault.at_s < other.at_s + other.lasts_s + 8 for other in brokers)


def _kill(stage: Stage, at: float) -> Fault:
    return Fault(at, "kill", stage.one(*_SINGLE, *_OTHERS, *stage.workers))


def _terminate(stage: Stage, at: float) -> Fault:
    return Fault(at, "terminate", stage.one(*_SINGLE, *_OTHERS, *stage.workers))


def _blink(stage: Stage, at: float) -> Fault:
    target = stage.one(*_SINGLE, *_OTHERS, *stage.workers)
    return Fault(at, "pause", target, stage.lasting(0.2, 4))


def _zombie(stage: Stage, at: float) -> Fault:
    target = stage.one(*_OTHERS, *stage.workers)
    return Fault(at, "pause beyond session", target, SESSION_S + stage.lasting(1, 4))


def _storm(stage: Stage, at: float) -> Fault:
    turns = stage.dice.randrange(2, 4)
    return Fault(at, "rebalance storm", "", turns * stage.lasting(1.5, 4), turns)


def _in_checkpoint(stage: Stage, at: float) -> Fault:
    kind = stage.one("terminate", "kill", "pause")
    lasts = SESSION_S + 2 if kind == "pause" else 0.0
    return Fault(at, f"{kind} in checkpoint", stage.one(*stage.workers), lasts)


def _broker(stage: Stage, at: float) -> Fault:
    kind = stage.one("broker stopped", "broker killed", "broker paused")
    return Fault(at, kind, "", stage.lasting(0.5, 6))


def _line(stage: Stage, at: float) -> Fault:
    kind = stage.one("slow line", "cut line", "silent line", "half-open line")
    size = stage.lasting(0.05, 0.6) if kind == "slow line" else 0.0
    return Fault(
        at,
        kind,
        stage.one("door", "board", *_OTHERS, *stage.workers, *_ROLES),
        stage.lasting(1, 8),
        size,
    )


def _store_away(stage: Stage, at: float) -> Fault:
    """A third of the time at most: minutes where there are many."""
    return Fault(at, "store away", "", stage.lasting(1, max(6.0, stage.seconds / 3)))


def _store_slow(stage: Stage, at: float) -> Fault:
    return Fault(at, "store slow", "", stage.lasting(1, 6), stage.lasting(0.5, 3))


def _insert(stage: Stage, at: float) -> Fault:
    kinds = ["insert applied, answer lost", "insert applied, error answered", "insert torn"]
    return Fault(at, stage.one(*kinds), "", 0.0, stage.dice.randrange(1, 6))


def _disk(stage: Stage, at: float) -> Fault:
    return Fault(at, "disk full", "store", stage.lasting(1, 4))


def _jump(stage: Stage, at: float) -> Fault:
    shift = stage.dice.choice([45_000, -40_000, -300_000, 600_000])
    return Fault(at, "clock jump", stage.one(*stage.sites), stage.lasting(1, 4), shift)


_WEIGHTED: list[tuple[Make, int]] = [
    (_kill, 6),
    (_terminate, 3),
    (_blink, 2),
    (_zombie, 3),
    (_storm, 2),
    (_in_checkpoint, 3),
    (_broker, 3),
    (_line, 4),
    (_store_away, 1),
    (_store_slow, 1),
    (_insert, 3),
    (_disk, 2),
    (_jump, 3),
]
_MAKERS = [make for make, _ in _WEIGHTED]
_WEIGHTS = [weight for _, weight in _WEIGHTED]
