"""Five9: frames of the supervisor WebSocket, and rows of the Call Log report.

The WebSocket tells the states of agents and counts of waiting calls, nothing of single calls; those
come as rows of the report. Both are JSON objects and may come in one stream.
"""

from __future__ import annotations

from pipeline.sources.platforms.five9.options import Five9Options
from pipeline.sources.platforms.five9.translator import Five9Translator, kind
from pipeline.sources.source import Source

SOURCE = Source(
    name="five9",
    title="Five9 (supervisor WebSocket, Call Log)",
    translator=Five9Translator,
    kind=kind,
    options=Five9Options,
)
