"""Metrics of the door and of ingest: every name in one place, each role with its own registry."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from pipeline.ingest.dead_letters import REASONS


class IngestMetrics:
    """What ingest counts; `registry` is what its `/metrics` page shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.records = Counter(
            "callboard_ingest_records_read", "Raw records read.", registry=registry
        )
        self.events = Counter(
            "callboard_ingest_events_framed", "Events put into frames.", registry=registry
        )
        self.frames = Counter("callboard_ingest_frames", "Frames made.", registry=registry)
        self.ticks = Counter(
            "callboard_ingest_ticks", "Frames that only move a site's time.", registry=registry
        )
        self.dead = Counter(
            "callboard_ingest_dead_letters",
            "Raw records dead-lettered, by reason.",
            ["reason"],
            registry=registry,
        )
        self.nobody = Counter(
            "callboard_ingest_dead_letters_without_site",
            "Dead letters that count under no site, because it cannot be read or does not exist.",
            registry=registry,
        )
        self.skipped = Counter(
            "callboard_ingest_records_skipped",
            "Raw records that were in frames already: read again after a crash, or sent again.",
            registry=registry,
        )
        self.lag = Gauge(
            "callboard_ingest_lag_records", "Raw records not yet read.", registry=registry
        )
        self.backlog = Gauge(
            "callboard_ingest_undelivered_bytes",
            "Frames and dead letters the broker has not acknowledged yet.",
            registry=registry,
        )
        self.partitions = Gauge(
            "callboard_ingest_partitions", "Raw partitions assigned.", registry=registry
        )
        self.sites = Gauge("callboard_ingest_sites", "Sites with settings.", registry=registry)
        self.settings_errors = Gauge(
            "callboard_ingest_settings_errors",
            "Settings files that cannot be used as they are.",
            registry=registry,
        )
        self.last_tick = Gauge(
            "callboard_ingest_last_tick_timestamp_seconds",
            "The site's time of the last tick.",
            registry=registry,
        )
        for reason in REASONS:
            self.dead.labels(reason)


class DoorMetrics:
    """What the door counts; `registry` is what its `/metrics` page shows."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "callboard_door_requests",
            "Posts of events, by HTTP status.",
            ["status"],
            registry=registry,
        )
        self.taken = Counter(
            "callboard_door_events_taken", "Events taken and kept.", registry=registry
        )
        self.refused = Counter(
            "callboard_door_events_refused",
            "Lines told to be no event; kept for the dead letters all the same.",
            registry=registry,
        )
        self.in_flight = Gauge(
            "callboard_door_in_flight_bytes",
            "Payloads in memory that are not yet safe.",
            registry=registry,
        )
        self.journal = Gauge(
            "callboard_door_journal_sequence", "Last sequence in the journal.", registry=registry
        )
        self.fed = Gauge(
            "callboard_door_fed_sequence",
            "Journal sequence up to which the broker has everything.",
            registry=registry,
        )
        self.open = Gauge(
            "callboard_door_open", "1 while the door takes events.", registry=registry
        )
