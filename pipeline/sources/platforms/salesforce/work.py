"""Omni-Channel: assignments of work to agents, work that waits, and agents' presence.

A row of AgentWork is one assignment, not one customer: a contact that is declined, or transferred,
has several. The work item is what stays.
"""

from __future__ import annotations

from pipeline.sources.platforms.salesforce.envelope import (
    Change,
    Fields,
    id_at,
    id_or_none,
    moment_at,
    moment_or_none,
)
from pipeline.sources.platforms.salesforce.options import SalesforceOptions
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import name_or_none, shown, whole_or_none

KEPT = {
    "AgentWork": frozenset(
        {
            "WorkItemId", "UserId", "BotId", "OriginalGroupId", "OriginalQueueId",
            "ServiceChannelId", "PendingServiceRoutingId", "RequestDateTime", "AssignedDateTime",
            "CreatedDate", "AcceptDateTime", "DeclineDateTime", "PushTimeoutDateTime",
            "CancelDateTime", "AbandonedDateTime", "CloseDateTime", "AfterConversationActualTime",
            "Status", "LastModifiedDate",
        }
    ),
    "PendingServiceRouting": frozenset(
        {
            "WorkItemId", "GroupId", "QueueId", "ServiceChannelId", "CustomRequestedDateTime",
            "CreatedDate", "IsPushed",
        }
    ),
    "UserServicePresence": frozenset(
        {
            "UserId", "ServicePresenceStatusId", "IsAway", "IsCurrentState", "StatusStartDate",
            "StatusEndDate", "CreatedDate", "LastModifiedDate",
        }
    ),
}  # fmt: skip
"""The fields that are remembered of each object."""

_WAIT = frozenset(
    {
        "WorkItemId", "UserId", "OriginalGroupId", "OriginalQueueId", "GroupId", "QueueId",
        "RequestDateTime", "CustomRequestedDateTime", "AssignedDateTime", "CreatedDate",
    }
)  # fmt: skip
_OUTCOME = frozenset(
    {
        "WorkItemId", "UserId", "Status", "AcceptDateTime", "DeclineDateTime",
        "PushTimeoutDateTime", "CancelDateTime", "AbandonedDateTime", "CloseDateTime",
        "AfterConversationActualTime",
    }
)  # fmt: skip
_PRESENCE_BEGINS = frozenset({"UserId", "ServicePresenceStatusId", "IsAway", "StatusStartDate"})
_PRESENCE_ENDS = frozenset({"IsCurrentState", "StatusEndDate"})
"""What has to be touched for a part of a record's life to be said."""

_STATUSES = frozenset(
    {
        "Assigned", "Opened", "Closed", "Declined", "DeclinedOnPushTimeout", "Canceled",
        "Transferred", "Unavailable",
    }
)  # fmt: skip
_DECLINES = {
    "Declined": ("rejected", ("DeclineDateTime", "LastModifiedDate")),
    "DeclinedOnPushTimeout": (
        "no_answer",
        ("PushTimeoutDateTime", "DeclineDateTime", "LastModifiedDate"),
    ),
    "Unavailable": ("no_answer", ("DeclineDateTime", "CancelDateTime", "LastModifiedDate")),
}
_CANCELED = ("AbandonedDateTime", "CancelDateTime", "LastModifiedDate")
_OVER = {
    "Closed": ("CloseDateTime", "LastModifiedDate"),
    "Transferred": ("CloseDateTime", "LastModifiedDate"),
    "Canceled": ("CloseDateTime", "CancelDateTime", "LastModifiedDate"),
}
"""Where the time of an end stands, in the order of trust."""

_PREFIXES = {"0LQ": "voice", "570": "chat", "0Mw": "message", "0ST": "social", "500": "email"}
"""Channels by what the ids of work items begin with: calls, chats, sessions, posts, cases."""

_ENDED = "(ended)"
# A status ends in the second in which the next one begins, and within one moment the text of
# states decides. This sorts before any name or id of a status, so that the next one stands.


