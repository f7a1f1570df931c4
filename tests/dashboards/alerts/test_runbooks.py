"""What runbooks tell people to type works: every SQL on a real store, every command exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.cli.main import COMMANDS
from schemas.config import Config
from tests.sinks.clickhouse.store import Database, database, running

DOCS = Path(__file__).parents[3] / "docs"
PAGES = sorted([DOCS / "alerts.md", *(DOCS / "runbooks").glob("*.md")])
QUERIES = [
    pytest.param(sql, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, sql in enumerate(re.findall(r'callboard sql "([^"]+)"', page.read_text()))
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with running(tmp_path_factory.mktemp("store")) as server, database(server) as db:
        yield db


@pytest.mark.parametrize("sql", QUERIES)
def test_a_query_of_a_runbook_runs(store: Database, sql: str) -> None:
    assert isinstance(store.rows(sql), list)


def test_commands_and_variables_exist() -> None:
    assert len(QUERIES) > 10
    variables = {f"CALLBOARD_{name.upper()}" for name in Config.model_fields}
    for page in PAGES:
        text = page.read_text()
        # Commands stand in blocks or between backticks.
        used = re.findall(r"(?:^ {4,}|`)callboard ([a-z]+)", text, re.MULTILINE)
        assert set(used) <= set(COMMANDS), page.name
        assert set(re.findall(r"CALLBOARD_[A-Z_]+", text)) <= variables, page.name


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^):#]+)\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
