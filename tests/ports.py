"""Ports for what tests start: each is given once, also where several processes run tests.

They are outside the ranges from which the product and the system choose ports: a port that a test
was given stays free until what the test starts listens there.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_FIRST, _LAST = 10_000, 20_000
_TRIES = 1000
_FILE = Path(tempfile.gettempdir()) / f"callboard-test-ports-{os.getuid()}"

# The lock of a byte is that of a port; the system takes it from a process that ends.
_locks = os.open(_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
_given: set[int] = set()


def free_port() -> int:
    """A port nobody listens on, and that no other test was given."""
    for _ in range(_TRIES):
        port = random.randrange(_FIRST, _LAST)
        if port not in _given and _locked(port) and _free(port):
            _given.add(port)
            return port
    raise OSError(f"no free port from {_FIRST} to {_LAST}")


def _locked(port: int) -> bool:
    try:
        fcntl.lockf(_locks, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
