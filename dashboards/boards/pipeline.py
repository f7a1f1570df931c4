"""Health of the pipeline: whether figures arrive, are complete, and are right."""

from __future__ import annotations

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import panels, queries, variables
from dashboards.boards import promql as ask
from dashboards.boards.board import Part, Section, board
from sinks.prometheus import names
from sinks.prometheus.names import Metric

UID = "callboard-pipeline"

_RATE = "$__rate_interval"
_DIFFERENCES = 'max by (site) (callboard_reconciliation_differences{site=~"$site"})'
_UP = 'up{job=~"callboard.*"}'


def build() -> Dashboard:
    """All roles of one installation."""
    parts: list[Part] = [
        targets().span(4),
        ready().span(5),
        stale().span(5),
        reconciliation().span(5),
        settings_errors().span(5),
        Section("Time", [ages(), sources(), lag(), ages_of_work()]),
        Section("Flow", [events(), requests(), frames(), rows()]),
        Section("What could not be used", [dead_letters(), late(), inconsistent(), refused()]),
        Section("Worker", [checkpoints(), checkpoint_bytes(), recoveries(), snapshots()]),
        Section("Store", [insert_times(), insert_problems(), backlog(), checked()]),
        Section("Processes", [memory(), processor()]),
    ]
    chosen = [variables.datasource(), variables.sites()]
    return board(
        UID,
        "Pipeline health",
        "Lag, ages, rates, dead letters, checkpoints, store and reconciliation.",
        chosen,
        parts,
        past="now-1h",
        refresh="10s",
    )


def targets() -> Stat:
    """Processes Prometheus reaches, of those it should."""
    text = "Pages of metrics that Prometheus reads now, of those it is told to read."
    panel = panels.stat("Targets up", text, "short").decimals(0)
    panel = panel.with_target(queries.instant(f"sum({_UP})", "up", "up"))
    panel = panel.with_target(queries.instant(f"count({_UP})", "of", "of"))
    down = queries.instant(f"count({_UP} == 0)", "down", "down")
    return panel.with_target(down).override_by_query("down", panels.colored(panels.MISSED))


def ready() -> Stat:
    """Whether each role is ready."""
    text = "1 while worker, sink and door are ready; worst of several processes of a role."
    panel = panels.stat("Ready", text, "bool_yes_no")
    for ref, metric in (
        ("worker", ask.exposed(names.READY)),
        ("sink", "callboard_sink_ready"),
        ("door", "callboard_door_open"),
    ):
        panel = panel.with_target(queries.instant(f"min({metric})", ref, ref))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.MISSED, (1, panels.MET)))


def stale() -> Stat:
    """The oldest figures."""
    text = "Clock of the installation minus the site's time, the oldest of the chosen sites."
    panel = panels.stat("Data age", text, "s").no_value("no data").decimals(0)
    panel = panel.with_target(queries.instant(f"max({ask.data_age(ask.SITES)})", "A", "oldest"))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.MET, (5, panels.WARN), (15, panels.MISSED)))


def reconciliation() -> Stat:
    """Whether engine and records agree."""
    text = (
        "Rows of the view `reconciliation`: counters of closed panes in which what the engine "
        "counted differs from the records. Must be 0."
    )
    panel = panels.stat("Reconciliation", text, "short").no_value("not checked yet").decimals(0)
    panel = panel.with_target(queries.instant(_DIFFERENCES, "A", "{{site}}"))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.MET, (1, panels.MISSED)))


def settings_errors() -> Stat:
    """Settings files that cannot be used."""
    text = "Settings files that cannot be used as they are; their sites keep the last good ones."
    panel = panels.stat("Settings errors", text, "short").decimals(0)
    found = "max(callboard_ingest_settings_errors)"
    panel = panel.with_target(queries.instant(found, "A", "files"))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.MET, (1, panels.MISSED)))


