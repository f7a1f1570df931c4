"""The time machine: what the board shows at any moment, from a file of events.

`reading` collects the events of a file, `machine` applies them by `ts` and takes the snapshots,
`tables` shows them to a person.
"""

from pipeline.replay.machine import snapshots
from pipeline.replay.reading import History, read_history

__all__ = ["History", "read_history", "snapshots"]
