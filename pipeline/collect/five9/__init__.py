"""Collects the frames of Five9's supervisor WebSocket."""

from pipeline.collect.five9.collector import SOURCE, Collector
from pipeline.collect.five9.session import Account, Five9Refused

__all__ = ["SOURCE", "Account", "Collector", "Five9Refused"]
