"""Termination_Call_Detail: one row a leg, written when the leg has ended.

`DateTime` is the end, work included, and the durations lead back from it: work, then talk and hold,
then ring, then delay and queue. Where in the talk a hold was the row does not say; it is put last.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pipeline.sources.platforms.cisco_tcd.options import TcdOptions
from pipeline.sources.platforms.cisco_tcd.rows import Row, key, local_moment, seconds
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import name_or_none, shown, text_or_none, whole, whole_at

HANDLED, TRANSFERRED, ABANDONED, UNANSWERED, NOTHING = (
    "handled",
    "transferred",
    "abandoned",
    "unanswered",
    "nothing",
)
_OTHER, _OVERFLOW, _LOST = "left:other", "left:overflow", "left:lost"

DISPOSITIONS = {
    1: ABANDONED,  # Abandoned in Network
    2: ABANDONED,  # Abandoned in Local Queue
    3: ABANDONED,  # Abandoned Ring
    4: ABANDONED,  # Abandoned Delay
    5: ABANDONED,  # Abandoned Interflow
    6: ABANDONED,  # Abandoned Agent Terminal: on hold at an agent, else in the VRU's queue
    7: ABANDONED,  # Short
    8: _OTHER,  # Busy
    9: _OTHER,  # Forced Busy
    10: NOTHING,  # Disconnect/drop no answer: an agent's own call
    11: NOTHING,  # Disconnect/drop busy
    12: NOTHING,  # Disconnect/drop reorder
    13: HANDLED,  # Disconnect/drop handled primary route
    14: HANDLED,  # Disconnect/drop handled other
    15: _OVERFLOW,  # Redirected
    16: NOTHING,  # Cut Through
    17: _OVERFLOW,  # Intraflow
    18: _OVERFLOW,  # Interflow
    19: UNANSWERED,  # Ring No Answer
    20: NOTHING,  # Intercept reorder
    21: NOTHING,  # Intercept denial
    22: NOTHING,  # Time Out
    23: NOTHING,  # Voice Energy
    24: NOTHING,  # Non-classified Energy Detected
    25: NOTHING,  # No Cut Through
    26: NOTHING,  # U-Abort
    27: NOTHING,  # Failed Software
    28: TRANSFERRED,  # Blind Transfer
    29: TRANSFERRED,  # Announced Transfer
    30: HANDLED,  # Conferenced
    31: NOTHING,  # Duplicate Transfer
    32: _OTHER,  # Unmonitored Device
    33: NOTHING,  # Answering Machine
    34: TRANSFERRED,  # Network Blind Transfer
    35: ABANDONED,  # Task Abandoned in Router
    36: ABANDONED,  # Task Abandoned Before Offered
    37: ABANDONED,  # Task Abandoned While Offered
    38: HANDLED,  # Normal End Task
    39: _LOST,  # Can't Obtain Task ID
    40: HANDLED,  # Agent Logged Out During Task
    41: HANDLED,  # Maximum Task Lifetime Exceeded
    42: HANDLED,  # Application Path Went Down
    43: NOTHING,  # ICM Routing Complete
    44: _LOST,  # ICM Routing Disabled
    45: _LOST,  # Application Invalid MRD ID
    46: _LOST,  # Application Invalid Dialogue ID
    47: NOTHING,  # Application Duplicate Dialogue ID
    48: _LOST,  # Application Invalid Invoke ID
    49: _LOST,  # Application Invalid Script Selector
    50: _LOST,  # Application Terminate Dialogue
    51: _LOST,  # Task Ended During Application Init
    52: HANDLED,  # Called Party Disconnected
    53: NOTHING,  # Partial Call: the final row follows
    54: NOTHING,  # Drop Network Consult
    55: TRANSFERRED,  # Network Consult Transfer
    56: HANDLED,  # Network Conference
    57: NOTHING,  # Abandon Network Consult
    58: UNANSWERED,  # Router Requery Before Answer
    59: TRANSFERRED,  # Router Requery After Answer
    60: _LOST,  # Network Error
    61: _LOST,  # Network Error Before Answer
    62: HANDLED,  # Network Error After Answer
}
_NEVER_A_LEG = frozenset({31, 53, 54, 57})
_SHORT = 7

_TRANSFER_IN = 4
_ROUTED = frozenset({0, 1, 2, 3, 5, 25, 26})
"""PeripheralCallTypes that routing brought: ACD, pre-route, overflow, tasks; 0 stands for none."""
_AGENTS_OWN = frozenset({8, 9, 10})
"""Agent Out, Out and Agent Inside: calls that no queue gave."""
_NOT_THE_CUSTOMER = frozenset({12, 13, 14, 17, 18, 19, 21, 22, 27, 28, 29, 30, 31})
"""Consults, previews, assistance, supervisors listening and the dialler's reservations."""


class Leg(NamedTuple):
    """What a row says, in ms. `visit` says that the contact waited in `queue` by routing."""

    contact: str
    agent: str | None
    queue: str | None
    channel: str
    customer: str | None
    visit: bool
    end: int
    wait: int
    ring: int
    talk: int
    hold: int
    work: int
    code: str | None


