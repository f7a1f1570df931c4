"""The views give the engine's board to the integer, from the rows alone."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.engine import Site
from pipeline.simulate.options import HOUR, Options, Scenario
from pipeline.simulate.stream import Simulation
from pipeline.sources import bank1999
from schemas.events import read_event
from schemas.kpis import WINDOWS
from schemas.settings import load_site_file, parse_site
from tests.engine.profile import FACTOR
from tests.engine.strategies import Fed, fed
from tests.sinks.clickhouse.engine_rows import (
    EngineRows,
    board_by_sql,
    board_of,
    in_frames,
    row_record,
    totals_by_sql,
    totals_of,
    write_frames,
)
from tests.sinks.clickhouse.store import Database, Server, database

SETTINGS = {
    "site": "sim",
    "time_zone": "America/New_York",
    "defaults": {"threshold_ms": 15_000, "formula": "sl_event_negative", "exclude_short": True},
    "queues": {
        "sales": {"threshold_ms": 30_000, "formula": "abandons_positive"},
        "support": {"formula": "ignore_abandons", "exclude_short": False},
    },
}


@pytest.fixture(scope="module")
def simulated() -> list[dict[str, Any]]:
    """Two hours of a small centre, with its bursts, holds, transfers, declines and chats."""
    options = Options(
        agents=40, queues=6, duration_ms=2 * HOUR, scenario=Scenario.RONA_STORM, seed=7
    )
    return [read_event(record.payload) for record in Simulation(options).records()]


@pytest.fixture(scope="module")
def centre(clickhouse: Server, simulated: list[dict[str, Any]]) -> Iterator[Database]:
    with database(clickhouse) as db:
        engine = EngineRows(parse_site(SETTINGS, "test"))
        write_frames(db, engine, in_frames(simulated, 100))
        yield db


def replayed(
    events: list[dict[str, Any]], at: int, windows: Sequence[str] = WINDOWS
) -> dict[Any, Any]:
    """The board when exactly the events up to a moment are known."""
    engine = EngineRows(parse_site(SETTINGS, "test"))
    for frame in in_frames([event for event in events if event["ts"] <= at], 100):
        engine.apply(frame)
    engine.site.advance(at)
    return board_of(engine.site.view(), windows)


def test_every_figure_at_the_newest_time_is_the_engines(
    centre: Database, simulated: list[dict[str, Any]]
) -> None:
    known = replayed(simulated, max(event["ts"] for event in simulated))
    assert len(known) > 60
    assert board_by_sql(centre, "sim") == known


def test_every_figure_at_an_earlier_time_is_what_the_board_showed_then(
    centre: Database, simulated: list[dict[str, Any]]
) -> None:
    first, last = simulated[0]["ts"], simulated[-1]["ts"]
    at = int(first + (last - first) * 0.62)
    some = ("15m", "today", "total")
    assert board_by_sql(centre, "sim", at, some) == replayed(simulated, at, some)


def test_on_the_edge_of_a_pane_a_moment_counts_in_total_and_not_yet_in_the_windows(
    centre: Database, simulated: list[dict[str, Any]]
) -> None:
    middle = simulated[len(simulated) // 2]["ts"]
    at = middle - middle % 10_000
    some = ("15m", "today", "total")
    assert board_by_sql(centre, "sim", at, some) == replayed(simulated, at, some)


def test_engine_and_records_agree_in_every_pane(centre: Database) -> None:
    assert centre.value("SELECT count() FROM queue_panes") > 500
    assert centre.rows("SELECT * FROM reconciliation") == []


@pytest.fixture(scope="module")
def bank(clickhouse: Server) -> Iterator[tuple[Database, dict[str, Any]]]:
    """The bank's 1999-01-03, and the board at its end."""
    with gzip.open(bank1999.MONTHS[0]) as lines:
        kept = [line for number, line in enumerate(lines) if number == 0 or b"\t990103\t" in line]
    read = [told for told in bank1999.read(kept, bank1999.SITE) if isinstance(told, dict)]
    events = sorted(read, key=lambda event: int(event["ts"]))
    with database(clickhouse) as db:
        engine = EngineRows(load_site_file(bank1999.SETTINGS))
        write_frames(db, engine, in_frames(events, 100))
        yield db, engine.site.view()


def test_a_day_of_the_bank_has_its_published_totals_in_sql(
    bank: tuple[Database, dict[str, Any]],
) -> None:
    db, view = bank
    (day,) = db.rows("SELECT * FROM kpi_window_all(site = 'bank', window = 'total', at = NULL)")
    assert (day["offered"], day["answered"], day["answered_in"]) == (2053, 1880, 1200)
    assert (day["abandoned"], day["abandoned_in"]) == (173, 62)
    assert day["abandons_negative"] == pytest.approx(0.584510, abs=1e-6)
    assert day["ignore_abandons"] == pytest.approx(0.602712, abs=1e-6)
    assert day["abandons_positive"] == pytest.approx(0.614710, abs=1e-6)
    some = ("60m", "today")
    assert board_by_sql(db, "bank", windows=some) == board_of(view, some)
    assert db.rows("SELECT * FROM reconciliation") == []


def stretched(told: Fed, factor: int) -> Fed:
    """The same with minutes for seconds: old enough for the engine to forget panes and contacts."""

    def later(moment: int) -> int:
        past = moment - told.base
        return told.base + past * factor if 0 <= past <= 60_000 else moment

    frames = [
        replace(
            frame,
            now=later(frame.now),
            events=[event | {"ts": later(event["ts"])} for event in frame.events],
        )
        for frame in told.frames
    ]
    # Panes of a second would be tens of thousands.
    coarse = told.settings.model_copy(update={"pane_ms": max(10_000, told.settings.pane_ms)})
    return replace(told, settings=coarse, frames=frames)


@pytest.mark.timeout(300)
@given(st.lists(st.tuples(fed(), st.sampled_from((1, 1, 400))), min_size=8, max_size=8))
@settings(
    max_examples=max(1, round(3 * FACTOR)),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
def test_whatever_the_order_of_events_the_tables_say_what_the_engine_says(
    db: Database, stories: list[tuple[Fed, int]]
) -> None:
    db.empty()
    expected: dict[Any, Any] = {}
    records: list[bytes] = []
    for number, (brief, factor) in enumerate(stories):
        told = brief if factor == 1 else stretched(brief, factor)
        site = Site(told.settings)
        for offset, frame in enumerate(told.frames):
            rows = site.apply(frame, offset).rows
            records.append(row_record(site, rows, name=f"s{number}"))
        expected |= totals_of(site.view(), f"s{number}")
    assert db.write(*records) == []
    assert totals_by_sql(db) == expected
    assert db.rows("SELECT * FROM reconciliation") == []
