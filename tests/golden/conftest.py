"""The vendors' examples are told to the engine and to its oracle alike."""

from tests.engine.conftest import subject

__all__ = ["subject"]
