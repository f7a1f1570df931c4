"""Changes and rows of Salesforce objects as canonical events."""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.salesforce import service, work
from pipeline.sources.platforms.salesforce.envelope import ROW, Fields, change_of
from pipeline.sources.platforms.salesforce.options import SalesforceOptions
from pipeline.sources.platforms.salesforce.records import Records
from pipeline.sources.source import Context, Event, Translator, Unread
from pipeline.sources.values import load, shown

_MAKERS = {
    "AgentWork": work.assignment,
    "PendingServiceRouting": work.routing,
    "UserServicePresence": work.presence,
    "Case": service.case,
    "VoiceCall": service.voice_call,
    "MessagingSession": service.messaging_session,
    "LiveChatTranscript": service.live_chat_transcript,
    "SurveyResponse": service.survey_response,
}


class Salesforce(Translator):
    """Remembers records: change events tell them bit by bit, and rows are polled again and again.

    What is known is not said again, since an agent's state of an hour ago would be late.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options: SalesforceOptions = context.options
        self._options = options
        kept = work.KEPT | service.KEPT
        ours = (options.case_contact_field, options.case_customer_field, options.case_issue_field)
        kept["Case"] = kept["Case"] | frozenset(ours)
        self._records = Records(kept)

    def translate(self, payload: bytes) -> list[Event]:
        """What a change or a row says of a record, newest first."""
        change = change_of(load(payload))
        make = _MAKERS.get(change.entity)
        if make is None:
            raise Unread("attributes.type", f"{shown(change.entity)} is none of those read")
        merged = [(one, *self._records.merged(change, one)) for one in change.ids]
        events: list[Event] = []
        for record_id, _, fields, touched in merged:
            row: Fields = change.fields if change.type == ROW else {**fields, "Id": record_id}
            events += make(change, row, touched, self.context, self._options)
        for record_id, order, fields, _ in merged:
            self._records.keep(change, record_id, order, fields)
        return events

    def memory(self) -> dict[str, dict[str, Any]]:
        """The records, those at work and those that are over, by object and id."""
        return self._records.memory()

    def recall(self, memory: Any) -> None:
        """Go on with the records of an earlier translator."""
        self._records.recall(memory)
