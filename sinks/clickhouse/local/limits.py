"""Limits of the local ClickHouse: what one query may take, and how much may wait."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the store. Times are seconds, sizes bytes.

    `analyst_s` is also the longest an insert waits behind an analyst; raise it if honest reports
    time out, and expect inserts to lag by as much. `analyst_queue` queries wait, the next is told
    to come back. `body_bytes` bounds an insert after decompression: a batch below it is one block,
    so it lands whole or not at all. `server_memory_bytes` bounds the engine as a whole; below
    about 400 MiB merges begin to fail. `kill_grace_s` after its limit a query that hears nothing is
    killed with the engine; a shorter one kills honest queries on a busy machine.
    """

    analyst_s: float = 10.0
    analyst_queue: int = 8
    analyst_memory_bytes: int = 256 * MIB
    analyst_result_rows: int = 1_000_000
    analyst_result_bytes: int = 64 * MIB
    analyst_query_bytes: int = 256 * 1024
    analyst_disk_bytes: int = 1024 * MIB
    writer_s: float = 300.0
    writer_queue: int = 64
    writer_result_bytes: int = 256 * MIB
    body_bytes: int = 256 * MIB
    server_memory_bytes: int = 768 * MIB
    kill_grace_s: float = 1.5
    stop_s: float = 4.0
