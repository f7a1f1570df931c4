"""Names and formulas of the KPIs: every ratio with its numerator and its denominator.

All functions are pure and take the twenty counters (or seven state times) of any window, queue or
sum of queues. A ratio whose denominator is 0 is None: no traffic is no data.
"""

from __future__ import annotations

from collections.abc import Mapping

COUNTERS: tuple[str, ...] = (
    "offered",
    "answered",
    "answered_in",
    "wait_ms",
    "abandoned",
    "abandoned_in",
    "abandoned_short",
    "abandoned_wait_ms",
    "left_callback",
    "left_overflow",
    "left_other",
    "sl_met",
    "sl_missed",
    "sl_abandoned",
    "declined",
    "transferred",
    "handled",
    "talk_ms",
    "hold_ms",
    "wrap_ms",
)
"""The twenty counters per queue and channel."""

AGENT_STATES: tuple[str, ...] = (
    "talk",
    "hold",
    "wrap",
    "busy",
    "ringing",
    "available",
    "not_ready",
    "offline",
)
"""What an agent can be doing at a moment, the strongest first."""

TEAM_TIMES: tuple[str, ...] = (
    "talk_ms",
    "hold_ms",
    "wrap_ms",
    "busy_state_ms",
    "ringing_ms",
    "available_ms",
    "not_ready_ms",
)
"""State times of a team; offline has no time."""

WINDOWS: tuple[str, ...] = ("5m", "15m", "30m", "60m", "today", "total")

WINDOW_MS: dict[str, int] = {"5m": 300_000, "15m": 900_000, "30m": 1_800_000, "60m": 3_600_000}
"""Length of the rolling windows in milliseconds."""

FORMULAS: tuple[str, ...] = (
    "answered_only",
    "ignore_abandons",
    "abandons_negative",
    "abandons_positive",
    "sl_event_negative",
    "sl_event_ignore",
    "sl_event_positive",
)
"""Names of the service-level formulas."""

FORMULA_TEXT: dict[str, str] = {
    "answered_only": "answered within T / answered",
    "ignore_abandons": "answered within T / (answered + abandoned - abandoned within T)",
    "abandons_negative": "answered within T / (answered + abandoned)",
    "abandons_positive": "(answered within T + abandoned within T) / (answered + abandoned)",
    "sl_event_negative": "met / (met + missed + abandoned within T), "
    "booked when answered, abandoned or T passes, whichever is first",
    "sl_event_ignore": "met / (met + missed), "
    "booked when answered, abandoned or T passes, whichever is first",
    "sl_event_positive": "(met + abandoned within T) / (met + missed + abandoned within T), "
    "booked when answered, abandoned or T passes, whichever is first",
    "service_level": "share of contacts served within the threshold T, by the queue's formula",
    "abandonment": "abandoned / (answered + abandoned)",
    "asa_ms": "sum of the waits of answered contacts / answered",
    "aht_ms": "(talk + hold + wrap-up of handled legs) / handled",
    "occupancy": "(talk + hold + wrap-up + busy) / (talk + hold + wrap-up + busy + available)",
    "waiting": "contacts that wait in a queue now",
    "longest_wait_ms": "how long the contact that waits longest has waited so far",
    "in_service": "legs in talk or on hold now",
    "waiting_past_threshold": "contacts that wait now and have waited longer than T",
}
"""What each KPI and each service-level formula means, for people."""

Parts = tuple[int, int]
"""Numerator and denominator."""


def ratio(numerator: int, denominator: int) -> float | None:
    """The quotient as a double; None when the denominator is 0."""
    return numerator / denominator if denominator else None


def service_level_parts(c: Mapping[str, int], formula: str, exclude_short: bool) -> Parts:
    """Numerator and denominator of the service level by the named formula.

    `exclude_short` leaves short abandons out of the four formulas on outcomes; the three on
    service-level events ignore it. Raises `ValueError` for a formula that does not exist.
    """
    if formula.startswith("sl_event_"):
        return _event_parts(c, formula)
    short = c["abandoned_short"] if exclude_short else 0
    answered, answered_in = c["answered"], c["answered_in"]
    abandoned = c["abandoned"] - short
    # With a short limit above the threshold more are short than were abandoned within it.
    abandoned_in = max(0, c["abandoned_in"] - short)
    if formula == "abandons_negative":
        return answered_in, answered + abandoned
    if formula == "answered_only":
        return answered_in, answered
    if formula == "ignore_abandons":
        return answered_in, answered + abandoned - abandoned_in
    if formula == "abandons_positive":
        return answered_in + abandoned_in, answered + abandoned
    raise ValueError(f"unknown service-level formula {formula!r}")


def _event_parts(c: Mapping[str, int], formula: str) -> Parts:
    met, missed, abandoned = c["sl_met"], c["sl_missed"], c["sl_abandoned"]
    if formula == "sl_event_negative":
        return met, met + missed + abandoned
    if formula == "sl_event_ignore":
        return met, met + missed
    if formula == "sl_event_positive":
        return met + abandoned, met + missed + abandoned
    raise ValueError(f"unknown service-level formula {formula!r}")


def abandonment_parts(c: Mapping[str, int]) -> Parts:
    """Abandoned over answered and abandoned, short abandons included."""
    return c["abandoned"], c["answered"] + c["abandoned"]


def asa_parts(c: Mapping[str, int]) -> Parts:
    """Waits of answered contacts in milliseconds over their number."""
    return c["wait_ms"], c["answered"]


def aht_parts(c: Mapping[str, int]) -> Parts:
    """Talk, hold and wrap-up of handled legs in milliseconds over their number."""
    return c["talk_ms"] + c["hold_ms"] + c["wrap_ms"], c["handled"]


def occupancy_parts(t: Mapping[str, int]) -> Parts:
    """Busy over busy and available time of a team, in milliseconds; ringing is in neither."""
    busy = t["talk_ms"] + t["hold_ms"] + t["wrap_ms"] + t["busy_state_ms"]
    return busy, busy + t["available_ms"]
