"""Alerts at the door: the webhook of Alertmanager or Grafana as one raw record. Pure.

The body is kept as it came; the sink makes rows of it. Here it is only looked at, so that a sender
with a wrong address or body is told at once.
"""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.ingest.raw import ALERT_FORMAT, RawRecord
from schemas.events import MAX_ID

MAX_ALERT_BYTES = 1024 * 1024
"""A larger body is refused; Alertmanager's `max_alerts` bounds what it sends at once."""


MAX_ALERTS = 5_000
"""Of one body; the sink takes no more either."""


class BadAlerts(ValueError):
    """A body that is no webhook; the message says what was expected."""


class TooManyAlerts(BadAlerts):
    """A body with more alerts than are taken."""


def take_alerts(body: bytes, received: int) -> tuple[RawRecord, int]:
    """The record to keep and the number of alerts in it.

    Raises `BadAlerts`, of too many `TooManyAlerts`.
    """
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAlerts(f"the body is not JSON: {error}") from None
    if not isinstance(told, dict) or not isinstance(told.get("alerts"), list):
        raise BadAlerts("the body is no webhook: an object with a list `alerts` is expected")
    if len(told["alerts"]) > MAX_ALERTS:
        raise TooManyAlerts(f"more than {MAX_ALERTS} alerts in one body; set max_alerts")
    return RawRecord(_site_of(told), body, received, format=ALERT_FORMAT), len(told["alerts"])


def _site_of(told: dict[str, Any]) -> str:
    """The site that all alerts of the group share; empty if they share none."""
    labels = told.get("commonLabels")
    site = labels.get("site") if isinstance(labels, dict) else None
    return site if isinstance(site, str) and len(site) <= MAX_ID else ""
