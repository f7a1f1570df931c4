"""Free ports that stay free until somebody listens on them.

A port the system chooses lies in the range from which it also takes the near ends of outgoing
connections. While nobody listens there yet, or no longer, some client may be given it, even one
that asks again and again whether somebody listens: it then finds itself, and the port is taken.
The ports chosen here are below that range.
"""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


def bind_free(probe: socket.socket) -> int:
    """Bind a socket to a free port of this machine; returns the port."""
    # Two that both may be reused are given the same port as long as neither listens.
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    first, last = _bounds()
    for _ in range(_TRIES if first < last else 0):
        port = random.randrange(first, last)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
        else:
            return port
    probe.bind(("127.0.0.1", 0))
    chosen: int = probe.getsockname()[1]
    return chosen


def _bounds() -> tuple[int, int]:
    try:
        lowest = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _FIRST, _LAST
    return min(_FIRST, max(1024, lowest - 10_000)), min(_LAST, lowest)
