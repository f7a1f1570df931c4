"""The story of one contact: its events in their order, and what they make of visits and legs.

An event that comes in order is applied at once. Any other one takes the whole story back and tells
it anew from all its events: the result is a function of the set of events alone. CONTRACT section 2
is the rule book; `position` is where the last event stands within its millisecond, so that the next
one of the same millisecond can be seen to come after it.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pipeline.engine.kept import UNSURE, Event, Kept
from pipeline.engine.ledger import NEVER, Ledger
from pipeline.engine.model import (
    ABANDONED,
    ANSWERED,
    CODES,
    DECLINED,
    HELD,
    HOLD,
    LEFT,
    OFFERED,
    OPEN,
    QUEUED,
    RELEASED,
    RESUMED,
    RING,
    TALK,
    WAS_ABANDONED,
    WAS_ANSWERED,
    WAS_LEFT,
    WRAP,
    WRAPPED,
    Decline,
    Leg,
    Ring,
    Visit,
)
from schemas.events import event_key

# Place in the first part of a millisecond, for what ends something; -1 for what begins something.
_FIRST: Final[tuple[int, ...]] = (-1, -1, 3, -1, -1, 0, 1, 2, 4, 5)
_REST: Final = 10
MOST_RETURNS: Final = 3


class Story(Kept):
    """Tells the events of one contact.

    What a contact that is over was told as is wanted again only if another event comes. So it is
    put ``away``: its events stay, as bytes, which a checkpoint takes as they are, and its agents
    keep the time. A contact that ``returns`` again and again (a platform that calls all of them
    "anonymous") is not told anew each time: after `MOST_RETURNS` it stays as it was told.
    """

    __slots__ = ()

    # --- what is over -------------------------------------------------------------------------

    def shrink(self, ledger: Ledger) -> None:
        """Makes a contact that is over small, once its rows are made."""
        if self.returns < MOST_RETURNS:
            self.put_away(ledger)
        else:
            self._pack()

    def put_away(self, ledger: Ledger) -> None:
        """Leaves of a contact that is over its events alone, and the time with its agents."""
        if self.away:
            return
        self._pack()
        for segment in self.segments:
            segment.agent.freeze(segment)
            ledger.touch_history(segment.agent, segment.end)
        ledger.dirty_parts[self.part] = None
        self._empty()

    def _return(self, ledger: Ledger) -> None:
        """Makes of the events again what was put away, and counts nothing a second time."""
        self.away = False
        self.returns += 1
        ledger.books.silent = True
        try:
            self.retell(ledger)
        finally:
            ledger.books.silent = False
        for segment in self.segments:
            segment.agent.thaw(segment)
            ledger.touch_history(segment.agent, segment.end)
        ledger.forget_told(self.visits, self.legs, self.declines)

    # --- telling ------------------------------------------------------------------------------

    def take(self, event: Event, at: int, code: int, ledger: Ledger) -> None:
        """Takes one event, in order or not; one that is known already changes nothing."""
        if self.away:
            if event in orjson.loads(self.saved()):
                return
            self._return(ledger)
        if at > self.frontier:
            if at > self.due:
                self.expire(at, ledger)
            self.events.append(event)
            self._tell(event, at, code, ledger)
        elif at == self.frontier and self._follows(code):
            self.events.append(event)
            self._tell(event, at, code, ledger)
        else:
            self._insert(event, at, ledger)

    def _tell(self, event: Event, at: int, code: int, ledger: Ledger) -> None:
        self.frontier = at
        if not self._apply(event, at, code, ledger):
            self.inconsistent += 1
            self.position = _REST + code
        elif _FIRST[code] < 0:
            self.position = _REST + code
        else:
            self.position = UNSURE if code == DECLINED else _FIRST[code]

    def _follows(self, code: int) -> bool:
        """Whether an event stands after all others of the last millisecond."""
        first = _FIRST[code]
        if first < 0:
            return _REST + code > self.position
        return self.position < first

    def _insert(self, event: Event, at: int, ledger: Ledger) -> None:
        self._unpack()
        place = len(self.events)
        while place > 0 and _ts(self.events[place - 1]) >= at:
            place -= 1
            if _ts(self.events[place]) == at and self.events[place] == event:
                return
        self.retract(ledger)
        self.events.insert(place, event)
        self.retell(ledger)

    def retract(self, ledger: Ledger) -> None:
        """Takes back all that the story has contributed."""
        for visit in self.visits:
            ledger.retract_visit(visit)
        for leg in self.legs:
            ledger.retract_leg(leg)
        for decline in self.declines:
            ledger.book_decline(decline, -1)
        for segment in self.segments:
            ledger.drop_segment(segment)

    def retell(self, ledger: Ledger) -> None:
        """Tells the whole story anew from its events."""
        self._unpack()
        events = self.events
        self.start = _ts(events[0])
        self._clear(self.start)
        i = 0
        while i < len(events):
            at = _ts(events[i])
            j = i + 1
            while j < len(events) and _ts(events[j]) == at:
                j += 1
            if at > self.due:
                self.expire(at, ledger)
            if j == i + 1:
                self._tell(events[i], at, CODES[events[i]["type"]], ledger)
            else:
                self._tell_moment(events[i:j], at, ledger)
            i = j
        if ledger.at > self.due:
            self.expire(ledger.at, ledger)

    def _tell_moment(self, events: list[Event], at: int, ledger: Ledger) -> None:
        """Tells the events of one millisecond: first what ends, then the rest."""
        self.frontier = at
        self.position = -1
        rest: list[tuple[int, bytes, Event]] = []
        enders: list[tuple[int, bytes, Event]] = []
        for event in events:
            code = CODES[event["type"]]
            if _FIRST[code] < 0:
                rest.append((code, event_key(event), event))
            else:
                enders.append((_FIRST[code], event_key(event), event))
        for place, key, event in sorted(enders, key=_by_place):
            code = CODES[event["type"]]
            if self._ends(event, code, events) and self._apply(event, at, code, ledger):
                self.position = UNSURE if code == DECLINED else max(self.position, place)
            else:
                rest.append((code, key, event))
        self._tell_rest(sorted(rest, key=_by_place), at, ledger)

    def _tell_rest(self, rest: list[tuple[int, bytes, Event]], at: int, ledger: Ledger) -> None:
        for code, _, event in rest:
            if not self._apply(event, at, code, ledger):
                self.inconsistent += 1
            if code == DECLINED or self.position == UNSURE:
                self.position = UNSURE
            else:
                self.position = _REST + code

    def _ends(self, event: Event, code: int, moment: list[Event]) -> bool:
        """Whether an event of the first part may end something begun before its millisecond."""
        if code != DECLINED or event["agent"] in self.rings:
            return True
        return not any(
            other["type"] == "contact.offered" and other["agent"] == event["agent"]
            for other in moment
        )

    # --- the rules ----------------------------------------------------------------------------

    def _apply(self, event: Event, at: int, code: int, ledger: Ledger) -> bool:
        """Applies one event; False if it changes nothing."""
        if code == QUEUED:
            return self._queue(event, at, ledger)
        if code == ABANDONED:
            return self._close(event.get("queue"), WAS_ABANDONED, "", at, ledger)
        if code == LEFT:
            return self._close(event.get("queue"), WAS_LEFT, event["reason"], at, ledger)
        agent: str = event["agent"]
        if code == OFFERED:
            return self._offer(agent, at, ledger)
        if code == DECLINED:
            return self._decline(agent, event["reason"], at, ledger)
        if code == ANSWERED:
            return self._answer(event, agent, at, ledger)
        leg = self.open_legs.get(agent)
        if leg is None:
            return False
        if code == WRAPPED:
            return self._wrapped(leg, event.get("code", ""), at, ledger)
        if leg.released_at != OPEN:
            return False
        if code == RELEASED:
            self._release(leg, event["reason"], at, ledger)
            return True
        return self._hold(leg, code, at, ledger)

    def _queue(self, event: Event, at: int, ledger: Ledger) -> bool:
        queue: str = event["queue"]
        for waiting in self.waiting:
            if waiting.queue == queue:
                return False
        channel: str = event["channel"]
        limits = ledger.limits(queue, at)
        cell = ledger.books.cell(queue, channel)
        # The cell's own strings: those of the event go when its story is packed.
        visit = Visit(self.contact, cell.queue, cell.channel, at, limits, cell, self.born)
        visit.direction = event["direction"]
        visit.customer = event.get("customer", "")
        visit.priority = event.get("priority")
        self.visits.append(visit)
        self.waiting.append(visit)
        self.due = min(self.due, at + limits.stuck_after_ms)
        ledger.open_visit(visit)
        return True

    def _offer(self, agent: str, at: int, ledger: Ledger) -> bool:
        if not self.waiting or agent in self.rings:
            return False
        segment = ledger.open_segment(agent, self.contact, RING, at)
        self.segments.append(segment)
        self.rings[agent] = Ring(self.waiting[-1], segment)
        return True

    def _decline(self, agent: str, reason: str, at: int, ledger: Ledger) -> bool:
        ring = self.rings.pop(agent, None)
        if ring is not None:
            ledger.close_segment(ring.segment, at)
            visit = ring.visit
        elif self.waiting:
            visit = self.waiting[-1]
        else:
            return False
        decline = Decline(self.contact, agent, at, reason, visit)
        for other in self.declines:
            if other.at == at and other.agent == agent:
                decline.ordinal += 1
        self.declines.append(decline)
        ledger.book_decline(decline, 1)
        return True

    def _answer(self, event: Event, agent: str, at: int, ledger: Ledger) -> bool:
        before = self.open_legs.get(agent)
        if before is not None:
            if before.released_at == OPEN:
                return False
            self._wrap(before, at, ledger)
        ring = self.rings.pop(agent, None)
        visit = self._visit_of(event.get("queue"))
        if visit is not None:
            visit.agent = agent
            self._end_visit(visit, WAS_ANSWERED, at, ledger)
        if ring is not None:
            segment = ledger.turn_segment(ring.segment, TALK, at)
        else:
            segment = ledger.open_segment(agent, self.contact, TALK, at)
        self.segments.append(segment)
        leg = self._open_leg(event, agent, at, visit, ledger)
        leg.segment = segment
        return True

    def _open_leg(
        self, event: Event, agent: str, at: int, visit: Visit | None, ledger: Ledger
    ) -> Leg:
        queue: str = event.get("queue", "") if visit is None else visit.queue
        channel: str = event["channel"] if visit is None else visit.channel
        cell = ledger.books.cell(queue, channel) if queue else None
        if queue:
            stuck_after = ledger.limits(queue, at).stuck_after_ms
        else:
            stuck_after = ledger.settings_at(at).stuck_after_ms
        leg = Leg(self.contact, agent, at, queue, channel, cell, at + stuck_after, self.born)
        if visit is not None:
            leg.visit_queued_at = visit.queued_at
        self.legs.append(leg)
        self.open_legs[agent] = leg
        self.due = min(self.due, leg.deadline)
        ledger.stuck_due = min(ledger.stuck_due, leg.deadline)
        ledger.serve(leg, 1)
        return leg

    def _visit_of(self, queue: str | None) -> Visit | None:
        if not self.waiting:
            return None
        for visit in self.waiting:
            if visit.queue == queue:
                return visit
        return self.waiting[-1]

    def _end_visit(self, visit: Visit, outcome: int, at: int, ledger: Ledger) -> None:
        self.waiting.remove(visit)
        ledger.close_visit(visit, outcome, at)
        if self.rings:
            for agent in [a for a, ring in self.rings.items() if ring.visit is visit]:
                ledger.close_segment(self.rings.pop(agent).segment, at)

    def _close(self, queue: str | None, outcome: int, reason: str, at: int, ledger: Ledger) -> bool:
        ending = [v for v in self.waiting if queue is None or v.queue == queue]
        for visit in ending:
            visit.reason = reason
            self._end_visit(visit, outcome, at, ledger)
        return bool(ending)

    def _hold(self, leg: Leg, code: int, at: int, ledger: Ledger) -> bool:
        assert leg.segment is not None
        if code == HELD:
            if leg.held_at != OPEN:
                return False
            leg.held_at = at
            leg.segment = ledger.turn_segment(leg.segment, HOLD, at)
        else:
            assert code == RESUMED
            if leg.held_at == OPEN:
                return False
            self._end_hold(leg, at)
            leg.segment = ledger.turn_segment(leg.segment, TALK, at)
        self.segments.append(leg.segment)
        ledger.note_leg(leg)
        return True

    def _end_hold(self, leg: Leg, at: int) -> None:
        if leg.held_at != OPEN:
            leg.hold_ms += at - leg.held_at
            leg.held_at = OPEN

    def _release(self, leg: Leg, reason: str, at: int, ledger: Ledger) -> None:
        assert leg.segment is not None
        self._end_hold(leg, at)
        leg.released_at = at
        leg.reason = reason
        leg.segment = ledger.turn_segment(leg.segment, WRAP, at)
        self.segments.append(leg.segment)
        ledger.serve(leg, -1)
        ledger.book_transferred(leg, 1)

    def _wrapped(self, leg: Leg, code: str, at: int, ledger: Ledger) -> bool:
        if leg.released_at == OPEN:
            self._release(leg, "completed", at, ledger)
        leg.code = code
        self._wrap(leg, at, ledger)
        return True

    def _wrap(self, leg: Leg, at: int, ledger: Ledger) -> None:
        assert leg.segment is not None
        leg.wrapped_at = at
        del self.open_legs[leg.agent]
        ledger.close_segment(leg.segment, at)
        ledger.book_handled(leg, 1)
        ledger.note_leg(leg)

    # --- the end ------------------------------------------------------------------------------

    def expire(self, before: int, ledger: Ledger) -> None:
        """Ends visits and legs that have stood open for too long at a moment before this one."""
        visits = [(v.queued_at + v.limits.stuck_after_ms, v) for v in self.waiting]
        legs = [(leg.deadline, leg) for leg in self.open_legs.values()]
        for at, visit in sorted(visits, key=_by_moment):
            if at < before:
                visit.reason = "lost"
                self._end_visit(visit, WAS_LEFT, at, ledger)
                self._expired(at)
        for at, leg in sorted(legs, key=_by_moment):
            if at < before:
                self._expire_leg(leg, at, ledger)
                self._expired(at)
        left = [at for at, _ in visits if at >= before] + [at for at, _ in legs if at >= before]
        self.due = min(left, default=NEVER)

    def _expired(self, at: int) -> None:
        self.position = UNSURE
        if at > self.frontier:
            self.frontier = at

    def _expire_leg(self, leg: Leg, at: int, ledger: Ledger) -> None:
        assert leg.segment is not None
        leg.stuck = True
        if leg.released_at == OPEN:
            self._end_hold(leg, at)
            leg.released_at = at
            leg.reason = "completed"
            ledger.serve(leg, -1)
        leg.wrapped_at = at
        del self.open_legs[leg.agent]
        ledger.close_segment(leg.segment, at)
        ledger.note_leg(leg)

    def forgotten(self, at: int, lateness: int, ledger: Ledger) -> bool:
        """Whether the site, at its time ``at``, no longer remembers the contact."""
        if at > self.due:
            self.expire(at, ledger)
        return self.is_over() and self.frontier + lateness < at


def _ts(event: Event) -> int:
    at: int = event["ts"]
    return at


def _by_place(item: tuple[int, bytes, Event]) -> tuple[int, bytes]:
    return item[0], item[1]


def _by_moment(item: tuple[int, Any]) -> int:
    return item[0]
