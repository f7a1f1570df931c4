"""The simulated centre: a discrete-event simulation of contacts, queues and agents.

Contacts arrive, wait in a queue, ring at an agent, are answered, held, transferred, wrapped up;
or give up, are called back, overflow. Everything random is drawn from the plan's seed, arrivals and
agents' days each from their own stream, so that an incident changes only what it touches.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random

from pipeline.simulate.aftermath import Aftermath
from pipeline.simulate.agenda import Agenda
from pipeline.simulate.arrivals import Arrivals
from pipeline.simulate.floor import Floor
from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.options import Incident, Scenario
from pipeline.simulate.people import Agent, Contact, Leg, Visit
from pipeline.simulate.plan import HOLD, CentrePlan, Draw, QueuePlan, Spread
from pipeline.simulate.totals import QueueTotals

BURST_FACTOR = 4.0
MISS_SHARE = 0.015
"""Share of rings that nobody answers on an ordinary day."""
STORM_MISS_SHARE = 0.65
_REFUSED_SHARE = 0.15
"""Share of missed rings that the agent rejected."""
_BLIND_SHARE = 0.7
"""Share of transfers that go back to a queue; the others go straight to a colleague."""
_MOST_HOPS = 3
_ANONYMOUS_SHARE = 0.15
_VIP_SHARE = 0.08


class _Line:
    """A queue at work: who waits, whose pools serve it, its draws and its totals."""

    def __init__(self, plan: QueuePlan, floor: Floor, centre: CentrePlan, surge: Incident) -> None:
        self.plan = plan
        self.waiting: list[Visit] = []
        self.pools = [floor.pools[team.id] for team in centre.teams if plan.id in team.queues]
        self.totals = QueueTotals(plan.threshold_ms, plan.short_abandon_ms)
        self.talk = Draw(plan.talk, 1_000)
        self.wrap = Draw(plan.wrap or Spread(1, 0.1), 1_000)
        self.ring = Draw(plan.ring, 300, plan.ring_limit_ms)
        self.hold = Draw(HOLD, 2_000, 600_000)
        self.patience = Draw(plan.patience or Spread(1, 0.1), 500)
        self.rng = Random(f"{centre.seed_text}/arrivals/{plan.id}")
        bursts = surge.scenario is Scenario.BURST and plan.channel in ("voice", "chat")
        zone = centre.options.zone()
        factor = BURST_FACTOR if bursts else 1.0
        self.arrivals = Arrivals(plan.per_hour, plan.shape, zone, surge, factor)

    def first(self) -> Visit | None:
        """Who is to be served next; visits that ended while they waited are dropped."""
        waiting = self.waiting
        while waiting and not waiting[0].open:
            heappop(waiting)
        return waiting[0] if waiting else None


class Centre:
    """One site at work. Read `happenings()` once; `totals` tells what has happened so far."""

    def __init__(self, plan: CentrePlan) -> None:
        options = plan.options
        self.plan = plan
        self._agenda = Agenda(options.start)
        self._out: list[Happening] = []
        self._rng = Random(f"{plan.seed_text}/contacts")
        self._incident = options.incident
        self._floor = Floor(plan, self._agenda, self._out.append, self._serve)
        self._lines = {
            queue.id: _Line(queue, self._floor, plan, self._incident) for queue in plan.queues
        }
        self._by_team = {
            team.id: [self._lines[queue] for queue in team.queues] for team in plan.teams
        }
        self._aftermath = Aftermath(self._agenda, self._out.append, self._rng)
        self._serial = 0
        self._last = options.start
        self._id_prefix = f"{_base36(options.start // 1000)}-"
        self._customers = max(500, int(40 * sum(queue.per_hour for queue in plan.queues)))
        self._begin()

    def happenings(self) -> Iterator[Happening]:
        """All that happens before the end of the simulation, in order of time."""
        out = self._out
        for _ in self._agenda.run(self.plan.options.end):
            if out:
                self._last = out[-1].at
                yield from out
                out.clear()

    @property
    def totals(self) -> dict[tuple[str, str], dict[str, int]]:
        """Truth per (queue, channel): the twenty counters up to the moment last told."""
        waits: dict[str, list[int]] = {queue: [] for queue in self._lines}
        visits = [visit for line in self._lines.values() for visit in line.waiting]
        visits += [visit for agent in self._floor.agents for visit in agent.rings]
        for visit in visits:
            if visit.open:
                # A miss is known once the threshold has passed, not in its own millisecond.
                waits[visit.queue.id].append(self._last - visit.queued_at)
        return {
            (queue, line.plan.channel): line.totals.as_dict(waits[queue])
            for queue, line in self._lines.items()
        }

    def _begin(self) -> None:
        for line in self._lines.values():
            self._expect(line, self._agenda.now)
        if self._incident.scenario is Scenario.BLACKOUT:
            self._agenda.at(self._incident.start, self._go_dark)
            self._agenda.at(self._incident.end, self._floor.light_up)

    # Waiting

    def _expect(self, line: _Line, moment: int) -> None:
        if line.plan.per_hour > 0:
            arrival = line.arrivals.after(moment, line.rng)
            if arrival is not None:
                self._agenda.at(arrival, self._arrive, line)

    def _arrive(self, line: _Line) -> None:
        rng = line.rng
        self._serial += 1
        customer = f"cust-{rng.randrange(self._customers):06d}"
        contact = Contact(
            f"{self._id_prefix}{self._serial:06d}",
            "" if rng.random() < _ANONYMOUS_SHARE else customer,
            1 if rng.random() < _VIP_SHARE else 0,
        )
        self._enqueue(contact, line)
        self._expect(line, self._agenda.now)

    def _enqueue(self, contact: Contact, line: _Line) -> None:
        now = self._agenda.now
        self._serial += 1
        visit = Visit(contact, line.plan, now, self._serial)
        line.totals.offered += 1
        self._tell(Kind.ENQUEUED, contact, None, line.plan.id, line.plan.channel)
        self._plan_end(visit, line)
        self._place(visit, line)

    def _place(self, visit: Visit, line: _Line) -> None:
        """Ring at whoever is free, else wait in line."""
        agent = self._floor.pick(line.pools, line.plan.needs_whole_agent, visit.contact)
        if agent is None:
            heappush(line.waiting, visit)
        else:
            self._ring(visit, agent)

    def _plan_end(self, visit: Visit, line: _Line) -> None:
        """When and how the wait ends if nobody answers: the earliest of all that may happen."""
        rng, plan = self._rng, line.plan
        ends: list[tuple[int, str]] = []
        if plan.patience is not None:
            if plan.patience_exponential:
                ends.append((500 + int(rng.expovariate(1.0 / plan.patience.mean)), "abandon"))
            else:
                ends.append((line.patience(rng), "abandon"))
        if plan.exit_ms:
            ends.append((plan.exit_ms, plan.exit_reason))
        if plan.overflow_to:
            ends.append((plan.overflow_ms, "overflow"))
        if plan.callback_to and rng.random() < plan.callback_share:
            ends.append((rng.randrange(45_000, 120_000), "callback"))
        if ends:
            wait, how = min(ends)
            self._agenda.at(visit.queued_at + wait, self._end_wait, visit, how)

    def _end_wait(self, visit: Visit, how: str) -> None:
        if not visit.open:
            return
        line, contact = self._lines[visit.queue.id], visit.contact
        wait = self._agenda.now - visit.queued_at
        agent = self._close(visit)
        contact.waited += wait
        if how == "abandon":
            line.totals.give_up(wait)
            self._tell(Kind.GAVE_UP, contact, None, line.plan.id)
        else:
            line.totals.leave(how, wait)
            self._tell(Kind.LEFT, contact, None, line.plan.id, how)
        if how == "callback":
            contact.outbound = True
            self._enqueue(contact, self._lines[line.plan.callback_to])
        elif how == "overflow":
            self._enqueue(contact, self._lines[line.plan.overflow_to])
        if agent is not None:
            self._floor.give_back(agent, agent.units_for(visit.queue))

    def _close(self, visit: Visit) -> Agent | None:
        """End a visit; returns the agent it rang at, whose units are still taken."""
        visit.open = False
        agent, visit.agent = visit.agent, None
        if agent is not None:
            agent.rings.remove(visit)
        return agent

    # Ringing

    def _serve(self, agent: Agent) -> None:
        """Offer an agent with free units whoever has waited longest in the team's queues."""
        lines = self._by_team[agent.team.id]
        while agent.free and agent.takes_work:
            chosen: _Line | None = None
            best: Visit | None = None
            for line in lines:
                visit = line.first()
                if visit is None or agent.units_for(line.plan) > agent.free:
                    continue
                if (best is None or visit < best) and agent not in visit.contact.agents:
                    chosen, best = line, visit
            if chosen is None or best is None:
                return
            heappop(chosen.waiting)
            self._ring(best, agent)

    def _ring(self, visit: Visit, agent: Agent) -> None:
        rng, now = self._rng, self._agenda.now
        line = self._lines[visit.queue.id]
        visit.agent = agent
        visit.rings += 1
        agent.rings.append(visit)
        self._floor.take(agent, agent.units_for(visit.queue))
        self._tell(Kind.RINGING, visit.contact, agent, visit.queue.id)
        storm = self._incident.covers(Scenario.RONA_STORM, now)
        if rng.random() >= (STORM_MISS_SHARE if storm else MISS_SHARE):
            self._agenda.at(now + line.ring(rng), self._answer, visit, visit.rings)
        elif rng.random() < _REFUSED_SHARE:
            self._agenda.at(now + line.ring(rng), self._miss, visit, visit.rings, Kind.REFUSED)
        else:
            until = now + line.plan.ring_limit_ms
            self._agenda.at(until, self._miss, visit, visit.rings, Kind.MISSED)

    def _miss(self, visit: Visit, ring: int, how: Kind) -> None:
        agent = visit.agent
        if agent is None or visit.rings != ring:
            return
        line = self._lines[visit.queue.id]
        visit.agent = None
        agent.rings.remove(visit)
        line.totals.declined += 1
        self._tell(how, visit.contact, agent, line.plan.id)
        agent.free += agent.units_for(visit.queue)
        reason = "rejected" if how is Kind.REFUSED else "no_answer"
        self._floor.pause_after_miss(agent, reason)
        self._place(visit, line)

    def _answer(self, visit: Visit, ring: int) -> None:
        if visit.agent is None or visit.rings != ring:
            return
        line, wait = self._lines[visit.queue.id], self._agenda.now - visit.queued_at
        visit.contact.waited += wait
        line.totals.answer(wait)
        agent = self._close(visit)
        assert agent is not None
        self._tell(Kind.CONNECTED, visit.contact, agent, line.plan.id, line.plan.channel)
        self._talk(visit.contact, agent, line)

    # Talking

    def _talk(self, contact: Contact, agent: Agent, line: _Line, ends_at: int = 0) -> None:
        """Begin a leg; its agent's units are taken already. `ends_at` is set for a guest."""
        rng, now, plan = self._rng, self._agenda.now, line.plan
        leg = Leg(contact, agent, plan, now)
        agent.legs.append(leg)
        agent.talking += 1
        contact.agents.append(agent)
        leg.main = not ends_at
        leg.ends_at = ends_at or now + line.talk(rng)
        if leg.main and rng.random() < plan.hold_share:
            held = now + int((leg.ends_at - now) * rng.uniform(0.2, 0.8))
            length = line.hold(rng)
            leg.ends_at += length
            self._agenda.at(held, self._hold, leg)
            self._agenda.at(held + length, self._retrieve, leg)
        if leg.main and rng.random() < plan.conference_share:
            invited = now + int((leg.ends_at - now) * rng.uniform(0.3, 0.7))
            self._agenda.at(invited, self._invite, leg)
        self._agenda.at(leg.ends_at, self._hang_up, leg)
        self._floor.sync(agent)

    def _hold(self, leg: Leg) -> None:
        if not leg.released_at:
            leg.held_since = self._agenda.now
            self._tell(Kind.HELD, leg.contact, leg.agent, leg.queue.id)

    def _retrieve(self, leg: Leg) -> None:
        if not leg.released_at:
            leg.hold_ms += self._agenda.now - leg.held_since
            leg.held_since = 0
            self._tell(Kind.RETRIEVED, leg.contact, leg.agent, leg.queue.id)

    def _invite(self, leg: Leg) -> None:
        """Bring a colleague into the call until, at the latest, it ends."""
        if leg.released_at:
            return
        left = leg.ends_at - self._agenda.now
        until = self._agenda.now + max(1, int(left * self._rng.uniform(0.3, 1.0)))
        self._connect_directly(leg.contact, self._lines[leg.queue.id], until)

    def _connect_directly(self, contact: Contact, line: _Line, ends_at: int = 0) -> bool:
        """Put a contact that waits nowhere through to a free colleague, if there is one."""
        agent = self._floor.pick(line.pools, line.plan.needs_whole_agent, contact)
        if agent is None:
            return False
        self._floor.take(agent, agent.units_for(line.plan))
        queue, channel = line.plan.id, line.plan.channel
        self._tell(Kind.CONNECTED, contact, agent, queue, channel, {"direct": True})
        self._talk(contact, agent, line, ends_at)
        return True

    def _hang_up(self, leg: Leg) -> None:
        if leg.released_at:
            return
        plan, contact = leg.queue, leg.contact
        transfers = (
            leg.main
            and bool(plan.transfer_to)
            and contact.hops < _MOST_HOPS
            and self._rng.random() < plan.transfer_share
        )
        self._release(leg, transfers)
        wrap = self._lines[plan.id].wrap(self._rng) if plan.wrap else 0
        if wrap:
            self._floor.sync(leg.agent)
            self._agenda.at(leg.released_at + wrap, self._wrap_up, leg)
        else:
            self._wrap_up(leg)
        if transfers:
            contact.hops += 1
            target = self._lines[self._rng.choice(plan.transfer_to)]
            blind = self._rng.random() < _BLIND_SHARE
            if blind or not self._connect_directly(contact, target):
                self._enqueue(contact, target)
        elif leg.main:
            self._aftermath.follow(leg)

    def _release(self, leg: Leg, transferred: bool) -> None:
        now = leg.released_at = self._agenda.now
        if leg.held_since:
            leg.hold_ms += now - leg.held_since
        leg.agent.talking -= 1
        if transferred:
            self._lines[leg.queue.id].totals.transferred += 1
        note = "transferred" if transferred else "completed"
        self._tell(Kind.HUNG_UP, leg.contact, leg.agent, leg.queue.id, note)

    def _wrap_up(self, leg: Leg) -> None:
        if leg.wrapped:
            return
        leg.wrapped = True
        now = self._agenda.now
        talk = leg.released_at - leg.answered_at - leg.hold_ms
        line = self._lines[leg.queue.id]
        line.totals.handle(talk, leg.hold_ms, now - leg.released_at)
        code = self._aftermath.wrap_up_code()
        self._tell(Kind.WRAPPED_UP, leg.contact, leg.agent, leg.queue.id, code)
        leg.agent.legs.remove(leg)
        leg.contact.agents.remove(leg.agent)
        self._floor.give_back(leg.agent, leg.agent.units_for(leg.queue))

    # Incidents

    def _go_dark(self) -> None:
        """Every agent drops: rings end unanswered, calls are cut, nobody can take work."""
        for agent in self._floor.go_dark():
            for visit in list(agent.rings):
                self._miss(visit, visit.rings, Kind.MISSED)
            for leg in list(agent.legs):
                if not leg.released_at:
                    self._release(leg, False)
                self._wrap_up(leg)
            agent.away_until = 0
            self._floor.settle(agent)

    def _tell(
        self,
        kind: Kind,
        contact: Contact,
        agent: Agent | None = None,
        queue: str = "",
        note: str = "",
        facts: dict[str, bool] | None = None,
    ) -> None:
        self._out.append(Happening(self._agenda.now, kind, contact, agent, queue, note, facts))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
