"""Asterisk, by the events of its Manager Interface (AMI)."""

from __future__ import annotations

import orjson

from pipeline.sources.platforms.asterisk_ami.options import AmiOptions
from pipeline.sources.platforms.asterisk_ami.translator import AmiTranslator
from pipeline.sources.source import Source


def kind(payload: bytes) -> str:
    """The name of the event."""
    try:
        name = orjson.loads(payload).get("Event")
    except (orjson.JSONDecodeError, AttributeError):
        return "?"
    return name if isinstance(name, str) and name else "?"


SOURCE = Source(
    name="asterisk-ami",
    title="Asterisk Manager Interface",
    translator=AmiTranslator,
    kind=kind,
    options=AmiOptions,
    stateful=True,
)
