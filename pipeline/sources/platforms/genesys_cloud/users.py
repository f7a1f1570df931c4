"""Users: what activity, routing status and presence say of an agent."""

from __future__ import annotations

from pipeline.sources.platforms.genesys_cloud.topics import Message
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import iso_at, iso_or_none, name_at, shown, text_or_none, word_at

_OFFLINE = "OFFLINE"
_ON_QUEUE = "ON_QUEUE"
_ROUTING = {
    "IDLE": "available",
    "INTERACTING": "busy",
    "COMMUNICATING": "busy",
    "NOT_RESPONDING": "not_ready",
    "OFF_QUEUE": "not_ready",
}
_PRESENCE = "presence.presenceDefinition.systemPresence"


def activity(context: Context, message: Message) -> list[Event]:
    """The state of an agent since the latest change that the message knows of.

    Routing says what an agent does, presence whether there is one. A message that comes because
    of the active queues says an old state again; stamped with its own change it is not late.
    """
    body = message.body
    agent = name_at(body, "id")
    status = word_at(body, "routingStatus.status")
    presence = text_or_none(body, _PRESENCE) or ""
    since = [
        iso_at(body, "routingStatus.startTime"),
        iso_or_none(body, "presence.modifiedDate"),
        iso_or_none(body, "outOfOffice.modifiedDate"),
        iso_or_none(body, "dateActiveQueuesChanged"),
    ]
    ts = max(moment for moment in since if moment is not None)
    if _upper(presence) == _OFFLINE:
        return [context.event("agent.state", ts, agent=agent, state="offline")]
    return [_routed(context, agent, ts, status, presence)]


def routing_status(context: Context, message: Message) -> list[Event]:
    """The state of an agent by routing alone; who is off queue is not ready."""
    body = message.body
    agent = name_at(body, "id")
    status = word_at(body, "routingStatus.status")
    ts = iso_at(body, "routingStatus.startTime")
    return [_routed(context, agent, ts, status, "")]


def presence(context: Context, message: Message) -> list[Event]:
    """The state of an agent by presence alone; of who is on queue the routing status tells.

    The body names no user, the full topic does.
    """
    body = message.body
    shown_as = word_at(body, "presenceDefinition.systemPresence")
    ts = iso_at(body, "modifiedDate")
    if _upper(shown_as) == _ON_QUEUE:
        return []
    if message.user is None:
        raise Unread("id", "neither the body nor the topic names the user")
    state = "offline" if _upper(shown_as) == _OFFLINE else "not_ready"
    reason = None if state == "offline" else shown_as
    return [context.event("agent.state", ts, agent=message.user, state=state, reason=reason)]


def _routed(context: Context, agent: str, ts: int, status: str, presence: str) -> Event:
    state = _ROUTING.get(_upper(status))
    if state is None:
        raise Unread("routingStatus.status", f"unknown status {shown(status)}")
    reason = None
    if state == "not_ready":
        reason = presence or status if _upper(status) == "OFF_QUEUE" else status
    return context.event("agent.state", ts, agent=agent, state=state, reason=reason)


def _upper(word: str) -> str:
    # The schemas write ON_QUEUE, the REST presence definitions "On Queue".
    return word.upper().replace(" ", "_")
