"""Asterisk queue_log: one line an event, written by app_queue and whoever calls QueueLog().

The truth is `apps/app_queue.c` and `main/logger.c` of asterisk/asterisk; what each event becomes
is in `docs/sources/asterisk-queue-log.md`.
"""

from __future__ import annotations

from pipeline.sources.platforms.asterisk_queue_log.fields import kind_of
from pipeline.sources.platforms.asterisk_queue_log.options import QueueLogOptions
from pipeline.sources.platforms.asterisk_queue_log.translator import QueueLog
from pipeline.sources.source import Source

SOURCE = Source(
    name="asterisk-queue-log",
    title="Asterisk queue_log",
    translator=QueueLog,
    kind=kind_of,
    options=QueueLogOptions,
    stateful=True,
)
