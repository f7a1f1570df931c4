"""What the worker needs of an engine, and what it holds of a partition it owns."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents_stream.checkpoint import NEVER, Ledger, version_of
from schemas.frames import Frame
from schemas.settings import SiteSettings


class Changes(Protocol):
    """What a frame brought: late events by raw offset, and rows by table."""

    late: list[tuple[int, dict[str, Any]]]
    rows: dict[str, list[dict[str, Any]]]


class Engine(Protocol):
    """The engine of one site: a pure function of the frames applied to it.

    `at` is the site's time in epoch ms, `offset` the last frame applied, of `epoch`. `journal` is
    the highest journal sequence applied.
    """

    site: str
    at: int
    epoch: int
    offset: int
    journal: int

    @property
    def settings(self) -> SiteSettings:
        """The settings in force."""

    def apply(self, frame: Frame, offset: int) -> Changes:
        """Apply a frame; one that was applied before changes nothing."""

    def live_parts(self, full: bool) -> list[tuple[str, str, dict[str, Any]]]:
        """Board parts (kind, part, data) changed since the last call, or all."""

    def dirty_parts(self) -> Mapping[str, bytes | None]:
        """State parts changed since the last call; None where a part is gone."""

    def all_parts(self) -> Mapping[str, bytes]:
        """The whole state."""


class EngineType(Protocol):
    """How engines come to be."""

    def __call__(self, settings: SiteSettings) -> Engine:
        """A site that has seen nothing yet."""

    def restore(self, parts: Mapping[str, bytes]) -> Engine:
        """A site from its saved state; raises `ValueError` for parts of no use."""


Ack = Callable[[], object]


@dataclass(slots=True, eq=False)
class Partition:
    """A partition of the frames topic while this worker owns it.

    `epoch` and `offset` are those of the last frame taken, `end` how far the topic went when the
    partition was assigned, None until the broker has told. `unwritten` are sites of which this
    generation has no record yet. `began` is where reading began, if the state said so.
    `checkpointed` is the version of this owner's last marker. `dropped` is set when the partition
    is revoked: whoever still holds it must let it be.
    """

    number: int
    ledger: Ledger
    epoch: int = 0
    offset: int = NEVER
    end: int | None = None
    began: int | None = None
    sites: dict[str, Engine] = field(default_factory=dict)
    unwritten: set[str] = field(default_factory=set)
    unacked: list[Ack] = field(default_factory=list)
    events: int = 0
    checkpointed: int | None = None
    checkpointed_at: float = 0.0
    opened_at: float = 0.0
    caught_up: bool = False
    dropped: bool = False

    @property
    def version(self) -> int:
        """The cut a checkpoint of this moment would stand for."""
        return version_of(self.epoch, self.offset)

    @property
    def behind(self) -> int | None:
        """Frames that were there at assignment and have not been taken yet, None if unknown."""
        return None if self.end is None else max(0, self.end - self.offset - 1)


def spare_collector() -> None:
    """Have Python look for cycles less often: an engine's many records make hardly any."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
