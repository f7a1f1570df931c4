"""What health means: loops that turn, waits that end, and work that flows."""

from __future__ import annotations

import pytest

from schemas.config import Config
from service.health import Pulse
from service.operator_page import OperatorPage


class Now:
    def __init__(self) -> None:
        self.s = 100.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def now() -> Now:
    return Now()


def test_a_loop_is_stuck_when_it_has_not_turned_for_ten_seconds(now: Now) -> None:
    pulse = Pulse("the main loop", monotonic=now)
    pulse.turn()
    now.s += 10
    assert pulse.stuck() == ""
    now.s += 1
    assert pulse.stuck() == "the main loop has not turned for 11 s"
    pulse.turn()
    assert pulse.stuck() == ""


def test_a_wait_for_a_broker_is_none_until_no_call_takes_that_long(now: Now) -> None:
    pulse = Pulse("the main loop", monotonic=now)
    with pulse.waiting("the broker"):
        now.s += 180
        assert pulse.stuck() == ""
        now.s += 1
        assert pulse.stuck() == "the main loop has waited for the broker for 181 s"
    assert pulse.stuck() == ""
    now.s += 11
    assert pulse.stuck() != ""


def test_a_wait_that_fails_is_over_too(now: Now) -> None:
    pulse = Pulse("the main loop", monotonic=now)
    with pytest.raises(OSError, match="away"), pulse.waiting("the broker"):
        raise OSError("away")
    now.s += 11
    assert pulse.stuck() == "the main loop has not turned for 11 s"


def test_a_loop_that_rests_or_has_not_begun_is_not_stuck(now: Now) -> None:
    pulse = Pulse("the writer", monotonic=now)
    now.s += 1000
    assert pulse.stuck() == ""
    pulse.turn()
    pulse.rest()
    now.s += 1000
    assert pulse.stuck() == ""


def test_the_page_tells_all_that_is_wrong(now: Now) -> None:
    pulse, reasons = Pulse("the main loop", monotonic=now), ["recovering", "", "no frame for 7 s"]
    page = OperatorPage("sink", Config(epoch=3), lambda: reasons, [pulse.stuck, lambda: ""])
    pulse.turn()
    assert page.headers == {"X-Callboard-Role": "sink", "X-Callboard-Epoch": "3"}
    assert page.healthz()[:2] == (200, "ok\n")
    assert page.readyz()[:2] == (503, "recovering\nno frame for 7 s\n")
    now.s += 60
    reasons.clear()
    assert page.healthz()[:2] == (503, "the main loop has not turned for 60 s\n")
    assert page.readyz()[:2] == (200, "ready\n")
