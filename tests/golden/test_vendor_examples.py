"""Worked examples that vendors and trade sources print, as far as the contract's KPIs express them.

Each test names its source. Clock times are UTC of 1 January 1970, percentages as printed.

Not expressed, since the contract has no such KPI:

- callcentrehelper.com, method 5, (answered in 20 s + abandoned in 5 s) / offered = 82.08 %: short
  abandons stand in for all of those within the threshold; `exclude_short` takes them out instead.
- Genesys Engage GI2 8.1.4, a wait of 15:58-16:03 that gives 2 minutes to one interval and 3 to the
  next: waits are counted whole at the outcome, only agent time is clipped.
- Amazon's queue duration of a queued callback, printed as 120 s of either leg: the stages of the
  callback are tested by their time stamps.
- wazo-call-logd's buckets of waits: there is no distribution of waits among the counters.
- Amazon's adherence A and B, cxcentral.com.au's and NICE's conformance: there are no schedules.
- Amazon Connect "SL X", Genesys with flow-outs, Cisco precision queues with dequeued calls: no
  formula has `left_...` counters in it.
- Erlang tables of pyworkforce and others: nothing is forecast or staffed.
- First contact resolution, CSAT, NPS and CES: feedback goes to the store and into no KPI here.
"""

import pytest

