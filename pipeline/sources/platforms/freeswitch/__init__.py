"""FreeSWITCH, by the events of mod_callcenter."""

from __future__ import annotations

from pipeline.sources.platforms.freeswitch.options import FreeSwitchOptions
from pipeline.sources.platforms.freeswitch.translator import FreeSwitchTranslator
from pipeline.sources.source import Source
from pipeline.sources.values import peek


def kind(payload: bytes) -> str:
    """The action of mod_callcenter, or the name of another event."""
    headers = peek(payload)
    names = (headers.get(name) for name in ("CC-Action", "Callboard-Action", "Event-Name"))
    return next((name for name in names if isinstance(name, str) and name), "?")


SOURCE = Source(
    name="freeswitch",
    title="FreeSWITCH mod_callcenter",
    translator=FreeSwitchTranslator,
    kind=kind,
    options=FreeSwitchOptions,
    stateful=True,
)
