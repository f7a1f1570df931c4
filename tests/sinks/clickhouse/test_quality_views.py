"""Quality KPIs in SQL: against a second count, and each rule of docs/quality.md by itself."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.simulate.options import HOUR as AN_HOUR
from pipeline.simulate.options import Options
from pipeline.simulate.stream import Simulation
from schemas.events import read_event
from schemas.settings import parse_site
from tests.engine.profile import FACTOR
from tests.sinks.clickhouse import quality_oracle as oracle
from tests.sinks.clickhouse.engine_rows import EngineRows, in_frames, write_frames
from tests.sinks.clickhouse.quality_rows import (
    DAY_MS,
    HOUR,
    cells_by_sql,
    fact,
    handled,
    moment,
    site_figures,
    tables,
)
from tests.sinks.clickhouse.store import Database, record
from tests.sinks.clickhouse.view_rows import DAY, TEN, Fill, Row, leg, site_settings, visit

WEEK = 7 * DAY_MS

# --- against the oracle --------------------------------------------------------------------------

CONTACTS = ("c0", "c1", "c2", "c3", "c4")
WINDOW = 2 * HOUR
# Few moments, so that edges and ties happen.
moments = st.integers(0, 16).map(lambda n: DAY + n * HOUR // 2) | st.integers(DAY, DAY + 8 * HOUR)
queues = st.sampled_from(["sales", "support"])
channels = st.sampled_from(["voice", "chat"])
agents = st.sampled_from(["ann", "bob", "eve"])
ends = st.none() | st.sampled_from([0, 1, 30_000, HOUR, WINDOW])


@st.composite
def waits(draw: st.DrawFn) -> Row:
    end = draw(ends)
    outcome = "waiting" if end is None else draw(st.sampled_from(["answered", "abandoned"]))
    customer = draw(st.sampled_from(["", "x", "x", "y"]))
    more = {"queue": draw(queues), "channel": draw(channels), "customer": customer}
    more["direction"] = draw(st.sampled_from(["inbound", "inbound", "inbound", "outbound"]))
    return visit(draw(st.sampled_from(CONTACTS)), draw(moments), outcome, end, **more)


@st.composite
def talks(draw: st.DrawFn) -> Row:
    at, end = draw(moments), draw(ends)
    wrapped = None if end is None else at + end
    more: Row = {"agent": draw(agents), "queue": draw(queues | st.just("")), "wrapped_at": wrapped}
    more |= {"channel": draw(channels), "team": draw(st.sampled_from(["", "red"]))}
    stuck = wrapped is not None and draw(st.integers(0, 4)) == 0
    more |= {"handled": int(wrapped is not None and not stuck), "stuck": int(stuck)}
    return leg(draw(st.sampled_from(CONTACTS)), at, **more)


@st.composite
def facts(draw: st.DrawFn) -> Row:
    contact, at = draw(st.sampled_from((*CONTACTS, "nobody"))), draw(moments)
    kind = draw(st.sampled_from(["survey", "survey", "resolved", "sentiment", "evaluated"]))
    if kind == "survey":
        said: Row = {"queue": draw(st.none() | queues | st.just("elsewhere"))}
        said |= {"csat": draw(st.none() | st.integers(1, 5)), "nps": draw(st.integers(0, 10))}
        said |= {"ces": draw(st.none() | st.integers(1, 7))}
        said |= {"resolved": draw(st.none() | st.booleans())}
        return fact(contact, at, **said)
    if kind == "resolved":
        return fact(contact, at, "contact.resolved", resolved=draw(st.booleans()))
    if kind == "sentiment":
        said = {"score": draw(st.sampled_from([-1.0, 0.25, 1.0]))}
        said["escalation_risk"] = draw(st.none() | st.sampled_from([0.0, 0.4999, 0.5, 1.0]))
        return fact(contact, at, "contact.sentiment", **said)
    said = {"agent": draw(agents), "form": draw(st.none() | st.sampled_from(["f", "g"]))}
    return fact(contact, at, "contact.evaluated", score=draw(st.sampled_from([0.0, 83.5])), **said)


def unique(rows: list[Row], *names: str) -> list[Row]:
    """One row a key, as the store keeps one."""
    return list({tuple(row[name] for name in names): row for row in rows}.values())


@st.composite
def centres(draw: st.DrawFn) -> dict[str, list[Row]]:
    return {
        "visits": unique(draw(st.lists(waits(), max_size=10)), "queued_at", "contact"),
        "legs": unique(draw(st.lists(talks(), max_size=10)), "answered_at", "contact", "agent"),
        "feedback": unique(draw(st.lists(facts(), max_size=12)), "at", "contact", "key"),
    }


@dataclass
class Told:
    """One site: its rows, and the time up to which they are known."""

    rows: dict[str, list[Row]]
    known: int


centres_told = st.builds(Told, centres(), moments)
_sites = itertools.count()


@settings(
    max_examples=max(1, int(6 * FACTOR)),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    told=st.lists(centres_told, min_size=10, max_size=10),
    at=st.none() | moments,
    start=moments,
    length=st.sampled_from([1, HOUR, 9 * HOUR]),
)
def test_every_count_of_every_place_is_that_of_a_second_count(
    db: Database, told: list[Told], at: int | None, start: int, length: int
) -> None:
    # Many sites at once, for a question costs much and a row little.
    sites = {f"o{next(_sites)}": one for one in told}
    window = {"pane_settings": [site_settings(repeat_window_ms=WINDOW)]}
    for site, one in sites.items():
        rows = {t: [row | {"site": site} for row in r] for t, r in (window | one.rows).items()}
        assert db.write(record(rows, site=site, at=one.known)) == []
    found = cells_by_sql(db, start, start + length, at, site="")
    for site, one in sites.items():
        until = one.known if at is None else min(at, one.known)
        expected = oracle.cells(one.rows, start, start + length, until, WINDOW)
        assert same(found.get(site, {}), expected), site


def same(found: oracle.Cells, expected: oracle.Cells) -> bool:
    assert found.keys() == expected.keys()
    for place, counts in expected.items():
        assert found[place].keys() == counts.keys(), place
        for name, value in counts.items():
            close = math.isclose(found[place][name], value, rel_tol=1e-12, abs_tol=1e-12)
            assert close, (place, name, found[place][name], value)
    return True


def test_steps_add_up_to_the_whole(fill: Fill) -> None:
    contacts = [handled(f"c{n}", DAY + n * HOUR, f"x{n % 3}") for n in range(20)]
    said = [fact(f"c{n}", DAY + n * HOUR + 40_000_000, csat=1 + n % 5) for n in range(20)]
    db = fill(
        DAY + 3 * DAY_MS,
        site_settings(repeat_window_ms=2 * HOUR),
        **tables(*contacts, feedback=said),
    )
    span = f"site = '', from = {moment(DAY)}, to = {moment(DAY + 2 * DAY_MS)}, at = NULL"
    sums = "sum(csat_n), sum(csat_sum), sum(repeat_n), sum(repeat_resolved), sum(repeat_repeated)"
    asked = "SELECT {} FROM quality_cells({}, step_ms = {}) WHERE scope = 'queue'"
    (steps,) = db.rows(asked.format(sums, span, HOUR))
    (whole,) = db.rows(asked.format(sums, span, 0))
    assert steps == whole
    assert whole["sum(csat_n)"] == whole["sum(repeat_n)"] == 20


# --- the formulas --------------------------------------------------------------------------------


def test_each_ratio_has_its_parts_and_is_null_without(fill: Fill) -> None:
    said = [fact(f"a{n}", TEN, csat=n) for n in range(1, 6)]
    said += [fact(f"b{n}", TEN, nps=n) for n in range(11)]
    said += [fact(f"d{n}", TEN, ces=n) for n in range(1, 8)]
    said += [fact(f"e{n}", TEN, "contact.resolved", resolved=n > 0) for n in range(4)]
    db = fill(TEN + HOUR, feedback=said)
    row = site_figures(db, DAY, DAY + DAY_MS)
    assert (row["csat"], row["csat_mean"], row["csat_n"]) == (2 / 5, 3.0, 5)
    assert (row["nps_promoters"], row["nps_detractors"], row["nps_n"]) == (2, 7, 11)
    assert row["nps"] == pytest.approx(-500 / 11)
    assert (row["ces"], row["ces_easy_share"]) == (4.0, pytest.approx(3 / 7))
    assert (row["fcr_declared"], row["declared_n"]) == (3 / 4, 4)
    assert row["repeat_n"] == row["qa_n"] == row["sentiment_n"] == 0
    empty = ("fcr_repeat", "fcr_repeat_final", "sentiment_mean", "escalation_share", "qa_mean")
    assert {row[name] for name in empty} == {None}
    assert row["unmatched"] == 27


# --- which answer counts -------------------------------------------------------------------------


def test_of_a_corrected_survey_the_last_answer_to_each_question_counts(fill: Fill) -> None:
    said = [fact("c", TEN, csat=1, nps=3), fact("c", TEN + 1, csat=5)]
    row = site_figures(fill(TEN + HOUR, feedback=said), DAY, DAY + DAY_MS)
    assert (row["csat_n"], row["csat_sum"], row["nps_n"], row["nps_detractors"]) == (1, 5, 1, 1)


def test_a_correction_moves_the_answer_to_its_own_day(fill: Fill) -> None:
    said = [fact("c", TEN, csat=1), fact("c", TEN + 3 * DAY_MS, csat=4)]
    db = fill(TEN + 4 * DAY_MS, feedback=said)
    assert site_figures(db, DAY, DAY + DAY_MS) == {}
    later = site_figures(db, DAY + 3 * DAY_MS, DAY + 4 * DAY_MS)
    assert (later["csat_n"], later["csat_top"]) == (1, 1)
    # Seen from before the correction the first answer stands.
    before = site_figures(db, DAY, DAY + DAY_MS, TEN + 3 * DAY_MS - 1)
    assert (before["csat_n"], before["csat_sum"]) == (1, 1)


def test_an_answer_delivered_twice_is_one_and_two_queues_of_a_contact_are_two(fill: Fill) -> None:
    once = fact("c", TEN, csat=2, queue="sales")
    said = [once, dict(once), fact("c", TEN, csat=4, queue="support")]
    row = site_figures(fill(TEN + HOUR, feedback=said), DAY, DAY + DAY_MS)
    assert (row["csat_n"], row["csat_sum"]) == (2, 6)


def test_the_customer_says_whether_it_is_resolved_before_the_help_desk(fill: Fill) -> None:
    said = [
        fact("c", TEN, resolved=False),
        fact("c", TEN + HOUR, "contact.resolved", resolved=True),
    ]
    said += [fact("d", TEN, "contact.resolved", resolved=True)]
    said += [fact("d", TEN + 1, "contact.resolved", resolved=False)]
    row = site_figures(fill(TEN + 2 * HOUR, feedback=said), DAY, DAY + DAY_MS)
    assert (row["declared_n"], row["declared_resolved"]) == (2, 0)


# --- the contact of an answer --------------------------------------------------------------------


def answer_places(db: Database, start: int, end: int) -> list[tuple[str, ...]]:
    call = f"site = '', from = {moment(start)}, to = {moment(end)}, at = NULL"
    names = ("contact", "queue", "channel", "team", "agent")
    rows = db.rows(f"SELECT * FROM quality_answers({call}) ORDER BY contact, question")
    return [tuple(row[name] for name in names) for row in rows]


def test_feedback_finds_its_contact_days_later_and_before_its_rows(
    fill: Fill, db: Database
) -> None:
    at = TEN + 20 * DAY_MS
    said = [fact("c", at, csat=5), fact("early", at, csat=5)]
    fill(at + HOUR, **tables(handled("c", TEN, agent="bob", team="red"), feedback=said))
    assert answer_places(db, at, at + 1) == [
        ("c", "sales", "voice", "red", "bob"),
        ("early", "", "", "", ""),
    ]
    rows = db.rows(
        f"SELECT contact FROM feedback_unmatched(from = {moment(at)}, to = {moment(at + 1)})"
    )
    assert rows == [{"contact": "early"}]
    late = tables(handled("early", at - HOUR, queue="support", channel="chat"))
    assert db.write(record(late, version=2, at=at + 2 * HOUR)) == []
    assert answer_places(db, at, at + 1)[1] == ("early", "support", "chat", "", "ann")
    assert (
        db.rows(f"SELECT * FROM feedback_unmatched(from = {moment(at)}, to = {moment(at + 1)})")
        == []
    )


def test_feedback_of_an_unknown_contact_counts_for_the_site_even_if_it_names_a_queue(
    fill: Fill,
) -> None:
    said = [fact("ghost", TEN, csat=5, queue="sales")]
    cells = cells_by_sql(fill(TEN + HOUR, feedback=said), DAY, DAY + DAY_MS)["s"]
    counted = {"csat_n": 1, "csat_top": 1, "csat_sum": 5, "unmatched": 1}
    assert cells[("all",)] == cells[("queue", "", "")] == counted
    assert ("queue", "sales", "voice") not in cells


def test_after_a_transfer_the_last_agent_counts_unless_the_survey_names_a_queue(fill: Fill) -> None:
    first, second = handled("c", TEN), handled("c", TEN + HOUR, queue="support", agent="bob")
    outside = leg("c", TEN + 2 * HOUR, agent="eve", queue="")
    said = [fact("c", TEN + 3 * HOUR, csat=5, queue="sales"), fact("c", TEN + 3 * HOUR, nps=1)]
    given_rows = tables(first, second, feedback=said)
    given_rows["legs"].append(outside)
    db = fill(TEN + 4 * HOUR, **given_rows)
    assert answer_places(db, DAY, DAY + DAY_MS) == [
        ("c", "sales", "voice", "", "ann"),
        # A conversation in no queue has the queue of the one before.
        ("c", "support", "voice", "", "eve"),
    ]


# --- repeat contact ------------------------------------------------------------------------------


def outcomes(db: Database, at: int | None = None) -> dict[str, tuple[str, int]]:
    call = f"site = '', from = {moment(DAY)}, to = {moment(DAY + 60 * DAY_MS)}, at = {moment(at)}"
    rows = db.rows(f"SELECT contact, outcome, is_final FROM repeat_contacts({call})")
    return {row["contact"]: (row["outcome"], row["is_final"]) for row in rows}


END = TEN + 70_000
"""When a contact of `handled` at ten ends."""


def test_another_contact_repeats_up_to_the_last_millisecond_of_the_window(fill: Fill) -> None:
    gaps = {0: "resolved", 1: "repeated", WEEK: "repeated", WEEK + 1: "resolved"}
    pairs = [
        pair
        for gap in gaps
        for pair in (handled(f"a{gap}", TEN, f"x{gap}"), handled("b", END + gap, f"x{gap}"))
    ]
    for nth, (waited, spoken) in enumerate(pairs):
        if waited["contact"] == "b":
            waited["contact"] = spoken["contact"] = f"b{nth}"
    found = outcomes(fill(END + 30 * DAY_MS, **tables(*pairs)))
    assert {gap: found[f"a{gap}"] for gap in gaps} == {gap: (w, 1) for gap, w in gaps.items()}


def test_provisional_turns_final_with_the_time_of_the_site(fill: Fill) -> None:
    db = fill(END + 30 * DAY_MS, **tables(handled("a", TEN, "x")))
    assert outcomes(db, END - 1) == {}
    assert outcomes(db, END) == {"a": ("provisional", 0)}
    assert outcomes(db, END + WEEK) == {"a": ("provisional", 0)}
    assert outcomes(db, END + WEEK + 1) == {"a": ("resolved", 1)}
    row = site_figures(db, DAY, DAY + DAY_MS, END + WEEK)
    assert (row["repeat_n"], row["repeat_provisional"], row["fcr_repeat"]) == (1, 1, 1.0)
    assert row["fcr_repeat_final"] is None


def test_a_repeat_is_known_before_the_window_has_passed_but_not_before_it_happens(
    fill: Fill,
) -> None:
    db = fill(END + 30 * DAY_MS, **tables(handled("a", TEN, "x"), handled("b", END + HOUR, "x")))
    assert outcomes(db, END + HOUR - 1)["a"] == ("provisional", 0)
    assert outcomes(db, END + HOUR)["a"] == ("repeated", 0)
    assert outcomes(db, END + WEEK + 1)["a"] == ("repeated", 1)


def test_the_window_is_the_sites_setting(fill: Fill) -> None:
    rows = tables(handled("a", TEN, "x"), handled("b", END + HOUR + 1, "x"))
    db = fill(END + 30 * DAY_MS, site_settings(repeat_window_ms=HOUR), **rows)
    assert outcomes(db)["a"] == ("resolved", 1)


def test_who_and_what_makes_no_repeat(fill: Fill) -> None:
    others = [
        handled("other customer", END + HOUR, "y"),
        handled("we called", END + HOUR, "x", direction="outbound"),
        handled("unknown", END + HOUR, ""),
    ]
    during = handled("while it lasted", TEN + 1, "x", talk_ms=1000)
    db = fill(END + 30 * DAY_MS, **tables(handled("a", TEN, "x"), during, *others))
    found = outcomes(db)
    assert found["a"] == ("resolved", 1)
    assert set(found) == {"a", "while it lasted", "other customer"}


def test_another_queue_or_a_lost_contact_repeats_and_the_same_contact_does_not(fill: Fill) -> None:
    lost = visit("lost", END + HOUR, "abandoned", 5000, customer="x", queue="support")
    rows = tables(handled("a", TEN, "x"), handled("b", TEN, "z"), handled("b", END + HOUR, "z"))
    rows["visits"].append(lost)
    found = outcomes(fill(END + 30 * DAY_MS, **rows))
    assert found == {"a": ("repeated", 1), "b": ("resolved", 1)}


# --- windows -------------------------------------------------------------------------------------


def csat_in(db: Database, window: str, at: int | None = None) -> int:
    call = f"site = 's', window = '{window}', at = {moment(at)}"
    return int(db.value(f"SELECT sum(csat_n) FROM kpi_quality_window({call}) WHERE scope = 'all'"))


def test_windows_have_their_edges(fill: Fill) -> None:
    # Panes of ten seconds: the windows end at 10:00:10 where the time is 10:00:03.
    edge = TEN + 10_000
    at = [edge - 30 * DAY_MS - 1, edge - 30 * DAY_MS, edge - WEEK - 1, edge - WEEK, DAY - 1, DAY]
    said = [fact(f"c{n}", moment_, csat=3) for n, moment_ in enumerate(at)]
    db = fill(TEN + 3000, feedback=said)
    assert [csat_in(db, w) for w in ("today", "7d", "30d", "total")] == [1, 3, 5, 6]


@pytest.mark.parametrize(
    ("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)], ids=["spring", "autumn"]
)
def test_today_of_a_day_that_is_not_24_hours_long(fill: Fill, day: str, hours: int) -> None:
    zone = "Europe/Berlin"
    db = fill(0, site_settings(time_zone=zone))
    start = int(db.value(f"SELECT toUnixTimestamp(toDateTime('{day} 00:00:00', '{zone}')) AS t"))
    first, after = start * 1000, start * 1000 + hours * HOUR
    said = [fact(f"c{n}", at, csat=3) for n, at in enumerate((first - 1, first, after - 1, after))]
    assert db.write(record({"feedback": said}, version=2, at=after + 5000)) == []
    assert csat_in(db, "today", after - 1) == 2
    assert csat_in(db, "today", first + 1) == 1
    assert csat_in(db, "today") == 1


def test_the_views_of_places_are_the_cells(fill: Fill) -> None:
    said = [fact("c", TEN + HOUR, csat=5), fact("ghost", TEN + HOUR, nps=9)]
    db = fill(TEN + 2 * HOUR, **tables(handled("c", TEN, "x", team="red"), feedback=said))
    span = f"from = {moment(DAY)}, to = {moment(DAY + DAY_MS)}"
    cells = db.rows(f"SELECT * FROM quality_cells(site = '', {span}, at = NULL, step_ms = 0)")
    for scope in ("site", "queue", "channel", "team", "agent"):
        own = db.rows(f"SELECT * FROM kpi_quality_{scope}({span})")
        mine = [row for row in cells if row["scope"] == ("all" if scope == "site" else scope)]
        assert by_place(own) == by_place([{name: row[name] for name in own[0]} for row in mine])


def by_place(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=repr)


# --- the whole way from events -------------------------------------------------------------------


def test_a_simulated_centre_says_the_same_of_its_own_feedback(db: Database) -> None:
    options = Options(agents=12, queues=4, duration_ms=3 * AN_HOUR, site="s")
    events = [read_event(record_.payload) for record_ in Simulation(options).records()]
    engine = EngineRows(parse_site({"site": "s"}, "test"))
    write_frames(db, engine, in_frames(events, 200))
    expected = totals(events)
    row = site_figures(db, 0, 4_000_000_000_000)
    assert {name: row[name] for name in expected} == expected
    assert min(row["csat_n"], row["declared_n"], row["repeat_n"]) > 0
    assert row["unmatched"] == 0
    queues_ = sum(
        cell.get("csat_n", 0)
        for place, cell in cells_by_sql(db, 0, 4_000_000_000_000)["s"].items()
        if place[0] == "queue" and place[1]
    )
    assert queues_ == row["csat_n"]


def totals(events: list[dict[str, Any]]) -> dict[str, int]:
    """Of the events themselves, the last word on each question."""
    last: dict[tuple[str, ...], Any] = {}
    for event in sorted(events, key=lambda e: (e["type"] == "survey.answered", e["ts"])):
        contact = event.get("contact", "")
        for name in ("csat", "nps", "ces"):
            if name in event:
                last[name, contact, event.get("queue", "")] = event[name]
        if "resolved" in event:
            last["resolved", contact] = event["resolved"]
        if event["type"] == "contact.sentiment":
            last["sentiment", contact] = event["score"]
        if event["type"] == "contact.evaluated":
            last["qa", contact, event["agent"], event["form"]] = event["score"]

    def values(name: str) -> list[Any]:
        return [value for key, value in last.items() if key[0] == name]

    return {
        "csat_n": len(values("csat")),
        "csat_top": sum(v >= 4 for v in values("csat")),
        "csat_sum": sum(values("csat")),
        "nps_n": len(values("nps")),
        "nps_promoters": sum(v >= 9 for v in values("nps")),
        "nps_detractors": sum(v <= 6 for v in values("nps")),
        "ces_n": len(values("ces")),
        "ces_sum": sum(values("ces")),
        "declared_n": len(values("resolved")),
        "declared_resolved": sum(values("resolved")),
        "sentiment_n": len(values("sentiment")),
        "qa_n": len(values("qa")),
    }
