"""The object of contract section 7 from stories and agents' events at one moment."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from schemas.settings import SiteSettings
from tests.oracle.agent_time import TIMES, Agent, Spell
from tests.oracle.facts import COUNTERS, Fact, facts
from tests.oracle.history import History
from tests.oracle.story import STORY, Event, Story
from tests.oracle.windows import windows

Span = tuple[int, int] | None
Spans = Mapping[str, Span]


def snapshot(events: Iterable[Event], settings: SiteSettings, at: int) -> dict[str, Any]:
    """The site at `at` if exactly the events with `ts` <= `at` are known."""
    stories: dict[str, list[Event]] = defaultdict(list)
    agents: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if event["ts"] > at:
            continue
        if event["type"] in STORY:
            stories[event["contact"]].append(event)
        elif event["type"].startswith("agent."):
            agents[event["agent"]].append(event)
    return site_object(list(stories.values()), agents, History(settings), at)


def site_object(
    contacts: Sequence[Iterable[Event]],
    agents: Mapping[str, Iterable[Event]],
    history: History,
    at: int,
    late: int = 0,
    dead_lettered: int = 0,
) -> dict[str, Any]:
    settings = history.current
    stories = [Story(events, history, at) for events in contacts]
    spans = windows(at, settings.pane_ms, settings.time_zone)
    known = known_agents(stories, agents, at)
    return {
        "site": settings.site,
        "at": at,
        "queues": queue_objects(stories, settings, spans, at),
        "teams": team_objects(known, spans),
        "all": {
            **agents_object(known, spans, None),
            "queues": {
                "now": now(stories, at, None),
                "windows": queue_windows(
                    every_fact(stories, settings, at),
                    spans,
                    settings.defaults.formula,
                    settings.defaults.exclude_short,
                ),
            },
        },
        "late": late,
        "inconsistent": sum(story.ignored for story in stories),
        "dead_lettered": dead_lettered,
    }


# Queues.


def every_fact(stories: Iterable[Story], settings: SiteSettings, at: int) -> list[Fact]:
    return [fact for story in stories for fact in facts(story, settings.anchor, at)]


def queue_objects(
    stories: list[Story], settings: SiteSettings, spans: Spans, at: int
) -> dict[str, Any]:
    places = {(v.queue, v.channel) for s in stories for v in s.visits}
    places |= {(g.queue, g.channel) for s in stories for g in s.legs if g.queue is not None}
    counted = every_fact(stories, settings, at)
    objects: dict[str, Any] = {}
    for queue, channel in sorted(places):
        here = [f for f in counted if (f.queue, f.channel) == (queue, channel)]
        resolved = settings.queue(queue)
        objects.setdefault(queue, {})[channel] = {
            "now": now(stories, at, (queue, channel)),
            "windows": queue_windows(here, spans, resolved.formula, resolved.exclude_short),
        }
    return objects


def now(stories: Iterable[Story], at: int, place: tuple[str, str] | None) -> dict[str, int | None]:
    """Of one queue and channel, or of all."""

    def here(queue: str | None, channel: str) -> bool:
        return queue is not None if place is None else (queue, channel) == place

    stories = list(stories)
    waits = [at - v.queued_at for s in stories for v in s.waiting() if here(v.queue, v.channel)]
    talking = [g for s in stories for g in s.legs if g.talks and here(g.queue, g.channel)]
    return {
        "waiting": len(waits),
        "longest_wait_ms": max(waits, default=None),
        "in_service": len(talking),
    }


def queue_windows(
    counted: list[Fact], spans: Spans, formula: str, exclude_short: bool
) -> dict[str, Any]:
    return {
        name: with_ratios(add_up(counted, span), formula, exclude_short)
        for name, span in spans.items()
    }


def add_up(counted: Iterable[Fact], span: Span) -> dict[str, int]:
    total = dict.fromkeys(COUNTERS, 0)
    for fact in counted:
        if span is None or span[0] <= fact.moment < span[1]:
            total[fact.counter] += fact.amount
    return total


def with_ratios(c: dict[str, int], formula: str, exclude_short: bool) -> dict[str, Any]:
    return {
        **c,
        "service_level": service_level(c, formula, exclude_short),
        "abandonment": ratio(c["abandoned"], c["answered"] + c["abandoned"]),
        "asa_ms": ratio(c["wait_ms"], c["answered"]),
        "aht_ms": ratio(c["talk_ms"] + c["hold_ms"] + c["wrap_ms"], c["handled"]),
    }


def ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def service_level(c: Mapping[str, int], formula: str, exclude_short: bool) -> float | None:
    answered, answered_in = c["answered"], c["answered_in"]
    abandoned, abandoned_in = c["abandoned"], c["abandoned_in"]
    if exclude_short:
        abandoned = c["abandoned"] - c["abandoned_short"]
        abandoned_in = max(0, c["abandoned_in"] - c["abandoned_short"])
    met, missed, gone = c["sl_met"], c["sl_missed"], c["sl_abandoned"]
    fractions = {
        "answered_only": (answered_in, answered),
        "ignore_abandons": (answered_in, answered + abandoned - abandoned_in),
        "abandons_negative": (answered_in, answered + abandoned),
        "abandons_positive": (answered_in + abandoned_in, answered + abandoned),
        "sl_event_negative": (met, met + missed + gone),
        "sl_event_ignore": (met, met + missed),
        "sl_event_positive": (met + gone, met + missed + gone),
    }
    return ratio(*fractions[formula])


# Agents.


def known_agents(
    stories: Iterable[Story], agents: Mapping[str, Iterable[Event]], at: int
) -> list[Agent]:
    stories = list(stories)
    legs = [leg for story in stories for leg in story.legs]
    rings = [ring for story in stories for ring in story.rings]
    names = {*agents, *(leg.agent for leg in legs)}
    return [
        Agent(
            agents.get(name, []),
            [leg for leg in legs if leg.agent == name],
            [ring for ring in rings if ring.agent == name],
            at,
        )
        for name in sorted(names)
    ]


def team_objects(agents: list[Agent], spans: Spans) -> dict[str, Any]:
    teams = {spell.team for agent in agents for spell in agent.spells()}
    teams |= {agent.team(agent.at) for agent in agents}
    return {team: agents_object(agents, spans, team) for team in sorted(teams)}


def agents_object(agents: list[Agent], spans: Spans, team: str | None) -> dict[str, Any]:
    """Of one team, or of all when `team` is None."""
    spells = [s for a in agents for s in a.spells() if team is None or s.team == team]
    count: dict[str, int] = defaultdict(int)
    for agent in agents:
        state = agent.state(agent.at)
        if state is not None and (team is None or agent.team(agent.at) == team):
            count[state] += 1
    return {
        "agents": dict(count),
        "windows": {name: with_occupancy(time_in(spells, span)) for name, span in spans.items()},
    }


def time_in(spells: Iterable[Spell], span: Span) -> dict[str, int]:
    times = dict.fromkeys(TIMES.values(), 0)
    for spell in spells:
        if spell.state not in TIMES:
            continue
        start, end = spell.start, spell.end
        if span is not None:
            start, end = max(start, span[0]), min(end, span[1])
        times[TIMES[spell.state]] += max(0, end - start)
    return times


def with_occupancy(times: dict[str, int]) -> dict[str, Any]:
    busy = times["talk_ms"] + times["hold_ms"] + times["wrap_ms"] + times["busy_state_ms"]
    return {**times, "occupancy": ratio(busy, busy + times["available_ms"])}
