"""A second, slow implementation of the contract's sections 2 to 7, the judge of the engine.

It is written for clarity: every question re-reads all events, every window re-adds all facts, every
piece of agent time is found by asking for the state at each moment of change. It shares no code
with `pipeline.engine`.
"""

from tests.oracle.live import live
from tests.oracle.snapshot import snapshot

__all__ = ["live", "snapshot"]