class Calls:
    """Makes the events of a row, newest first."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options: TcdOptions = context.options

    def events(self, row: Row) -> list[Event]:
        """The events of a row of Termination_Call_Detail. Raises `Unread`."""
        disposition = whole_at(row, "CallDisposition")
        meaning = DISPOSITIONS.get(disposition)
        if meaning is None:
            raise Unread("CallDisposition", f"is an unknown {shown(disposition)}")
        call_type = _call_type(row)
        if call_type in _NOT_THE_CUSTOMER or disposition in _NEVER_A_LEG:
            return []
        if disposition == _SHORT and call_type == _TRANSFER_IN:
            # With a short-call timer each single-step transfer leaves such a row.
            return []
        leg = self._leg(row, call_type)
        if leg.agent is not None and (leg.talk or leg.hold or meaning in (HANDLED, TRANSFERRED)):
            return self._talked(leg, leg.agent, meaning == TRANSFERRED)
        return self._unheard(leg, meaning) if leg.visit else []

    def _leg(self, row: Row, call_type: int) -> Leg:
        options = self._options
        queued = seconds(row, "LocalQTime") + seconds(row, "NetQTime")
        waited = queued + seconds(row, "DelayTime")
        queue = None if call_type in _AGENTS_OWN else self._queue(row)
        routed = call_type in _ROUTED or (call_type == _TRANSFER_IN and queued > 0)
        ring = seconds(row, "RingTime")
        hold, talk = seconds(row, "HoldTime"), seconds(row, "TalkTime")
        aband = 0 if talk or hold else seconds(row, "TimeToAband")
        media = key(row, "MRDomainID")
        default = "voice" if media in (None, "1") else "task"
        return Leg(
            contact=_contact(row),
            agent=self._agent(row),
            queue=queue,
            channel=options.channels.get(media or "1", default),
            customer=name_or_none(row, "ANI"),
            visit=routed and queue is not None,
            end=local_moment(row, options.time_zone, self._context.time_zone),
            wait=max(waited, aband - ring) * 1000,
            ring=ring * 1000,
            talk=talk * 1000,
            hold=hold * 1000,
            work=seconds(row, "WorkTime") * 1000,
            code=text_or_none(row, "WrapupData"),
        )

    def _agent(self, row: Row) -> str | None:
        if self._options.agent == "AgentSkillTargetID":
            found = key(row, "AgentSkillTargetID")
            if found is not None:
                return found
        # Agents need not be configured in the database; then only the peripheral names them.
        return name_or_none(row, "AgentPeripheralNumber")

    def _queue(self, row: Row) -> str | None:
        for column in self._options.queue:
            found = key(row, column)
            if found is not None:
                return found
        return None

    def _talked(self, leg: Leg, agent: str, transferred: bool) -> list[Event]:
        released = leg.end - leg.work
        answered = released - leg.talk - leg.hold
        made = [
            self._event("contact.wrapped", leg.end, leg, agent=agent, code=leg.code),
            self._event(
                "contact.released",
                released,
                leg,
                agent=agent,
                reason="transferred" if transferred else "completed",
            ),
        ]
        if leg.hold:
            made.append(self._event("contact.resumed", released, leg, agent=agent))
            made.append(self._event("contact.held", released - leg.hold, leg, agent=agent))
        made.append(
            self._event(
                "contact.answered",
                answered,
                leg,
                agent=agent,
                queue=leg.queue,
                channel=leg.channel,
            )
        )
        if leg.visit:
            made.append(self._event("contact.offered", answered - leg.ring, leg, agent=agent))
            made.append(self._queued(leg, answered))
        return made

    def _unheard(self, leg: Leg, meaning: str) -> list[Event]:
        """A visit that nobody answered, or did not yet."""
        rang = leg.agent is not None and leg.ring > 0
        if meaning == ABANDONED:
            made = [self._event("contact.abandoned", leg.end, leg, queue=leg.queue)]
        elif meaning == UNANSWERED and leg.agent is not None:
            made = [self._event("contact.declined", leg.end, leg, agent=leg.agent)]
            if self._options.after_no_answer == "left":
                made.insert(
                    0,
                    self._event("contact.left", leg.end, leg, queue=leg.queue, reason="other"),
                )
            rang = True
        elif meaning.startswith("left:") and leg.wait + leg.ring:
            reason = meaning.removeprefix("left:")
            made = [self._event("contact.left", leg.end, leg, queue=leg.queue, reason=reason)]
        else:
            return []
        if rang:
            made.append(self._event("contact.offered", leg.end - leg.ring, leg, agent=leg.agent))
        made.append(self._queued(leg, leg.end))
        return made

    def _queued(self, leg: Leg, outcome: int) -> Event:
        return self._event(
            "contact.queued",
            outcome - leg.ring - leg.wait,
            leg,
            queue=leg.queue,
            channel=leg.channel,
            customer=leg.customer,
        )

    def _event(self, name: str, ts: int, leg: Leg, **fields: Any) -> Event:
        return self._context.event(name, ts, contact=leg.contact, **fields)


def _call_type(row: Row) -> int:
    value = row.get("PeripheralCallType")
    return 0 if value is None or value == "" else whole(value, "PeripheralCallType")


def _contact(row: Row) -> str:
    """The call's day and key; a call that was not routed has only the key of its gateway."""
    day, number = key(row, "RouterCallKeyDay"), key(row, "RouterCallKey")
    if day is not None and number is not None:
        return f"{day}-{number}"
    local = key(row, "ICRCallKey")
    if local is None:
        raise Unread("RouterCallKey", "is required, or ICRCallKey")
    return f"icr-{key(row, 'PeripheralID') or 0}-{local}"