def ages() -> TimeSeries:
    """How old each site's figures were."""
    text = "Clock of the installation minus the site's time."
    panel = panels.series("Data age", text, "s").min(0)
    return panel.with_target(queries.ranged(ask.data_age(ask.SITES), "A", "{{site}}"))


def sources() -> TimeSeries:
    """When each platform was last heard."""
    text = "The site's time minus the time of the newest event of each platform."
    panel = panels.series("Age of the newest event by source", text, "s").min(0)
    last = f"max by (site, source) ({ask.SITES.series(names.SOURCE_LAST_EVENT)})"
    found = f"-1 * ({last} - on (site) group_left {ask.SITES.newest(names.SITE_TIME)})"
    return panel.with_target(queries.ranged(found, "A", "{{site}} {{source}}"))


def lag() -> TimeSeries:
    """What waits before each role."""
    text = "Records that wait: raw ones before ingest, frames before workers, rows before the sink."
    panel = panels.series("Lag", text, "short").min(0)
    worker = f"sum(max by (partition) ({ask.exposed(names.LAG)}))"
    return _lines(
        panel,
        ("ingest", "sum(callboard_ingest_lag_records)", "ingest: raw records"),
        ("worker", worker, "worker: frames"),
        ("sink", "sum(callboard_sink_lag_records)", "sink: rows"),
    )


def ages_of_work() -> TimeSeries:
    """How long ago each role did its work."""
    text = "Wall clock minus the moment of the last frame, checkpoint, insert and comparison."
    panel = panels.series("Time since the last work", text, "s").min(0)
    return _lines(
        panel,
        ("frame", f"time() - max({ask.exposed(names.LAST_FRAME)})", "worker: frame"),
        ("checkpoint", f"time() - max({ask.exposed(names.LAST_CHECKPOINT)})", "worker: checkpoint"),
        ("insert", "time() - max(callboard_sink_last_insert_timestamp_seconds)", "sink: insert"),
        (
            "compared",
            "time() - max(callboard_reconciliation_checked_timestamp_seconds)",
            "sink: comparison of engine and records",
        ),
    )


def events() -> TimeSeries:
    """Events by stage: equal where nothing is lost or late."""
    text = "Events a second: taken at the door, put into frames by ingest, applied by workers."
    panel = panels.series("Events", text, "eps").min(0)
    return _lines(
        panel,
        ("door", _rate("callboard_door_events_taken_total"), "door: taken"),
        ("ingest", _rate("callboard_ingest_events_framed_total"), "ingest: framed"),
        ("worker", _rate(ask.exposed(names.EVENTS)), "worker: applied"),
    )


def requests() -> TimeSeries:
    """Posts at the door."""
    text = "Posts of events a second at the door, by HTTP status."
    panel = panels.series("Requests", text, "reqps").min(0)
    found = _rate("callboard_door_requests_total", "status")
    return _lines(panel, ("A", found, "{{status}}"))


def frames() -> TimeSeries:
    """Frames by stage."""
    text = (
        "Frames a second: made by ingest (ticks among them), applied by workers, delivered again "
        "without effect, refused, missing."
    )
    panel = panels.series("Frames", text, "cps").min(0)
    return _lines(
        panel,
        ("made", _rate("callboard_ingest_frames_total"), "made"),
        ("ticks", _rate("callboard_ingest_ticks_total"), "ticks"),
        ("applied", _rate(ask.exposed(names.FRAMES)), "applied"),
        ("again", _rate(ask.exposed(names.FRAMES_AGAIN)), "delivered again"),
        ("refused", _rate(ask.exposed(names.FRAMES_REFUSED)), "refused"),
        ("missing", _rate(ask.exposed(names.FRAMES_MISSING)), "missing"),
    )


def rows() -> TimeSeries:
    """Rows on their way to the store."""
    text = "Records a second published by workers, by topic, and rows inserted, by table."
    panel = panels.series("Records and rows", text, "cps").min(0)
    return _lines(
        panel,
        ("records", _rate(ask.exposed(names.RECORDS), "topic"), "published: {{topic}}"),
        ("rows", _rate("callboard_sink_rows_inserted_total", "table"), "inserted: {{table}}"),
    )


