"""Ports for what tests start: each is given once in a run."""

import socket

from pipeline.stack.ports import bind_free

_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on, and that no other test was given."""
    while True:
        with socket.socket() as probe:
            port = bind_free(probe)
        if port not in _given:
            _given.add(port)
            return port
