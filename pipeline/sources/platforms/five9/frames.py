"""Frames of the supervisor WebSocket: `context` says what a frame is, `payLoad` holds the data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.sources.platforms.five9.options import Five9Options
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import epoch_ms_at, items_at, name_at, shown, whole_or_none, word_at

FULL, INCREMENT = "5000", "5012"

EVENTS = {
    "70": "migration started",
    "1002": "domain migrated",
    "1010": "connected",
    "1020": "duplicate connection",
    "1202": "pong",
    FULL: "full statistics",
    "5002": "dispositions changed",
    "5003": "skills changed",
    "5004": "agent groups changed",
    "5005": "campaigns changed",
    "5006": "users changed",
    "5007": "reason codes changed",
    "5008": "campaign profiles changed",
    "5009": "campaign out of numbers",
    "5010": "lists changed",
    "5011": "campaign lists changed",
    INCREMENT: "incremental statistics",
    "5013": "user profiles changed",
    "6001": "filter settings changed",
    "6002": "agents changed",
    "6003": "permissions changed",
    "6004": "campaign dispositions reset",
    "6005": "monitoring state changed",
    "6006": "random monitoring started",
    "6007": "FDS real time",
    "6008": "incremental interactions",
}
"""The event ids of the vendor's guide; all but the two of statistics say nothing here."""

_WITHOUT_STATES = frozenset(
    {
        "ACD_STATUS",
        "AGENT_STATISTIC",
        "CAMPAIGN_STATE",
        "INBOUND_CAMPAIGN_STATISTICS",
        "OUTBOUND_CAMPAIGN_STATISTICS",
        "OUTBOUND_CAMPAIGN_MANAGER",
        "STATIONS",
        "USER_SESSION",
    }
)
_STATES = {
    "READY": "available",
    "RINGING": "available",
    "ON_CALL": "busy",
    "ACW": "wrap",
    "NOT_READY": "not_ready",
    "LOGGED_OUT": "offline",
}
_NO_REASON = ("0", "", None)


class Frames:
    """Reads frames for a site.

    A frame tells of many agents. One that cannot be read, such as one in a state of a name unheard
    of, hides no other: it says nothing, and the frame is refused only if nobody else is told of.
    """

    def __init__(self, context: Context, options: Five9Options) -> None:
        self._context = context
        self._agents = options.agents
        self._reasons = options.reason_codes
        self._wrap_up = frozenset(options.wrap_up_reason_codes)
        self._states = _STATES | options.states
        self._fresh_ms = options.fresh_s * 1000

    def read(self, frame: Mapping[str, Any]) -> list[Event]:
        """The states of the agents that can be read. Raises `Unread` if there are only others."""
        event = name_at(frame, "context.eventId")
        if event not in EVENTS:
            raise Unread("context.eventId", f"unknown event {shown(event)}")
        if event not in (FULL, INCREMENT):
            return []
        now = epoch_ms_at(frame, "context.timeStamp")
        events: list[Event] = []
        odd: list[Unread] = []
        for place, source in enumerate(items_at(frame, "payLoad")):
            for made in self._of_source(source, f"payLoad.{place}", now):
                if isinstance(made, Unread):
                    odd.append(made)
                else:
                    events.append(made)
        if odd and not events:
            raise odd[0]
        return events

    def _of_source(self, source: Any, place: str, now: int) -> Iterator[Event | Unread]:
        if not isinstance(source, Mapping):
            yield Unread(place, f"no object: {shown(source)}")
            return
        try:
            name = word_at(source, "dataSource")
            if name == "AGENT_STATE":
                yield from self._states_of(source, place, now)
            elif name not in _WITHOUT_STATES:
                yield Unread(f"{place}.dataSource", f"unknown source of data {shown(name)}")
        except Unread as error:
            yield Unread(f"{place}.{error.field}", error.reason)

    def _states_of(
        self, source: Mapping[str, Any], place: str, now: int
    ) -> Iterator[Event | Unread]:
        for part in ("data", "added", "updated", "removed"):
            read = self._gone if part == "removed" else self._state
            for number, agent in enumerate(items_at(source, part)):
                try:
                    yield read(agent, now)
                except Unread as error:
                    yield Unread(f"{place}.{part}.{number}.{error.field}", error.reason)

    def _gone(self, user: Any, now: int) -> Event:
        return self._event(name_at({"id": user}, "id"), now, "offline", None)

    def _state(self, agent: Any, now: int) -> Event:
        told = word_at(agent, "state")
        state = self._states.get(told)
        if state is None:
            raise Unread("state", f"unknown state {shown(told)}")
        since = whole_or_none(agent, "stateSince") or 0
        # A state as old as that would be late. Said again with the frame's time it changes nothing
        # where it is known, and where it is not the agent is at least known from now on.
        ts = since if now - since <= self._fresh_ms else now
        reason = agent.get("reasonCodeId")
        if state in ("not_ready", "offline") and reason not in _NO_REASON:
            code = name_at(agent, "reasonCodeId")
            if state == "not_ready" and code in self._wrap_up:
                state = "wrap"
            return self._event(name_at(agent, "id"), ts, state, self._reasons.get(code, code))
        return self._event(name_at(agent, "id"), ts, state, None)

    def _event(self, user: str, ts: int, state: str, reason: str | None) -> Event:
        agent = self._agents.get(user, user)
        return self._context.event("agent.state", ts, agent=agent, state=state, reason=reason)
