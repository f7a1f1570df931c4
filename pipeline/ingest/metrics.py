"""Metrics of the door and of ingest: every name in one place, each role with its own registry."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.ingest.dead_letters import REASONS


class IngestMetrics:
    """What ingest counts; `registry` is what its `/metrics` page shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.records = counter("callboard_ingest_records_read", "Raw records read.")
        self.events = counter("callboard_ingest_events_framed", "Events put into frames.")
        self.frames = counter("callboard_ingest_frames", "Frames made.")
        self.ticks = counter("callboard_ingest_ticks", "Frames that only move a site's time.")
        self.dead = counter(
            "callboard_ingest_dead_letters", "Raw records dead-lettered, by reason.", ["reason"]
        )
        self.nobody = counter(
            "callboard_ingest_dead_letters_without_site",
            "Dead letters that count under no site, because it cannot be read or does not exist.",
        )
        self.skipped = counter(
            "callboard_ingest_records_skipped",
            "Raw records that were in frames already: read again after a crash, or sent again.",
        )
        self.lag = gauge("callboard_ingest_lag_records", "Raw records not yet read.")
        self.backlog = gauge(
            "callboard_ingest_undelivered_bytes",
            "Frames and dead letters the broker has not acknowledged yet.",
        )
        self.partitions = gauge("callboard_ingest_partitions", "Raw partitions assigned.")
        self.sites = gauge("callboard_ingest_sites", "Sites with settings.")
        self.settings_errors = gauge(
            "callboard_ingest_settings_errors", "Settings files that cannot be used as they are."
        )
        self.last_tick = gauge(
            "callboard_ingest_last_tick_timestamp_seconds", "The site's time of the last tick."
        )
        for reason in REASONS:
            self.dead.labels(reason)


class DoorMetrics:
    """What the door counts; `registry` is what its `/metrics` page shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self.requests = counter(
            "callboard_door_requests", "Posts of events and alerts, by HTTP status.", ["status"]
        )
        self.taken = counter("callboard_door_events_taken", "Events taken and kept.")
        self.alerts = counter("callboard_door_alerts_taken", "Alerts taken and kept.")
        self.refused = counter(
            "callboard_door_events_refused",
            "Lines told to be no event; kept for the dead letters all the same.",
        )
        self.forged = counter(
            "callboard_door_forged_requests",
            "Webhooks refused because their signature or secret is wrong or missing, by platform.",
            ["source"],
        )
        self.in_flight = gauge(
            "callboard_door_in_flight_bytes", "Payloads in memory that are not yet safe."
        )
        self.journal = gauge("callboard_door_journal_sequence", "Last sequence in the journal.")
        self.fed = gauge(
            "callboard_door_fed_sequence", "Journal sequence up to which the broker has everything."
        )
        self.open = gauge("callboard_door_open", "1 while the door takes events.")
