"""The simulated centre as LivePerson would tell it: conversations, rings, agents' status changes.

Every change of a conversation is told by the whole of it. LivePerson has one assigned agent in a
conversation: a colleague who helps joins as MANAGER. It knows no hold and no wrap-up, and an
agent's status says nothing of work. Rings go to the agent's own socket and do not name the agent.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status

_ACCOUNT = "89476943"
_RING_MS = 72_000
_SUBSCRIPTION = "e7f5ee81-4556-406c-8c72-94c69dd68fad"
_LOGIN, _LOGOUT, _CHANGE = 3, 4, 1
_OFFLINE, _ONLINE, _AWAY = 1, 2, 4


class _Conversation:
    """A conversation as it stands in the account."""

    def __init__(self, conv: str, consumer: str, skill: str, at: int) -> None:
        self.id = conv
        self.consumer = consumer
        self.skill = skill
        self.started = at
        self.assigned = ""
        self.managers: list[str] = []
        self.ended = 0
        self.closed_by = ""
        self.csat: dict[str, Any] | None = None

    def details(self, at: int) -> dict[str, Any]:
        """`conversationDetails` after a change at `at`."""
        state = "CLOSE" if self.ended else "OPEN"
        people = [{"id": self.consumer, "role": "CONSUMER"}]
        people += [{"id": agent, "role": "MANAGER"} for agent in self.managers]
        if self.assigned:
            people.append({"id": self.assigned, "role": "ASSIGNED_AGENT"})
        dialog = {
            "dialogId": self.id,
            "participantsDetails": [{**person, "state": "ACTIVE"} for person in people],
            "dialogType": "MAIN",
            "channelType": "MESSAGING",
            "state": state,
            "creationTs": self.started,
            "metaDataLastUpdateTs": at,
        }
        details: dict[str, Any] = {
            "skillId": self.skill,
            "participants": people,
            "dialogs": [dialog],
            "brandId": _ACCOUNT,
            "state": state,
            "stage": state,
            "startTs": self.started,
            "metaDataLastUpdateTs": at,
            "firstConversation": False,
            "ttr": {"ttrType": "NORMAL", "value": 3600},
        }
        if self.ended:
            dialog |= {"endTs": self.ended, "closedBy": self.closed_by}
            details |= {"endTs": self.ended, "closeReason": self.closed_by}
        if self.csat is not None:
            details["csat"] = self.csat
        return details


class LivePersonWriter:
    """One notification, or one answer of the Agent Activity API, a payload."""

    def __init__(self, site: str) -> None:
        self._conversations: dict[str, _Conversation] = {}
        self._agents: dict[str, int] = {}
        self._teams: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._sequence: dict[str, int] = {}

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """See `Writer`."""
        if happening.kind is Kind.STATUS:
            return self._status(happening)
        contact = happening.contact
        if contact is None:
            return ()
        conversation = self._conversations.get(contact.id)
        if happening.kind is Kind.ENQUEUED and conversation is None:
            consumer = contact.customer or f"unauthenticated-{contact.id}"
            made = _Conversation(contact.id, consumer, happening.queue, happening.at)
            self._conversations[contact.id] = made
            return (_upsert(made, happening.at),)
        if conversation is None:
            return ()
        if happening.kind is Kind.RINGING:
            return (_ring(conversation, happening.at),)
        changed = self._change(conversation, happening)
        return (_upsert(conversation, happening.at),) if changed else ()

    def _change(self, conversation: _Conversation, happening: Happening) -> bool:
        """Bring the conversation up to date; whether LivePerson would say so now."""
        kind, agent = happening.kind, happening.agent.id if happening.agent else ""
        if kind is Kind.ENQUEUED:
            conversation.skill = happening.queue
        elif kind is Kind.CONNECTED:
            if conversation.assigned:
                conversation.managers.append(agent)
            else:
                conversation.assigned, conversation.skill = agent, happening.queue
        elif kind is Kind.HUNG_UP:
            return self._hung_up(conversation, happening, agent)
        elif kind is Kind.GAVE_UP:
            conversation.ended, conversation.closed_by = happening.at, "CONSUMER"
        elif kind is Kind.LEFT and happening.note not in ("overflow", "callback"):
            by = "TIMEOUT" if happening.note == "timeout" else "SYSTEM"
            conversation.ended, conversation.closed_by = happening.at, by
        elif kind is Kind.SURVEYED:
            return self._surveyed(conversation, happening)
        else:
            return False
        return True

    def _hung_up(self, conversation: _Conversation, happening: Happening, agent: str) -> bool:
        if agent in conversation.managers:
            conversation.managers.remove(agent)
            return not conversation.ended
        if happening.note == "transferred":
            # One update with what follows in the same moment: the other skill, or the other agent.
            conversation.assigned = ""
            return False
        conversation.ended, conversation.closed_by = happening.at, "AGENT"
        return True

    def _surveyed(self, conversation: _Conversation, happening: Happening) -> bool:
        facts = happening.facts or {}
        if "csat" not in facts:
            return False
        conversation.csat = {
            "field": "CSATRate",
            "csatRate": facts["csat"],
            "csatResolutionConfirmation": facts.get("resolved", False),
            "status": "FILLED",
        }
        return True

    def _status(self, happening: Happening) -> list[bytes]:
        agent = happening.agent
        assert agent is not None
        subtype = _ONLINE
        if happening.note == Status.AWAY:
            subtype = _AWAY
        elif happening.note == Status.SIGNED_OUT:
            subtype = _OFFLINE
        before = self._told.get(agent.id, _OFFLINE)
        if subtype == before:
            return []
        self._told[agent.id] = subtype
        reason = (happening.facts or {}).get("reason")
        change = (_CHANGE, subtype, reason)
        changes: list[tuple[int, int, str | None]] = [change]
        if before == _OFFLINE:
            changes = [(_LOGIN, 0, None), change]
        elif subtype == _OFFLINE:
            changes = [change, (_LOGOUT, 0, None)]
        team = self._teams.setdefault(agent.team.id, 1 + len(self._teams))
        records = [self._record(agent.id, team, happening.at, *each) for each in changes]
        when = _iso(happening.at)
        return [
            orjson.dumps(
                {"timeframe": {"startTime": when, "endTime": when}, "stateChanges": records}
            )
        ]

    def _record(
        self, agent: str, team: int, at: int, type_: int, subtype: int, reason: str | None
    ) -> dict[str, Any]:
        number = self._agents.setdefault(agent, 1001 + len(self._agents))
        sequence = self._sequence[agent] = self._sequence.get(agent, 0) + 1
        return {
            "agentId": number,
            "employeeId": "",
            "agentLoginName": agent,
            "agentUserName": agent,
            "agentGroupId": team,
            "time": _iso(at),
            "sessionId": number,
            "sequenceNumber": sequence,
            "statusType": type_,
            "statusSubType": subtype,
            "statusReasonId": 7 if reason else -1,
            "statusReasonText": reason,
            "prevStatusChangeTime": None,
        }


def _upsert(conversation: _Conversation, at: int) -> bytes:
    result = {"convId": conversation.id, "effectiveTTR": -1}
    result["conversationDetails"] = conversation.details(at)
    return _notification("cqm.ExConversationChangeNotification", result)


def _ring(conversation: _Conversation, at: int) -> bytes:
    ring = {
        "ringId": f"{conversation.id}_{_ACCOUNT}_{at}",
        "ringExpirationTs": at + _RING_MS,
        "ringState": "WAITING",
        "weight": at,
        "ringExpiration": _RING_MS,
    }
    result = {
        "taskCompleted": False,
        "conversationId": conversation.id,
        "consumerId": conversation.consumer,
        "skillId": conversation.skill,
        "ringsDetails": [ring],
    }
    return _notification("routing.RoutingTaskNotification", result)


def _notification(type_: str, result: dict[str, Any]) -> bytes:
    changes = [{"type": "UPSERT", "result": result}]
    body = {"subscriptionId": _SUBSCRIPTION, "changes": changes}
    return orjson.dumps({"kind": "notification", "body": body, "type": type_})


def _iso(at: int) -> str:
    text = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{at % 1000:03d}Z"


WRITER = LivePersonWriter
