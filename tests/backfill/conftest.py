"""The store of the tests of the sink: one server, a migrated database emptied after each test."""

from tests.sinks.clickhouse.conftest import _migrated, clickhouse, db

__all__ = ["_migrated", "clickhouse", "db"]
