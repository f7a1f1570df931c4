"""Rules every board keeps: those of Grafana's linter that matter here, and our own."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.models import units
from prometheus_client import CollectorRegistry

from dashboards.alerts import ALERTS
from pipeline.ingest.metrics import DoorMetrics, IngestMetrics
from sinks.clickhouse.metrics import SinkMetrics
from sinks.prometheus import names
from tests.dashboards.boards.grafana import Target, committed, everything, panels, targets

ROOT = Path(__file__).parents[3]
MIGRATIONS = ROOT / "sinks" / "clickhouse" / "migrations"

BOARDS = list(committed().values())
PANELS = [(board, panel) for board in BOARDS for panel in panels(board)]
PANEL_IDS = [f"{board['uid']} / {panel['title']}" for board, panel in PANELS]
PROMQL = [target for target in everything() if target.is_promql]
SQL = [target for target in everything() if not target.is_promql]

# A list of alerts shows no figure and asks no data source.
WITHOUT_FIGURES = {"alertlist"}

_OF_ALERTS = {"alertname", "severity"}.union(*(alert.scope for alert in ALERTS))
# Prometheus makes these itself.
OF_PROMETHEUS: dict[str, set[str]] = {
    "up": set(),
    "ALERTS": {*_OF_ALERTS, "alertstate"},
    "ALERTS_FOR_STATE": _OF_ALERTS,
}
OF_SCRAPES = {"job", "instance"}

WORDS = {
    "and", "or", "unless", "by", "on", "without", "group_left", "group_right", "sum", "max", "min",
    "count", "avg", "rate", "increase", "scalar", "time", "topk", "sort", "sort_desc", "le",
    "histogram_quantile", "offset", "e9",
}  # fmt: skip


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=PANEL_IDS)
def test_a_panel_says_what_it_shows(board: dict[str, Any], panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert len(panel["description"]) > 20
    assert panel["description"].endswith(".")
    if panel["type"] in WITHOUT_FIGURES:
        return
    defaults = panel["fieldConfig"]["defaults"]
    assert defaults["unit"]
    assert defaults["noValue"]
    assert panel["targets"]


def test_every_unit_is_one_grafana_knows() -> None:
    known = {value for name, value in vars(units).items() if name.isupper() or name[0].isupper()}
    used = {value for _, panel in PANELS for value in _units(panel.get("fieldConfig", {}))}
    # Moments have no names in the SDK.
    assert used <= known | {"dateTimeFromNow"}
    assert {"percentunit", "s", "short"} <= used


def _units(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if config.get("id") == "unit":
            yield config["value"]
        for key, value in config.items():
            if key == "unit":
                yield value
            else:
                yield from _units(value)
    elif isinstance(config, list):
        for value in config:
            yield from _units(value)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=PANEL_IDS)
def test_queries_of_a_panel_have_names_of_their_own(
    board: dict[str, Any], panel: dict[str, Any]
) -> None:
    refs = [query["refId"] for query in panel.get("targets", [])]
    assert len(refs) == len(set(refs))
    known = {f"Value #{ref}" for ref in refs} | set(refs)
    named = re.findall(r"Value #\w+", str(panel))
    assert set(named) <= known
    for override in panel.get("fieldConfig", {}).get("overrides", []):
        if override["matcher"]["id"] == "byFrameRefID":
            assert override["matcher"]["options"] in refs


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=PANEL_IDS)
def test_a_data_source_is_named_by_a_variable(board: dict[str, Any], panel: dict[str, Any]) -> None:
    found = [panel.get("datasource"), *(query["datasource"] for query in panel.get("targets", []))]
    uids = {source["uid"] for source in found if source}
    assert uids <= {"${datasource}", "${clickhouse}"}
    assert len(uids) <= 1, "a panel asks one data source"


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_panels_lie_side_by_side_and_do_not_overlap(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = itertools.product(
            range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        )
        for cell in cells:
            assert cell not in taken, f"{panel['title']} lies on {taken[cell]}"
            taken[cell] = panel["title"]
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_rows_of_a_board_are_full(board: dict[str, Any]) -> None:
    """No hole that a wall would show: the panels that begin at one height fill it."""
    for _, group in itertools.groupby(board["panels"], key=lambda panel: panel["gridPos"]["y"]):
        assert sum(panel["gridPos"]["w"] for panel in group) == 24


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_every_variable_that_is_used_is_there_and_every_one_there_is_used(
    board: dict[str, Any],
) -> None:
    there = {variable["name"] for variable in board["templating"]["list"]}
    text = str([board["panels"], board["templating"]])
    used = set(re.findall(r"\$\{(\w+)(?=[}:])|\$(?!__)(\w+)", text))
    words = {word for pair in used for word in pair if word and not word.startswith("__")}
    assert words == there - ({"datasource"} - words)


@pytest.mark.parametrize("uid", ["callboard-wallboard", "callboard-supervisor", "callboard-oncall"])
def test_a_board_says_how_old_it_is(uid: str) -> None:
    assert "Data age" in [panel["title"] for panel in panels(committed()[uid])]


def test_the_wall_has_at_most_twelve_tiles_and_no_scroll() -> None:
    wall = committed()["callboard-wallboard"]
    tiles = list(panels(wall))
    assert len(tiles) <= 12
    assert max(tile["gridPos"]["y"] + tile["gridPos"]["h"] for tile in tiles) <= 22


# --- PromQL --------------------------------------------------------------------------------------


@cache
def _metrics() -> dict[str, set[str]]:
    """Every series a page may have, with its labels."""
    suffix = {"gauge": "", "counter": "_total", "info": "_info"}
    found = {m.name + suffix[m.kind]: set(m.labels) for m in names.all_metrics()}
    for registry in (IngestMetrics().registry, DoorMetrics().registry, SinkMetrics().registry):
        found |= _registered(registry)
    for name in ("process_resident_memory_bytes", "process_cpu_seconds_total"):
        found[name] = set()
    return found | OF_PROMETHEUS


def _registered(registry: CollectorRegistry) -> dict[str, set[str]]:
    found = {}
    for collector in list(registry._collector_to_names):
        labels = set(getattr(collector, "_labelnames", ()))
        for name in registry._collector_to_names[collector]:
            found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def _selectors(text: str) -> Iterator[tuple[str, set[str]]]:
    """Metrics a query names, each with the labels it is selected by."""
    bare = re.sub(r"\$__\w+|\"[^\"]*\"", "x", text)
    bare = re.sub(r"(by|on|group_left|group_right) \([^)]*\)", " ", bare)
    for match in re.finditer(r"\b([A-Za-z_]\w*)\b\s*(\{[^}]*\})?", bare):
        if match[1] in WORDS or match[1] == "x":
            continue
        yield match[1], set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", match[2] or ""))


@pytest.mark.parametrize("target", PROMQL, ids=str)
def test_every_metric_and_label_of_a_query_exists(target: Target) -> None:
    named = list(_selectors(re.sub(r"\{[^}]*\}", lambda m: m[0].replace("$", ""), target.text)))
    metrics = {name for name, _ in named if name in _metrics()}
    others = {name for name, _ in named} - metrics
    # What is left stands in the braces of a selector.
    labels_here = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", target.text))
    assert others <= labels_here
    assert metrics
    for name, labels in named:
        if name in metrics:
            assert labels <= _metrics()[name] | OF_SCRAPES, name
    kept = set(re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \(([^)]*)\)", target.text))))
    assert kept <= set().union(*(_metrics()[name] for name in metrics)) | OF_SCRAPES


@pytest.mark.parametrize("target", PROMQL, ids=str)
def test_counters_are_asked_for_their_growth_alone(target: Target) -> None:
    counters = set(re.findall(r"\b\w+(?:_total|_bucket|_sum|_count)\b", target.text))
    for name in counters & set(_metrics()):
        uses = re.findall(rf"(?:rate|increase)\({name}[{{[]", target.text)
        assert len(uses) == len(re.findall(rf"\b{name}\b", target.text))
    for interval in re.findall(r"\[([^\]]*)\]", target.text):
        assert interval == "$__rate_interval"


@pytest.mark.parametrize("target", PROMQL, ids=str)
def test_ratios_are_never_averaged(target: Target) -> None:
    assert not re.search(r"\bavg\b|sum[^(]*\([^()]*_ratio\b", target.text)


# --- SQL -----------------------------------------------------------------------------------------


@cache
def _views() -> dict[str, set[str]]:
    """Views of the migrations with their columns, the last definition of each."""
    found = {}
    for path in sorted(MIGRATIONS.glob("*.sql")):
        text = path.read_text("utf-8")
        made = r"VIEW (?:IF NOT EXISTS )?\$\{database\}\.(\w+)\s*\n\((.*?)\n\)\s*AS\b"
        for name, columns in re.findall(made, text, re.DOTALL):
            found[name] = set(re.findall(r"^\s*(\w+)\s", columns, re.MULTILINE))
    return found


@pytest.mark.parametrize("target", SQL, ids=str)
def test_sql_reads_views_and_not_the_clock(target: Target) -> None:
    sources = set(re.findall(r"(?:FROM|JOIN)\s+(\w+)", target.text))
    assert sources
    assert sources <= set(_views())
    assert not re.search(r"\b(now|now64|today|yesterday)\s*\(", target.text)


@pytest.mark.parametrize("target", SQL, ids=str)
def test_sql_is_bound_to_the_sites_that_are_chosen(target: Target) -> None:
    assert "site" in re.findall(r"\$\{(\w+):sqlstring\}", target.text)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])
def test_what_a_table_dresses_is_among_its_columns(board: dict[str, Any]) -> None:
    """An override of a column that is not there would silently do nothing."""
    for panel in panels(board):
        texts = " ".join(target.text for target in targets(board) if target.panel == panel["title"])
        organized = [
            entry["options"]["renameByName"].values()
            for entry in panel.get("transformations", [])
            if entry["id"] == "organize"
        ]
        heads = {head for entry in organized for head in entry}
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            if override["matcher"]["id"] == "byName":
                name = override["matcher"]["options"]
                assert (
                    name in heads or name.startswith("Value #") or re.search(rf"\b{name}\b", texts)
                ), name


def test_each_label_of_an_alert_that_fires_is_shown_and_no_watchdog() -> None:
    board = committed()["callboard-oncall"]
    asked = [target.text for target in targets(board) if "ALERTS" in target.text]
    assert asked
    assert all('alertname!="CallboardWatchdog"' in text for text in asked)
    firing = next(target for target in targets(board) if target.panel == "Firing now")
    shown = re.findall(r"max by \(([^)]*)\)", firing.text)
    assert shown
    assert all(set(labels.split(", ")) == _OF_ALERTS for labels in shown)
