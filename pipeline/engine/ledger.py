"""Where stories write: books, agents, settings in force, and what changed since the last look.

Every booking takes a sign: +1 writes it, -1 takes it back. What a visit, a leg or a decline
contributes is computed from the record alone, so that taking back undoes exactly what was written.
"""

from __future__ import annotations

from heapq import heappop, heappush
from zlib import crc32

from pipeline.engine import counters as c
from pipeline.engine.agents import HISTORY_MS, HISTORY_PARTS, Agent
from pipeline.engine.books import UNSET, Books
from pipeline.engine.model import (
    OPEN,
    RETRACTED,
    WAITING,
    WAS_ABANDONED,
    WAS_ANSWERED,
    Decline,
    Leg,
    Segment,
    Visit,
)
from schemas.settings import ResolvedQueue, SiteSettings

RowKey = tuple[str, str, int, str, int, int]
"""Table, contact, moment, queue or agent, story, ordinal: what a row of the store is known by."""

AGENT_PARTS = 32
NEVER = (1 << 63) - 1


class Ledger:
    """The shared state that the stories of one site act upon."""

    def __init__(self, settings: SiteSettings, rows: bool) -> None:
        self.rows = rows
        self.at: int = UNSET
        self.by_arrival: bool = settings.anchor == "arrival"
        self.books = Books(settings.pane_ms, settings.time_zone)
        self.agents: dict[str, Agent] = {}
        self.dirty_agents: dict[Agent, None] = {}
        self.stuck_due: int = NEVER
        self._dues: list[tuple[int, int, Visit]] = []
        self._visits: int = 0
        self.changed_visits: dict[Visit, None] = {}
        self.changed_legs: dict[Leg, None] = {}
        self.changed_declines: dict[Decline, None] = {}
        self.changed_agents: list[Agent] = []
        self.withdrawn: dict[RowKey, tuple[str, str, str]] = {}
        self.dirty_parts: dict[str, None] = {}
        # Keys of parts of the agents' history: those to be saved, and those that are.
        self.changed_history: dict[int, None] = {}
        self.saved_history: dict[int, None] = {}
        self.live_agents: dict[str, None] = {}
        self.use([(-NEVER, settings)])

    # --- settings -----------------------------------------------------------------------------

    @property
    def settings(self) -> SiteSettings:
        """The settings in force now."""
        return self.history[-1][1]

    def use(self, history: list[tuple[int, SiteSettings]]) -> None:
        """Takes settings with the moments from which each was in force, the oldest first."""
        self.history = history
        self.lateness_ms: int = history[-1][1].lateness_ms
        self._changed: bool = len(history) > 1
        self._limits: dict[str, ResolvedQueue] = {}

    def settings_at(self, moment: int) -> SiteSettings:
        """The settings in force at a moment."""
        for since, settings in reversed(self.history):
            if moment >= since:
                return settings
        return self.history[0][1]

    def limits(self, queue: str, moment: int) -> ResolvedQueue:
        """Thresholds and limits of a queue in force at a moment."""
        if self._changed and moment < self.history[-1][0]:
            return self.settings_at(moment).queue(queue)
        found = self._limits.get(queue)
        if found is None:
            found = self._limits[queue] = self.history[-1][1].queue(queue)
        return found

    def change_settings(self, since: int, settings: SiteSettings) -> None:
        """Puts new settings in force from a moment on."""
        self.use([*self.history, (since, settings)])

    # --- agents -------------------------------------------------------------------------------

    def agent(self, agent_id: str) -> Agent:
        """The agent of this id, known from its first mention."""
        agent = self.agents.get(agent_id)
        if agent is None:
            number = crc32(agent_id.encode())
            part = f"agent:{number % AGENT_PARTS}"
            agent = self.agents[agent_id] = Agent(agent_id, part, number % HISTORY_PARTS)
        return agent

    def touch_history(self, agent: Agent, moment: int) -> None:
        """What an agent did or said at a moment is no longer as it was saved."""
        self.changed_history[agent.history_key(moment)] = None

    def note_unsaved(self, agent: Agent) -> None:
        """Nothing of an agent is saved as this version saves it."""
        self.dirty_parts[agent.part] = None
        for key in agent.history_keys():
            self.changed_history[key] = None

    def let_go(self, horizon: int) -> None:
        """Frees what nothing at or after a moment can change of any agent."""
        for agent in self.agents.values():
            agent.prune(horizon)
            self.dirty_parts[agent.part] = None
        for key in self.saved_history:
            if key // HISTORY_PARTS < horizon // HISTORY_MS:
                self.changed_history[key] = None

    def touch_agent(self, agent: Agent) -> None:
        """Marks an agent as about to change, for rows, board and checkpoint."""
        self.dirty_parts[agent.part] = None
        self.live_agents[agent.id] = None
        if self.rows and not agent.noted:
            agent.note()
            self.changed_agents.append(agent)

    def open_segment(self, agent_id: str, contact: str, kind: int, at: int) -> Segment:
        """A contact begins to take an agent's time."""
        agent = self.agent(agent_id)
        self.touch_agent(agent)
        segment = Segment(agent, contact, kind, at)
        agent.segments[segment] = None
        if at < agent.frontier or agent.dirty or self.books.silent:
            self._soil(agent, at)
        else:
            agent.count(kind, 1)
            agent.settle(at, self.books)
        return segment

    def close_segment(self, segment: Segment, at: int) -> None:
        """A contact stops taking an agent's time."""
        agent = segment.agent
        self.touch_agent(agent)
        segment.end = at
        if at < agent.frontier or agent.dirty or self.books.silent:
            self._soil(agent, at)
        else:
            agent.count(segment.kind, -1)
            agent.settle(at, self.books)

    def turn_segment(self, segment: Segment, kind: int, at: int) -> Segment:
        """One kind of time passes into another without a gap."""
        agent = segment.agent
        self.touch_agent(agent)
        segment.end = at
        turned = Segment(agent, segment.contact, kind, at)
        agent.segments[turned] = None
        if at < agent.frontier or agent.dirty or self.books.silent:
            self._soil(agent, at)
        else:
            agent.count(segment.kind, -1)
            agent.count(kind, 1)
            agent.settle(at, self.books)
        return turned

    def drop_segment(self, segment: Segment) -> None:
        """Takes a segment away as if it had never been; the timeline is rebuilt later."""
        agent = segment.agent
        self.touch_agent(agent)
        agent.segments.pop(segment, None)
        self._soil(agent, segment.start)

    def _soil(self, agent: Agent, at: int) -> None:
        agent.soil(at)
        self.dirty_agents[agent] = None

    def clean_agents(self) -> None:
        """Rebuilds the timelines that were changed out of order."""
        if self.dirty_agents:
            for agent in self.dirty_agents:
                agent.rebuild(self.books)
            self.dirty_agents = {}

    # --- visits -------------------------------------------------------------------------------

    def open_visit(self, visit: Visit) -> None:
        """A visit begins to wait."""
        visit.cell.waiting[visit] = None
        if not self.books.silent:
            self.await_threshold(visit)
        stuck = visit.queued_at + visit.limits.stuck_after_ms
        if stuck < self.stuck_due:
            self.stuck_due = stuck
        self.books.add(visit.cell, visit.queued_at, c.OFFERED, 1)
        self.note_visit(visit)

    def await_threshold(self, visit: Visit) -> None:
        """Have `count_missed` look at a waiting visit when its threshold passes."""
        self._visits += 1
        due = visit.queued_at + visit.limits.threshold_ms
        heappush(self._dues, (due, self._visits, visit))

    def close_visit(self, visit: Visit, outcome: int, at: int) -> None:
        """A visit comes to its outcome."""
        del visit.cell.waiting[visit]
        visit.outcome = outcome
        visit.outcome_at = at
        due = visit.queued_at + visit.limits.threshold_ms
        # The threshold may have passed on the site's clock before an older outcome came in.
        if visit.missed and at <= due:
            self.miss(visit, -1)
        elif not visit.missed and at > due:
            self.miss(visit, 1)
        self.book_outcome(visit, 1)
        self.note_visit(visit)

    def miss(self, visit: Visit, sign: int) -> None:
        """The threshold passed while the visit still waited."""
        visit.missed = sign > 0
        due = visit.queued_at + visit.limits.threshold_ms
        self.books.add(visit.cell, due, c.SL_MISSED, sign)

    def book_outcome(self, visit: Visit, sign: int) -> None:
        """Writes what the outcome of a visit counts."""
        at = visit.outcome_at
        wait = at - visit.queued_at
        moment = visit.queued_at if self.by_arrival else at
        if visit.outcome == WAS_ANSWERED:
            self._book_answered(visit, moment, wait, sign)
        elif visit.outcome == WAS_ABANDONED:
            self._book_abandoned(visit, moment, wait, sign)
        else:
            counter = c.LEFT_COUNTER.get(visit.reason, c.LEFT_OTHER)
            self.books.add(visit.cell, moment, counter, sign)

    def _book_answered(self, visit: Visit, moment: int, wait: int, sign: int) -> None:
        books, cell = self.books, visit.cell
        books.add(cell, moment, c.ANSWERED, sign)
        books.add(cell, moment, c.WAIT_MS, sign * wait)
        if wait <= visit.limits.threshold_ms:
            books.add(cell, moment, c.ANSWERED_IN, sign)
            books.add(cell, visit.outcome_at, c.SL_MET, sign)

    def _book_abandoned(self, visit: Visit, moment: int, wait: int, sign: int) -> None:
        books, cell = self.books, visit.cell
        books.add(cell, moment, c.ABANDONED, sign)
        books.add(cell, moment, c.ABANDONED_WAIT_MS, sign * wait)
        if wait <= visit.limits.threshold_ms:
            books.add(cell, moment, c.ABANDONED_IN, sign)
            books.add(cell, visit.outcome_at, c.SL_ABANDONED, sign)
        if wait <= visit.limits.short_abandon_ms:
            books.add(cell, moment, c.ABANDONED_SHORT, sign)

    def retract_visit(self, visit: Visit) -> None:
        """Takes back all a visit has counted."""
        self.books.add(visit.cell, visit.queued_at, c.OFFERED, -1)
        if visit.outcome == WAITING:
            del visit.cell.waiting[visit]
            self.books.touch(visit.cell)
        else:
            self.book_outcome(visit, -1)
        if visit.missed:
            self.miss(visit, -1)
        visit.outcome = RETRACTED
        self.changed_visits.pop(visit, None)
        key = ("visits", visit.contact, visit.queued_at, visit.queue, visit.story, 0)
        self._withdraw(key, (visit.queue, visit.channel, ""))

    def count_missed(self, before: int) -> None:
        """Counts the visits whose threshold lies before a moment and which still wait."""
        while self._dues and self._dues[0][0] < before:
            visit = heappop(self._dues)[2]
            if visit.outcome == WAITING and not visit.missed:
                self.miss(visit, 1)

    def missed_due(self) -> int:
        """When the next threshold passes of a visit that still waits."""
        while self._dues:
            due, _, visit = self._dues[0]
            if visit.outcome == WAITING and not visit.missed:
                return due
            heappop(self._dues)
        return NEVER

    # --- legs and declines --------------------------------------------------------------------

    def serve(self, leg: Leg, step: int) -> None:
        """A leg begins (+1) or stops (-1) to talk."""
        self.note_leg(leg)
        if leg.cell is not None:
            leg.cell.in_service += step
            self.books.touch(leg.cell)

    def book_transferred(self, leg: Leg, sign: int) -> None:
        """Writes a release by transfer."""
        if leg.cell is not None and leg.reason == "transferred":
            self.books.add(leg.cell, leg.released_at, c.TRANSFERRED, sign)

    def book_handled(self, leg: Leg, sign: int) -> None:
        """Writes the times of a leg at the end of its wrap-up; a stuck leg has none."""
        cell, at = leg.cell, leg.wrapped_at
        if cell is None or leg.stuck or at == OPEN:
            return
        books = self.books
        books.add(cell, at, c.HANDLED, sign)
        talk = leg.released_at - leg.answered_at - leg.hold_ms
        if talk:
            books.add(cell, at, c.TALK_MS, sign * talk)
        if leg.hold_ms:
            books.add(cell, at, c.HOLD_MS, sign * leg.hold_ms)
        if at > leg.released_at:
            books.add(cell, at, c.WRAP_MS, sign * (at - leg.released_at))

    def retract_leg(self, leg: Leg) -> None:
        """Takes back all a leg has counted."""
        if leg.released_at == OPEN:
            self.serve(leg, -1)
        self.book_transferred(leg, -1)
        self.book_handled(leg, -1)
        self.changed_legs.pop(leg, None)
        key = ("legs", leg.contact, leg.answered_at, leg.agent, leg.story, 0)
        self._withdraw(key, (leg.queue, leg.channel, leg.agent))

    def book_decline(self, decline: Decline, sign: int) -> None:
        """Writes a declined ring."""
        self.books.add(decline.cell, decline.at, c.DECLINED, sign)
        if sign > 0:
            if self.rows:
                self.changed_declines[decline] = None
            return
        self.changed_declines.pop(decline, None)
        about = (decline.queue, decline.channel, decline.agent)
        key = ("declines", decline.contact, decline.at, decline.agent)
        self._withdraw((*key, decline.story, decline.ordinal), about)

    def _withdraw(self, key: RowKey, about: tuple[str, str, str]) -> None:
        if self.rows:
            self.withdrawn[key] = about

    # --- rows -----------------------------------------------------------------------------------

    def note_visit(self, visit: Visit) -> None:
        """The row of a visit is to be told."""
        if self.rows:
            self.changed_visits[visit] = None

    def note_leg(self, leg: Leg) -> None:
        """The row of a leg is to be told."""
        if self.rows:
            self.changed_legs[leg] = None

    def forget_told(self, visits: list[Visit], legs: list[Leg], declines: list[Decline]) -> None:
        """Drops the notes on what was told again as the rows know it."""
        for visit in visits:
            self.changed_visits.pop(visit, None)
        for leg in legs:
            self.changed_legs.pop(leg, None)
        for decline in declines:
            self.changed_declines.pop(decline, None)

    def forget_changes(self) -> None:
        """Drops the notes for the rows of a frame."""
        self.changed_visits.clear()
        self.changed_legs.clear()
        self.changed_declines.clear()
        self.withdrawn.clear()
        for agent in self.changed_agents:
            agent.forget_note()
        self.changed_agents = []
