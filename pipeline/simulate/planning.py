"""Makes the plan of a centre from the options: which queues, which teams, how many hands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from pipeline.simulate.arrivals import EVENING_SHAPE, HALF_HOURS, OFFICE_SHAPE
from pipeline.simulate.names import agent_names, site_name
from pipeline.simulate.options import DAY, HOUR, MINUTE, Options
from pipeline.simulate.plan import (
    AgentPlan,
    CentrePlan,
    QueuePlan,
    Spread,
    TeamPlan,
)
from pipeline.simulate.roster import shift_from, shift_starts, staff_at

_SLACK = 0.85
"""Square-root staffing: of N agents about this times the root of N are to spare."""
_BREAKS = 0.12
"""Share of a shift spent on breaks and in pauses after missed rings."""
_QUEUES_PER_TEAM = 4
"""Agents rarely have more than five skills."""
_CHATS_AT_ONCE = 3
_CHAT_OVERLAP = 2.0
"""How many chats an agent holds on average when there is work."""


@dataclass(frozen=True, slots=True)
class _Template:
    id: str
    name: str
    channel: str
    weight: float


_TEMPLATES = (
    _Template("support", "Support", "voice", 30),
    _Template("sales", "Sales", "voice", 20),
    _Template("chat", "Chat", "chat", 16),
    _Template("billing", "Billing", "voice", 18),
    _Template("email", "E-mail", "email", 8),
    _Template("callback", "Callbacks", "callback", 0),
    _Template("technical", "Technical help", "voice", 14),
    _Template("orders", "Orders", "voice", 12),
    _Template("chat-sales", "Chat sales", "chat", 8),
    _Template("claims", "Claims", "voice", 8),
)

_VOICE = QueuePlan(
    id="", name="", channel="voice", per_hour=0.0,
    talk=Spread(230_000, 0.9), wrap=Spread(35_000, 0.8),
    patience=Spread(200_000, 1.2), patience_exponential=False,
    ring=Spread(4_500, 0.5), ring_limit_ms=18_000,
    threshold_ms=20_000, short_abandon_ms=5_000, stuck_after_ms=4 * HOUR, target=0.8,
    hold_share=0.18, transfer_to=(), transfer_share=0.05, conference_share=0.01,
    overflow_to="", overflow_ms=0, callback_to="", callback_share=0.0,
    exit_ms=10 * MINUTE, exit_reason="voicemail", shape=OFFICE_SHAPE,
)  # fmt: skip
_CHAT = replace(
    _VOICE, channel="chat", talk=Spread(420_000, 0.7), wrap=Spread(20_000, 0.8),
    patience=Spread(240_000, 1.0), patience_exponential=True, ring=Spread(6_000, 0.6),
    ring_limit_ms=30_000, threshold_ms=60_000, hold_share=0.0, conference_share=0.0,
    exit_ms=20 * MINUTE, exit_reason="timeout", shape=EVENING_SHAPE,
)  # fmt: skip
_EMAIL = replace(
    _VOICE, channel="email", talk=Spread(330_000, 0.8), wrap=None, patience=None,
    ring=Spread(2_000, 0.5), ring_limit_ms=60_000, threshold_ms=4 * HOUR,
    stuck_after_ms=7 * DAY, target=0.9, hold_share=0.0, transfer_share=0.02,
    conference_share=0.0, exit_ms=0, exit_reason="", shape=OFFICE_SHAPE,
)  # fmt: skip
_CALLBACK = replace(
    _VOICE, channel="callback", talk=Spread(240_000, 0.8), wrap=Spread(40_000, 0.7),
    patience=None, ring=Spread(3_000, 0.5), threshold_ms=15 * MINUTE, stuck_after_ms=DAY,
    hold_share=0.1, transfer_share=0.0, conference_share=0.0,
    exit_ms=8 * HOUR, exit_reason="timeout",
)  # fmt: skip
_CHANNELS = {"voice": _VOICE, "chat": _CHAT, "email": _EMAIL, "callback": _CALLBACK}


def plan_site(options: Options, number: int) -> CentrePlan:
    """The plan of site `number` (0 is the first). The same options give the same plan."""
    site = options.site_ids()[number]
    rng = Random(f"{options.seed}/{site}/plan")
    chosen = _templates(options.queues)
    queues = _wire([_queue_from(template) for template in chosen])
    queues = _weigh(queues, [template.weight for template in chosen], rng)
    teams = _teams(queues, options.agents)
    starts = {
        team.id: shift_starts(_load_of(team, queues), agents)
        for team, agents in zip(teams, _headcounts(teams, queues, options.agents), strict=True)
    }
    queues = _fit(queues, starts, options)
    names = iter(agent_names(options.agents, rng))
    agents = [
        AgentPlan(next(names), team.id, shift_from(start, rng))
        for team in teams
        for start in starts[team.id]
    ]
    return CentrePlan(
        site,
        site_name(site),
        f"{options.seed}/{site}",
        options,
        tuple(queues),
        tuple(teams),
        tuple(agents),
    )


def _templates(count: int) -> list[_Template]:
    """As many as asked for; after the ten known ones the names go round with a number."""
    chosen = []
    for index in range(count):
        lap, place = divmod(index, len(_TEMPLATES))
        base = _TEMPLATES[place]
        if lap:
            base = replace(base, id=f"{base.id}-{lap + 1}", name=f"{base.name} {lap + 1}")
        chosen.append(base)
    return chosen


def _queue_from(template: _Template) -> QueuePlan:
    base = _CHANNELS[template.channel]
    return replace(base, id=template.id, name=template.name)


def _wire(queues: list[QueuePlan]) -> list[QueuePlan]:
    """Where contacts go from each queue: transfers, overflow, callbacks."""
    voice = [queue.id for queue in queues if queue.channel == "voice"]
    callbacks = [queue.id for queue in queues if queue.channel == "callback"]
    wired = []
    for queue in queues:
        same = tuple(q.id for q in queues if q.channel == queue.channel and q.id != queue.id)
        queue = replace(queue, transfer_to=same, transfer_share=queue.transfer_share if same else 0)
        if queue.channel == "voice":
            place = voice.index(queue.id)
            if place:
                queue = replace(queue, overflow_to=voice[0], overflow_ms=150_000)
            if callbacks:
                target = callbacks[place % len(callbacks)]
                queue = replace(queue, callback_to=target, callback_share=0.12)
        wired.append(queue)
    return wired


def _weigh(queues: list[QueuePlan], weights: Sequence[float], rng: Random) -> list[QueuePlan]:
    """Each queue's share of all arrivals, as `per_hour` of a centre with one contact an hour."""
    shares = [weight * rng.uniform(0.8, 1.25) for weight in weights]
    total = sum(shares)
    return [
        replace(queue, per_hour=share / total) for queue, share in zip(queues, shares, strict=True)
    ]


