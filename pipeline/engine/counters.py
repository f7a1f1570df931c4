"""Positions of the twenty counters in a pane's vector (schemas.kpis.COUNTERS gives the order)."""

from __future__ import annotations

from typing import Final

from schemas.kpis import COUNTERS

WIDTH: Final = len(COUNTERS)


def _at(name: str) -> int:
    return COUNTERS.index(name)


OFFERED: Final = _at("offered")
ANSWERED: Final = _at("answered")
ANSWERED_IN: Final = _at("answered_in")
WAIT_MS: Final = _at("wait_ms")
ABANDONED: Final = _at("abandoned")
ABANDONED_IN: Final = _at("abandoned_in")
ABANDONED_SHORT: Final = _at("abandoned_short")
ABANDONED_WAIT_MS: Final = _at("abandoned_wait_ms")
LEFT_CALLBACK: Final = _at("left_callback")
LEFT_OVERFLOW: Final = _at("left_overflow")
LEFT_OTHER: Final = _at("left_other")
SL_MET: Final = _at("sl_met")
SL_MISSED: Final = _at("sl_missed")
SL_ABANDONED: Final = _at("sl_abandoned")
DECLINED: Final = _at("declined")
TRANSFERRED: Final = _at("transferred")
HANDLED: Final = _at("handled")
TALK_MS: Final = _at("talk_ms")
HOLD_MS: Final = _at("hold_ms")
WRAP_MS: Final = _at("wrap_ms")

# Which counter a visit that left is booked under, by its reason.
LEFT_COUNTER: Final[dict[str, int]] = {
    "callback": LEFT_CALLBACK,
    "overflow": LEFT_OVERFLOW,
    "timeout": LEFT_OVERFLOW,
    "transfer": LEFT_OVERFLOW,
}
