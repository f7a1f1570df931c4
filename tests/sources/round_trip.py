"""A simulated centre told by a platform, translated, and counted by the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pipeline.replay import read_history, snapshots
from pipeline.simulate.options import HOUR, Options
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, BadLine
from schemas.kpis import COUNTERS
from schemas.settings import SiteSettings, parse_site

BUSY = Options(agents=60, queues=6, duration_ms=2 * HOUR, seed=11)

Totals = dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """By queue: the simulator's own totals (`truth`) and what came back (`told`).

    Channels of a queue are summed up, since not every platform tells them. `view` is the snapshot.
    """

    truth: Totals
    told: Totals
    view: dict[str, Any]
    events: list[dict[str, Any]]
    payloads: list[bytes]


def round_trip(
    name: str, options: Options = BUSY, sources: dict[str, Any] | None = None
) -> RoundTrip:
    """Simulate, write in the platform's format, read that back; every payload must be readable."""
    simulation = Simulation(replace(options, platform=name))
    records = list(simulation.records())
    payloads = [record.payload for record in records]
    plan = simulation.centres[0].plan
    settings = parse_site(site_settings(plan) | {"sources": sources or {}}, "plan")
    history = read_history(payloads, FORMATS[name], plan.site, None, no_bad_line, settings)
    assert history.last is not None
    # The last moment of the simulation, so that nothing that is yet to be counted is missed.
    (view,) = snapshots(history, settings, [max(history.last, records[-1].at)])
    truth: Totals = {}
    for (queue, _), counters in simulation.totals[plan.site].items():
        _add(truth, queue, counters)
    return RoundTrip(truth, _told(view), view, history.events, payloads)


def counted(lines: list[bytes], name: str, site: SiteSettings) -> dict[str, Any]:
    """Counters by queue at the last event, channels summed up, and what was inconsistent or late.

    Every line must be readable.
    """
    history = read_history(lines, FORMATS[name], site.site, None, no_bad_line, site)
    (view,) = snapshots(history, site, [history.last or 0])
    return {"inconsistent": view["inconsistent"], "late": view["late"], **_told(view)}


def _told(view: dict[str, Any]) -> Totals:
    told: Totals = {}
    for queue, channels in view["queues"].items():
        for figures in channels.values():
            total = figures["windows"]["total"]
            _add(told, queue, {key: total[key] for key in COUNTERS})
    return told


def _add(totals: Totals, queue: str, counters: dict[str, int]) -> None:
    held = totals.setdefault(queue, {})
    for name, value in counters.items():
        held[name] = held.get(name, 0) + value


def no_bad_line(bad: BadLine) -> None:
    raise AssertionError(bad)
