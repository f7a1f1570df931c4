"""One local ClickHouse and one migrated database for the tests of tables, views and sink."""

from collections.abc import Iterator

import pytest

from tests.sinks.clickhouse.store import Database, Server, database, record, running
from tests.sinks.clickhouse.view_rows import Fill, Row, site_settings


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


@pytest.fixture
def fill(db: Database) -> Fill:
    """Fills the tables with rows known at a time of the site."""

    def write(at: int, settings: Row | None = None, **tables: list[Row]) -> Database:
        given = {"pane_settings": [settings or site_settings()], **tables}
        assert db.write(record(given, at=at)) == []
        return db

    return write
