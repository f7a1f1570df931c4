"""A page of metrics from the boards a worker published last, and from its own figures.

A page is rendered from immutable input: one call, one state. Sites of a partition that was revoked
are not in the input and so not on the page, without a stale child to remove.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from schemas.kpis import (
    Parts,
    abandonment_parts,
    aht_parts,
    asa_parts,
    occupancy_parts,
    ratio,
    service_level_parts,
)
from sinks.prometheus import names
from sinks.prometheus.figures import WorkerFigures
from sinks.prometheus.names import Metric, Quotient

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
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(views))
    registry.register(WorkerCollector(figures, clock_ms))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families:
    """Samples by metric, in the order the metrics are first met."""

    def __init__(self) -> None:
        self._families: dict[str, Any] = {}

    def add(self, metric: Metric, value: float, labels: Iterable[str] = ()) -> None:
        family = self._families.get(metric.name)
        if family is None:
            family = self._families[metric.name] = _family(metric)
        family.add_metric(list(labels), value)

    def add_info(self, metric: Metric, labels: Mapping[str, str]) -> None:
        family = self._families.get(metric.name)
        if family is None:
            family = self._families[metric.name] = InfoMetricFamily(metric.name, metric.help)
        family.add_metric([], dict(labels))

    def add_ratio(self, quotient: Quotient, parts: Parts, labels: list[str]) -> None:
        """Contacts over contacts."""
        self._add_quotient(quotient, parts, ratio(*parts), labels)

    def add_time(self, quotient: Quotient, parts: Parts, labels: list[str]) -> None:
        """Milliseconds over contacts, as seconds."""
        total, count = parts
        value = ratio(total, count)
        seconds = None if value is None else value / 1000
        self._add_quotient(quotient, (total / 1000, count), seconds, labels)

    def add_share(self, quotient: Quotient, parts: Parts, labels: list[str]) -> None:
        """Milliseconds over milliseconds, both as seconds."""
        total, whole = parts
        self._add_quotient(quotient, (total / 1000, whole / 1000), ratio(total, whole), labels)

    def _add_quotient(
        self,
        quotient: Quotient,
        parts: tuple[float, float],
        value: float | None,
        labels: list[str],
    ) -> None:
        self.add(quotient.numerator, parts[0], labels)
        self.add(quotient.denominator, parts[1], labels)
        if value is not None:
            self.add(quotient.value, value, labels)

    def __iter__(self) -> Iterator[Family]:
        return iter(self._families.values())


def _family(metric: Metric) -> Any:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    return kind(metric.name, metric.help, labels=metric.labels)


def _in_base_unit(key: str, value: float) -> float:
    return value / 1000 if key.endswith("_ms") else value


class BoardCollector(Collector):
    """The figures of sites."""

    def __init__(self, views: Iterable[View]) -> None:
        self._views = views

    def collect(self) -> Iterable[Family]:
        """All families with their samples."""
        found = _Families()
        for view in self._views:
            self._site(found, view)
            for queue, channels in view["queues"].items():
                for channel, entry in channels.items():
                    self._queue(found, [view["site"], queue, channel], entry)
            for team, entry in view["teams"].items():
                self._team(found, [view["site"], team], entry)
        return found

    def _queue(self, found: _Families, labels: list[str], entry: View) -> None:
        for metric, _, key in _NOW:
            found.add(metric, entry["now"][key], labels)
        _longest(found, names.QUEUE_LONGEST_WAIT, labels, entry["now"])
        found.add(names.QUEUE_MIN_VOLUME, entry["min_volume"], labels)
        _aims(found, names.QUEUE_THRESHOLD, names.QUEUE_TARGETS, labels, entry)
        info = dict(zip(("site", "queue", "channel"), labels, strict=True))
        found.add_info(
            names.QUEUE_INFO, {**info, "name": entry["name"], "formula": entry["formula"]}
        )
        for window, counters in entry["windows"].items():
            here = [*labels, window]
            for key, metric in names.QUEUE_COUNTERS.items():
                found.add(metric, _in_base_unit(key, counters[key]), here)
            level = service_level_parts(counters, entry["formula"], entry["exclude_short"])
            found.add_ratio(names.QUEUE_SERVICE_LEVEL, level, [*here, entry["formula"]])
            found.add_ratio(names.QUEUE_ABANDONMENT, abandonment_parts(counters), here)
            found.add_time(names.QUEUE_SPEED_OF_ANSWER, asa_parts(counters), here)
            found.add_time(names.QUEUE_HANDLE_TIME, aht_parts(counters), here)

    def _team(self, found: _Families, labels: list[str], entry: View) -> None:
        for state, agents in entry["agents"].items():
            found.add(names.TEAM_AGENTS, agents, [*labels, state])
        band = entry.get("occupancy_target")
        if band is not None:
            found.add(names.TEAM_OCCUPANCY_LOW, band[0], labels)
            found.add(names.TEAM_OCCUPANCY_HIGH, band[1], labels)
        for window, times in entry["windows"].items():
            here = [*labels, window]
            for key, metric in names.TEAM_TIMES.items():
                found.add(metric, _in_base_unit(key, times[key]), here)
            found.add_share(names.TEAM_OCCUPANCY, occupancy_parts(times), here)

    def _site(self, found: _Families, view: View) -> None:
        labels = [view["site"]]
        found.add(names.SITE_TIME, view["at"] / 1000, labels)
        found.add(names.SITE_DAY_START, view["day_start"] / 1000, labels)
        found.add(names.SITE_OPEN, int(view["open"]), labels)
        found.add(names.SITE_MIN_VOLUME, view["min_volume"], labels)
        for source, last in view["sources"].items():
            found.add(names.SOURCE_LAST_EVENT, last / 1000, [*labels, source])
        found.add(names.LATE, view["late"], labels)
        found.add(names.DEAD_LETTERED, view["dead_lettered"], labels)
        found.add(names.INCONSISTENT, view["inconsistent"], labels)
        _aims(found, names.SITE_THRESHOLD, names.SITE_TARGETS, labels, view)
        everything = view["all"]
        for state, agents in everything["agents"].items():
            found.add(names.SITE_AGENTS, agents, [*labels, state])
        for window, times in everything["windows"].items():
            parts = occupancy_parts(times)
            found.add_share(names.SITE_OCCUPANCY, parts, [*labels, window])
        self._all_queues(found, labels, view)

    def _all_queues(self, found: _Families, labels: list[str], view: View) -> None:
        queues, formula = view["all"]["queues"], view["formula"]
        for _, metric, key in _NOW:
            found.add(metric, queues["now"][key], labels)
        _longest(found, names.SITE_LONGEST_WAIT, labels, queues["now"])
        for window, counters in queues["windows"].items():
            here = [*labels, window]
            level = service_level_parts(counters, formula, view["exclude_short"])
            found.add_ratio(names.SITE_SERVICE_LEVEL, level, [*here, formula])
            found.add_ratio(names.SITE_ABANDONMENT, abandonment_parts(counters), here)
            found.add_time(names.SITE_SPEED_OF_ANSWER, asa_parts(counters), here)
            found.add_time(names.SITE_HANDLE_TIME, aht_parts(counters), here)


def _longest(found: _Families, metric: Metric, labels: list[str], now: View) -> None:
    if now["longest_wait_ms"] is not None:
        found.add(metric, now["longest_wait_ms"] / 1000, labels)


def _aims(
    found: _Families,
    threshold: Metric,
    targets: Mapping[str, Metric],
    labels: list[str],
    entry: View,
) -> None:
    found.add(threshold, entry["threshold_ms"] / 1000, labels)
    for key, value in entry["targets"].items():
        found.add(targets[key], _in_base_unit(key, value), labels)


class WorkerCollector(Collector):
    """The figures of the worker itself."""

    def __init__(self, figures: WorkerFigures, clock_ms: int) -> None:
        self._figures = figures
        self._clock_ms = clock_ms

    def collect(self) -> Iterable[Family]:
        """All families with their samples; a moment that has not been yet is absent."""
        found, figures = _Families(), self._figures
        found.add(names.CLOCK, self._clock_ms / 1000)
        found.add(names.READY, int(figures.ready))
        for metric, value in _single(figures):
            found.add(metric, value)
        for metric, moment in (
            (names.LAST_FRAME, figures.last_frame_at),
            (names.LAST_CHECKPOINT, figures.last_checkpoint_at),
        ):
            if moment:
                found.add(metric, moment)
        for partition, lag in sorted(figures.lag_frames.items()):
            found.add(names.LAG, lag, [str(partition)])
        for metric, counts in (
            (names.RECORDS, figures.records),
            (names.RECORD_BYTES, figures.record_bytes),
            (names.DEAD_LETTERS, figures.dead_letters),
        ):
            for label, count in sorted(counts.items()):
                found.add(metric, count, [label])
        return found


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
