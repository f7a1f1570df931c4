"""A page of metrics from the boards a worker published last, and from its own figures.

A page is rendered from immutable input: one call, one state. Sites of a partition that was revoked
are not in the input and so not on the page, without a stale child to remove.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import generate_latest

from schemas.kpis import (
    abandonment_parts,
    aht_parts,
    asa_parts,
    occupancy_parts,
    service_level_parts,
)
from sinks.prometheus import names
from sinks.prometheus.figures import WorkerFigures
from sinks.prometheus.names import Metric
from sinks.prometheus.page import Page, Values

View = Mapping[str, Any]

_NOW = (
    (names.QUEUE_WAITING, names.SITE_WAITING, "waiting"),
    (
        names.QUEUE_WAITING_PAST_THRESHOLD,
        names.SITE_WAITING_PAST_THRESHOLD,
        "waiting_past_threshold",
    ),
    (names.QUEUE_IN_SERVICE, names.SITE_IN_SERVICE, "in_service"),
)


def render(views: Iterable[View], figures: WorkerFigures, clock_ms: int) -> bytes:
    """The page in Prometheus' text format.

    `views` are boards as `schemas.live.assemble` makes them; `clock_ms` is the installation's
    clock. Safe to call in a thread if nobody changes what it is given.
    """
    page = Page()
    for view in views:
        _board(page, view)
    _worker(page, figures, clock_ms)
    process = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=process)
    return page.text().encode() + generate_latest(process)


def _in_base_unit(key: str, value: float) -> float:
    return value / 1000 if key.endswith("_ms") else value


def _board(page: Page, view: View) -> None:
    _site(page, view)
    for queue, channels in view["queues"].items():
        for channel, entry in channels.items():
            _queue(page, (view["site"], queue, channel), entry)
    for team, entry in view["teams"].items():
        _team(page, (view["site"], team), entry)


def _queue(page: Page, labels: Values, entry: View) -> None:
    for metric, _, key in _NOW:
        page.add(metric, entry["now"][key], labels)
    _longest(page, names.QUEUE_LONGEST_WAIT, labels, entry["now"])
    page.add(names.QUEUE_MIN_VOLUME, entry["min_volume"], labels)
    _aims(page, names.QUEUE_THRESHOLD, names.QUEUE_TARGETS, labels, entry)
    info = dict(zip(("site", "queue", "channel"), labels, strict=True))
    page.add_info(names.QUEUE_INFO, {**info, "name": entry["name"], "formula": entry["formula"]})
    for window, counters in entry["windows"].items():
        here = (*labels, window)
        for key, metric in names.QUEUE_COUNTERS.items():
            page.add(metric, _in_base_unit(key, counters[key]), here)
        level = service_level_parts(counters, entry["formula"], entry["exclude_short"])
        page.add_ratio(names.QUEUE_SERVICE_LEVEL, level, (*here, entry["formula"]))
        page.add_ratio(names.QUEUE_ABANDONMENT, abandonment_parts(counters), here)
        page.add_time(names.QUEUE_SPEED_OF_ANSWER, asa_parts(counters), here)
        page.add_time(names.QUEUE_HANDLE_TIME, aht_parts(counters), here)


def _team(page: Page, labels: Values, entry: View) -> None:
    for state, agents in entry["agents"].items():
        page.add(names.TEAM_AGENTS, agents, (*labels, state))
    band = entry.get("occupancy_target")
    if band is not None:
        page.add(names.TEAM_OCCUPANCY_LOW, band[0], labels)
        page.add(names.TEAM_OCCUPANCY_HIGH, band[1], labels)
    for window, times in entry["windows"].items():
        here = (*labels, window)
        for key, metric in names.TEAM_TIMES.items():
            page.add(metric, _in_base_unit(key, times[key]), here)
        page.add_share(names.TEAM_OCCUPANCY, occupancy_parts(times), here)


def _site(page: Page, view: View) -> None:
    labels = (view["site"],)
    page.add(names.SITE_TIME, view["at"] / 1000, labels)
    page.add(names.SITE_DAY_START, view["day_start"] / 1000, labels)
    page.add(names.SITE_OPEN, int(view["open"]), labels)
    page.add(names.SITE_MIN_VOLUME, view["min_volume"], labels)
    for source, last in view["sources"].items():
        page.add(names.SOURCE_LAST_EVENT, last / 1000, (*labels, source))
    page.add(names.LATE, view["late"], labels)
    page.add(names.DEAD_LETTERED, view["dead_lettered"], labels)
    page.add(names.INCONSISTENT, view["inconsistent"], labels)
    _aims(page, names.SITE_THRESHOLD, names.SITE_TARGETS, labels, view)
    everything = view["all"]
    for state, agents in everything["agents"].items():
        page.add(names.SITE_AGENTS, agents, (*labels, state))
    for window, times in everything["windows"].items():
        parts = occupancy_parts(times)
        page.add_share(names.SITE_OCCUPANCY, parts, (*labels, window))
    _all_queues(page, labels, view)


def _all_queues(page: Page, labels: Values, view: View) -> None:
    queues, formula = view["all"]["queues"], view["formula"]
    for _, metric, key in _NOW:
        page.add(metric, queues["now"][key], labels)
    _longest(page, names.SITE_LONGEST_WAIT, labels, queues["now"])
    for window, counters in queues["windows"].items():
        here = (*labels, window)
        level = service_level_parts(counters, formula, view["exclude_short"])
        page.add_ratio(names.SITE_SERVICE_LEVEL, level, (*here, formula))
        page.add_ratio(names.SITE_ABANDONMENT, abandonment_parts(counters), here)
        page.add_time(names.SITE_SPEED_OF_ANSWER, asa_parts(counters), here)
        page.add_time(names.SITE_HANDLE_TIME, aht_parts(counters), here)


def _longest(page: Page, metric: Metric, labels: Values, now: View) -> None:
    if now["longest_wait_ms"] is not None:
        page.add(metric, now["longest_wait_ms"] / 1000, labels)


def _aims(
    page: Page,
    threshold: Metric,
    targets: Mapping[str, Metric],
    labels: Values,
    entry: View,
) -> None:
    page.add(threshold, entry["threshold_ms"] / 1000, labels)
    for key, value in entry["targets"].items():
        page.add(targets[key], _in_base_unit(key, value), labels)


def _worker(page: Page, figures: WorkerFigures, clock_ms: int) -> None:
    """The figures of the worker itself; a moment that has not been yet is absent."""
    page.add(names.CLOCK, clock_ms / 1000)
    page.add(names.READY, int(figures.ready))
    for metric, value in _single(figures):
        page.add(metric, value)
    for metric, moment in (
        (names.LAST_FRAME, figures.last_frame_at),
        (names.LAST_CHECKPOINT, figures.last_checkpoint_at),
    ):
        if moment:
            page.add(metric, moment)
    for partition, lag in sorted(figures.lag_frames.items()):
        page.add(names.LAG, lag, (str(partition),))
    for metric, counts in (
        (names.RECORDS, figures.records),
        (names.RECORD_BYTES, figures.record_bytes),
        (names.DEAD_LETTERS, figures.dead_letters),
    ):
        for label, count in sorted(counts.items()):
            page.add(metric, count, (label,))


def _single(figures: WorkerFigures) -> Iterator[tuple[Metric, float]]:
    yield names.PARTITIONS, figures.partitions
    yield names.FRAMES, figures.frames
    yield names.FRAMES_AGAIN, figures.frames_again
    yield names.FRAMES_REFUSED, figures.frames_refused
    yield names.FRAMES_MISSING, figures.frames_missing
    yield names.EVENTS, figures.events
    yield names.CHECKPOINTS, figures.checkpoints
    yield names.CHECKPOINT_BYTES, figures.checkpoint_bytes
    yield names.CHECKPOINT_SECONDS, figures.checkpoint_seconds
    yield names.LAST_CHECKPOINT_BYTES, figures.last_checkpoint_bytes
    yield names.LAST_CHECKPOINT_PARTS, figures.last_checkpoint_parts
    yield names.LAST_CHECKPOINT_SECONDS, figures.last_checkpoint_seconds
    yield names.STATES_LOST, figures.states_lost
    yield names.SNAPSHOTS, figures.snapshots
    yield names.SNAPSHOT_FAILURES, figures.snapshot_failures
    yield names.LAST_SNAPSHOT_BYTES, figures.last_snapshot_bytes
    yield names.LAST_SNAPSHOT_SECONDS, figures.last_snapshot_seconds
    yield names.RECOVERIES, figures.recoveries
    yield names.LAST_RECOVERY, figures.last_recovery_seconds
