"""What of the journal an epoch already has: the stack's word, the door's progress, ingest's gate.

`epoch.json` is written by the stack before roles start: the epoch, and for each site restored from
a snapshot the journal sequence that snapshot holds. `fed.json` is the door's: up to where the
broker of this epoch has everything, and whether the first feed is complete. Until it is, ingest
must not tick, or the site's time would overtake the records still to be fed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from pipeline.ingest.journal import FIRST
from schemas.config import Config
from service.logs import about

log = logging.getLogger(__name__)

NOTHING = FIRST - 1


def journal_folder(data_dir: Path) -> Path:
    """Where the journal and the door's progress are."""
    return data_dir / "journal"


@dataclass(frozen=True, slots=True)
class Restored:
    """Which records the restored snapshots hold, by site, and below which none is needed."""

    journal: Mapping[str, int] = field(default_factory=dict)
    prune: int = NOTHING

    @classmethod
    def read(cls, data_dir: Path, epoch: int) -> Restored:
        """Read `epoch.json`; nothing is restored if it is absent or of another epoch."""
        try:
            obj = orjson.loads((data_dir / "epoch.json").read_bytes())
        except FileNotFoundError:
            return cls()
        if obj.get("epoch") != epoch:
            told = "%s is of epoch %s, not of this one"
            log.warning(told, data_dir / "epoch.json", obj["epoch"], extra=about(epoch=epoch))
            return cls()
        sites = obj.get("restore", {})
        return cls({site: entry["journal"] for site, entry in sites.items()}, obj.get("prune", 0))

    def lacks(self, site: str, seq: int) -> bool:
        """Whether a record is not in a snapshot. One of no site is, if the newest one is newer."""
        if not site:
            return seq > max(self.journal.values(), default=NOTHING)
        return seq > self.journal.get(site, NOTHING)


@dataclass(frozen=True, slots=True)
class Fed:
    """The door's progress: everything up to `seq` is with the broker of the epoch."""

    epoch: int = -1
    seq: int = NOTHING
    complete: bool = False

    @classmethod
    def read(cls, folder: Path) -> Fed:
        """The progress last written; none if there is no file or it cannot be read."""
        try:
            obj = orjson.loads((folder / "fed.json").read_bytes())
            return cls(obj["epoch"], obj["seq"], obj["complete"])
        except (OSError, ValueError, KeyError, TypeError):
            return cls()

    def write(self, folder: Path) -> None:
        """Replace the file at once; a reader sees the old one or the new."""
        fresh = folder / "fed.json.new"
        obj = {"epoch": self.epoch, "seq": self.seq, "complete": self.complete}
        fresh.write_bytes(orjson.dumps(obj))
        fresh.replace(folder / "fed.json")


class FeedGate:
    """Whether ingest may tick: at once, or where it is alone when the door has fed this epoch."""

    def __init__(self, config: Config) -> None:
        self._folder = journal_folder(config.data_dir)
        self._epoch = config.epoch
        self._open = not config.alone

    def open(self) -> bool:
        """Look, until it is open; from then on it stays so."""
        if not self._open:
            fed = Fed.read(self._folder)
            self._open = fed.complete and fed.epoch == self._epoch
        return self._open
