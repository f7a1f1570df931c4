"""From a burst of bad calls to one page, and back: stack, Prometheus, Alertmanager, receiver."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterator
from datetime import datetime

import pytest

from dashboards.alerts.files import ALERTS
from tests.dashboards.boards.grafana import ALL, everything, expand_promql, expand_sql
from tests.e2e.conftest import Stacks
from tests.e2e.figures import Json
from tests.e2e.pager import Pager, carried
from tests.e2e.running import RunningStack
from tests.e2e.sites import new_site, now_ms
from tests.programs import program

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SITE = "north"
ALERT = "CallboardServiceLevelLow"
SETTINGS = "defaults: {min_volume: 10, targets: {service_level: 0.8}}\n"
BAD, GOOD = 30, 300
PROMISED_S = 30
"""An alert is at its receiver within this after its for-duration."""


@pytest.fixture(scope="module")
def pager() -> Iterator[Pager]:
    with carried() as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    stacks: Stacks, pager: Pager, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningStack]:
    program("prometheus")
    program("prometheus-alertmanager", "alertmanager")
    # Two stacks at once would starve each other.
    stacks.stop()
    running = RunningStack(tmp_path_factory.mktemp("alerts") / "data", "--empty", "--alerts")
    running.start(CALLBOARD_ALERT_WEBHOOK_URL=pager.url)
    try:
        new_site(running, SITE, SETTINGS)
        yield running
    finally:
        if running.running:
            assert running.stop() == 0


def calls(prefix: str, count: int, ago_ms: int, wait_ms: int) -> list[Json]:
    """Calls that were queued so long ago and answered after the wait, one agent each."""
    events: list[Json] = []
    start = now_ms() - ago_ms
    for n in range(count):
        about = {"site": SITE, "contact": f"{prefix}{n}"}
        ended = {"agent": f"a{n % 9}", **about}
        events.append({"type": "contact.queued", "ts": start, "queue": "sales", **about})
        events.append({"type": "contact.answered", "ts": start + wait_ms, **ended})
        events.append({"type": "contact.released", "ts": start + wait_ms + 500, **ended})
        events.append({"type": "contact.wrapped", "ts": start + wait_ms + 600, **ended})
    return events


def prometheus(stack: RunningStack, path: str, **query: str) -> Json:
    """An answer of Prometheus' interface."""
    port = stack.config.prometheus_port
    address = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    found: Json = json.loads(stack.get(address))["data"]
    return found


def active(stack: RunningStack) -> Json | None:
    """The alert as Prometheus has it."""
    found = [a for a in prometheus(stack, "alerts")["alerts"] if a["labels"]["alertname"] == ALERT]
    return found[0] if found else None


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


@pytest.fixture(scope="module")
def page(stack: RunningStack, pager: Pager) -> Json:
    """The page that a burst of late answers brings."""
    stack.post(SITE, *calls("bad", BAD, ago_ms=120_000, wait_ms=90_000))
    stack.until(lambda: pager.alerts(ALERT, "firing"), 300, "somebody is paged")
    return pager.alerts(ALERT, "firing")[0]


def test_one_page_comes_in_time(stack: RunningStack, page: Json, pager: Pager) -> None:
    alert = active(stack)
    assert alert is not None
    (rule,) = [
        rule
        for group in prometheus(stack, "rules")["groups"]
        for rule in group["rules"]
        if rule["name"] == ALERT
    ]
    due = seconds(alert["activeAt"]) + rule["duration"]
    assert due <= page["came"] <= due + PROMISED_S
    assert len(pager.alerts(ALERT, "firing")) == 1


def test_the_page_says_what_explain_and_sql_say(stack: RunningStack, page: Json) -> None:
    said = page["annotations"]
    assert (said["numerator"], said["denominator"]) == ("0", str(BAD))
    assert page["labels"]["site"] == SITE
    assert page["labels"]["queue"] == "sales"
    explained = json.loads(stack.get(said["explain_url"] + "&format=json"))
    assert (explained["numerator"], explained["denominator"]) == (0, BAD)
    assert explained["at"] == int(said["at"])
    assert {contact["contact"] for contact in explained["contacts"]} == {
        f"bad{n}" for n in range(BAD)
    }
    (row,) = stack.sql(
        "SELECT answered_in, answered, abandoned FROM kpi_window("
        f"site = '{SITE}', window = '{explained['window']}',"
        f" at = fromUnixTimestamp64Milli({said['at']}))"
    )
    assert (int(row["answered_in"]), int(row["answered"]) + int(row["abandoned"])) == (0, BAD)
    assert b"<html" in stack.get(said["explain_url"])


def test_every_query_of_rules_and_boards_runs_here(stack: RunningStack, page: Json) -> None:
    rules = [r for g in prometheus(stack, "rules")["groups"] for r in g["rules"]]
    assert len(rules) == len(ALERTS)
    assert {rule["name"]: rule["lastError"] for rule in rules if rule["health"] != "ok"} == {}
    chosen = dict.fromkeys(("queue", "channel", "team"), ALL) | {"site": SITE, "window": "30m"}
    limits = {"threshold": "30", "short": "5"}
    empty = []
    for target in everything():
        if target.is_promql:
            query = expand_promql(target.text, chosen, "1m")
            if not prometheus(stack, "query", query=query)["result"]:
                empty.append(str(target))
        else:
            stack.sql(expand_sql(target.text, chosen | limits, now_ms() - 3_600_000, now_ms()))
    # This centre has no team, one queue and one alert; the boards' own tests have all there is.
    assert len(empty) < len(everything()) / 2, empty


def test_it_is_resolved_once_and_is_in_the_history(
    stack: RunningStack, page: Json, pager: Pager
) -> None:
    stack.post(SITE, *calls("good", GOOD, ago_ms=10_000, wait_ms=1_000))
    stack.until(lambda: pager.alerts(ALERT, "resolved"), 300, "the alert is resolved")
    episode = f"SELECT * FROM alert_review WHERE alertname = '{ALERT}'"
    stack.until(
        lambda: [row for row in stack.sql(episode) if row["resolved_at"]], 60, "history is written"
    )
    (row,) = stack.sql(episode)
    assert (row["site"], row["queue"]) == (SITE, "sales")
    assert len(pager.alerts(ALERT, "firing")) == len(pager.alerts(ALERT, "resolved")) == 1
