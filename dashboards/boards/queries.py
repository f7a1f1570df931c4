"""Queries of panels and variables: to Prometheus, and to ClickHouse through its Grafana plugin.

Data sources are named by the variables `datasource` and `clickhouse` alone, so that a board works
in any Grafana. The plugin of ClickHouse has no builder in the SDK; its query is built here, in the
form of version 4.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Self

from grafana_foundation_sdk.builders.prometheus import Dataquery as Prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = DataSourceRef("prometheus", "${datasource}")
CLICKHOUSE_TYPE = "grafana-clickhouse-datasource"
CLICKHOUSE = DataSourceRef(CLICKHOUSE_TYPE, "${clickhouse}")


class Format(IntEnum):
    """What the plugin makes of the rows."""

    time_series = 0
    table = 1


class ClickHouseQuery(Dataquery):
    """A query to ClickHouse as the plugin stores it."""

    def __init__(self, ref_id: str, raw_sql: str, form: Format) -> None:
        self.ref_id = ref_id
        self.raw_sql = raw_sql
        self.form = form

    def to_json(self) -> dict[str, object]:
        """The plugin's own JSON."""
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": int(self.form),
            "queryType": "timeseries" if self.form is Format.time_series else "table",
            "rawSql": self.raw_sql,
            "refId": self.ref_id,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """The query that `to_json` wrote."""
        return cls(data["refId"], data["rawSql"], Format(data["format"]))


class Sql(Builder[Dataquery]):
    """Builds a query to ClickHouse."""

    def __init__(self, raw_sql: str, ref_id: str = "A", form: Format = Format.table) -> None:
        self._query = ClickHouseQuery(ref_id, raw_sql.strip(), form)

    def build(self) -> Dataquery:
        """The query."""
        return self._query


def instant(expression: str, ref_id: str = "A", legend: str = "") -> Prometheus:
    """The value now."""
    return _prometheus(expression, ref_id).instant().legend_format(legend)


def ranged(expression: str, ref_id: str = "A", legend: str = "") -> Prometheus:
    """The values over the time of the board."""
    return _prometheus(expression, ref_id).range().legend_format(legend)


def table(expression: str, ref_id: str = "A") -> Prometheus:
    """The values now, one row a series."""
    return _prometheus(expression, ref_id).instant().format(PromQueryFormat.TABLE)


def _prometheus(expression: str, ref_id: str) -> Prometheus:
    return Prometheus().datasource(PROMETHEUS).expr(expression).ref_id(ref_id)
