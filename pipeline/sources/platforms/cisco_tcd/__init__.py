"""Cisco Unified CCE rows: Termination_Call_Detail and Agent_State_Trace; of CCX AgentStateDetail.

A row is a JSON object; its columns tell its table. See docs/sources/cisco-tcd.md.
"""

from __future__ import annotations

from pipeline.sources.platforms.cisco_tcd.calls import Calls
from pipeline.sources.platforms.cisco_tcd.options import TcdOptions
from pipeline.sources.platforms.cisco_tcd.rows import (
    STATE_DETAIL,
    STATE_TRACE,
    TERMINATION,
    Row,
    key,
    local_moment,
    read,
)
from pipeline.sources.source import Context, Event, Source, Translator, Unread
from pipeline.sources.values import iso_at, name_at, shown, whole_at, whole_or_none

_TRACE_STATES = {
    0: "offline",  # Logged Off
    1: "not_ready",  # Logged On
    2: "not_ready",  # Not Ready
    3: "available",  # Ready
    4: "busy",  # Talking
    5: "wrap",  # Work Not Ready
    6: "wrap",  # Work Ready
    7: "busy",  # Busy Other
    8: "available",  # Reserved: the ring is laid over it
    9: "busy",  # Call Initiated
    10: "busy",  # Call Held
    11: "busy",  # Call Retrieved
    12: "busy",  # Call Transferred
    13: "busy",  # Call Conferenced
    14: None,  # Unknown
}
_DETAIL_STATES = {
    1: "not_ready",  # Log In
    2: "not_ready",  # Not Ready
    3: "available",  # Ready
    4: "available",  # Reserved
    5: "busy",  # Talking
    6: "wrap",  # Work
    7: "offline",  # Log Out
}
_WITH_REASON = frozenset({"not_ready", "offline"})


class TcdTranslator(Translator):
    """Remembers nothing: each row says all of its leg."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: TcdOptions = context.options
        self._calls = Calls(context)

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator.translate`."""
        table, row = read(payload)
        if table == TERMINATION:
            return self._calls.events(row)
        if table == STATE_TRACE:
            return self._trace(row)
        if table == STATE_DETAIL:
            return self._detail(row)
        # A contact's queue, times and agents are in three tables that no one row joins.
        return []

    def _trace(self, row: Row) -> list[Event]:
        number = whole_at(row, "AgentState")
        if number not in _TRACE_STATES:
            raise Unread("AgentState", f"is an unknown {shown(number)}")
        state, media = _TRACE_STATES[number], key(row, "MRDomainID")
        if state is None or (media is not None and media not in self._options.media):
            return []
        since = local_moment(row, self._options.time_zone, self.context.time_zone)
        return [self._state(name_at(row, "SkillTargetID"), since, state, row, "ReasonCode")]

    def _detail(self, row: Row) -> list[Event]:
        number = whole_at(row, "eventType")
        state = _DETAIL_STATES.get(number)
        if state is None:
            raise Unread("eventType", f"is an unknown {shown(number)}")
        # The table is in GMT whatever the server's zone; gmtOffset is always 0.
        since = iso_at(row, "eventDateTime", "UTC")
        return [self._state(name_at(row, "agentID"), since, state, row, "reasonCode")]

    def _state(self, agent: str, since: int, state: str, row: Row, column: str) -> Event:
        reason = whole_or_none(row, column) if state in _WITH_REASON else None
        return self.context.event(
            "agent.state", since, agent=agent, state=state, reason=str(reason) if reason else None
        )


def kind(payload: bytes) -> str:
    """A row's table and what it says of a leg or of an agent."""
    try:
        table, row = read(payload)
        column = {TERMINATION: "CallDisposition", STATE_TRACE: "AgentState"}.get(table)
        if table == STATE_DETAIL:
            column = "eventType"
        return f"{table} {whole_at(row, column)}" if column else table
    except Unread:
        return "unreadable"


SOURCE = Source(
    name="cisco-tcd",
    title="Cisco Unified CCE rows: calls and agents' states",
    translator=TcdTranslator,
    kind=kind,
    options=TcdOptions,
)
