"""Amazon Connect: contact events, agent events and contact records, told apart by content.

Several streams tell of one contact. Each fact is taken from one of them only, as the options say,
so that a contact counts the same whichever of them are connected.
"""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.amazon_connect.agent_events import AgentEvents
from pipeline.sources.platforms.amazon_connect.contact_events import ContactEvents
from pipeline.sources.platforms.amazon_connect.fields import Part
from pipeline.sources.platforms.amazon_connect.options import Options
from pipeline.sources.platforms.amazon_connect.records import Records
from pipeline.sources.recent import Recent
from pipeline.sources.source import Context, Event, Source, Translator, Unread
from pipeline.sources.values import load, peek, shown

_DETAIL_TYPE = "Amazon Connect Contact Event"


class AmazonConnect(Translator):
    """Reads all three kinds of payload.

    What is remembered are contacts that went on as another one, since nothing that the platform
    says of such a contact itself tells that; and the ends of waits, since both come in any order.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._moved = Recent()
        self._ended = Recent()
        self._contact_events = ContactEvents(context, self._moved, self._ended)
        self._agent_events = AgentEvents(context, self._moved)
        self._records = Records(context)

    def translate(self, payload: bytes) -> list[Event]:
        """The events of a payload."""
        try:
            return self._read(load(payload))
        except RecursionError:  # JSON may be nested as deep as Python may compare
            raise Unread("payload", "is nested too deeply") from None

    def _read(self, told: dict[str, Any]) -> list[Event]:
        whole = Part(told)
        if "detail" in told:
            kind = whole.text("detail-type")
            if kind is not None and kind != _DETAIL_TYPE:
                raise Unread("detail-type", f"unknown type {shown(kind)}")
            return self._contact_events.read(whole.part("detail"), whole)
        if "AgentARN" in told:
            return self._agent_events.read(whole)
        if whole.get("eventType") is not None:
            return self._contact_events.read(whole, whole)
        if whole.get("contactId") is not None:
            return self._records.read(whole)
        raise Unread("payload", "is neither a contact event, an agent event nor a contact record")

    def memory(self) -> Any:
        """The contacts that went on as another one, and those whose wait has ended."""
        moved, ended = self._moved.memory(), self._ended.memory()
        return None if not (moved or ended) else [moved, ended]

    def recall(self, memory: Any) -> None:
        """Take up what an earlier translator remembered."""
        moved, ended = memory or (None, None)
        self._moved.recall(moved)
        self._ended.recall(ended)


def _kind(payload: bytes) -> str:
    told = peek(payload)
    detail = told.get("detail")
    if not isinstance(detail, dict):
        detail = told
    for name in ("eventType", "EventType"):
        if isinstance(detail.get(name), str):
            return str(detail[name])[:60]
    return "contact record" if "ContactId" in told else "unknown"


SOURCE = Source(
    name="amazon-connect",
    title="Amazon Connect",
    translator=AmazonConnect,
    kind=_kind,
    options=Options,
    stateful=True,
)
