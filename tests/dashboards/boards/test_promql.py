"""Every PromQL query of every panel runs on a Prometheus that scrapes the pages of all roles."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.boards import promql as ask
from tests.dashboards.boards.grafana import ALL, Target, Value, everything, expand_promql
from tests.dashboards.boards.pages import SITES, pages
from tests.ports import free_port
from tests.programs import program

QUERIES = [target for target in everything() if target.is_promql]
WALL = "callboard-wallboard"
CHOICES: dict[str, Value] = {"queue": ALL, "channel": ALL, "team": ALL, "window": "30m"}


class Prometheus:
    """Answers of a Prometheus that runs."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def instant(self, expression: str) -> list[dict[str, Any]]:
        return self._ask("query", {"query": expression})

    def ranged(self, expression: str) -> list[dict[str, Any]]:
        now = time.time()
        asked = {"query": expression, "start": now - 60, "end": now, "step": 5}
        return self._ask("query_range", asked)

    def ready(self) -> bool:
        try:
            return len(self.instant('ALERTS{alertstate="firing"}')) >= 2 and not self.missing()
        except (OSError, AssertionError):
            return False

    def missing(self) -> list[str]:
        """Jobs without a second sample, without which nothing has a rate."""
        found = self.instant("min by (job) (sum_over_time(up[1m])) >= 3")
        return sorted(
            {"worker", "ingest", "sink", "door"}
            - {one["metric"]["job"].removeprefix("callboard-") for one in found}
        )

    def _ask(self, what: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        url = f"{self.url}/api/v1/{what}?{urllib.parse.urlencode(asked)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{asked['query']}: {error.read().decode()}") from None
        result: list[dict[str, Any]] = found["data"]["result"]
        return result


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with two scrapes of every role and two alerts that fire."""
    folder = tmp_path_factory.mktemp("prometheus")
    with _served(pages()) as address:
        (folder / "rules.yml").write_text(yaml.safe_dump(RULES))
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(address)))
        port = free_port()
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(_command(folder, port), stdout=log, stderr=log)
        try:
            found = Prometheus(port)
            _wait(found, process, folder / "log")
            yield found
        finally:
            process.terminate()
            process.wait(20)


def _command(folder: Path, port: int) -> list[str]:
    return [
        program("prometheus"),
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]


def _wait(prometheus: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while not prometheus.ready():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


LABELS = {"severity": "critical", "site": "north", "queue": "sales", "channel": "voice"}
RULES = {
    "groups": [
        {
            "name": "two alerts that fire",
            "interval": "1s",
            "rules": [
                {"alert": "CallboardServiceLevelLow", "expr": "vector(1)", "labels": LABELS},
                {"alert": "CallboardWatchdog", "expr": "vector(1)", "labels": {"severity": "info"}},
            ],
        }
    ]
}


def _configuration(address: str) -> dict[str, Any]:
    port = address.rpartition(":")[2]
    # Two workers export every site, as they may for a moment while partitions move.
    twice = [address, f"localhost:{port}"]
    jobs = [
        {
            "job_name": f"callboard-{role}",
            "metrics_path": f"/{role}",
            "static_configs": [{"targets": twice if role == "worker" else [address]}],
        }
        for role in ("worker", "ingest", "sink", "door")
    ]
    # A target that is down: what says so must find it.
    jobs.append({"job_name": "callboard-lost", "static_configs": [{"targets": ["127.0.0.1:1"]}]})
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": jobs,
    }


class _served:
    """Pages over HTTP, each at the name of its role."""

    def __init__(self, found: dict[str, Callable[[], bytes]]) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = found[self.path.strip("/")]()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """A test says nothing of each scrape."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _answers(prometheus: Prometheus, target: Target, site: Value) -> list[dict[str, Any]]:
    asked = expand_promql(target.text, CHOICES | {"site": site}, rate_interval="30s")
    if target.query.get("instant"):
        return prometheus.instant(asked)
    return prometheus.ranged(asked)


def test_there_are_queries() -> None:
    assert len(QUERIES) > 150


@pytest.mark.parametrize("target", QUERIES, ids=str)
def test_a_query_finds_series(prometheus: Prometheus, target: Target) -> None:
    # Of the colours of a KPI a series has one: each is found at some site, not at every one.
    assert any(_answers(prometheus, target, site) for site in SITES)


@pytest.mark.parametrize("target", QUERIES, ids=str)
def test_a_query_tells_its_series_apart(prometheus: Prometheus, target: Target) -> None:
    """No two answers of a query have the same labels, and several sites are no error."""
    several = [] if 'site="$site"' in target.text else [list(SITES), ALL]
    for site in (*SITES, *several):
        found = _answers(prometheus, target, site)
        labels = [json.dumps(one["metric"], sort_keys=True) for one in found]
        assert len(labels) == len(set(labels))


def test_two_workers_with_one_site_count_once(prometheus: Prometheus) -> None:
    (target,) = [
        one for one in QUERIES if (one.board, one.panel, one.ref) == (WALL, "Today", "offered")
    ]
    (found,) = _answers(prometheus, target, "north")
    assert found["value"][1] == "5"
    (both,) = prometheus.instant("sum(callboard_site_waiting{site='north'})")
    assert both["value"][1] == "4", "two workers should export two contacts that wait each"


KPIS = (
    ask.SERVICE_LEVEL,
    ask.ABANDONMENT,
    ask.SPEED_OF_ANSWER,
    ask.HANDLE_TIME,
    ask.LONGEST_WAIT,
)


@pytest.mark.parametrize("scope", [ask.ONE_SITE, ask.ALL_QUEUES], ids=["site", "queues"])
@pytest.mark.parametrize("kpi", KPIS, ids=lambda kpi: kpi.key)
def test_a_kpi_has_exactly_one_colour_everywhere(
    prometheus: Prometheus, kpi: ask.Kpi, scope: ask.Scope
) -> None:
    for site, colour in (("north", "missed"), ("south", "met"), ("west", "unjudged")):

        def series(text: str, site: str = site) -> list[str]:
            asked = expand_promql(text, CHOICES | {"site": site}, rate_interval="30s")
            labels = [
                {key: value for key, value in one["metric"].items() if key != "__name__"}
                for one in prometheus.instant(asked)
            ]
            return sorted(json.dumps(each, sort_keys=True) for each in labels)

        everywhere = series(kpi.value(scope))
        parts = {name: series(getattr(kpi, name)(scope)) for name in ("missed", "met", "unjudged")}
        assert everywhere
        assert sorted(each for part in parts.values() for each in part) == everywhere
        assert parts[colour]