from tests.engine.stories import (
    MINUTE,
    SECOND,
    Event,
    abandoned,
    answered,
    held,
    left,
    offered,
    queued,
    released,
    resumed,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import Subject


def clock(text: str) -> int:
    hours, minutes, *seconds = text.split(":")
    whole = (int(hours) * 60 + int(minutes)) * MINUTE
    return whole + round(float(seconds[0]) * SECOND) if seconds else whole


def calls(number: int, prefix: str, wait: int, *, answer: bool) -> list[Event]:
    """Calls of one kind that all wait the same, each answered by an agent of its own."""
    events: list[Event] = []
    for n in range(number):
        contact = f"{prefix}{n}"
        events.append(queued(0, contact))
        events.append(answered(wait, contact, contact) if answer else abandoned(wait, contact))
    return events


def percent(subject: Subject, events: list[Event], formula: str) -> float:
    settings = site(defaults={"formula": formula})
    level = subject.replay(events, 10 * MINUTE, settings).window()["service_level"]
    return round(100 * float(level), 2)


@pytest.mark.parametrize(
    ("formula", "printed"),
    [("sl_event_ignore", 77.78), ("sl_event_negative", 70.0), ("sl_event_positive", 80.0)],
)
def test_cisco_icm_service_level(subject: Subject, formula: str, printed: float) -> None:
    """Cisco ICM 7.2(1) reporting guide, p. 106-107: 70 answered and 10 abandoned within the
    threshold, 20 exceed it."""
    events = [
        *calls(70, "a", 10_000, answer=True),
        *calls(10, "b", 10_000, answer=False),
        *calls(14, "c", 50_000, answer=True),
        *calls(6, "d", 50_000, answer=False),
    ]
    assert percent(subject, events, formula) == printed


def test_cisco_cuic_service_level_ignoring_abandons(subject: Subject) -> None:
    """Cisco CUIC 8.0(4) report reference, p. 209-216: 50 within, 80 outside, 38 %."""
    events = calls(50, "a", 20_000, answer=True) + calls(80, "b", 20_001, answer=True)
    assert percent(subject, events, "sl_event_ignore") == 38.46


@pytest.mark.parametrize(
    ("formula", "printed"),
    [
        ("abandons_positive", 83.02),
        ("answered_only", 86.0),
        ("abandons_negative", 81.13),
        ("ignore_abandons", 82.69),
    ],
)
def test_call_centre_helper_service_levels(subject: Subject, formula: str, printed: float) -> None:
    """callcentrehelper.com, service-level threshold calculations, methods 1 to 4: 1000 answered,
    860 of them within 20 s; 60 abandoned, 20 of them within 20 s and 10 within 5 s."""
    events = [
        *calls(860, "a", 12_000, answer=True),
        *calls(140, "b", 45_000, answer=True),
        *calls(10, "c", 4_000, answer=False),
        *calls(10, "d", 15_000, answer=False),
        *calls(40, "e", 30_000, answer=False),
    ]
    assert percent(subject, events, formula) == printed


def half_hours(
    subject: Subject, events: list[Event], starts: list[str]
) -> list[tuple[dict[str, int], dict[str, int]]]:
    """Counters and agent time of each half-hour interval, seen at its end."""
    seen = [subject.replay(events, clock(start) + 30 * MINUTE) for start in starts]
    return [(board.counted(window="30m"), board.time(window="30m")) for board in seen]


def test_amazon_connect_attribution_of_a_contact(subject: Subject) -> None:
    """Amazon Connect administrator guide, historical metrics: a contact from 5:23 to 6:15 gives
    its 52 minutes to 6:00-6:30, and 7, 30 and 15 minutes of agent activity."""
    events = [queued(clock("5:23")), answered(clock("5:23")), wrapped(clock("6:15"))]
    seen = half_hours(subject, events, ["5:00", "5:30", "6:00"])
    assert [c.get("talk_ms", 0) // MINUTE for c, _ in seen] == [0, 0, 52]
    assert [t.get("talk_ms", 0) // MINUTE for _, t in seen] == [7, 30, 15]


def test_genesys_offered_and_answered_have_their_own_intervals(subject: Subject) -> None:
    """Genesys Cloud FAQ, "offered metric not always equal": queued 7:28, answered 7:32."""
    events = [queued(clock("7:28")), answered(clock("7:32"))]
    (first, _), (second, _) = half_hours(subject, events, ["7:00", "7:30"])
    assert (first["offered"], first.get("answered", 0)) == (1, 0)
    assert (second.get("offered", 0), second["answered"]) == (0, 1)


def test_genesys_answered_and_handled_have_their_own_intervals(subject: Subject) -> None:
    """Genesys Cloud FAQ, "difference between answered and handle": answered 10:25, ended 10:45."""
    events = [queued(clock("10:25")), answered(clock("10:25")), wrapped(clock("10:45"))]
    (first, _), (second, _) = half_hours(subject, events, ["10:00", "10:30"])
    assert (first["answered"], first.get("handled", 0)) == (1, 0)
    assert (second.get("answered", 0), second["handled"]) == (0, 1)


def test_amazon_connect_after_contact_work(subject: Subject) -> None:
    """Amazon Connect, determine-acw-time: ended 18:55:27.017, free at 18:55:32.022: 5.005 s."""
    events = [
        queued(clock("18:50")),
        answered(clock("18:50:10")),
        released(clock("18:55:27.017")),
        wrapped(clock("18:55:32.022")),
    ]
    assert subject.replay(events, clock("19:00")).counted()["wrap_ms"] == 5_005


def test_amazon_connect_queued_callback(subject: Subject) -> None:
    """Amazon Connect, queued-callback-example: the voice contact that asks for a callback leaves
    its queue and is not abandoned; the callback is in it for 21 s, from 11:38:39 to 11:39:00."""
    events = [
        queued(clock("11:35"), "voice"),
        left(clock("11:37"), "voice", reason="callback"),
        queued(clock("11:38:39"), "callback", channel="callback", direction="outbound"),
        offered(clock("11:39:00"), "callback"),
        answered(clock("11:39:25"), "callback"),
        wrapped(clock("11:45"), "callback"),
    ]
    seen = subject.replay(events, clock("12:00"))
    assert seen.counted(channel="voice") == {"offered": 1, "left_callback": 1, "sl_missed": 1}
    assert seen.window(channel="voice")["abandonment"] is None
    dequeued = subject.replay(events, clock("11:39:00"))
    assert dequeued.now(channel="callback")["longest_wait_ms"] == 21 * SECOND
    assert seen.counted(channel="callback")["wait_ms"] == 46 * SECOND
    assert seen.counted(channel="callback")["talk_ms"] == 335 * SECOND


def test_genesys_talk_time_clipped_and_at_completion(subject: Subject) -> None:
    """Genesys developer forum 18235 and GI2 8.1.4: calls 9:35-10:05 and 9:16-9:32 give 14, 27 and
    5 minutes clipped, 0, 16 and 30 at completion."""
    events = [
        *(queued(clock("9:16"), "two"), answered(clock("9:16"), "two")),
        wrapped(clock("9:32"), "two"),
        *(queued(clock("9:35"), "one"), answered(clock("9:35"), "one")),
        wrapped(clock("10:05"), "one"),
    ]
    seen = half_hours(subject, events, ["9:00", "9:30", "10:00"])
    assert [t.get("talk_ms", 0) // MINUTE for _, t in seen] == [14, 27, 5]
    assert [c.get("talk_ms", 0) // MINUTE for c, _ in seen] == [0, 16, 30]


def test_cisco_task_duration(subject: Subject) -> None:
    """Cisco termination call detail: queue 72, ring 3, talk 365, work 8, hold 0, delay 3 seconds
    are 451; what the customer waits and what the agent handles are its two parts."""
    delay_and_queue = 75 * SECOND
    events = [
        queued(0),
        offered(delay_and_queue),
        answered(delay_and_queue + 3 * SECOND),
        released(delay_and_queue + 368 * SECOND),
        wrapped(delay_and_queue + 376 * SECOND),
    ]
    window = subject.replay(events, 20 * MINUTE).window()
    assert window["aht_ms"] == 373_000.0
    assert window["asa_ms"] + window["aht_ms"] == 451_000.0


def test_cisco_percent_utilization_is_our_occupancy(subject: Subject) -> None:
    """Cisco CUIC: handling 20 minutes of 40 ready is 50 %, however long the agent is not ready."""
    events = [
        state(0, "available"),
        *(queued(0), answered(0), held(MINUTE), resumed(2 * MINUTE), wrapped(20 * MINUTE)),
        state(40 * MINUTE, "not_ready"),
    ]
    assert subject.replay(events, 60 * MINUTE).occupancy() == 0.5


def test_fifteen_chats_with_five_agents_are_three_each(subject: Subject) -> None:
    """Chat concurrency as chats / agents: 15 / 5 = 3."""
    events = [answered(n, f"c{n}", f"a{n % 5}", queue="help", channel="chat") for n in range(15)]
    seen = subject.replay(events, MINUTE)
    in_service = seen.now("help", "chat")["in_service"]
    assert in_service is not None
    assert in_service / seen.agents()["talk"] == 3


def test_when_all_callers_time_out_no_call_met_its_target(subject: Subject) -> None:
    """Asterisk app_queue: 0 % (Verbara.Sdk reads 100 %). By outcomes we have no data, since nobody
    was answered or gave up; by service-level events every call was missed."""
    events = [
        e for n in range(4) for e in (queued(0, f"c{n}"), left(60_000, f"c{n}", reason="timeout"))
    ]
    seen = subject.replay(events, 2 * MINUTE)
    assert seen.window()["service_level"] is None
    assert percent(subject, events, "sl_event_negative") == 0.0


def test_a_call_across_an_interval_is_neither_lost_nor_doubled(subject: Subject) -> None:
    """Cisco UCCE lets live and history differ for a call from 8:55 to 9:05; ours may not."""
    events = [queued(clock("8:55")), answered(clock("8:55")), wrapped(clock("9:05"))]
    seen = half_hours(subject, events, ["8:30", "9:00"])
    assert [t["talk_ms"] for _, t in seen] == [5 * MINUTE, 5 * MINUTE]
    assert [c.get("answered", 0) for c, _ in seen] == [1, 0]
    assert [c.get("handled", 0) for c, _ in seen] == [0, 1]


def test_asterisk_counts_a_wait_of_exactly_the_threshold_in(subject: Subject) -> None:
    """Asterisk apps/app_queue.c: holdtime <= servicelevel."""
    assert percent(subject, calls(1, "a", 20_000, answer=True), "answered_only") == 100.0
    assert percent(subject, calls(1, "a", 20_001, answer=True), "answered_only") == 0.0


def test_genesys_transfer_without_a_queue(subject: Subject) -> None:
    """Genesys Cloud FAQ: X answers and transfers to Y without a queue: one answer, two handles."""
    events = [
        queued(0),
        answered(5_000, agent="x"),
        answered(60_000, agent="y", queue="sales"),
        released(61_000, agent="x", reason="transferred"),
        wrapped(65_000, agent="x"),
        wrapped(120_000, agent="y"),
    ]
    counted = subject.replay(events, 5 * MINUTE).counted()
    assert (counted["answered"], counted["handled"], counted["transferred"]) == (1, 2, 1)
