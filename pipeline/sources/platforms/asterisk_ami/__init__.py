"""Asterisk, by the events of its Manager Interface (AMI)."""

from __future__ import annotations

from pipeline.sources.platforms.asterisk_ami.options import AmiOptions
from pipeline.sources.platforms.asterisk_ami.translator import AmiTranslator
from pipeline.sources.source import Source
from pipeline.sources.values import peek


def kind(payload: bytes) -> str:
    """The name of the event."""
    name = peek(payload).get("Event")
    return name if isinstance(name, str) and name else "?"


SOURCE = Source(
    name="asterisk-ami",
    title="Asterisk Manager Interface",
    translator=AmiTranslator,
    kind=kind,
    options=AmiOptions,
    stateful=True,
)
