"""Service Cloud: cases, calls, sessions and surveys; what they say of a contact afterwards."""

from __future__ import annotations

from pipeline.sources.platforms.salesforce.envelope import (
    Change,
    Fields,
    moment_at,
    moment_or_none,
)
from pipeline.sources.platforms.salesforce.options import SalesforceOptions
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import (
    customer_or_none,
    find,
    name_at,
    shown,
    text_or_none,
    whole_or_none,
)

KEPT = {
    "Case": frozenset({"IsClosed", "Status", "ClosedDate", "CreatedDate", "LastModifiedDate"}),
    "VoiceCall": frozenset(
        {
            "CallQueuedDateTime",
            "CallAcceptDateTime",
            "CallEndDateTime",
            "CustomerSentimentScore",
        }
    ),
    "MessagingSession": frozenset({"AcceptTime", "EndTime", "AgentType"}),
    "LiveChatTranscript": frozenset({"Status", "RequestTime", "EndTime", "Abandoned"}),
    "SurveyResponse": frozenset({"CompletionDateTime"}),
}
"""The fields that are remembered of each object."""

_MOST_SENTIMENT = 5.0
_WITHOUT_AGENT = ("Bot", "System")


def case(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """Case: resolved when closed, unresolved when opened and when opened again."""
    closed = _is_closed(row, options)
    # An update of anything but its being closed says nothing.
    if change.type == "DELETE" or ("IsClosed" if "IsClosed" in row else "Status") not in touched:
        return []
    if closed:
        at = moment_at(row, "ClosedDate", "LastModifiedDate")
    elif change.type == "CREATE":
        at = moment_at(row, "CreatedDate", "LastModifiedDate")
    else:
        at = moment_at(row, "LastModifiedDate", "CreatedDate")
    fields = {
        "contact": name_at(row, options.case_contact_field),
        "customer": customer_or_none(row, options.case_customer_field),
        "issue": text_or_none(row, options.case_issue_field),
        "resolved": closed,
    }
    return [context.event("contact.resolved", at, **fields)]


def _is_closed(row: Fields, options: SalesforceOptions) -> bool | None:
    closed = row.get("IsClosed")
    if closed is None:
        status = row.get("Status")
        return None if status is None else status in options.closed_statuses
    if not isinstance(closed, bool):
        raise Unread("IsClosed", f"should be true or false, not {shown(closed)}")
    return closed


def voice_call(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """VoiceCall: the customer's sentiment; that nobody answered, where the site asks for it."""
    contact, ended = name_at(row, "Id"), moment_or_none(row, "CallEndDateTime")
    if ended is None or change.type == "DELETE":
        return []
    events = []
    score = row.get("CustomerSentimentScore")
    if score is not None and not touched.isdisjoint(("CustomerSentimentScore", "CallEndDateTime")):
        if not isinstance(score, int | float) or isinstance(score, bool):
            raise Unread("CustomerSentimentScore", f"should be a number, not {shown(score)}")
        sentiment = float(score) / _MOST_SENTIMENT
        events.append(context.event("contact.sentiment", ended, contact=contact, score=sentiment))
    waited = moment_or_none(row, "CallQueuedDateTime") is not None
    unheard = waited and moment_or_none(row, "CallAcceptDateTime") is None
    if unheard and options.abandons == "work_item" and "CallEndDateTime" in touched:
        events.append(context.event("contact.abandoned", ended, contact=contact))
    return events


def messaging_session(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """MessagingSession: that nobody accepted it, where the site asks for it."""
    contact, ended = name_at(row, "Id"), moment_or_none(row, "EndTime")
    accepted = moment_or_none(row, "AcceptTime")
    if ended is None or accepted is not None or row.get("AgentType") in _WITHOUT_AGENT:
        return []
    if change.type == "DELETE" or options.abandons != "work_item" or "EndTime" not in touched:
        return []
    return [context.event("contact.abandoned", ended, contact=contact)]


def live_chat_transcript(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """LiveChatTranscript: that the chat was missed, where the site asks for it."""
    contact = name_at(row, "Id")
    if row.get("Status") != "Missed" or options.abandons != "work_item":
        return []
    if change.type == "DELETE" or "Status" not in touched:
        return []
    waited = whole_or_none(row, "Abandoned")
    asked = moment_or_none(row, "RequestTime")
    if waited is None or asked is None:
        at = moment_at(row, "EndTime")
    else:
        at = asked + 1000 * waited
    return [context.event("contact.abandoned", at, contact=contact)]


def survey_response(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """SurveyResponse: it has no answers of its own; a flow may put them beside it."""
    places = options.survey_fields
    answers: dict[str, int | bool] = {}
    for name in ("csat", "nps", "ces"):
        answer = whole_or_none(row, places[name]) if name in places else None
        if answer is not None:
            answers[name] = answer
    resolved = find(row, places["resolved"]) if "resolved" in places else None
    if isinstance(resolved, bool):
        answers["resolved"] = resolved
    if not answers or change.type == "DELETE":
        return []
    contact = name_at(row, places.get("contact", "Id"))
    at = moment_at(row, "CompletionDateTime", "LastModifiedDate")
    return [context.event("survey.answered", at, contact=contact, **answers)]
