"""Metrics of the sink: every name in one place, in a registry of its own."""

from __future__ import annotations

import time
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sinks.clickhouse.quality_metrics import QualityMetrics

ALERT_HISTORY = "alert_history"
"""Table of the history of alerts."""

# From an insert into a quiet store to one that waits behind merges.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class SinkMetrics:
    """What the sink counts; `registry` is what its `/metrics` page shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.rows = counter("callboard_sink_rows_inserted", "Rows inserted, by table.", ["table"])
        self.batches = counter("callboard_sink_batches", "Batches written with all their tables.")
        self.retries = counter(
            "callboard_sink_insert_retries",
            "Inserts the store could not take and that were tried again.",
        )
        self.bad_rows = counter(
            "callboard_sink_bad_rows",
            "Rows dead-lettered because the store refuses them, by table.",
            ["table"],
        )
        self.alerts = counter(
            "callboard_sink_alerts", "Notifications of alerts written, by status.", ["status"]
        )
        self.seconds = Histogram(
            "callboard_sink_insert_duration_seconds",
            "Time one insert took.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.last_insert = gauge(
            "callboard_sink_last_insert_timestamp_seconds", "When rows were last written."
        )
        self.lag = gauge("callboard_sink_lag_records", "Records of rows that are not written yet.")
        self.partitions = gauge("callboard_sink_partitions", "Partitions assigned.")
        self.ready = gauge("callboard_sink_ready", "1 while the readiness page says 200.")
        self.reconciliation_differences = gauge(
            "callboard_reconciliation_differences",
            "Counters of closed panes in which engine and records differ; anything but 0 is wrong.",
            ["site"],
        )
        self.reconciliation_checked = gauge(
            "callboard_reconciliation_checked_timestamp_seconds",
            "When engine and records were last compared.",
        )
        self.reconciliation_failures = counter(
            "callboard_reconciliation_failures",
            "Comparisons of engine and records that the store could not make.",
        )
        self.reconciliation_seconds = gauge(
            "callboard_reconciliation_duration_seconds", "Time the last comparison took."
        )
        self.quality = QualityMetrics(self.registry)
        self.quality_seconds = gauge(
            "callboard_quality_duration_seconds", "Time the last questions for quality took."
        )

    def inserted(self, table: str, rows: int, seconds: float) -> None:
        """An insert has been written."""
        self.rows.labels(table).inc(rows)
        self.seconds.observe(seconds)
        # Of the rows of the engine: alerts that still come must not hide that these do not.
        if table != ALERT_HISTORY:
            self.last_insert.set(time.time())
