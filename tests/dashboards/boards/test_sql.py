"""Every SQL query of every panel runs on a store with data, as Grafana would send it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.simulate.options import HOUR, Options, Scenario
from pipeline.simulate.stream import Simulation
from schemas.events import read_event, validate_event
from schemas.settings import parse_site
from tests.dashboards.boards.grafana import ALL, Target, everything, expand_sql
from tests.sinks.clickhouse.engine_rows import EngineRows, in_frames, write_frames
from tests.sinks.clickhouse.store import Database, database, running

QUERIES = [target for target in everything() if not target.is_promql]
SETTINGS = {"site": "o'hare", "time_zone": "America/New_York"}

ALERT = """
INSERT INTO alert_history
    (site, alertname, fingerprint, fired_at, notified_at, status, value, target)
SELECT 'o\\'hare', 'CallboardServiceLevelLow', 'f', fromUnixTimestamp64Milli({0}),
       fromUnixTimestamp64Milli({0}), 'firing', 0.5, 0.8
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, int, int]]:
    """Two hours of a simulated centre whose name needs quoting; the database and its time."""
    options = Options(
        agents=30, queues=4, duration_ms=2 * HOUR, scenario=Scenario.RONA_STORM, site="o'hare"
    )
    events = [read_event(record.payload) for record in Simulation(options).records()]
    last = max(event["ts"] for event in events)
    for number in range(3):  # at the end of a simulated day nobody waits
        waits = {"type": "contact.queued", "contact": f"waits-{number}", "queue": "sales"}
        events.append(validate_event({**waits, "site": "o'hare", "ts": last + number * 1000}))
    stray = {"type": "survey.answered", "contact": "of another system", "csat": 3}
    events.append(validate_event({**stray, "site": "o'hare", "ts": last}))
    with running(tmp_path_factory.mktemp("store")) as server, database(server) as db:
        engine = EngineRows(parse_site(SETTINGS, "test"))
        write_frames(db, engine, in_frames(events, 100))
        db.command(ALERT.format(last))
        yield db, min(event["ts"] for event in events), engine.site.at


def choices(db: Database) -> dict[str, Any]:
    """Each variable of the boards as a viewer finds it."""
    return {
        "site": "o'hare",
        "queue": ALL,
        "channel": ALL,
        "team": ALL,
        "threshold": "30",
        "short": "5",
    }


def test_there_are_queries() -> None:
    assert len(QUERIES) > 20


@pytest.mark.parametrize("target", QUERIES, ids=str)
def test_a_query_answers(store: tuple[Database, int, int], target: Target) -> None:
    db, start, end = store
    assert db.rows(expand_sql(target.text, choices(db), start, end))


@pytest.mark.parametrize("target", QUERIES, ids=str)
def test_a_query_answers_about_what_is_chosen(
    store: tuple[Database, int, int], target: Target
) -> None:
    db, start, end = store
    queue = db.value("SELECT queue FROM contacts GROUP BY queue ORDER BY count() DESC LIMIT 1")
    chosen = choices(db) | {"queue": [queue, "it's none"], "channel": ["voice"], "team": ["", "x"]}
    rows = db.rows(expand_sql(target.text, chosen, start, end))
    if target.panel == "Alert history":  # of all queues: an alert need not have one
        return
    assert {row["queue"] for row in rows if "queue" in row} <= {queue}
    assert {row["channel"] for row in rows if "channel" in row} <= {"voice"}
