"""Payloads of a simulated centre, told again in another order or under other options."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from pipeline.replay import read_history, snapshots
from pipeline.simulate.options import HOUR, Options
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS
from schemas.kpis import COUNTERS
from schemas.settings import parse_site
from tests.sources.round_trip import no_bad_line

CROWDED = Options(agents=24, queues=6, duration_ms=2 * HOUR, seed=5)
"""So few agents that callers give up, ask to be called back and overflow."""


@dataclass(frozen=True, slots=True)
class Telling:
    """The payloads of a simulated centre in their order, and what truly happened.

    Figures are by `queue/counter`, and by `counter` for all queues.
    """

    name: str
    payloads: list[bytes]
    truth: dict[str, int]
    end: int
    settings: dict[str, Any]

    def view(self, payloads: list[bytes], **options: Any) -> dict[str, Any]:
        """The snapshot at the end."""
        settings = parse_site(self.settings | {"sources": {self.name: options}}, "plan")
        read = FORMATS[self.name]
        history = read_history(payloads, read, settings.site, None, no_bad_line, settings)
        assert history.last is not None
        (view,) = snapshots(history, settings, [max(history.last, self.end)])
        return view

    def agents_time(self, payloads: list[bytes]) -> dict[str, int]:
        """Milliseconds of all agents by `team/state`."""
        teams = self.view(payloads)["teams"]
        return {
            f"{team}/{name}": value
            for team, figures in teams.items()
            for name, value in figures["windows"]["total"].items()
            if name.endswith("_ms")
        }

    def figures(self, payloads: list[bytes], **options: Any) -> dict[str, int]:
        """What the payloads make: figures as in `truth`, and `inconsistent`."""
        view = self.view(payloads, **options)
        counted = {
            queue: [figures["windows"]["total"] for figures in channels.values()]
            for queue, channels in view["queues"].items()
        }
        return _figures(counted) | {"inconsistent": view["inconsistent"]}


def telling(name: str, options: Options = CROWDED) -> Telling:
    """A centre as a platform tells it."""
    platform = "" if name == "canonical" else name
    simulation = Simulation(replace(options, platform=platform))
    records = list(simulation.records())
    plan = simulation.centres[0].plan
    counted: dict[str, list[dict[str, int]]] = {}
    for (queue, _), counters in simulation.totals[plan.site].items():
        counted.setdefault(queue, []).append(counters)
    truth = _figures(counted)
    payloads = [record.payload for record in records]
    return Telling(name, payloads, truth, records[-1].at, site_settings(plan))


def disordered(payloads: list[bytes], seed: int) -> list[bytes]:
    """All payloads in any order, every third of them twice."""
    mixed = payloads + payloads[::3]
    random.Random(seed).shuffle(mixed)
    return mixed


def counter_of(figure: str) -> str:
    """The counter that a figure is of."""
    return figure.rpartition("/")[2]


def _figures(counted: dict[str, list[dict[str, int]]]) -> dict[str, int]:
    figures = dict.fromkeys(COUNTERS, 0)
    for queue, channels in counted.items():
        for counter in COUNTERS:
            figures[f"{queue}/{counter}"] = sum(counters[counter] for counters in channels)
            figures[counter] += figures[f"{queue}/{counter}"]
    return figures
