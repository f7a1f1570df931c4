"""One stream of two kinds of objects: frames with a `context`, rows with a `CALL ID`."""

from __future__ import annotations

from pipeline.sources.platforms.five9.calls import Calls
from pipeline.sources.platforms.five9.frames import EVENTS, Frames
from pipeline.sources.platforms.five9.options import Five9Options
from pipeline.sources.source import Context, Event, Translator, Unread
from pipeline.sources.values import load, peek

CALL_LOG = "Call Log"


class Five9Translator(Translator):
    """Reads every object for itself: states carry their time, rows a whole call."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options = context.options
        assert isinstance(options, Five9Options)
        self._frames = Frames(context, options)
        self._calls = Calls(context, options)

    def translate(self, payload: bytes) -> list[Event]:
        obj = load(payload)
        if "context" in obj:
            return self._frames.read(obj)
        if "CALL ID" in obj:
            return self._calls.read(obj)
        raise Unread("payload", "neither a frame with a context nor a row with a CALL ID")


def kind(payload: bytes) -> str:
    """`Call Log`, or the id of a frame's event and what it is."""
    obj = peek(payload)
    if "CALL ID" in obj:
        return CALL_LOG
    context = obj.get("context")
    number = context.get("eventId") if isinstance(context, dict) else None
    event = str(number)[:20] if isinstance(number, (str, int)) else "none"
    return f"{event} {EVENTS.get(event, 'unknown')}"
