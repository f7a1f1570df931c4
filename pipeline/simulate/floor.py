"""The floor: agents come and go, take breaks, and stand ready for the queues of their team."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from pipeline.simulate.agenda import Agenda
from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.options import MINUTE
from pipeline.simulate.people import Agent, Contact
from pipeline.simulate.plan import RONA_PAUSE, SIGN_IN_SPREAD_MS, AgentPlan, CentrePlan, Draw
from schemas.moments import from_datetime

_LUNCH_MINUTES = 30


class Pool:
    """Agents of one team who take work: the idle ones, and those with units left. Longest first."""

    __slots__ = ("idle", "partial")

    def __init__(self) -> None:
        self.idle: dict[Agent, None] = {}
        self.partial: dict[Agent, None] = {}


class Floor:
    """Keeps every agent's availability and says it. `on_free` is told of an agent who can work."""

    def __init__(
        self,
        plan: CentrePlan,
        agenda: Agenda,
        say: Callable[[Happening], None],
        on_free: Callable[[Agent], None],
    ) -> None:
        teams = {team.id: team for team in plan.teams}
        self.pools = {team: Pool() for team in teams}
        self.agents = [Agent(agent.id, teams[agent.team]) for agent in plan.agents]
        self._plans = plan.agents
        self._zone = plan.options.zone()
        self._start = plan.options.start
        self._agenda = agenda
        self._say = say
        self._on_free = on_free
        self._rng = Random(f"{plan.seed_text}/floor")
        self._rona_pause = Draw(RONA_PAUSE, 5_000, 10 * MINUTE)
        self._dark = False
        self._open_first_days()

    def pick(self, pools: Iterable[Pool], whole: bool, contact: Contact) -> Agent | None:
        """The agent who takes a contact next; never one who is in that contact already."""
        for pool in pools:
            for agent in pool.idle:
                if agent not in contact.agents:
                    return agent
            if whole:
                continue
            for agent in pool.partial:
                if agent not in contact.agents:
                    return agent
        return None

    def take(self, agent: Agent, units: int) -> None:
        """Use up some of an agent's units."""
        agent.free -= units
        self._place(agent)

    def give_back(self, agent: Agent, units: int) -> None:
        """Return units and let the agent go on: next contact, break or home."""
        agent.free += units
        self.settle(agent)

    def pause_after_miss(self, agent: Agent, reason: str) -> None:
        """Make an agent who let a contact ring unavailable for a while."""
        self._away(agent, reason, self._rona_pause(self._rng))

    def settle(self, agent: Agent) -> None:
        """Bring an agent's availability up to date after anything changed."""
        if agent.signed_in and agent.unoccupied:
            if not agent.on_shift:
                self._sign_off(agent)
            elif agent.break_due:
                minutes, agent.break_due = agent.break_due // MINUTE, 0
                reason = "lunch" if minutes >= _LUNCH_MINUTES else "break"
                self._away(agent, reason, minutes * MINUTE)
                return
        self._place(agent)
        self.sync(agent)
        if agent.free and agent.takes_work:
            self._on_free(agent)

    def sync(self, agent: Agent) -> None:
        """Say the agent's status if it changed; two in one millisecond would have no order."""
        status, reason = _status_of(agent)
        if (status, reason) == agent.said:
            return
        now = self._agenda.now
        if agent.said_at == now:
            self._agenda.at(now + 1, self.sync, agent)
            return
        facts = {"reason": reason} if reason else None
        if agent.said[0] in ("", Status.SIGNED_OUT):
            facts = {**(facts or {}), "team": agent.team.id}
        agent.said, agent.said_at = (status, reason), now
        self._say(Happening(now, Kind.STATUS, None, agent, "", status, facts))

    def go_dark(self) -> list[Agent]:
        """Throw every agent off; returns those who were signed in, to be cut off from contacts."""
        self._dark = True
        thrown = [agent for agent in self.agents if agent.signed_in]
        for agent in thrown:
            agent.signed_in = False
            agent.away_until = agent.break_due = 0
            self._place(agent)
        return thrown

    def light_up(self) -> None:
        """Let everyone whose shift is on sign in again, within half a minute."""
        self._dark = False
        for agent in self.agents:
            if agent.on_shift:
                self._agenda.at(self._agenda.now + self._rng.randrange(30_000), self._enter, agent)

    def _place(self, agent: Agent) -> None:
        pool = self.pools[agent.team.id]
        pool.idle.pop(agent, None)
        pool.partial.pop(agent, None)
        if agent.free and agent.takes_work:
            (pool.idle if agent.unoccupied else pool.partial)[agent] = None

    def _away(self, agent: Agent, reason: str, length: int) -> None:
        agent.away_until = self._agenda.now + length
        agent.away_reason = reason
        self._agenda.at(agent.away_until, self._back, agent, agent.away_until)
        self._place(agent)
        self.sync(agent)

    def _back(self, agent: Agent, until: int) -> None:
        if agent.away_until == until and agent.signed_in:
            agent.away_until = 0
            self.settle(agent)

    def _begin_shift(self, agent: Agent) -> None:
        agent.on_shift = True
        if not self._dark:
            self._enter(agent)

    def _end_shift(self, agent: Agent) -> None:
        agent.on_shift = False
        if agent.signed_in:
            self.settle(agent)

    def _enter(self, agent: Agent) -> None:
        if agent.signed_in or not agent.on_shift:
            return
        if not agent.known:
            agent.known = True
            facts = {"queues": list(agent.team.queues), "capacity": agent.team.concurrency}
            self._say(Happening(self._agenda.now, Kind.HIRED, None, agent, facts=facts))
        agent.signed_in = True
        self.settle(agent)

    def _sign_off(self, agent: Agent) -> None:
        agent.signed_in = False
        agent.away_until = agent.break_due = 0

    def _take_break(self, agent: Agent, length: int) -> None:
        if agent.signed_in and agent.on_shift:
            agent.break_due = length
            self.settle(agent)

    def _open_first_days(self) -> None:
        """Shifts of the first day, and of the day before whose night shift may still run."""
        first = datetime.fromtimestamp(self._start / 1000, self._zone).date()
        self._open_day(first - timedelta(days=1), then=False)
        self._open_day(first)

    def _open_day(self, day: date, then: bool = True) -> None:
        for agent, plan in zip(self.agents, self._plans, strict=True):
            self._enter_shift(agent, plan, day)
        if then:
            tomorrow = day + timedelta(days=1)
            self._agenda.at(_local(tomorrow, 0, self._zone), self._open_day, tomorrow)

    def _enter_shift(self, agent: Agent, plan: AgentPlan, day: date) -> None:
        now = self._agenda.now
        shift = plan.shift
        ends = _local(day, shift.ends, self._zone) + self._rng.randrange(SIGN_IN_SPREAD_MS)
        begins = _local(day, shift.starts, self._zone) + self._rng.randrange(SIGN_IN_SPREAD_MS)
        if ends <= now:
            return
        if begins < now:
            begins = now + self._rng.randrange(2_000)
        self._agenda.at(begins, self._begin_shift, agent)
        self._agenda.at(ends, self._end_shift, agent)
        for minute, length in shift.breaks:
            moment = _local(day, minute, self._zone)
            if moment >= now:
                self._agenda.at(moment, self._take_break, agent, length * MINUTE)


def _status_of(agent: Agent) -> tuple[str, str]:
    if not agent.signed_in:
        return Status.SIGNED_OUT, ""
    if agent.away_until:
        return Status.AWAY, agent.away_reason
    if agent.talking:
        return Status.ENGAGED, ""
    if agent.legs:
        return Status.AFTER_CALL, ""
    return Status.READY, ""


def _local(day: date, minutes: int, zone: ZoneInfo) -> int:
    """Epoch ms of a local clock time, given in minutes after midnight (1440 and more: next day)."""
    return from_datetime(datetime.combine(day, time(), zone) + timedelta(minutes=minutes))
