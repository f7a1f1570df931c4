"""The page for analysts: each of its queries runs as the analyst, and each view it names exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.simulate.options import HOUR, Options
from pipeline.simulate.stream import Simulation
from schemas.events import read_event
from schemas.settings import parse_site
from sinks.clickhouse.query import Answer, Question
from tests.sinks.clickhouse.engine_rows import EngineRows, in_frames, write_frames
from tests.sinks.clickhouse.store import ANALYST_PASSWORD, Server, database

PAGE = (Path(__file__).parents[3] / "docs" / "kpi-sql.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def analyst(clickhouse: Server) -> Iterator[Question]:
    """An analyst's connection to an hour of a simulated site named as in the page."""
    options = Options(agents=10, queues=4, duration_ms=HOUR, site="bank")
    events = [read_event(record.payload) for record in Simulation(options).records()]
    with database(clickhouse, "callboard") as db:
        engine = EngineRows(parse_site({"site": "bank"}, "test"))
        write_frames(db, engine, in_frames(events, 100))
        config = db.config().model_copy(update={"analyst_password": ANALYST_PASSWORD})
        question = Question(config)
        yield question
        question.close()


def test_the_page_has_queries() -> None:
    assert len(QUERIES) > 10


@pytest.mark.parametrize("query", QUERIES, ids=[q.split("FROM ")[1].split()[0] for q in QUERIES])
def test_a_query_of_the_page_runs(analyst: Question, query: str) -> None:
    answer = analyst.table(query)
    assert isinstance(answer, Answer)
    assert answer.columns


def test_every_view_the_page_names_exists_and_every_view_for_analysts_is_on_it(
    analyst: Question,
) -> None:
    found = analyst.table("SELECT name FROM system.tables WHERE database = 'callboard'")
    assert isinstance(found, Answer)
    made = {row[0] for row in found.rows}
    named = set(re.findall(r"`((?:kpi|now|contact)_\w+|\w+_at|\w+_history|\w+_states)\b", PAGE))
    assert named - made <= {"queued_at"}
    asked = {name for name in made if re.match(r"kpi_(?!cells)|contact|now_|waiting|reconc", name)}
    assert {name for name in asked if name not in PAGE} == set()
