"""One local ClickHouse for all tests of the tables and views; each test has its own database."""

from collections.abc import Iterator

import pytest

from tests.sinks.clickhouse.store import Database, Server, database, running


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture
def db(clickhouse: Server) -> Iterator[Database]:
    with database(clickhouse) as fresh:
        yield fresh
