"""Every figure of the contract, from each place that shows it, in one form that can be compared.

A figure is named by its scope (a queue and channel, a team, all queues or all agents), its window
and its name in the contract; times are milliseconds. Counters that are absent are 0, for queues and
teams whose figures are all zero may be absent anywhere; ratios that are absent have no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from sinks.prometheus import names

Json = dict[str, Any]
Scope = tuple[str, ...]
Figures = dict[tuple[Scope, str, str], float]

WINDOWS = ("5m", "15m", "30m", "60m", "today", "total")
COUNTERS = tuple(names.QUEUE_COUNTERS)
TIMES = tuple(names.TEAM_TIMES)
RATIOS = ("service_level", "abandonment", "asa_ms", "aht_ms")
OF_QUEUES = (*COUNTERS, *RATIOS)
OF_AGENTS = (*TIMES, "occupancy")
ALL_QUEUES: Scope = ("all queues",)
ALL_AGENTS: Scope = ("all agents",)


def of_board(board: Json) -> Figures:
    """What a board's object or the time machine's says."""
    found: Figures = {}
    for queue, channels in board["queues"].items():
        for channel, entry in channels.items():
            _add_windows(found, ("queue", queue, channel), entry["windows"], OF_QUEUES)
    for team, entry in board["teams"].items():
        _add_windows(found, ("team", team), entry["windows"], OF_AGENTS)
    _add_windows(found, ALL_QUEUES, board["all"]["queues"]["windows"], OF_QUEUES)
    _add_windows(found, ALL_AGENTS, board["all"]["windows"], OF_AGENTS)
    return found


def of_sql(answers: Mapping[tuple[str, str], list[Json]]) -> Figures:
    """What the views of the store say; `answers` are rows by view and window."""
    found: Figures = {}
    for (view, window), rows in answers.items():
        for row in rows:
            scope, keys = _of_row(view, row)
            _add(found, scope, window, {key: row[key] for key in keys})
    return found


VIEWS = ("kpi_window", "kpi_window_all", "kpi_window_team", "kpi_window_team_all")


def _of_row(view: str, row: Json) -> tuple[Scope, tuple[str, ...]]:
    if view == "kpi_window":
        return ("queue", row["queue"], row["channel"]), OF_QUEUES
    if view == "kpi_window_team":
        return ("team", row["team"]), OF_AGENTS
    return (ALL_QUEUES, OF_QUEUES) if view == "kpi_window_all" else (ALL_AGENTS, OF_AGENTS)


def _add_windows(found: Figures, scope: Scope, windows: Json, keys: Iterable[str]) -> None:
    assert set(windows) == set(WINDOWS)
    for window, figures in windows.items():
        _add(found, scope, window, {key: figures[key] for key in keys})


def _add(found: Figures, scope: Scope, window: str, figures: Json) -> None:
    """Leave out what says nothing: counters of 0 and ratios without data."""
    for key, value in figures.items():
        is_ratio = key in RATIOS or key == "occupancy"
        if is_ratio and value is not None:
            found[scope, window, key] = float(value)
        elif not is_ratio and int(value):
            found[scope, window, key] = int(value)


# --- metrics --------------------------------------------------------------------------------------

_QUOTIENTS = {
    "service_level": (names.QUEUE_SERVICE_LEVEL, names.SITE_SERVICE_LEVEL),
    "abandonment": (names.QUEUE_ABANDONMENT, names.SITE_ABANDONMENT),
    "asa_ms": (names.QUEUE_SPEED_OF_ANSWER, names.SITE_SPEED_OF_ANSWER),
    "aht_ms": (names.QUEUE_HANDLE_TIME, names.SITE_HANDLE_TIME),
}


def of_metrics(page: str, site: str) -> Figures:
    """What a page of metrics says of a site. It has no counters of all queues or all agents."""
    meant, sums = dict(_meanings()), {*COUNTERS, *TIMES}
    found: Figures = {}
    for family in text_string_to_metric_families(page):
        key = meant.get(family.name)
        if key is None:
            continue
        for sample in family.samples:
            if sample.labels["site"] == site:
                scope = _scope_of(family.name, sample.labels)
                found[scope, sample.labels["window"], key] = _in_ms(key, sample.value)
    return {name: value for name, value in found.items() if value or name[2] not in sums}


def _meanings() -> Iterator[tuple[str, str]]:
    for key, metric in (*names.QUEUE_COUNTERS.items(), *names.TEAM_TIMES.items()):
        yield metric.name, key
    for key, quotients in _QUOTIENTS.items():
        for quotient in quotients:
            yield quotient.value.name, key
    for quotient in (names.TEAM_OCCUPANCY, names.SITE_OCCUPANCY):
        yield quotient.value.name, "occupancy"


def _scope_of(name: str, labels: Mapping[str, str]) -> Scope:
    if "queue" in labels:
        return ("queue", labels["queue"], labels["channel"])
    if "team" in labels:
        return ("team", labels["team"])
    return ALL_AGENTS if name == names.SITE_OCCUPANCY.value.name else ALL_QUEUES


def _in_ms(key: str, value: float) -> float:
    """Metrics are in seconds; sums of milliseconds come back whole."""
    if not key.endswith("_ms"):
        return value
    return value * 1000 if key in RATIOS else round(value * 1000)


def without_sums(figures: Figures) -> Figures:
    """What metrics show of a board's figures."""
    return {
        name: value
        for name, value in figures.items()
        if len(name[0]) > 1 or name[2] in RATIOS or name[2] == "occupancy"
    }


def differences(found: Figures, right: Figures) -> list[str]:
    """One line for each figure that differs, at most twenty."""
    names_ = sorted({*found, *right})
    return [
        f"{name}: {found.get(name)}, right is {right.get(name)}"
        for name in names_
        if found.get(name) != right.get(name)
    ][:20]
