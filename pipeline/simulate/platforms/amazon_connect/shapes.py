"""The payloads of Amazon Connect as the administrator guide lays them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.simulate.people import Agent

ACCOUNT = "111122223333"
INSTANCE = f"arn:aws:connect:eu-central-1:{ACCOUNT}:instance/callcentre"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Json = dict[str, Any]


def ms(at: int) -> str:
    """The moment as contact events and agent events write it."""
    text = (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return f"{text[:-6]}Z"


def seconds(at: int) -> str:
    """The moment as contact records write it."""
    return f"{ms(at)[:19]}Z"


@dataclass(slots=True)
class Segment:
    """One contact of a chain; moments are 0 until they come."""

    id: str
    chain: str
    previous: str
    method: str
    channel: str
    customer: str
    initiated: int
    queue: str = ""
    queued: int = 0
    dequeued: int = 0
    agent: str = ""
    connected: int = 0
    held_since: int = 0
    held: int = 0
    disconnected: int = 0
    reason: str | None = None
    next: str = ""
    wrapped: int = 0
    recordings: list[Json] = field(default_factory=list)


def snapshot(agent: Agent, status: Json, contacts: list[Json]) -> Json:
    """What an agent event says of the agent."""
    team = agent.team
    queues = [
        {"ARN": f"{INSTANCE}/queue/{queue}", "Channels": ["VOICE", "CHAT"], "Name": queue}
        for queue in team.queues
    ]
    return {
        "AgentStatus": status,
        "NextAgentStatus": None,
        "Configuration": {
            "AgentHierarchyGroups": None,
            "FirstName": "Agent",
            "LastName": agent.id,
            "RoutingProfile": {
                "ARN": f"{INSTANCE}/routing-profile/{team.id}",
                "Concurrency": [
                    {"AvailableSlots": 1, "Channel": "VOICE", "MaximumSlots": 1},
                    {
                        "AvailableSlots": team.concurrency,
                        "Channel": "CHAT",
                        "MaximumSlots": team.concurrency,
                    },
                ],
                "DefaultOutboundQueue": queues[0] if queues else None,
                "InboundQueues": queues,
                "Name": team.id,
            },
            "Username": agent.id,
        },
        "Contacts": contacts,
    }


def contact_event(kind: str, segment: Segment, at: int, event_id: str) -> Json:
    """What EventBridge brings."""
    detail: Json = {
        "eventType": kind,
        "contactId": segment.id,
        "channel": segment.channel,
        "instanceArn": INSTANCE,
        "initiationMethod": segment.method,
        "initiationTimestamp": ms(segment.initiated),
    }
    if segment.id != segment.chain:
        detail |= {"initialContactId": segment.chain, "previousContactId": segment.previous}
    if segment.customer:
        endpoint = {"type": "TELEPHONE_NUMBER", "address": segment.customer}
        detail["customerEndpoint"] = endpoint
    if segment.queued:
        detail["queueInfo"] = {
            "queueArn": f"{INSTANCE}/queue/{segment.queue}",
            "queueType": "STANDARD",
            "enqueueTimestamp": ms(segment.queued),
        }
    elif segment.queue:
        detail["queueInfo"] = {"queueArn": f"{INSTANCE}/queue/{segment.queue}"}
    if segment.connected:
        detail["agentInfo"] = _agent_info(segment)
    if segment.disconnected:
        detail["disconnectTimestamp"] = ms(segment.disconnected)
        if segment.reason:
            detail["disconnectReason"] = segment.reason
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "Amazon Connect Contact Event",
        "source": "aws.connect",
        "account": ACCOUNT,
        "time": seconds(at),
        "region": "eu-central-1",
        "resources": [INSTANCE, f"{INSTANCE}/contact/{segment.id}"],
        "detail": detail,
    }


def _agent_info(segment: Segment) -> Json:
    info: Json = {
        "agentArn": f"{INSTANCE}/agent/{segment.agent}",
        "connectedToAgentTimestamp": ms(segment.connected),
    }
    if segment.disconnected:
        info["agentInitiatedHoldDuration"] = segment.held // 1000
    if segment.wrapped > segment.disconnected:
        info |= {
            "afterContactWorkStartTimestamp": ms(segment.disconnected),
            "afterContactWorkEndTimestamp": ms(segment.wrapped),
            "afterContactWorkDuration": (segment.wrapped - segment.disconnected) // 1000,
        }
    return info


def record(segment: Segment, at: int) -> Json:
    """The contact record, updated at `at`."""
    chained = segment.id != segment.chain
    told: Json = {
        "AWSAccountId": ACCOUNT,
        "AWSContactTraceRecordFormatVersion": "2017-03-10",
        "Agent": None,
        "AgentConnectionAttempts": 1 if segment.connected else 0,
        "Attributes": {},
        "Channel": segment.channel,
        "ContactId": segment.id,
        "CustomerEndpoint": None,
        "DisconnectReason": segment.reason,
        "DisconnectTimestamp": seconds(segment.disconnected),
        "InitialContactId": segment.chain if chained else None,
        "InitiationMethod": segment.method,
        "InitiationTimestamp": seconds(segment.initiated),
        "InstanceARN": INSTANCE,
        "LastUpdateTimestamp": seconds(at),
        "NextContactId": segment.next or None,
        "PreviousContactId": segment.previous or None,
        "Queue": None,
        "Recordings": segment.recordings or None,
    }
    if segment.customer:
        endpoint = {"Address": segment.customer, "Type": "TELEPHONE_NUMBER"}
        told["CustomerEndpoint"] = endpoint
    if segment.queue:
        told["Queue"] = _record_queue(segment)
    if segment.connected:
        told["Agent"] = _record_agent(segment)
    return told


def _record_queue(segment: Segment) -> Json:
    queue: Json = {"ARN": f"{INSTANCE}/queue/{segment.queue}", "Name": segment.queue}
    if segment.queued:
        queue |= {
            "EnqueueTimestamp": seconds(segment.queued),
            "DequeueTimestamp": seconds(segment.dequeued),
            "Duration": segment.dequeued // 1000 - segment.queued // 1000,
        }
    return queue


def _record_agent(segment: Segment) -> Json:
    start, end = segment.disconnected, segment.wrapped
    talk = segment.disconnected - segment.connected - segment.held
    return {
        "ARN": f"{INSTANCE}/agent/{segment.agent}",
        "AfterContactWorkDuration": end // 1000 - start // 1000,
        "AfterContactWorkEndTimestamp": seconds(end),
        "AfterContactWorkStartTimestamp": seconds(start),
        "AgentInteractionDuration": talk // 1000,
        "ConnectedToAgentTimestamp": seconds(segment.connected),
        "CustomerHoldDuration": segment.held // 1000,
        "Username": segment.agent,
    }
