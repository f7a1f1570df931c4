"""Pages of metrics of all roles: three sites that miss their targets, meet them, and have none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from prometheus_client import generate_latest

from pipeline.engine import Site
from pipeline.ingest.metrics import DoorMetrics, IngestMetrics
from schemas.events import validate_event
from schemas.frames import Frame
from schemas.settings import parse_site
from sinks.clickhouse.metrics import SinkMetrics
from sinks.prometheus.collector import render
from sinks.prometheus.figures import WorkerFigures

SITES = ("north", "south", "west")

STRICT = {"service_level": 0.9, "abandonment": 0.01, "longest_wait_ms": 10_000}
STRICT |= {"asa_ms": 5_000, "aht_ms": 20_000}
MILD = {"service_level": 0.1, "abandonment": 0.9, "longest_wait_ms": 3_600_000}
MILD |= {"asa_ms": 3_600_000, "aht_ms": 3_600_000}

SETTINGS: dict[str, dict[str, Any]] = {
    "north": {
        "defaults": {"targets": STRICT, "min_volume": 1},
        "teams": {"blue": {"occupancy": [0.01, 0.02]}, "red": {"occupancy": [0.98, 0.99]}},
    },
    "south": {
        "defaults": {"targets": MILD},
        "teams": {"blue": {"occupancy": [0.0, 1.0]}},
    },
    "west": {},
}

_CALLS = [
    (0, "agent.state", {"agent": "zoe", "state": "available", "team": "blue"}),
    (0, "agent.state", {"agent": "max", "state": "available", "team": "red"}),
    (0, "agent.state", {"agent": "dan", "state": "available", "team": "red"}),
    (0, "agent.state", {"agent": "amy", "state": "busy", "team": "red"}),
    (0, "agent.state", {"agent": "ben", "state": "not_ready", "team": "red"}),
    (0, "agent.state", {"agent": "cat", "state": "wrap", "team": "red"}),
    (1, "contact.queued", {"contact": "a", "queue": "sales"}),
    (2, "contact.offered", {"contact": "a", "agent": "max"}),
    (6, "contact.declined", {"contact": "a", "agent": "max"}),
    (11, "contact.answered", {"contact": "a", "agent": "zoe"}),
    (60, "contact.released", {"contact": "a", "agent": "zoe"}),
    (70, "contact.wrapped", {"contact": "a", "agent": "zoe"}),
    (71, "contact.queued", {"contact": "b", "queue": "sales"}),
    (111, "contact.answered", {"contact": "b", "agent": "zoe"}),
    (112, "contact.queued", {"contact": "c", "queue": "sales"}),
    (142, "contact.abandoned", {"contact": "c"}),
    (143, "contact.abandoned", {"contact": "c"}),
    (150, "contact.queued", {"contact": "d", "queue": "sales"}),
    (151, "contact.offered", {"contact": "d", "agent": "max"}),
    (155, "contact.answered", {"contact": "x", "agent": "eve", "queue": "sales"}),
    (158, "contact.held", {"contact": "x", "agent": "eve"}),
    (160, "contact.queued", {"contact": "e", "queue": "care", "channel": "chat"}),
]


def view(name: str, now: int) -> dict[str, Any]:
    """What the engine of a site publishes, its calls having come in the last minutes."""
    site = Site(parse_site({"site": name, **SETTINGS[name]}, "test"))
    begin = now - 200_000
    events = [
        validate_event(
            {"type": kind, "site": name, "ts": begin + second * 1000, "source": "acd", **fields}
        )
        for second, kind, fields in _CALLS
    ]
    offsets = list(range(len(events)))
    site.apply(Frame(name, 1, now - 2_000, (0, 0, 99), [98, 99], events, offsets), 0)
    found: dict[str, Any] = site.view()
    return found


def pages() -> dict[str, Callable[[], bytes]]:
    """The page of each role, made anew for each reader."""
    ingest, door, sink = IngestMetrics(), DoorMetrics(), SinkMetrics()
    door.requests.labels("200").inc()
    sink.bad_rows.labels("visits").inc()
    sink.reconciliation_checked.set_to_current_time()
    for site in SITES:
        sink.reconciliation_differences.labels(site).set(0)

    def stored() -> bytes:
        sink.inserted("visits", rows=10, seconds=0.02)
        return generate_latest(sink.registry)

    return {
        "worker": worker,
        "ingest": lambda: generate_latest(ingest.registry),
        "sink": stored,
        "door": lambda: generate_latest(door.registry),
    }


def worker() -> bytes:
    """The page of a worker that owns all sites, two seconds behind the clock."""
    now = time.time()
    figures = WorkerFigures(partitions=2, ready=True, lag_frames={0: 0, 3: 5})
    figures.records["kpi.rows"] = 4
    figures.dead_letters["late"] = 1
    figures.last_frame_at = figures.last_checkpoint_at = now - 1
    views = [view(name, int(now * 1000)) for name in SITES]
    return render(views, figures, int(now * 1000))
