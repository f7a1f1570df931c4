"""One local ClickHouse and one migrated database for the tests of tables, views and sink."""

from collections.abc import Iterator

import pytest

from tests.sinks.clickhouse.store import Database, Server, database, running


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="session")
def _migrated(clickhouse: Server) -> Iterator[Database]:
    with database(clickhouse) as made:
        yield made


@pytest.fixture
def db(_migrated: Database) -> Iterator[Database]:
    """A database with all migrations applied and no rows in it."""
    yield _migrated
    _migrated.empty()
