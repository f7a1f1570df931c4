"""Payloads of Amazon Connect for tests, with what a test does not care about filled in."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.sources import SOURCES
from pipeline.sources.source import Event, Translator

SAMPLE = {
    "AgentARN": "arn:aws:connect:eu-central-1:1:instance/i/agent/a1",
    "EventType": "STATE_CHANGE",
    "EventTimestamp": "2026-03-02T09:05:00.000Z",
}


def begin(**options: Any) -> Translator:
    return SOURCES["amazon-connect"].begin("here", options)


def contact_event(kind: str, **detail: Any) -> bytes:
    base = {
        "eventType": kind,
        "contactId": "c-1",
        "channel": "VOICE",
        "initiationMethod": "INBOUND",
        "initiationTimestamp": "2026-03-02T09:00:00.000Z",
    }
    return orjson.dumps({"detail": base | detail})


def snapshots(before: list[Any], now: list[Any], **told: Any) -> bytes:
    status = {"Name": "Available", "StartTimestamp": "2026-03-02T08:00:00Z", "Type": "ROUTABLE"}
    previous = {"AgentStatus": status, "Contacts": before}
    current = {"AgentStatus": status, "Contacts": now}
    pair = {"PreviousAgentSnapshot": previous, "CurrentAgentSnapshot": current}
    return orjson.dumps(SAMPLE | pair | told)


def talk(state: str, second: int = 0, **told: Any) -> dict[str, Any]:
    moment = f"2026-03-02T09:01:{second:02d}.000Z"
    base = {
        "ContactId": "c-1",
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "ConnectedToAgentTimestamp": "2026-03-02T09:01:00.000Z",
        "Queue": {"ARN": "arn:aws:connect:eu-central-1:1:instance/i/queue/q1"},
    }
    return base | {"State": state, "StateStartTimestamp": moment} | told


def brief(events: list[Event]) -> list[tuple[str, int]]:
    """Types without their `contact.`, with the seconds after nine o'clock."""
    return [(event["type"].split(".")[1], (event["ts"] // 1000) % 3600) for event in events]
