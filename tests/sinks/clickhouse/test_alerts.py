"""A webhook of alerts: its rows, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from aiokafka import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ALERTS
from sinks.clickhouse.alerts import AlertBatch, AlertError, read_payload, rows_of
from tests.engine.profile import examples

RECEIVED = 1_767_607_200_000
FIRED = "2026-01-05T10:00:00.123456789Z"
ENDED = "2026-01-05T10:10:00.123Z"
NEVER = "0001-01-01T00:00:00Z"


def alert(name: str = "CallboardServiceLevelLow", **more: Any) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    labels = {"alertname": name, "site": "s", "queue": "sales", "severity": "critical"}
    annotations = {"summary": "Low.", "value": "0.5", "numerator": "10", "denominator": "20"}
    annotations |= {"target": "0.8000", "at": str(RECEIVED)}
    given = {"status": "firing", "labels": labels, "annotations": annotations}
    return given | {"startsAt": FIRED, "endsAt": NEVER, "fingerprint": "f1"} | more


def webhook(*alerts: Any, **more: Any) -> bytes:
    told = {"version": "4", "receiver": "history", "status": "firing", "alerts": list(alerts)}
    return orjson.dumps(told | more)


def valued(value: str, **more: Any) -> dict[str, Any]:
    found = alert(**more)
    return found | {"annotations": found["annotations"] | {"value": value}}


GRAFANA = {
    "receiver": "callboard-history",
    "status": "resolved",
    "orgId": 1,
    "alerts": [
        {
            "status": "resolved",
            "labels": {
                "alertname": "CallboardOccupancyHigh",
                "grafana_folder": "Callboard",
                "kpi": "occupancy",
                "severity": "warning",
                "site": "bank",
                "team": "red",
            },
            "annotations": {
                "at": "1767610800000",
                "denominator": "n/a",
                "explain_url": "http://board/explain?site=bank&team=red&kpi=occupancy",
                "numerator": "n/a",
                "summary": "Team red of bank has been busy 93.12%.",
                "target": "0.9000",
                "value": "0.9312",
            },
            "startsAt": "2026-01-05T11:00:00+01:00",
            "endsAt": "2026-01-05T12:00:10.5+01:00",
            "generatorURL": "http://grafana/alerting/grafana/cb-occupancy-high/view?orgId=1",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "http://grafana/alerting/silence/new",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"value": 0.9312, "C": 1},
            "valueString": "[ var='value' labels={site=bank, team=red} value=0.9312 ]",
        }
    ],
    "groupLabels": {"alertname": "CallboardOccupancyHigh", "site": "bank"},
    "commonLabels": {"site": "bank", "team": "red"},
    "commonAnnotations": {},
    "externalURL": "http://grafana/",
    "version": "1",
    "groupKey": '{}/{alertname=~"Callboard.+"}:{alertname="CallboardOccupancyHigh"}',
    "truncatedAlerts": 0,
    "title": "[RESOLVED] CallboardOccupancyHigh",
    "state": "ok",
    "message": "",
}


def _record(payload: bytes, received: int = RECEIVED, offset: int = 3) -> Any:
    """A record of the topic."""
    return ConsumerRecord(
        *(ALERTS, 2, offset, received, 0, b"s", payload, None, 0, len(payload)),
        headers=(("received", b"%d" % received),),
    )


def rows(payload: bytes, received: int = RECEIVED) -> list[Any]:
    return list(rows_of(read_payload(payload), received))


# --- a payload ---------------------------------------------------------------------------------


def test_an_alert_becomes_a_row_with_its_figures() -> None:
    (row,) = rows(webhook(alert()))
    assert (row["site"], row["queue"], row["team"]) == ("s", "sales", "")
    assert (row["fired_at"], row["resolved_at"]) == (1_767_607_200.123, None)
    assert (row["value"], row["numerator"], row["target"]) == (0.5, 10.0, 0.8)
    assert (row["source"], row["receiver"], row["at"]) == (
        "alertmanager",
        "history",
        RECEIVED / 1e3,
    )


def test_grafana_is_told_by_what_only_it_sends() -> None:
    (row,) = rows(webhook(alert(valueString="[ var='A' ]"), orgId=1))
    assert row["source"] == "grafana"


def test_a_body_of_grafana_becomes_the_same_row() -> None:
    (row,) = rows(orjson.dumps(GRAFANA))
    assert (row["source"], row["receiver"], row["status"]) == (
        "grafana",
        "callboard-history",
        "resolved",
    )
    assert (row["site"], row["team"], row["kpi"], row["severity"]) == (
        "bank",
        "red",
        "occupancy",
        "warning",
    )
    assert (row["fired_at"], row["resolved_at"]) == (1_767_607_200.0, 1_767_610_810.5)
    assert (row["value"], row["numerator"], row["denominator"]) == (0.9312, None, None)
    assert row["annotations"]["numerator"] == "n/a", "texts stay as they came"
    assert row["explain_url"].startswith("http://board/explain?")


def test_an_alert_that_always_fires_has_no_history() -> None:
    batch = AlertBatch(0)
    batch.take(_record(webhook(alert("CallboardWatchdog"), alert("Watchdog"), alert())))
    ((_, lines),) = batch.parts()
    assert [orjson.loads(line)["alertname"] for line in lines.lines] == ["CallboardServiceLevelLow"]
    assert (batch.told, batch.bad) == ({"firing": 1}, [])


def test_a_moment_to_come_ends_nothing_while_it_fires() -> None:
    (row,) = rows(webhook(alert(endsAt="2026-01-05T10:04:00Z")))
    assert (row["status"], row["resolved_at"]) == ("firing", None)


def test_the_token_names_offsets_and_tells_a_topic_made_anew_from_the_old_one() -> None:
    def token(received: int) -> str:
        batch = AlertBatch(2, epoch=7)
        batch.take(_record(webhook(alert()), received))
        return batch.token("alert_history")

    assert token(5) == token(5) == "7:alerts.raw:2:3-3:5:alert_history"
    assert token(6) != token(5)


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text() | st.sampled_from([FIRED, NEVER, "firing", "resolved"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_ALERT = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("status", "startsAt", "endsAt", "fingerprint", "valueString"), _ODD),
        "labels": _ODD | st.dictionaries(st.sampled_from(["alertname", "site", "kpi"]), _ODD),
        "annotations": _ODD | st.dictionaries(st.sampled_from(["value", "at", "summary"]), _ODD),
    },
)


@examples(100)
@given(st.lists(_ODD | _ALERT, max_size=3), _ODD)
def test_no_body_that_is_json_stops_the_reading(alerts: list[Any], receiver: Any) -> None:
    batch = AlertBatch(0)
    batch.take(_record(webhook(*alerts, receiver=receiver)))
    written = sum(len(lines.lines) for _, lines in batch.parts())
    assert written + len(batch.bad) == len(alerts)


def test_figures_that_are_none_are_null() -> None:
    (row,) = rows(webhook(valued("NaN")))
    assert row["value"] is None
    (row,) = rows(webhook(alert(annotations={})))
    assert (row["value"], row["at"], row["summary"]) == (None, None, "")


def test_who_mutes_is_heard_where_it_is_told() -> None:
    told = {"state": "active", "silencedBy": ["x"], "inhibitedBy": [], "mutedBy": []}
    assert [row["muted"] for row in rows(webhook(alert(), alert(status=told)))] == [0, 1]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (1, "no object"),
        (alert(labels={}), "alertname is missing"),
        (alert(labels=[1]), "labels is no object"),
        (alert(startsAt=NEVER), "startsAt"),
        (alert(startsAt=7), "startsAt"),
        (alert(status="odd"), "neither firing nor resolved"),
    ],
)
def test_what_cannot_be_used_says_why_and_spares_the_others(bad: Any, problem: str) -> None:
    good, error = rows(webhook(alert(), bad))
    assert good["fingerprint"] == "f1"
    assert isinstance(error, AlertError)
    assert problem in str(error)


@pytest.mark.parametrize("payload", [b"\xff", b"[]", b"{}", b'{"alerts": 3}'])
def test_a_body_that_is_no_webhook_is_refused(payload: bytes) -> None:
    with pytest.raises(AlertError):
        read_payload(payload)


def test_without_a_fingerprint_labels_tell_alerts_apart() -> None:
    one, same, other = rows(
        webhook(
            alert(fingerprint=None), alert(fingerprint=None),
            alert("Other", fingerprint=None),
        )
    )  # fmt: skip
    assert one["fingerprint"] == same["fingerprint"] != other["fingerprint"]