def dead_letters() -> TimeSeries:
    """Dead letters by reason."""
    text = "Raw records a second that ingest and workers dead-lettered, by reason."
    panel = panels.series("Dead letters", text, "cps").min(0)
    return _lines(
        panel,
        ("ingest", _rate("callboard_ingest_dead_letters_total", "reason"), "ingest: {{reason}}"),
        ("worker", _rate(ask.exposed(names.DEAD_LETTERS), "reason"), "worker: {{reason}}"),
        (
            "nobody",
            _rate("callboard_ingest_dead_letters_without_site_total"),
            "of no known site",
        ),
    )


def late() -> TimeSeries:
    """Late and dead-lettered events of each site."""
    text = (
        "Events a second of each site that came too late and were not applied, and all its raw "
        "records that were dead-lettered."
    )
    panel = panels.series("Late and dead-lettered by site", text, "cps").min(0)
    return _lines(
        panel,
        ("late", _site_rate(names.LATE), "{{site}} late"),
        ("dead", _site_rate(names.DEAD_LETTERED), "{{site}} dead-lettered"),
    )


def inconsistent() -> TimeSeries:
    """Events that change nothing."""
    text = (
        "Distinct events of each site that change nothing in their story; many mean that a source "
        "is mapped wrongly."
    )
    panel = panels.series("Inconsistent events", text, "short").min(0)
    return _lines(panel, ("A", ask.SITES.newest(names.INCONSISTENT), "{{site}}"))


def refused() -> TimeSeries:
    """What was turned away."""
    text = (
        "Lines a second refused at the door as no events, raw records read again by ingest, and "
        "rows the store refuses."
    )
    panel = panels.series("Refused", text, "cps").min(0)
    return _lines(
        panel,
        ("door", _rate("callboard_door_events_refused_total"), "door: refused"),
        ("again", _rate("callboard_ingest_records_skipped_total"), "ingest: read again"),
        ("rows", _rate("callboard_sink_bad_rows_total", "table"), "store: {{table}}"),
    )


def checkpoints() -> TimeSeries:
    """How often and how long checkpoints are."""
    text = "How long the last checkpoint took, and the share of its time a worker spends in them."
    panel = panels.series("Checkpoints", text, "s").min(0)
    spent = f"max(rate({ask.exposed(names.CHECKPOINT_SECONDS)}[{_RATE}]))"
    panel = _lines(
        panel,
        ("last", f"max({ask.exposed(names.LAST_CHECKPOINT_SECONDS)})", "last"),
        ("share", spent, "share of the time"),
    )
    return panel.override_by_query("share", panels.measured("percentunit", 1))


def checkpoint_bytes() -> TimeSeries:
    """How large checkpoints are."""
    text = "Bytes the last checkpoint wrote, and bytes a second over all checkpoints."
    panel = panels.series("Checkpoint bytes", text, "bytes").min(0)
    panel = _lines(
        panel,
        ("last", f"max({ask.exposed(names.LAST_CHECKPOINT_BYTES)})", "last"),
        ("rate", _rate(ask.exposed(names.CHECKPOINT_BYTES)), "a second"),
    )
    return panel.override_by_query("rate", panels.measured("Bps"))


def recoveries() -> TimeSeries:
    """Partitions that moved."""
    text = (
        "Partitions taken over, checkpoints that could not be used, and how long the last recovery "
        "took."
    )
    panel = panels.series("Recoveries", text, "short").min(0)
    recovered = f"sum(increase({ask.exposed(names.RECOVERIES)}[{_RATE}]))"
    lost = f"sum(increase({ask.exposed(names.STATES_LOST)}[{_RATE}]))"
    panel = _lines(
        panel,
        ("recovered", recovered, "taken over"),
        ("lost", lost, "checkpoints lost"),
        ("seconds", f"max({ask.exposed(names.LAST_RECOVERY)})", "last recovery"),
    )
    return panel.override_by_query("seconds", panels.measured("s", 1))


