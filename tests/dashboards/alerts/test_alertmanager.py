"""Alertmanager's configuration, on the real program: who hears of what, and what is muted."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dashboards.alerts import AlertsError, write
from dashboards.alerts.files import ROUTES
from schemas.config import Config
from tests.dashboards.alerts.sites import SITES, STRANGE
from tests.ports import free_port
from tests.programs import program

DEADLINE_S = 60.0
Page = dict[str, Any]


class Receiver:
    """A real HTTP receiver; `pages` are the bodies posted, by path."""

    def __init__(self) -> None:
        self.pages: dict[str, list[Page]] = {}
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                pages.setdefault(self.path, []).append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def alerts(self, path: str, status: str = "firing") -> set[tuple[str, str, str]]:
        """Name, site and queue of the alerts that came on a path with this status."""
        return {
            (
                alert["labels"]["alertname"],
                alert["labels"].get("site", ""),
                alert["labels"].get("queue", ""),
            )
            for page in list(self.pages.get(path, []))
            for alert in page["alerts"]
            if alert["status"] == status
        }


def until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def configured(receiver: str) -> Config:
    return Config(
        door_url=receiver,
        door_token="door-secret",
        alert_webhook_url=f"{receiver}/people",
        alert_slack_url=f"{receiver}/slack",
        alert_watchdog_url=f"{receiver}/watchdog",
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def alertmanager(tmp_path: Path, receiver: Receiver) -> Iterator[str]:
    """The address of a running Alertmanager."""
    write(tmp_path, SITES, configured(receiver.url))
    port = free_port()
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [
            program("prometheus-alertmanager", "alertmanager"),
            f"--config.file={tmp_path / ROUTES}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: answers(f"{address}/-/ready", process), (tmp_path / "log").read_text())
        yield address
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "Alertmanager has ended"
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except OSError:
        return False


def alert(name: str, site: str, queue: str = "", severity: str = "critical") -> Page:
    words = ("summary", "description", "numerator", "denominator", "value", "target")
    return {
        "labels": {"alertname": name, "site": site, "queue": queue, "severity": severity},
        "annotations": {word: f"the {word}" for word in words}
        | {f"{word}_url": f"http://x/{word}" for word in ("explain", "board", "runbook")},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
    }


def post(address: str, *alerts: Page) -> None:
    request = urllib.request.Request(
        f"{address}/api/v2/alerts",
        data=json.dumps(alerts).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 200


def test_an_open_site_is_paged_and_a_closed_one_is_not(
    alertmanager: str, receiver: Receiver
) -> None:
    low, ours = "CallboardServiceLevelLow", "CallboardReconciliationNotEmpty"
    open_, closed = alert(low, "open", "a"), alert(low, "closed", "a")
    post(alertmanager, open_, closed, alert(ours, "closed"))
    until(lambda: (low, "closed", "a") in receiver.alerts("/v1/alerts"), "history of the closed")
    until(lambda: (low, "open", "a") in receiver.alerts("/people"), "page of the open site")
    # Whoever comes later has waited at least as long as the closed site's alert would have.
    post(alertmanager, alert(low, "open", "later"))
    until(lambda: (low, "open", "later") in receiver.alerts("/people"), "page of the later one")
    assert receiver.alerts("/people") == {
        (low, "open", "a"),
        (low, "open", "later"),
        (ours, "closed", ""),  # the pipeline's own alerts know no hours
    }
    post(alertmanager, {**open_, "endsAt": datetime.now(UTC).isoformat()})
    until(lambda: (low, "open", "a") in receiver.alerts("/people", "resolved"), "resolved")
    until(lambda: (low, "open", "a") in receiver.alerts("/v1/alerts", "resolved"), "its history")


def test_a_stale_site_and_a_worse_level_hold_alerts_back(
    alertmanager: str, receiver: Receiver
) -> None:
    low, wait, stale = "CallboardServiceLevelLow", "CallboardLongestWait", "CallboardDataStale"
    post(alertmanager, alert(stale, "s1"), alert(wait, "open", "q"))
    post(
        alertmanager,
        alert(low, "s1", "q"),
        alert(low, "s2", "q"),
        alert(wait, "open", "q", "warning"),
        alert(wait, "open", "other", "warning"),
    )
    expected = {
        (stale, "s1", ""),
        (wait, "open", "q"),
        (low, "s2", "q"),
        (wait, "open", "other"),
    }
    until(lambda: expected <= receiver.alerts("/people"), "pages")
    assert receiver.alerts("/people") == expected
    severities = {
        found["labels"]["severity"]
        for page in receiver.pages["/people"]
        for found in page["alerts"]
        if found["labels"].get("queue") == "q" and found["labels"]["alertname"] == wait
    }
    assert severities == {"critical"}


def test_without_any_process_of_a_role_no_kpi_is_told(
    alertmanager: str, receiver: Receiver
) -> None:
    down, low = "CallboardTargetDown", "CallboardServiceLevelLow"
    gone = alert(down, "")
    gone["labels"]["job"] = "every worker"
    post(alertmanager, gone)
    post(alertmanager, alert(low, "open", "q"))
    until(lambda: (down, "", "") in receiver.alerts("/people"), "page")
    post(alertmanager, alert("CallboardSourceSilent", "open"))
    until(lambda: ("CallboardSourceSilent", "open", "") in receiver.alerts("/people"), "later")
    assert (low, "open", "q") not in receiver.alerts("/people")


def test_a_message_says_what_since_when_with_which_numbers(
    alertmanager: str, receiver: Receiver
) -> None:
    fired = alert("CallboardServiceLevelLow", "open", "a")
    post(alertmanager, fired, alert("CallboardWatchdog", "", severity="none"))
    until(lambda: receiver.pages.get("/slack"), "message")
    (attachment,) = receiver.pages["/slack"][0]["attachments"]
    assert attachment["title"] == "CRITICAL CallboardServiceLevelLow open a"
    assert attachment["title_link"] == "http://x/explain"
    since = fired["startsAt"][:19].replace("T", " ")
    assert attachment["text"].startswith("*FIRING: the summary*\nthe description\n")
    assert f"Since: {since} UTC" in attachment["text"]
    assert (
        "Numbers: the numerator / the denominator = the value, target the target"
        in (attachment["text"])
    )
    assert "<http://x/explain|Calls>" in attachment["text"]
    until(lambda: receiver.pages.get("/watchdog"), "the dead man's switch")
    assert not {name for name, _, _ in receiver.alerts("/people")} & {"CallboardWatchdog"}


def routed(folder: Path, **labels: str) -> list[str]:
    done = subprocess.run(
        [program("amtool"), "config", "routes", "test", f"--config.file={folder / ROUTES}"]
        + [f"{label}={json.dumps(value)}" for label, value in labels.items()],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().split(",")


def test_amtool_takes_every_contact_point_and_routes_as_meant(tmp_path: Path) -> None:
    config = configured("http://door").model_copy(
        update={
            "alert_pagerduty_key": "k",
            "alert_teams_url": "http://teams",
            "alert_email_to": "a@example.org",
            "alert_email_from": "b@example.org",
            "alert_smtp": "mail.example.org:587",
        }
    )
    paths = write(tmp_path, SITES, config)
    subprocess.run(
        [program("amtool"), "check-config", str(tmp_path / ROUTES)], check=True, capture_output=True
    )
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    low, silent = "CallboardServiceLevelLow", "CallboardSourceSilent"
    for site in ("open", "closed", STRANGE.site):
        assert routed(tmp_path, alertname=low, site=site, severity="critical") == [
            "history",
            "people-and-pager",
        ]
    assert routed(tmp_path, alertname=silent, severity="warning") == ["history", "people"]
    assert routed(tmp_path, alertname="CallboardWatchdog", severity="none") == ["watchdog"]


def test_only_the_files_of_the_deliverer_are_there(tmp_path: Path) -> None:
    write(tmp_path, SITES, Config())
    write(tmp_path, SITES, Config(alerts_by="grafana"))
    assert {path.name for path in tmp_path.iterdir() if any(path.iterdir())} == {"grafana"}
    write(tmp_path, SITES, Config())
    assert not (tmp_path / "grafana" / "alerting").exists()
    assert (tmp_path / ROUTES).exists()


def test_half_configured_mail_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AlertsError, match="CALLBOARD_ALERT_SMTP"):
        write(tmp_path, (), Config(alert_email_to="a@example.org"))
