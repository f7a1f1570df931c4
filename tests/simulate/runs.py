"""Simulations that several tests look at, run once each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from pipeline.simulate.options import HOUR, Options, Scenario
from pipeline.simulate.stream import Record, Simulation

BUSY = Options(agents=80, queues=10, duration_ms=3 * HOUR, seed=7)
"""Three hours of a centre in which everything the simulator knows happens."""


@dataclass(frozen=True)
class Run:
    """A simulation that has ended, with all it gave."""

    simulation: Simulation
    records: list[Record]
    events: list[dict[str, Any]]

    def of(self, kind: str, **fields: object) -> list[dict[str, Any]]:
        """The events of a type with these fields."""
        return [
            event
            for event in self.events
            if event["type"] == kind and all(event.get(k) == v for k, v in fields.items())
        ]


@lru_cache(maxsize=32)
def run(options: Options) -> Run:
    """Run a simulation to its end."""
    simulation = Simulation(options)
    records = list(simulation.records())
    return Run(simulation, records, [orjson.loads(record.payload) for record in records])


def in_incident(options: Options, event: dict[str, Any]) -> bool:
    """Whether an event lies within the options' incident."""
    incident = options.incident
    return incident.start <= int(event["ts"]) < incident.end


SCENARIOS = list(Scenario)