def _teams(queues: Sequence[QueuePlan], agents: int) -> list[TeamPlan]:
    """Teams of up to four queues of one kind; callbacks go to the voice teams."""
    groups: list[tuple[str, str, list[str], int]] = []
    for channel, team_id, name, at_once in (
        ("voice", "front", "Front desk", 1),
        ("chat", "digital", "Digital", _CHATS_AT_ONCE),
        ("email", "mail", "Mail room", 1),
    ):
        members = [queue.id for queue in queues if queue.channel == channel]
        for lap, first in enumerate(range(0, len(members), _QUEUES_PER_TEAM), 1):
            suffix = ("", "") if lap == 1 else (f"-{lap}", f" {lap}")
            group = members[first : first + _QUEUES_PER_TEAM]
            groups.append((team_id + suffix[0], name + suffix[1], group, at_once))
    voice_teams = [group for group in groups if group[0].startswith("front")]
    callbacks = [queue.id for queue in queues if queue.channel == "callback"]
    for index, callback in enumerate(callbacks):
        voice_teams[index % len(voice_teams)][2].append(callback)
    if agents < 2 * len(groups):
        everything = tuple(queue.id for queue in queues)
        return [TeamPlan("front", "Front desk", everything, _CHATS_AT_ONCE)]
    return [TeamPlan(*group[:2], tuple(group[2]), group[3]) for group in groups]


def _work(queue: QueuePlan) -> float:
    """Agents kept busy by the queue where its curve is 1."""
    overlap = 1.0 if queue.needs_whole_agent else _CHAT_OVERLAP
    return queue.per_hour * queue.handle_ms / HOUR / overlap


def _load_of(team: TeamPlan, queues: Sequence[QueuePlan]) -> list[float]:
    """Agents kept busy in each half-hour of the day, up to a common factor."""
    load = [0.0] * HALF_HOURS
    for queue in queues:
        if queue.id in team.queues:
            for half_hour, share in enumerate(queue.shape):
                load[half_hour] += _work(queue) * share
    return load


def _headcounts(teams: Sequence[TeamPlan], queues: Sequence[QueuePlan], agents: int) -> list[int]:
    """Agents per team in proportion to the work of its day, at least one each."""
    work = [sum(_load_of(team, queues)) for team in teams]
    counts = [max(1, int(agents * share / sum(work))) for share in work]
    while sum(counts) != agents:
        step = 1 if sum(counts) < agents else -1
        lacking = [step * (w / c) if c + step else -1e9 for w, c in zip(work, counts, strict=True)]
        counts[lacking.index(max(lacking))] += step
    return counts


def _occupancy(staff: float) -> float:
    """How busy a team of that size can be and still answer most calls at once."""
    return min(0.92, max(0.5, 1.0 - _SLACK / math.sqrt(max(staff, 1.0))))


def _fit(
    queues: list[QueuePlan], starts: dict[str, list[int]], options: Options
) -> list[QueuePlan]:
    """Arrivals and handling times as asked for; what is not asked for follows from the staff."""
    peak = max(range(HALF_HOURS), key=lambda at: sum(q.per_hour * q.shape[at] for q in queues))
    crest = sum(queue.per_hour * queue.shape[peak] for queue in queues)
    teams = [staff_at(team, peak) * (1 - _BREAKS) for team in starts.values()]
    busy = sum(team * _occupancy(team) for team in teams)
    stretch = 1.0
    if options.aht_s is not None:
        voice = [queue.handle_ms for queue in queues if queue.channel == "voice"]
        stretch = options.aht_s * 1000 * len(voice) / sum(voice)
    work = sum(_work(queue) * queue.shape[peak] for queue in queues) / crest
    per_hour = options.calls_per_hour
    if per_hour is None:
        per_hour = busy / (work * stretch)
    elif options.aht_s is None:
        stretch = min(max(busy / (work * per_hour), 0.1), 2.0)
    return [
        replace(
            queue,
            per_hour=queue.per_hour * per_hour / crest,
            talk=queue.talk.scaled(stretch),
            wrap=queue.wrap.scaled(stretch) if queue.wrap else None,
        )
        for queue in queues
    ]
