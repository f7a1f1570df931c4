"""The page of metrics: its numbers, what is absent from it, and what promtool says of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.engine import Site
from schemas.events import validate_event
from schemas.frames import Frame
from schemas.kpis import COUNTERS, TEAM_TIMES, WINDOWS
from schemas.settings import parse_site
from sinks.prometheus import names
from sinks.prometheus.collector import render
from sinks.prometheus.figures import WorkerFigures

BEGIN = 1_700_000_000_000
SETTINGS = {
    "site": "north",
    "defaults": {
        "threshold_ms": 20_000,
        "targets": {
            "service_level": 0.8,
            "abandonment": 0.05,
            "longest_wait_ms": 120_000,
            "asa_ms": 25_000,
            "aht_ms": 300_000,
        },
    },
    "queues": {
        "sales": {
            "name": "Sales",
            "formula": "answered_only",
            "threshold_ms": 30_000,
            "targets": {
                "service_level": 0.9,
                "abandonment": 0.03,
                "longest_wait_ms": 60_000,
                "asa_ms": 15_000,
                "aht_ms": 240_000,
            },
        }
    },
    "teams": {"blue": {"occupancy": [0.75, 0.85]}},
}


def _site() -> Site:
    """Two calls answered (10 s and 40 s), one abandoned, one that waits; one queue without any."""
    site = Site(parse_site(SETTINGS, "test"))
    script = [
        (0, "agent.state", {"agent": "zoe-17", "state": "available", "team": "blue"}),
        (1, "contact.queued", {"contact": "a", "queue": "sales"}),
        (11, "contact.answered", {"contact": "a", "agent": "zoe-17"}),
        (60, "contact.released", {"contact": "a", "agent": "zoe-17"}),
        (70, "contact.wrapped", {"contact": "a", "agent": "zoe-17"}),
        (71, "contact.queued", {"contact": "b", "queue": "sales"}),
        (111, "contact.answered", {"contact": "b", "agent": "zoe-17"}),
        (112, "contact.queued", {"contact": "c", "queue": "sales"}),
        (142, "contact.abandoned", {"contact": "c"}),
        (143, "contact.abandoned", {"contact": "c"}),
        (150, "contact.queued", {"contact": "d", "queue": "sales"}),
        (160, "contact.queued", {"contact": "e", "queue": "care", "channel": "chat"}),
        (161, "contact.left", {"contact": "e"}),
    ]
    events = [
        validate_event(
            {"type": kind, "site": "north", "ts": BEGIN + s * 1000, "source": "acd", **fields}
        )
        for s, kind, fields in script
    ]
    offsets = list(range(len(events)))
    frame = Frame("north", 1, BEGIN + 190_500, (0, 0, 99), [98, 99], events, offsets)
    site.apply(frame, 0)
    return site


def _figures() -> WorkerFigures:
    figures = WorkerFigures(frames=7, events=13, partitions=2, ready=True, lag_frames={0: 0, 3: 5})
    figures.records["kpi.live"] = 4
    figures.record_bytes["kpi.live"] = 400
    figures.dead_letters["late"] = 1
    figures.last_frame_at = figures.last_checkpoint_at = 1_700_000_000.5
    return figures


@pytest.fixture(scope="module")
def page() -> str:
    return render([_site().view()], _figures(), BEGIN + 191_000).decode()


@pytest.fixture(scope="module")
def samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def _value(samples: Mapping[Any, float], metric: names.Metric, **labels: str) -> float | None:
    name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.kind, "")
    return samples.get((name, tuple(sorted(labels.items()))))


SALES = {"site": "north", "queue": "sales", "channel": "voice"}


def test_a_ratio_stands_beside_what_it_is_made_of(samples: dict[Any, float]) -> None:
    labels = {**SALES, "window": "5m", "formula": "answered_only"}
    level = names.QUEUE_SERVICE_LEVEL
    assert _value(samples, level.numerator, **labels) == 1
    assert _value(samples, level.denominator, **labels) == 2
    assert _value(samples, level.value, **labels) == 0.5


def test_times_are_seconds(samples: dict[Any, float]) -> None:
    here = {**SALES, "window": "total"}
    assert _value(samples, names.QUEUE_SPEED_OF_ANSWER.value, **here) == 25
    assert _value(samples, names.QUEUE_SPEED_OF_ANSWER.numerator, **here) == 50
    assert _value(samples, names.QUEUE_SPEED_OF_ANSWER.denominator, **here) == 2
    assert _value(samples, names.QUEUE_HANDLE_TIME.value, **here) == 59
    assert _value(samples, names.QUEUE_LONGEST_WAIT, **SALES) == 40.5
    assert _value(samples, names.QUEUE_THRESHOLD, **SALES) == 30
    assert _value(samples, names.QUEUE_TARGETS["asa_ms"], **SALES) == 15
    assert _value(samples, names.SITE_TIME, site="north") == (BEGIN + 190_500) / 1000


def test_every_counter_and_kpi_of_the_board_is_on_the_page(samples: dict[Any, float]) -> None:
    view = _site().view()
    for window in WINDOWS:
        here = {**SALES, "window": window}
        board = view["queues"]["sales"]["voice"]["windows"][window]
        for key in COUNTERS:
            unit = 1000 if key.endswith("_ms") else 1
            assert _value(samples, names.QUEUE_COUNTERS[key], **here) == board[key] / unit
        assert _value(samples, names.QUEUE_ABANDONMENT.value, **here) == board["abandonment"]
        team = view["teams"]["blue"]["windows"][window]
        blue = {"site": "north", "team": "blue", "window": window}
        for key in TEAM_TIMES:
            assert _value(samples, names.TEAM_TIMES[key], **blue) == team[key] / 1000
        assert _value(samples, names.TEAM_OCCUPANCY.value, **blue) == team["occupancy"]
        everything = view["all"]
        site = {"site": "north", "window": window}
        assert (
            _value(samples, names.SITE_OCCUPANCY.value, **site)
            == (everything["windows"][window]["occupancy"])
        )
        by_default = {**site, "formula": "abandons_negative"}
        assert (
            _value(samples, names.SITE_SERVICE_LEVEL.value, **by_default)
            == (everything["queues"]["windows"][window]["service_level"])
        )


def test_without_data_a_ratio_is_absent_and_its_parts_are_zero(samples: dict[Any, float]) -> None:
    care = {"site": "north", "queue": "care", "channel": "chat", "window": "5m"}
    assert _value(samples, names.QUEUE_ABANDONMENT.value, **care) is None
    assert _value(samples, names.QUEUE_ABANDONMENT.denominator, **care) == 0
    assert _value(samples, names.QUEUE_SPEED_OF_ANSWER.value, **care) is None
    del care["window"]
    assert _value(samples, names.QUEUE_LONGEST_WAIT, **care) is None
    assert _value(samples, names.QUEUE_WAITING, **care) == 0


def test_agents_are_counted_and_never_named(page: str, samples: dict[Any, float]) -> None:
    talking = {"site": "north", "team": "blue", "state": "talk"}
    assert _value(samples, names.TEAM_AGENTS, **talking) == 1
    assert "zoe-17" not in page
    assert all("agent" not in metric.labels for metric in names.all_metrics())


def test_events_that_were_not_used_are_counted(samples: dict[Any, float]) -> None:
    assert _value(samples, names.DEAD_LETTERED, site="north") == 2
    assert _value(samples, names.INCONSISTENT, site="north") == 1
    assert _value(samples, names.LATE, site="north") == 0
    at = _value(samples, names.SOURCE_LAST_EVENT, site="north", source="acd")
    assert at == BEGIN / 1000 + 161


def test_the_page_has_every_metric_that_is_named_and_no_other(page: str) -> None:
    on_page = {family.name for family in text_string_to_metric_families(page)}
    ours = {name for name in on_page if name.startswith("callboard_")}
    # The text format has no type for information: it is a gauge with the suffix in its name.
    assert {name.removesuffix("_info") for name in ours} == {m.name for m in names.all_metrics()}
    assert all(name.startswith("process_") for name in on_page - ours)


def test_names_are_unique_and_say_what_they_mean() -> None:
    metrics = names.all_metrics()
    assert len({metric.name for metric in metrics}) == len(metrics) > 80
    assert all(metric.help.endswith((".", "otherwise 0.")) for metric in metrics)


def test_a_worker_without_sites_has_only_its_own_figures() -> None:
    page = render([], WorkerFigures(), BEGIN).decode()
    assert "callboard_site" not in page
    assert "callboard_worker_ready 0.0" in page
    assert names.LAST_FRAME.name not in page


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_finds_nothing_to_say(page: str) -> None:
    check = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (check.returncode, check.stdout, check.stderr) == (0, "", "")
