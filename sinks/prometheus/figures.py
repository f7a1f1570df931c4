"""What a worker says about itself: plain numbers that the worker raises and the collector reads."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class WorkerFigures:
    """Counts since the process began, unless a field says otherwise. Times are seconds.

    `frames_again` were delivered a second time and changed nothing. `frames_refused` could not be
    applied and were dead-lettered. `frames_missing` were deleted from the topic before they were
    read. `lag_frames` holds by partition how many frames wait to be read.
    """

    frames: int = 0
    frames_again: int = 0
    frames_refused: int = 0
    frames_missing: int = 0
    events: int = 0
    last_frame_at: float = 0.0
    records: Counter[str] = field(default_factory=Counter)
    record_bytes: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    checkpoints: int = 0
    checkpoint_bytes: int = 0
    checkpoint_seconds: float = 0.0
    last_checkpoint_bytes: int = 0
    last_checkpoint_parts: int = 0
    last_checkpoint_seconds: float = 0.0
    last_checkpoint_at: float = 0.0
    states_lost: int = 0
    snapshots: int = 0
    snapshot_failures: int = 0
    last_snapshot_bytes: int = 0
    last_snapshot_seconds: float = 0.0
    recoveries: int = 0
    last_recovery_seconds: float = 0.0
    partitions: int = 0
    ready: bool = False
    lag_frames: dict[int, int] = field(default_factory=dict)