def assignment(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """AgentWork: one agent's part in a contact, as far as it has got, newest first."""
    if change.type == "DELETE" or "WorkItemId" not in row:
        # Deleted rows are tidied up; one whose beginning was not seen says nothing of anybody.
        return []
    contact, status = id_at(row, "WorkItemId"), row.get("Status")
    if not isinstance(status, str) or status not in _STATUSES:
        raise Unread("Status", f"{shown(status)} is none of {', '.join(sorted(_STATUSES))}")
    if id_or_none(row, "BotId") is not None:
        return []
    queue = _queue(row, options, "OriginalGroupId", "OriginalQueueId")
    leg = {"contact": contact, "agent": id_at(row, "UserId")}
    channel = _channel(row, contact, options)
    asked = moment_or_none(row, "RequestDateTime") if queue is not None else None
    events: list[Event] = []
    if asked is not None and not touched.isdisjoint(_WAIT):
        events = _waited(row, asked, context, leg, queue, channel)
    accepted = moment_or_none(row, "AcceptDateTime")
    if touched.isdisjoint(_OUTCOME):
        return events[::-1]
    if accepted is not None:
        talk = context.event("contact.answered", accepted, **leg, queue=queue, channel=channel)
        events += [talk, *_ended(row, status, accepted, context, leg, options)]
    elif asked is not None:
        events += _missed(row, status, context, leg, queue)
    return events[::-1]


def _waited(
    row: Fields,
    asked: int,
    context: Context,
    leg: dict[str, str],
    queue: str | None,
    channel: str,
) -> list[Event]:
    """The wait in a queue and the ring; work that an agent got directly has none."""
    contact = leg["contact"]
    queued = context.event("contact.queued", asked, contact=contact, queue=queue, channel=channel)
    assigned = moment_or_none(row, "AssignedDateTime", "CreatedDate")
    if assigned is None:
        return [queued]
    return [queued, context.event("contact.offered", assigned, **leg)]


def _missed(
    row: Fields, status: str, context: Context, leg: dict[str, str], queue: str | None
) -> list[Event]:
    if status == "Canceled":
        at = moment_at(row, *_CANCELED)
        return [context.event("contact.abandoned", at, contact=leg["contact"], queue=queue)]
    if status not in _DECLINES:
        return []
    reason, places = _DECLINES[status]
    return [context.event("contact.declined", moment_at(row, *places), **leg, reason=reason)]


def _ended(
    row: Fields,
    status: str,
    accepted: int,
    context: Context,
    leg: dict[str, str],
    options: SalesforceOptions,
) -> list[Event]:
    if status not in _OVER:
        return []
    closed = moment_at(row, *_OVER[status])
    acw = 1000 * max(0, whole_or_none(row, "AfterConversationActualTime") or 0)
    released = max(accepted, closed - acw) if options.acw == "inside" else closed
    wrapped = closed if options.acw == "inside" else closed + acw
    reason = "transferred" if status == "Transferred" else "completed"
    return [
        context.event("contact.released", released, **leg, reason=reason),
        context.event("contact.wrapped", wrapped, **leg),
    ]


def routing(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """PendingServiceRouting: work that waits. It is deleted when accepted or no longer needed."""
    if "WorkItemId" not in row:
        return []
    contact = id_at(row, "WorkItemId")
    queue = _queue(row, options, "GroupId", "QueueId") or options.skills_queue
    if queue is None:
        return []
    if change.type == "DELETE":
        if row.get("IsPushed") is not False or options.abandons != "routing":
            return []
        return [context.event("contact.abandoned", change.at, contact=contact, queue=queue)]
    if touched.isdisjoint(_WAIT):
        return []
    asked = moment_at(row, "CustomRequestedDateTime", "CreatedDate")
    channel = _channel(row, contact, options)
    return [context.event("contact.queued", asked, contact=contact, queue=queue, channel=channel)]


def presence(
    change: Change, row: Fields, touched: set[str], context: Context, options: SalesforceOptions
) -> list[Event]:
    """UserServicePresence: an agent in one status, from its start to its end."""
    if change.type == "DELETE" or "UserId" not in row:
        return []
    agent, status = id_at(row, "UserId"), id_at(row, "ServicePresenceStatusId")
    named = name_or_none(row, "ServicePresenceStatus.DeveloperName")
    begun = moment_at(row, "StatusStartDate", "CreatedDate")
    events = []
    if row.get("IsCurrentState") is False and not touched.isdisjoint(_PRESENCE_ENDS):
        ended = moment_at(row, "StatusEndDate", "LastModifiedDate")
        gone = {"agent": agent, "state": "offline", "reason": _ENDED}
        events.append(context.event("agent.state", ended, **gone))
    if not touched.isdisjoint(_PRESENCE_BEGINS):
        state = options.presence.get(status) or options.presence.get(named or "")
        said = {"agent": agent, "state": state or _by_away(row), "reason": named or status}
        events.append(context.event("agent.state", begun, **said))
    return events


def _by_away(row: Fields) -> str:
    away = row.get("IsAway")
    if not isinstance(away, bool):
        reason = f"should be true or false, not {shown(away)}, where option presence has no state"
        raise Unread("IsAway", reason)
    return "not_ready" if away else "available"


def _queue(row: Fields, options: SalesforceOptions, *names: str) -> str | None:
    for name in names:
        queue = id_or_none(row, name)
        if queue is not None:
            return queue
    return options.skills_queue if row.get("PendingServiceRoutingId") is not None else None


def _channel(row: Fields, contact: str, options: SalesforceOptions) -> str:
    service_channel = id_or_none(row, "ServiceChannelId")
    return options.channels.get(service_channel or "") or _PREFIXES.get(contact[:3], "task")
