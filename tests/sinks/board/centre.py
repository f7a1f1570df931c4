"""A make-believe contact centre that writes live records as a worker would.

Figures are drawn once from a seed and hang together (answered within T is at most answered, and so
on); waits, state times and the trend move with the moment that is asked for.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from schemas.kpis import (
    COUNTERS,
    TEAM_TIMES,
    WINDOW_MS,
    WINDOWS,
    abandonment_parts,
    aht_parts,
    asa_parts,
    occupancy_parts,
    ratio,
    service_level_parts,
)
from schemas.live import ONLY_PART, TREND_STEPS, LiveRecord, live_record, part_of

MINUTE = 60_000
NOON = 1_760_000_400_000
TODAY_MINUTES = 190


@dataclass
class Queue:
    """What a queue is like: contacts a minute, share in time, share abandoned, who waits."""

    id: str
    name: str
    channel: str = "voice"
    load: float = 1.0
    in_time: float = 0.85
    gives_up: float = 0.04
    waiting: int = 0
    longest_ms: int | None = None
    talk_ms: int = 190_000
    formula: str = "abandons_negative"
    threshold_ms: int = 20_000
    targets: dict[str, float] = field(
        default_factory=lambda: {
            "service_level": 0.8,
            "abandonment": 0.05,
            "longest_wait_ms": 120_000,
            "asa_ms": 30_000,
        }
    )


@dataclass
class Agent:
    """What an agent does, and since how many milliseconds before the start."""

    id: str
    team: str
    state: str
    for_ms: int
    reason: str = ""


@dataclass
class Centre:
    """A whole site; `records(at)` is everything a worker would send in full at that moment."""

    site: str
    name: str
    queues: list[Queue]
    agents: list[Agent]
    teams: dict[str, str]
    seed: int = 7
    start: int = NOON
    time_zone: str = "Etc/GMT-2"
    formula: str = "abandons_negative"

    def records(self, at: int, epoch: int = 1, offset: int = 1) -> list[LiveRecord]:
        """All parts at a moment."""
        stamp = (epoch, offset)
        make = [
            *self._spread("queues", self._queues(at)),
            *self._spread("teams", self._teams()),
            *self._spread("agents", self._agents()),
            ("totals", ONLY_PART, self._totals(at)),
            ("trend", ONLY_PART, self._trend(at)),
        ]
        return [live_record(self.site, stamp, at, *part) for part in make]

    def _spread(self, kind: str, entries: dict[str, Any]) -> Iterable[tuple[str, str, Any]]:
        parts: dict[str, dict[str, Any]] = {}
        for name, entry in entries.items():
            parts.setdefault(part_of(name), {})[name] = entry
        return [(kind, part, data) for part, data in parts.items()]

    def _queues(self, at: int) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for queue in self.queues:
            entries.setdefault(queue.id, {})[queue.channel] = {
                "now": self._now(queue, at),
                "windows": {w: self._window(queue, w) for w in WINDOWS},
                "name": queue.name,
                "formula": queue.formula,
                "exclude_short": False,
                "threshold_ms": queue.threshold_ms,
                "min_volume": 1,
                "targets": queue.targets,
            }
        return entries

    def _now(self, queue: Queue, at: int) -> dict[str, Any]:
        waited = None if queue.longest_ms is None else queue.longest_ms + at - self.start
        past = 0 if waited is None or waited <= queue.threshold_ms else max(1, queue.waiting // 2)
        return {
            "waiting": queue.waiting,
            "longest_wait_ms": waited,
            "in_service": round(queue.load * queue.talk_ms / MINUTE),
            "waiting_past_threshold": past,
        }

    def _window(self, queue: Queue, window: str) -> dict[str, Any]:
        c = self._counters(queue, window)
        return {
            **c,
            "service_level": ratio(*service_level_parts(c, queue.formula, False)),
            "abandonment": ratio(*abandonment_parts(c)),
            "asa_ms": ratio(*asa_parts(c)),
            "aht_ms": ratio(*aht_parts(c)),
        }

    def _counters(self, queue: Queue, window: str) -> dict[str, int]:
        minutes = WINDOW_MS[window] / MINUTE if window in WINDOW_MS else TODAY_MINUTES
        rng = random.Random(f"{self.seed} {queue.id} {queue.channel} {window}")
        c = dict.fromkeys(COUNTERS, 0)
        c["offered"] = round(queue.load * minutes * rng.uniform(0.92, 1.08))
        c["abandoned"] = round(c["offered"] * queue.gives_up)
        c["abandoned_in"] = c["abandoned"] // 3
        c["abandoned_short"] = c["abandoned"] // 6
        c["answered"] = max(0, c["offered"] - c["abandoned"] - queue.waiting)
        c["answered_in"] = round(c["answered"] * min(1.0, queue.in_time * rng.uniform(0.98, 1.02)))
        late = c["answered"] - c["answered_in"]
        c["wait_ms"] = c["answered_in"] * 7_300 + late * queue.threshold_ms * 3
        c["abandoned_wait_ms"] = c["abandoned"] * 41_000
        c["sl_met"], c["sl_missed"] = c["answered_in"], late + c["abandoned"] - c["abandoned_in"]
        c["sl_abandoned"] = c["abandoned_in"]
        c["handled"] = max(0, c["answered"] - 1)
        c["talk_ms"] = c["handled"] * round(queue.talk_ms * rng.uniform(0.9, 1.1))
        c["hold_ms"], c["wrap_ms"] = c["handled"] * 6_000, c["handled"] * 21_000
        return c

    def _all_queues(self, at: int) -> dict[str, Any]:
        nows = [self._now(queue, at) for queue in self.queues]
        waits = [now["longest_wait_ms"] for now in nows if now["longest_wait_ms"] is not None]
        windows = {}
        for window in WINDOWS:
            sums = dict.fromkeys(COUNTERS, 0)
            for queue in self.queues:
                for name, value in self._counters(queue, window).items():
                    sums[name] += value
            windows[window] = {
                **sums,
                "service_level": ratio(*service_level_parts(sums, self.formula, False)),
                "abandonment": ratio(*abandonment_parts(sums)),
                "asa_ms": ratio(*asa_parts(sums)),
                "aht_ms": ratio(*aht_parts(sums)),
            }
        summed = ("waiting", "in_service", "waiting_past_threshold")
        now = {name: sum(n[name] for n in nows) for name in summed}
        return {
            "now": {**now, "longest_wait_ms": max(waits, default=None)},
            "windows": windows,
        }

    def _times(self, agents: list[Agent], window: str) -> dict[str, Any]:
        length = WINDOW_MS.get(window, TODAY_MINUTES * MINUTE)
        times = dict.fromkeys(TEAM_TIMES, 0)
        names = {"busy": "busy_state_ms"}
        for agent in agents:
            name = names.get(agent.state, f"{agent.state}_ms")
            if name in times:
                times[name] += round(length * 0.7)
                times["available_ms"] += round(length * 0.12)
                times["talk_ms"] += round(length * 0.18)
        return {**times, "occupancy": ratio(*occupancy_parts(times))}

    def _teams(self) -> dict[str, Any]:
        return {
            team: {
                "agents": _states([a for a in self.agents if a.team == team]),
                "windows": {
                    w: self._times([a for a in self.agents if a.team == team], w) for w in WINDOWS
                },
                "name": name,
                "occupancy_target": [0.6, 0.88],
            }
            for team, name in self.teams.items()
        }

    def _agents(self) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for agent in self.agents:
            on_leg = agent.state in ("talk", "hold", "wrap")
            entries[agent.id] = {
                "team": agent.team,
                "state": agent.state,
                "since": self.start - agent.for_ms,
                "contacts": [f"c-{agent.id}"] if on_leg else [],
                **({"reason": agent.reason} if agent.reason else {}),
            }
        return entries

    def _totals(self, at: int) -> dict[str, Any]:
        return {
            "all": {
                "agents": _states(self.agents),
                "windows": {w: self._times(self.agents, w) for w in WINDOWS},
                "queues": self._all_queues(at),
            },
            "late": 0,
            "inconsistent": 3,
            "dead_lettered": 1,
            "name": self.name,
            "time_zone": self.time_zone,
            "sources": {"bank-1999": at - 1_400},
            "day_start": at - TODAY_MINUTES * MINUTE,
            "open": True,
            "min_volume": 0,
            "formula": self.formula,
            "threshold_ms": 20_000,
            "targets": self.queues[0].targets if self.queues else {},
        }

    def _trend(self, at: int) -> dict[str, Any]:
        start = (at // MINUTE - TREND_STEPS + 1) * MINUTE
        by_queue = {queue.id: self._minutes(queue, start) for queue in self.queues}
        names = ("offered", "answered", "answered_in", "abandoned", "waiting")
        total: dict[str, list[Any]] = {
            name: [sum(q[name][i] for q in by_queue.values()) for i in range(TREND_STEPS)]
            for name in names
        }
        total["service_level"] = [
            ratio(n, a + b)
            for n, a, b in zip(
                total["answered_in"], total["answered"], total["abandoned"], strict=True
            )
        ]
        queues = {
            name: {key: minutes[key] for key in ("offered", "service_level")}
            for name, minutes in by_queue.items()
        }
        return {"step_ms": MINUTE, "start": start, "all": total, "queues": queues}

    def _minutes(self, queue: Queue, start: int) -> dict[str, list[Any]]:
        names = ("offered", "answered", "answered_in", "abandoned", "waiting")
        minutes: dict[str, list[Any]] = {name: [] for name in (*names, "service_level")}
        for i in range(TREND_STEPS):
            rng = random.Random(f"{self.seed} {queue.id} {start + i * MINUTE}")
            wave = 0.75 + 0.5 * (i / TREND_STEPS)
            offered = sum(rng.random() < queue.load * wave / 8 for _ in range(8))
            abandoned = sum(rng.random() < queue.gives_up for _ in range(offered))
            answered = offered - abandoned
            answered_in = sum(rng.random() < queue.in_time for _ in range(answered))
            wait = queue.waiting * wave * rng.uniform(0.3, 1.1)
            row = (offered, answered, answered_in, abandoned, round(wait))
            for name, value in zip(names, row, strict=True):
                minutes[name].append(value)
            minutes["service_level"].append(ratio(answered_in, offered))
        return minutes


def _states(agents: list[Agent]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for agent in agents:
        counts[agent.state] = counts.get(agent.state, 0) + 1
    return counts


BANK_TEAMS = {"phone": "Telephone", "net": "Internet support"}
BANK_STATES = (*["talk"] * 6, "hold", "wrap", "ringing", "available", "not_ready", "busy")
BANK_NAMES = "Ada Bruno Carla Dario Elsa Femi Greta Hugo Ines Jonas Kira Luis Mona Nils Olga"


def bank(mood: str = "busy") -> Centre:
    """A small bank: six queues, fifteen agents; busy, calm, breached or quiet (nothing offered)."""
    return Centre("bank", "Anonymous Bank", _bank_queues(mood), _bank_agents(mood), BANK_TEAMS)


def _bank_queues(mood: str) -> list[Queue]:
    queues = [
        Queue("PS", "Regular service", load=2.6, in_time=0.83, waiting=4, longest_ms=52_000),
        Queue("NW", "Prospective customers", load=0.7, in_time=0.91, waiting=1, longest_ms=8_000),
        Queue("NE", "Stock exchange", load=0.8, in_time=0.79, waiting=2, longest_ms=126_000),
        Queue("IN", "Internet support", load=0.4, in_time=0.62, waiting=3, longest_ms=214_000,
              gives_up=0.11, talk_ms=340_000),
        Queue("PE", "Service in English", load=0.2, in_time=0.94),
        Queue("TT", "Callback", channel="callback", load=0.1, in_time=0.9, threshold_ms=300_000),
    ]  # fmt: skip
    for queue in queues:
        if mood == "calm":
            queue.load, queue.in_time, queue.gives_up = queue.load * 0.4, 0.96, 0.02
            queue.waiting, queue.longest_ms = 0, None
        elif mood == "breached":
            queue.in_time, queue.gives_up = queue.in_time * 0.6, 0.16
            queue.waiting += 5
            queue.longest_ms = (queue.longest_ms or 30_000) + 260_000
        elif mood == "quiet":
            queue.load, queue.waiting, queue.longest_ms = 0.0, 0, None
    return queues


def _bank_agents(mood: str) -> list[Agent]:
    if mood == "quiet":
        return []
    rng = random.Random(3)
    agents = []
    for i, name in enumerate(BANK_NAMES.split()):
        state = BANK_STATES[i % len(BANK_STATES)]
        if mood == "calm" and state in ("talk", "hold") and i % 3:
            state = "available"
        if mood == "breached" and state == "available":
            state = "talk"
        reason = {"not_ready": "Lunch", "busy": "Back office"}.get(state, "")
        team = "net" if i >= 10 else "phone"
        agents.append(Agent(name, team, state, rng.randrange(4_000, 560_000), reason))
    return agents


def large() -> Centre:
    """Forty queues with long names, two hundred agents, four teams."""
    rng = random.Random(11)
    subjects = "Cards Loans Mortgages Savings Insurance Claims Complaints Technical Billing Sales"
    regions = ["North", "South", "East and overseas territories", "West"]
    queues = []
    for i, subject in enumerate(subjects.split()):
        for j, region in enumerate(regions):
            channel = ("voice", "voice", "chat", "email")[(i + j) % 4]
            waiting = max(0, round(rng.gauss(1.5, 2)))
            longest = rng.randrange(3_000, 190_000) if waiting else None
            queues.append(
                Queue(f"q{i:02}{j}", f"{subject} {region}", channel, rng.uniform(0.2, 4),
                      rng.uniform(0.68, 0.97), rng.uniform(0.01, 0.09), waiting, longest)
            )  # fmt: skip
    teams = {f"t{k}": name for k, name in enumerate(["Aurora", "Borealis", "Cygnus", "Draco"])}
    agents = [
        Agent(f"agent-{k:03}", f"t{k % 4}", rng.choice(BANK_STATES), rng.randrange(1_000, 900_000))
        for k in range(200)
    ]
    return Centre("metro", "Metropolitan Services", queues, agents, teams, seed=5)


def crowd() -> Centre:
    """Sixty queues and two thousand agents in nine teams: what one node is made for."""
    rng = random.Random(23)
    queues = [
        Queue(f"skill-{k:02}", f"Skill group {k:02}", ("voice", "chat")[k % 2], rng.uniform(2, 24),
              rng.uniform(0.7, 0.99), rng.uniform(0.0, 0.08),
              waiting := rng.choice([0, 0, 1, 4, 9]),
              rng.randrange(2_000, 150_000) if waiting else None)
        for k in range(60)
    ]  # fmt: skip
    teams = {f"t{k}": f"Team {k + 1}" for k in range(9)}
    agents = [
        Agent(
            f"{40_000 + k}", f"t{k % 9}", rng.choice(BANK_STATES), rng.randrange(1_000, 5_000_000)
        )
        for k in range(2000)
    ]
    return Centre("crowd", "National Service Line", queues, agents, teams, seed=29)


LONG = "Beschwerdemanagement und Kulanzanfragen Donaudampfschifffahrtsgesellschaft"


def extreme() -> Centre:
    """Names that do not end and numbers that do not fit."""
    every = {"service_level": 0.999, "abandonment": 0.005, "longest_wait_ms": 5_400_000,
             "asa_ms": 90_000, "aht_ms": 240_000}  # fmt: skip
    queues = [
        Queue("a" * 60, LONG, "voice", 5_200, 0.61, 0.21, 12_345, 97_440_000, 5_900_000,
              targets=every, threshold_ms=5_400_000),
        Queue("b" * 60, LONG + " Nord", "callback", 910, 0.9991, 0.001, 3_456, 61_000,
              targets=every),
        Queue("vip", "VIP", "chat", 88, 0.97, 0.03, 7, 4_100_000, targets=every),
        Queue("x" * 200, "", "email", 3, 0.5, 0.4, 999, 350_000_000, targets=every,
              formula="sl_event_positive"),
    ]  # fmt: skip
    teams = {"one": "Kundenbetreuung Süddeutschland und Österreich, Spätschicht", "y" * 80: ""}
    rng = random.Random(31)
    names = ["agent." + "z" * 90, "Maximiliane Freifrau von und zu Wolfenstein-Hohenlohe", "Bo"]
    agents = [
        Agent(names[k % 3] + str(k), "one" if k % 2 else "y" * 80, rng.choice(BANK_STATES),
              rng.randrange(1_000, 400_000_000),
              "Besprechung mit der Abteilungsleitung, danach Mittagspause" if k % 4 == 0 else "")
        for k in range(30)
    ]  # fmt: skip
    name = "Allgemeine Versicherungs- und Beteiligungsgesellschaft der Vereinigten Landesverbände"
    return Centre("extreme", name, queues, agents, teams, seed=37, formula="sl_event_positive")
