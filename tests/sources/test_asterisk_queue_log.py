"""Asterisk queue_log: its events against the contract, and the traps of the log one by one."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.replay import read_history, snapshots
from pipeline.simulate.options import HOUR
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.source import Translator, Unread
from schemas.events import validate_event
from schemas.settings import parse_site
from tests.sources.fixtures import fixture_of
from tests.sources.round_trip import counted, no_bad_line

NAME = "asterisk-queue-log"
SOURCE = SOURCES[NAME]

Event = dict[str, Any]


def begin(**options: Any) -> Translator:
    return SOURCE.begin("here", options, "Europe/Berlin")


def told(lines: str, translator: Translator | None = None) -> list[Event]:
    """What lines mean, without what all events have in common."""
    translator = translator or begin()
    events = [e for line in lines.split() for e in translator.translate(line.encode())]
    return [{k: v for k, v in e.items() if k not in ("site", "source")} for e in events]


def states(lines: str, **options: Any) -> list[tuple[int, str, str]]:
    """Second, state and reason of each agent state."""
    events = [e for e in told(lines, begin(**options)) if e["type"] == "agent.state"]
    return [(e["ts"] // 1000, e["state"], e.get("reason", "")) for e in events]


# Every event is made field by field; here it is held against the contract

WORDS = st.sampled_from(
    ["", "NONE", "REALTIME", "MANAGER", "1700000100.11", "Ä", "ü" * 199, "x" * 200, "x" * 201, "q",
     "0", "1", "15000", "-1", "1e3", "²", "PAUSED", "anonymous", " 030 ", "\x00", "😀", "Wrap-Up",
     "99999999999", "86400001"]
)  # fmt: skip
EVENTS = st.sampled_from(sorted(begin()._handlers))  # type: ignore[attr-defined]
LINES = st.builds(
    lambda ts, names, event, data: "|".join([ts, *names, event, *data]).encode(),
    st.sampled_from(["0", "1700000100", "1700000101", "99999999999", "1700000099"]),
    st.tuples(WORDS, WORDS, WORDS),
    EVENTS,
    st.lists(WORDS | st.text(max_size=5), max_size=6),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=12), st.booleans())
def test_events_equal_what_validation_makes_of_them(lines: list[bytes], wrap: bool) -> None:
    translator = begin(wrap_up_after_calls=wrap)
    for line in lines:
        before = orjson.dumps(translator.memory())
        try:
            events = translator.translate(line)
        except Unread:
            assert orjson.dumps(translator.memory()) == before
            continue
        for event in events:
            assert validate_event(event) == event
            assert (event["site"], event["source"]) == ("here", NAME)


# Rings


def test_a_ring_shorter_than_a_second_leaves_its_decline_alone() -> None:
    lines = (
        "100|c|q|NONE|ENTERQUEUE|||1 105|c|q|A|RINGNOANSWER|0 105|c|q|NONE|EXITWITHTIMEOUT|1|1|5"
    )
    assert [e["type"] for e in told(lines)] == [
        "contact.queued", "contact.declined", "contact.left",
    ]  # fmt: skip
    assert engine(lines)["declined"] == 1


def test_ringing_all_declines_once_for_each_member_and_answers_once() -> None:
    lines = (
        "100|c|q|NONE|ENTERQUEUE|||1 115|c|q|A|RINGNOANSWER|15000 115|c|q|B|RINGNOANSWER|15000 "
        "121|c|q|A|CONNECT|21|c.2|6 130|c|q|A|COMPLETEAGENT|21|9|1"
    )
    figures = engine(lines)
    assert (figures["declined"], figures["answered"], figures["wait_ms"]) == (2, 1, 21_000)


def test_a_caller_who_hangs_up_while_it_rings_is_nobodys_decline() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 109|c|q|A|RINGCANCELED|8999 109|c|q|NONE|ABANDON|1|1|9"
    figures = engine(lines)
    assert (figures["declined"], figures["abandoned"]) == (0, 1)
    assert [e["ts"] for e in told(lines) if e["type"] == "contact.offered"] == [101_000]


def test_whole_seconds_never_put_a_ring_before_its_call() -> None:
    """The member answers or the caller goes at any moment; every moment is cut to its second."""
    rng = random.Random(5)
    for _ in range(60):
        enters = rng.randrange(100_000, 101_000)
        rings = enters + rng.randrange(3_000)
        ends = rings + rng.randrange(20_000)
        ring, second = ends - rings, ends // 1000
        event = rng.choice((f"CONNECT|0|x|{ring // 1000}", f"RINGCANCELED|{ring}"))
        lines = f"{enters // 1000}|c|q|NONE|ENTERQUEUE|||1 {second}|c|q|A|{event}"
        if event.startswith("RING"):
            lines += f" {second}|c|q|NONE|ABANDON|1|1|0"
        assert engine(lines)["inconsistent"] == 0, lines


def engine(lines: str) -> dict[str, int]:
    """All counters of the one queue."""
    site = parse_site({"site": "here"}, "test")
    totals = counted([line.encode() for line in lines.split()], NAME, site)
    return {**totals["q"], "inconsistent": totals["inconsistent"]}


def test_a_call_that_begins_and_ends_in_one_second_counts_once_of_all() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 100|c|q|A|RINGNOANSWER|0 100|c|q|A|RINGNOANSWER|1000"
    lines += " 100|c|q|B|CONNECT|0|x|0 100|c|q|B|COMPLETEAGENT|0|0|1"
    figures = {name: n for name, n in engine(lines).items() if n}
    assert figures == {
        "offered": 1, "answered": 1, "answered_in": 1, "sl_met": 1, "declined": 1, "handled": 1,
    }  # fmt: skip


def test_a_queue_that_is_left_and_entered_in_one_second_is_two_visits() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 130|c|q|NONE|EXITWITHTIMEOUT|1|1|30"
    lines += (
        " 130|c|q|NONE|ENTERQUEUE|||1 140|c|q|A|CONNECT|10|x|1 150|c|q|A|BLINDTRANSFER|e|c|10|10"
    )
    lines += " 150|c|q|NONE|ENTERQUEUE|||1 150|c|q|B|CONNECT|0|x|0 155|c|q|B|COMPLETEAGENT|0|5|1"
    figures = engine(lines)
    assert (figures["offered"], figures["answered"], figures["left_overflow"]) == (3, 2, 1)
    assert (figures["wait_ms"], figures["talk_ms"]) == (10_000, 15_000)
    assert (figures["handled"], figures["transferred"], figures["inconsistent"]) == (2, 1, 0)


# Ends of waits and talks


def test_the_caller_hanging_up_during_the_announcement_is_one_abandon() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 110|c|q|A|ABANDON|1|1|10 110|c|q|NONE|ABANDON|1|1|10"
    figures = engine(lines)
    assert (figures["abandoned"], figures["answered"], figures["inconsistent"]) == (1, 0, 0)


def test_keys_mean_what_the_site_says_and_of_one_queue_before_all() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 105|c|q|NONE|EXITWITHKEY|1|1|1|5"
    translator = begin(exit_keys={1: "callback"}, queue_exit_keys={"r": {"1": "voicemail"}})
    assert told(lines, translator)[-1]["reason"] == "callback"
    assert told(lines.replace("|q|", "|r|"), translator)[-1]["reason"] == "voicemail"
    assert told(lines.replace("KEY|1", "KEY|2"), translator)[-1]["reason"] == "other"


@pytest.mark.parametrize(
    "params", ["BRIDGE|b1|5|20|1", "APP|Voicemail|5|20|1", "LINK|Local/1;1|Local/1;2|5|20|1"]
)
def test_an_attended_transfer_has_five_or_six_parameters(params: str) -> None:
    (released, wrapped) = told(f"130|c|q|A|ATTENDEDTRANSFER|{params}")
    assert released["reason"] == "transferred"
    assert wrapped["ts"] == released["ts"] == 130_000


def test_a_transferred_call_waits_again_under_its_id() -> None:
    lines = (
        "100|c|p|NONE|ENTERQUEUE|||1 105|c|p|A|CONNECT|5|c.2|3 130|c|p|A|TRANSFER|q|ctx|5|25|1 "
        "130|c|q|NONE|ENTERQUEUE|||1 140|c|q|B|CONNECT|10|c.3|9 150|c|q|B|COMPLETECALLER|10|10|1"
    )
    figures = engine(lines)
    assert (figures["offered"], figures["answered"], figures["handled"]) == (1, 1, 1)


# Agents


def test_an_agent_is_available_while_one_of_its_queues_may_ring() -> None:
    lines = "1|MANAGER|p|A|ADDMEMBER| 1|MANAGER|q|A|ADDMEMBER| "
    lines += "5|NONE|p|A|PAUSE|lunch 6|NONE|q|A|PAUSE|lunch 9|NONE|q|A|UNPAUSE| "
    lines += "20|CLI|q|A|REMOVEMEMBER| 21|CLI|p|A|REMOVEMEMBER|"
    assert states(lines) == [
        (1, "available", ""), (1, "available", ""), (5, "available", ""),
        (6, "not_ready", "lunch"), (9, "available", ""), (20, "not_ready", "lunch"),
        (21, "offline", ""),
    ]  # fmt: skip


def test_a_ring_that_ends_after_logging_off_brings_nobody_back() -> None:
    lines = "1|MANAGER|p|A|ADDMEMBER| 1|MANAGER|q|A|ADDMEMBER| 20|CLI|q|A|REMOVEMEMBER| "
    lines += "22|c|q|A|RINGNOANSWER|5000 23|CLI|p|A|REMOVEMEMBER|"
    assert states(lines)[-1] == (23, "offline", "")


def test_members_of_the_configuration_are_known_by_their_calls() -> None:
    lines = "10|c|p|A|CONNECT|5|c.2|3 20|NONE|q|A|PAUSE|lunch"
    assert states(lines) == [(20, "available", "")]


def test_states_of_one_second_keep_the_order_of_the_log() -> None:
    """The engine orders equal times by the bytes of the event; a reason would go before none."""
    login = "1|MANAGER|q|A|ADDMEMBER| 1|NONE|NONE|A|PAUSEALL|lunch 1|NONE|q|A|PAUSE|lunch"
    back = "5|NONE|q|A|PAUSE|tea 5|NONE|q|A|UNPAUSE| 5|NONE|q|A|PAUSE|call"
    for lines, state in ((login, "not_ready"), (f"{login} {back}", "not_ready")):
        site = parse_site({"site": "here"}, "test")
        payloads = [line.encode() for line in lines.split()]
        history = read_history(payloads, FORMATS[NAME], "here", None, no_bad_line, site)
        (view,) = snapshots(history, site, [60_000])
        agents = view["all"]["agents"]
        assert {name: n for name, n in agents.items() if n} == {state: 1}, lines


def test_a_change_of_reason_is_no_return() -> None:
    lines = "5|NONE|q|A|PAUSE|lunch 9|NONE|q|A|UNPAUSE|Auto-Unpause 9|NONE|q|A|PAUSE|tea"
    assert states(lines) == [(5, "not_ready", "lunch"), (9, "not_ready", "tea")]


def test_pause_reasons_that_mean_wrap_up() -> None:
    lines = "5|NONE|q|A|PAUSE|After_work 9|NONE|q|A|PAUSE|WRAPUP"
    assert [state for _, state, _ in states(lines)] == ["not_ready", "wrap"]
    options = {"wrap_up_reasons": ["after_work"]}
    assert [state for _, state, _ in states(lines, **options)] == ["wrap", "not_ready"]


CALL = "100|c|q|NONE|ENTERQUEUE|||1 110|c|q|A|CONNECT|10|c.2|0 150|c|q|A|COMPLETEAGENT|10|40|1 "


@pytest.mark.parametrize(
    ("after", "wrap_s"),
    [
        ("150|NONE|q|A|PAUSE|acw 175|NONE|q|A|UNPAUSE|", 25),
        ("151|NONE|q|A|PAUSE|acw 175|NONE|q|A|PAUSE|lunch", 25),
        ("151|NONE|q|A|PAUSE|acw 175|CLI|q|A|REMOVEMEMBER|", 25),
        ("175|d|q|A|CONNECT|10|c.2|0", 0),
        ("175|NONE|q|A|PAUSE|lunch", 0),
    ],
)
def test_a_wrap_up_pause_after_each_call_can_end_its_leg(after: str, wrap_s: int) -> None:
    translator = begin(wrap_up_after_calls=True)
    events = told("1|CLI|q|A|ADDMEMBER| " + CALL + after, translator)
    (wrapped,) = (e for e in events if e["type"] == "contact.wrapped")
    assert wrapped["ts"] == (150 + wrap_s) * 1000
    again = told(CALL + after, translator)
    assert [e for e in again if e["type"] == "contact.wrapped" and e not in events] == []


def test_a_log_read_again_ends_no_wrap_up_before_its_time() -> None:
    first = CALL + "151|NONE|q|A|PAUSE|acw 175|NONE|q|A|UNPAUSE| "
    second = first.replace("1", "3").replace("|c", "|d")
    going_on = second.rpartition("375|")[0]
    for lines in (first, first + second, first + going_on, going_on):
        translator = begin(wrap_up_after_calls=True)
        events = told(lines, translator)
        assert [event for event in told(lines, translator) if event not in events] == []
        last = told("399|NONE|q|A|UNPAUSE|", translator)[1:]
        assert [event["ts"] for event in last] == ([399_000] if lines.endswith(going_on) else [])


def test_a_pause_that_stands_before_the_call_has_ended_counts_too() -> None:
    lines = CALL.replace("150|", "150|NONE|q|A|PAUSE|acw 150|") + "170|NONE|q|A|UNPAUSE|"
    events = told(lines, begin(wrap_up_after_calls=True))
    assert [e["ts"] for e in events if e["type"] == "contact.wrapped"] == [170_000]


def test_lines_of_agents_read_again_are_no_news() -> None:
    lines = "5|NONE|q|A|PAUSE|lunch 9|NONE|q|A|UNPAUSE| 12|CLI|q|A|REMOVEMEMBER| "
    first, both = states(lines), states(lines + lines)
    assert set(both) == set(first)


def test_a_line_with_a_wrong_date_does_not_silence_its_agent() -> None:
    lines = "17000000000|NONE|q|A|PAUSE|lunch 1700000000|NONE|q|A|UNPAUSE|"
    assert states(lines)[-1] == (1_700_000_000, "available", "")


def test_two_names_of_an_agent_can_be_made_one() -> None:
    lines = "1|CLI|q|PJSIP/7|ADDMEMBER| 5|NONE|q|Eva|PAUSE|lunch 9|CLI|q|PJSIP/7|REMOVEMEMBER|"
    events = told(lines, begin(agents={"PJSIP/7": "Eva"}))
    assert [(e["agent"], e["state"]) for e in events] == [
        ("Eva", "available"), ("Eva", "not_ready"), ("Eva", "offline"),
    ]  # fmt: skip


# Asterisk itself


def test_a_restart_ends_calls_and_one_read_again_ends_no_newer_ones() -> None:
    lines = "100|c|q|NONE|ENTERQUEUE|||1 100|d|q|NONE|ENTERQUEUE|||2 105|d|q|A|CONNECT|5|d.2|3 "
    start = "200|NONE|NONE|NONE|QUEUESTART| "
    newer = "200|e|q|NONE|ENTERQUEUE|||1 210|f|q|NONE|ENTERQUEUE|||2 220|f|q|A|CONNECT|5|f.2|3 "
    translator = begin()
    events = told(lines + start, translator)[4:]
    assert [(e["type"], e["contact"], e["ts"]) for e in events] == [
        ("contact.left", "c", 200_000),
        ("contact.released", "d", 200_000),
        ("contact.wrapped", "d", 200_000),
    ]
    assert events[0]["reason"] == "lost"
    told(newer, translator)
    assert told(start, translator) == []
    again = told(lines + start, translator)[4:]
    assert sorted(e["contact"] for e in again) == ["c", "d", "d"]
    later = told("300|NONE|NONE|NONE|QUEUESTART|", translator)
    assert [e["contact"] for e in later] == ["e", "f", "f"]


def test_members_stay_over_a_restart_if_the_site_keeps_them() -> None:
    lines = "1|CLI|q|A|ADDMEMBER| 2|CLI|q|B|ADDMEMBER| 3|x|NONE|C|AGENTLOGIN|SIP/1 "
    lines += "4|CLI|q|B|REMOVEMEMBER| 9|NONE|NONE|NONE|QUEUESTART|"
    assert states(lines)[4:] == [(9, "offline", "")]
    assert states(lines, persistent_members=False)[4:] == [(9, "offline", "")] * 2
    again = "12|NONE|q|A|PAUSE|tea 5|NONE|NONE|NONE|QUEUESTART|"
    assert states(lines + " " + again, persistent_members=False)[6:] == [(12, "not_ready", "tea")]


def test_several_servers_of_one_site_do_not_end_each_others_calls() -> None:
    lines = "100|a-1|q|NONE|ENTERQUEUE|||1 200|NONE|NONE|NONE|QUEUESTART|"
    assert len(told(lines, begin(restart_ends_calls=False))) == 1


def test_memory_is_bounded_in_calls_and_agents_and_by_time() -> None:
    translator = begin()
    for number in range(6_000):
        translator.translate(b"%d|c%d|q|NONE|ENTERQUEUE|||1" % (100 + number, number))
        translator.translate(b"%d|d%d|q|A%d|CONNECT|1|x|1" % (100 + number, number, number))
        translator.translate(b"%d|NONE|q%d|A|PAUSE|x" % (100 + number, number))
    memory = translator.memory()
    calls = memory["calls"]
    sizes = len(calls["waiting"]), len(calls["talking"]), len(memory["agents"])
    assert sizes == (4_000, 4_000, 2_000)
    assert len(orjson.dumps(memory)) < 900_000
    days = begin()
    told(" ".join(f"{ts}|c{ts}|q|NONE|ENTERQUEUE|||1" for ts in (1, 2, 90_000, 90_001)), days)
    assert set(days.memory()["calls"]["waiting"]) == {"c90000", "c90001"}


# Rows, names and what is not Asterisk's


def row(**columns: Any) -> bytes:
    filled = {"callid": "c", "queuename": "q", "agent": "NONE", "event": "ENTERQUEUE", "data": ""}
    return orjson.dumps(filled | columns)


def test_rows_are_read_in_the_clock_of_the_site_or_of_greenwich() -> None:
    payload = row(time="2024-07-01 12:00:00.123999")
    (berlin,) = begin().translate(payload)
    (gmt,) = begin(row_times="gmt").translate(payload)
    assert (gmt["ts"], gmt["ts"] - berlin["ts"]) == (1_719_835_200_123, 2 * HOUR)
    (seconds,) = begin().translate(row(time=1_719_835_200))
    assert seconds["ts"] == 1_719_835_200_000


def test_names_in_any_coding_are_names() -> None:
    events = [begin().translate(b"5|CLI|q|" + name + b"|ADDMEMBER|")[0]
              for name in ("Müller".encode(), "Müller".encode("latin-1"))]  # fmt: skip
    assert [event["agent"] for event in events] == ["Müller", "Müller"]


def test_withheld_numbers_are_no_customer() -> None:
    for number in ("", "anonymous", "Unknown", "Restricted"):
        assert "customer" not in told(f"1|c|q|NONE|ENTERQUEUE||{number}|1")[0]
    assert told("1|c|q|NONE|ENTERQUEUE||+4930555|1")[0]["customer"] == "+4930555"


def test_a_sites_own_lines_are_unread_until_it_names_them() -> None:
    line = b"100|c|q|NONE|SURVEYED|5"
    with pytest.raises(Unread, match="ignore") as refused:
        begin().translate(line)
    assert refused.value.field == "event"
    assert begin(ignore=["SURVEYED"]).translate(line) == []


def test_the_fixture_has_every_event_that_is_known() -> None:
    known = set(begin()._handlers)  # type: ignore[attr-defined]
    kinds = {SOURCE.kind(payload) for _, payload in fixture_of(NAME).payloads}
    assert known <= kinds
