"""The simulated centre as an organisation of Genesys Cloud, told through Amazon EventBridge.

Written from the schemas of the detail event topics and of `v2.users.{id}.activity`: starts and ends
of sessions with their durations, hold only as a sum, no word of why a contact flows out, no names
of teams. After-call work is off for e-mail.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Contact

Body = dict[str, Any]

_MEDIA = {"voice": "VOICE", "chat": "CHAT", "email": "EMAIL", "callback": "CALLBACK"}
_PROVIDERS = {"VOICE": "Edge", "CALLBACK": "PureCloud Callback", "EMAIL": "PureCloud Email"}
_ACCOUNT = "123456789012"
_SOURCE = "aws.partner/genesys.com/cloud/5a0e1f60-7f4e-4c5b-9b1e-1f2d3c4b5a69/callboard"


class _Session:
    """An open session: of the ACD where nobody is its user, of an agent otherwise."""

    def __init__(self, name: str, queue: str, media: str, start: int, outbound: bool) -> None:
        self.name = name
        self.outbound = outbound
        self.queue = queue
        self.media = media
        self.start = start
        self.talk_since = 0
        self.held_since = 0
        self.held = 0
        self.alerting = 0
        self.end = 0


class GenesysCloudWriter:
    """Says what happened at one site as EventBridge events."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._serial = 0
        self._waiting: dict[str, _Session] = {}
        self._users: dict[tuple[str, str], _Session] = {}
        self._wrapping: dict[tuple[str, str], _Session] = {}
        self._activity: dict[str, Body] = {}
        self._write: dict[Kind, Callable[[Happening], list[bytes]]] = {
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._not_answered,
            Kind.REFUSED: self._not_answered,
            Kind.CONNECTED: self._connected,
            Kind.HELD: self._held,
            Kind.RETRIEVED: self._retrieved,
            Kind.HUNG_UP: self._hung_up,
            Kind.WRAPPED_UP: self._wrapped_up,
            Kind.GAVE_UP: self._wait_over,
            Kind.LEFT: self._wait_over,
        }

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The events for a happening; none for what other systems would tell."""
        write = self._write.get(happening.kind)
        return () if write is None else write(happening)

    # Waiting

    def _enqueued(self, happening: Happening) -> list[bytes]:
        contact = _contact(happening)
        media = _MEDIA.get(happening.note, "MESSAGE")
        session = self._session(contact, happening.queue, media, happening.at)
        self._waiting[contact.id] = session
        body = self._body(happening, session) | {
            "queueId": session.queue,
            "divisionId": "division-home",
            "routingPriority": contact.priority,
            "requestedRoutingSkillIds": [],
        }
        return [self._event("acd.start", happening.at, body)]

    def _acd_end(self, happening: Happening, outcome: str, how: str, user: str = "") -> bytes:
        session = self._waiting.pop(_contact(happening).id)
        body = self._body(happening, session) | {
            "queueId": session.queue,
            "divisionId": "division-home",
            "disconnectType": how,
            "acdOutcome": outcome,
            "usedRouting": "STANDARD",
            "requestedRoutings": ["STANDARD"],
            "routingPriority": _contact(happening).priority,
            "connectedDurationMs": happening.at - session.start,
        }
        if user:
            body["answeredUserId"] = user
        return self._event("acd.end", happening.at, body)

    def _wait_over(self, happening: Happening) -> list[bytes]:
        gave_up = happening.kind is Kind.GAVE_UP
        contact = _contact(happening)
        out = []
        for (name, user), session in list(self._users.items()):
            # An agent who still talks to the customer keeps the session; one who rings loses it.
            if name == contact.id and not session.talk_since:
                out.append(self._user_end(happening, user, "PEER" if gave_up else "TRANSFER"))
        outcome, how = ("ABANDON", "PEER") if gave_up else ("FLOW_OUT", "TRANSFER")
        return [self._acd_end(happening, outcome, how), *out]

    # Agents' sessions

    def _ringing(self, happening: Happening) -> list[bytes]:
        contact, user = _contact(happening), _agent(happening)
        waiting = self._waiting[contact.id]
        return [self._user_start(happening, user, waiting.queue, waiting.media)]

    def _user_start(self, happening: Happening, user: str, queue: str, media: str) -> bytes:
        contact = _contact(happening)
        session = self._session(contact, queue, media, happening.at)
        self._users[contact.id, user] = session
        body = self._body(happening, session) | {
            "userId": user,
            "queueId": queue,
            "divisionId": "division-home",
        }
        return self._event("user.start", happening.at, body)

    def _not_answered(self, happening: Happening) -> list[bytes]:
        how = "CLIENT" if happening.kind is Kind.REFUSED else "NO_ANSWER_TRANSFER"
        return [self._user_end(happening, _agent(happening), how)]

    def _connected(self, happening: Happening) -> list[bytes]:
        contact, user = _contact(happening), _agent(happening)
        out = []
        if happening.facts:
            media = _MEDIA.get(happening.note, "MESSAGE")
            out.append(self._user_start(happening, user, happening.queue, media))
        else:
            out.append(self._acd_end(happening, "ANSWERED", "TRANSFER", user))
        session = self._users[contact.id, user]
        session.talk_since = happening.at
        session.alerting = happening.at - session.start
        return out

    def _held(self, happening: Happening) -> list[bytes]:
        self._users[_contact(happening).id, _agent(happening)].held_since = happening.at
        return []

    def _retrieved(self, happening: Happening) -> list[bytes]:
        session = self._users[_contact(happening).id, _agent(happening)]
        session.held += happening.at - session.held_since
        session.held_since = 0
        return []

    def _hung_up(self, happening: Happening) -> list[bytes]:
        how = "TRANSFER" if happening.note == "transferred" else "PEER"
        key = (_contact(happening).id, _agent(happening))
        session = self._wrapping[key] = self._users[key]
        session.end = happening.at
        return [self._user_end(happening, key[1], how)]

    def _user_end(self, happening: Happening, user: str, how: str) -> bytes:
        session = self._users.pop((_contact(happening).id, user))
        at = happening.at
        body = self._body(happening, session) | {
            "userId": user,
            "queueId": session.queue,
            "divisionId": "division-home",
            "disconnectType": how,
        }
        if session.talk_since:
            if session.held_since:
                session.held += at - session.held_since
            body["interactingDurationMs"] = at - session.talk_since - session.held
            if session.held:
                body["heldDurationMs"] = session.held
            body["alertingDurationMs"] = session.alerting
        else:
            body["alertingDurationMs"] = at - session.start
        return self._event("user.end", at, body)

    def _wrapped_up(self, happening: Happening) -> list[bytes]:
        user = _agent(happening)
        session = self._wrapping.pop((_contact(happening).id, user))
        if session.media == "EMAIL":
            return []
        body = self._body(happening, session) | {
            "userId": user,
            "queueId": session.queue,
            "wrapupCode": happening.note,
            "wrapupNotes": "",
            "wrapupDurationMs": happening.at - session.end,
        }
        return [self._event("acw", happening.at, body)]

    # Agents

    def _status(self, happening: Happening) -> list[bytes]:
        user, at = _agent(happening), happening.at
        known = self._activity.setdefault(
            user,
            {
                "id": user,
                "routingStatus": {"status": "OFF_QUEUE", "startTime": _iso(at)},
                "presence": {
                    "presenceDefinition": {"id": "presence-offline", "systemPresence": "OFFLINE"},
                    "presenceMessage": "",
                    "modifiedDate": _iso(at),
                },
                "outOfOffice": {"active": False, "modifiedDate": _iso(at)},
                "activeQueueIds": [],
                "dateActiveQueuesChanged": _iso(at),
            },
        )
        routing, shown = _shown(happening)
        if known["routingStatus"]["status"] != routing:
            known["routingStatus"] = {"status": routing, "startTime": _iso(at)}
        presence = known["presence"]
        if presence["presenceDefinition"]["systemPresence"] != shown:
            definition = {"id": f"presence-{shown.lower()}", "systemPresence": shown}
            known["presence"] = presence | {
                "presenceDefinition": definition,
                "modifiedDate": _iso(at),
            }
        return [self._envelope("v2.users.{id}.activity", f"v2.users.{user}.activity", at, known)]

    # Envelopes

    def _session(self, contact: Contact, queue: str, media: str, start: int) -> _Session:
        self._serial += 1
        return _Session(f"{contact.id}-s{self._serial}", queue, media, start, contact.outbound)

    def _body(self, happening: Happening, session: _Session) -> Body:
        contact = _contact(happening)
        number = f"tel:{contact.customer or 'anonymous'}"
        return {
            "eventTime": happening.at,
            "conversationId": contact.id,
            "participantId": f"{session.name}-p",
            "sessionId": session.name,
            "mediaType": session.media,
            "provider": _PROVIDERS.get(session.media, "PureCloud Messaging"),
            "direction": "OUTBOUND" if session.outbound else "INBOUND",
            "ani": "tel:+15550100" if session.outbound else number,
            "dnis": number if session.outbound else "tel:+15550100",
            "conversationExternalContactIds": [],
            "conversationExternalOrganizationIds": [],
        }

    def _event(self, name: str, at: int, body: Body) -> bytes:
        start = "v2.detail.events.conversation."
        topic = f"{start}{body['conversationId']}.{name}"
        return self._envelope(f"{start}{{id}}.{name}", topic, at, body)

    def _envelope(self, detail_type: str, topic: str, at: int, body: Body) -> bytes:
        self._serial += 1
        return orjson.dumps(
            {
                "version": "0",
                "id": f"{self._site}-{self._serial}",
                "detail-type": detail_type,
                "source": _SOURCE,
                "account": _ACCOUNT,
                "time": _iso(at - at % 1000).replace(".000Z", "Z"),
                "region": "eu-central-1",
                "resources": [],
                "detail": {
                    "topicName": topic,
                    "version": "2",
                    "eventBody": body,
                    "metadata": {"CorrelationId": f"{self._site}-c{self._serial}"},
                    "timestamp": _iso(at),
                },
            }
        )


def _shown(happening: Happening) -> tuple[str, str]:
    """Routing status and system presence for a status."""
    status = happening.note
    reason = (happening.facts or {}).get("reason", "")
    if status == Status.SIGNED_OUT:
        return "OFF_QUEUE", "OFFLINE"
    if status == Status.READY:
        return "IDLE", "ON_QUEUE"
    if status in (Status.ENGAGED, Status.AFTER_CALL):
        return "INTERACTING", "ON_QUEUE"
    if reason in ("no_answer", "rejected"):
        return "NOT_RESPONDING", "ON_QUEUE"
    return "OFF_QUEUE", {"lunch": "MEAL", "break": "BREAK"}.get(reason, "AWAY")


def _contact(happening: Happening) -> Contact:
    assert happening.contact is not None
    return happening.contact


def _agent(happening: Happening) -> str:
    assert happening.agent is not None
    return happening.agent.id


def _iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


WRITER = GenesysCloudWriter
