"""One store to a data directory: a lock file that the kernel lets go of when its holders are gone.

The engine process inherits the lock, so that a new store waits for the last engine to be gone too.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path

POLL_S = 0.05


class StoreLocked(RuntimeError):
    """Another process uses the data directory; the message names both."""


async def take_lock(path: Path, wait_s: float) -> int:
    """Lock the file, waiting up to `wait_s` for a holder that is about to end.

    Returns the descriptor that holds the lock; raises `StoreLocked`.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = asyncio.get_running_loop().time() + wait_s
    while not _try_lock(descriptor):
        if asyncio.get_running_loop().time() > deadline:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            raise StoreLocked(
                f"{path.parent} is in use by process {holder}: stop it, or choose another directory"
            )
        await asyncio.sleep(POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