def snapshots() -> TimeSeries:
    """Snapshots of the embedded stack."""
    text = (
        "Snapshots a worker writes and those that failed, a second; none without a folder for them."
    )
    panel = panels.series("Snapshots", text, "cps").min(0)
    return _lines(
        panel,
        ("written", _rate(ask.exposed(names.SNAPSHOTS)), "written"),
        ("failed", _rate(ask.exposed(names.SNAPSHOT_FAILURES)), "failed"),
    )


def insert_times() -> TimeSeries:
    """How long inserts take."""
    text = "Time of one insert: half and 99 of 100 are below (from a histogram), and the mean."
    panel = panels.series("Insert duration", text, "s").min(0)
    buckets = f"sum by (le) (rate(callboard_sink_insert_duration_seconds_bucket[{_RATE}]))"
    mean = (
        f"sum(rate(callboard_sink_insert_duration_seconds_sum[{_RATE}])) / "
        f"sum(rate(callboard_sink_insert_duration_seconds_count[{_RATE}]))"
    )
    return _lines(
        panel,
        ("half", f"histogram_quantile(0.5, {buckets})", "half"),
        ("most", f"histogram_quantile(0.99, {buckets})", "99 of 100"),
        ("mean", mean, "mean"),
    )


def insert_problems() -> TimeSeries:
    """Inserts tried again."""
    text = (
        "Batches written and inserts the store could not take and that were tried again, a second."
    )
    panel = panels.series("Batches and retries", text, "cps").min(0)
    return _lines(
        panel,
        ("batches", _rate("callboard_sink_batches_total"), "batches"),
        ("retries", _rate("callboard_sink_insert_retries_total"), "retries"),
    )


def backlog() -> TimeSeries:
    """What is held in memory or in the journal."""
    text = "Bytes in memory that are not yet safe: at the door, and at ingest before the broker."
    panel = panels.series("Bytes not yet safe", text, "bytes").min(0)
    return _lines(
        panel,
        ("door", "sum(callboard_door_in_flight_bytes)", "door"),
        ("ingest", "sum(callboard_ingest_undelivered_bytes)", "ingest"),
    )


def checked() -> TimeSeries:
    """Differences over time."""
    text = (
        "Counters of closed panes in which what the engine counted differs from the records, of "
        "each site, and comparisons a second that the store could not make. Both must be 0."
    )
    panel = panels.series("Reconciliation over time", text, "short").min(0)
    return _lines(
        panel,
        ("rows", _DIFFERENCES, "{{site}}"),
        ("failed", _rate("callboard_reconciliation_failures_total"), "comparisons failed"),
    )


def memory() -> TimeSeries:
    """Memory of each process."""
    text = "Resident memory of each process."
    panel = panels.series("Memory", text, "bytes").min(0)
    return _lines(
        panel, ("A", 'process_resident_memory_bytes{job=~"callboard.*"}', "{{job}} {{instance}}")
    )


def processor() -> TimeSeries:
    """Processor time of each process."""
    text = "Seconds of processor time a second: 1 is one core."
    panel = panels.series("Processor", text, "short").min(0)
    found = f'rate(process_cpu_seconds_total{{job=~"callboard.*"}}[{_RATE}])'
    return _lines(panel, ("A", found, "{{job}} {{instance}}"))


def _lines(panel: TimeSeries, *lines: tuple[str, str, str]) -> TimeSeries:
    for ref, expression, name in lines:
        panel = panel.with_target(queries.ranged(expression, ref, name))
    return panel


def _rate(counter: str, *by: str) -> str:
    kept = f" by ({', '.join(by)})" if by else ""
    return f"sum{kept} (rate({counter}[{_RATE}]))"


def _site_rate(counter: Metric) -> str:
    # Two workers may export a site for a moment: the greater of the two, not both.
    return f"max by (site) (rate({ask.SITES.series(counter)}[{_RATE}]))"
