"""The views of teams, agents and contacts on rows made by hand, and those of the present."""

from __future__ import annotations

from tests.sinks.clickhouse.view_rows import (
    DAY,
    SPAN,
    TEN,
    Fill,
    interval,
    leg,
    queue,
    visit,
)

# --- teams and agents ---


def test_state_time_is_clipped_to_the_interval_and_to_the_time_of_the_site(fill: Fill) -> None:
    # The worked example of a vendor: a contact from 05:23 to 06:15 gives 7, 30 and 15 minutes.
    start = DAY + 5 * 3_600_000 + 23 * 60_000
    intervals = [
        interval("ann", start, start + 52 * 60_000, "talk"),
        interval("ann", start + 52 * 60_000, None, "available"),
        interval("bob", start, start + 60_000, "offline"),
    ]
    db = fill(start + 60 * 60_000, agent_intervals=intervals)
    steps = "from = '2026-01-05 05:00:00', to = '2026-01-05 07:00:00', step_ms = 1800000"
    found = {
        row["start"][11:16]: (row["talk_ms"] // 60_000, row["available_ms"] // 60_000)
        for row in db.rows(f"SELECT * FROM kpi_team_interval({steps})")
    }
    assert found == {"05:00": (7, 0), "05:30": (30, 0), "06:00": (15, 8)}
    (team,) = db.rows(f"SELECT * FROM kpi_team({SPAN})")
    assert team["occupancy"] == 52 / 60
    assert (team["busy_ms"], team["team"]) == (52 * 60_000, "red")


def test_ringing_and_not_ready_are_in_no_part_of_occupancy(fill: Fill) -> None:
    states = ("talk", "hold", "wrap", "busy", "ringing", "available", "not_ready", "offline")
    rows = [
        interval("ann", TEN + n * 1000, TEN + n * 1000 + 1000, state)
        for n, state in enumerate(states)
    ]
    (team,) = fill(TEN + 60_000, agent_intervals=rows).rows(f"SELECT * FROM kpi_team({SPAN})")
    assert [team[f"{s}_ms"] for s in ("talk", "hold", "wrap", "busy_state", "ringing")] == [
        1000
    ] * 5
    assert (team["busy_ms"], team["occupancy"]) == (4000, 0.8)


def test_an_agent_has_what_it_answered_handled_and_declined_beside_its_time(fill: Fill) -> None:
    db = fill(
        TEN + 600_000,
        visits=[visit("a", TEN, "answered", 4_000, agent="ann")],
        legs=[
            leg("a", TEN + 4_000, visit_queued_at=TEN, released_at=TEN + 64_000,
                wrapped_at=TEN + 94_000, release_reason="completed", talk_ms=50_000,
                hold_ms=10_000, wrap_ms=30_000, handled=1),
            leg("x", TEN + 200_000, queue="", released_at=TEN + 210_000,
                wrapped_at=TEN + 210_000, release_reason="completed", talk_ms=10_000, handled=1),
        ],
        declines=[{"site": "s", "contact": "a", "declined_at": TEN + 1, "agent": "bob",
                   "ordinal": 0, "queue": "sales", "channel": "voice", "reason": "no_answer",
                   "is_deleted": 0}],
        agent_intervals=[interval("ann", TEN, TEN + 300_000, "talk", "red"),
                         interval("ann", TEN + 300_000, None, "available", "blue")],
    )  # fmt: skip
    ann, bob = db.rows(f"SELECT * FROM kpi_agent({SPAN}) ORDER BY agent")
    assert (ann["answered"], ann["wait_ms"], ann["team"]) == (1, 4_000, "blue")
    assert (ann["handled"], ann["handled_outside_queues"]) == (2, 1)
    assert (ann["handled_talk_ms"], ann["handled_hold_ms"], ann["handled_wrap_ms"]) == (
        (60_000, 10_000, 30_000)
    )
    assert (ann["aht_ms"], ann["talk_ms"], ann["occupancy"]) == (50_000, 300_000, 0.5)
    assert (bob["declined"], bob["answered"], bob["occupancy"]) == (1, 0, None)
    sales = queue(db, f"kpi_queue({SPAN})")
    assert (sales["handled"], sales["declined"]) == (1, 1)


def test_a_contact_counts_for_the_team_its_agent_was_in_at_that_moment(fill: Fill) -> None:
    """Ann moves from red to blue at half past ten; each step and limit sees its own part."""
    half = TEN + 1_800_000
    db = fill(
        TEN + 3_600_000,
        visits=[
            visit("a", TEN, "answered", 4_000, agent="ann"),
            visit("b", half, "answered", 30_000, agent="ann", queue="help"),
        ],
        declines=[{"site": "s", "contact": "b", "declined_at": half + 9_000, "agent": "ann",
                   "ordinal": 0, "queue": "help", "channel": "voice", "reason": "no_answer",
                   "is_deleted": 0}],
        agent_intervals=[interval("ann", TEN, half, "available", "red"),
                         interval("ann", half, None, "busy", "blue")],
    )  # fmt: skip
    names = ("answered", "answered_in", "asa_ms", "declined", "available_ms", "busy_ms")
    expected = {
        "red": (1, 1, 4_000, 0, 1_800_000, 0),
        "blue": (1, 0, 30_000, 1, 0, 1_800_000),
    }
    teams = {r["team"]: r for r in db.rows(f"SELECT * FROM kpi_team({SPAN})")}
    assert {team: tuple(row[n] for n in names) for team, row in teams.items()} == expected
    steps = "from = '2026-01-05 10:00:00', to = '2026-01-05 11:00:00', step_ms = 1800000"
    for row in db.rows(f"SELECT * FROM kpi_agent_interval({steps})"):
        assert row["team"] == ("red" if row["start"][11:16] == "10:00" else "blue")
        assert tuple(row[n] for n in names) == expected[row["team"]]
    restated = db.rows(f"SELECT * FROM kpi_team_restated({SPAN}, threshold_ms = 30000)")
    assert {row["team"]: row["answered_only"] for row in restated} == {"red": 1.0, "blue": 1.0}
    (ann,) = db.rows(f"SELECT * FROM kpi_agent_restated({SPAN}, threshold_ms = 3999)")
    assert (ann["answered"], ann["answered_in"], ann["team"]) == (2, 0, "blue")
    early = f"{SPAN}, at = '2026-01-05 10:30:01', threshold_ms = NULL, step_ms = 0"
    (ann,) = db.rows(f"SELECT * FROM agent_cells({early}) WHERE scope = 'agent'")
    assert (ann["answered"], ann["declined"], ann["busy_ms"]) == (1, 0, 1_000)


def test_a_channel_and_the_site_are_restated_and_cut_in_steps_as_queues_are(fill: Fill) -> None:
    half = TEN + 1_800_000
    rows = [
        visit("a", TEN, "answered", 30_000, agent="ann"),
        visit("b", half, "abandoned", 8_000, queue="help"),
        visit("c", half, "answered", 1_000, agent="ann", channel="chat"),
    ]
    db = fill(half + 600_000, visits=rows)
    limits = "threshold_ms = 30000, short_ms = 8000"
    site = queue(db, f"kpi_site_restated({SPAN}, {limits})")
    assert (site["answered_in"], site["abandoned_short"], site["sl_missed"]) == (2, 1, 0)
    voice, chat = db.rows(
        f"SELECT * FROM kpi_channel_restated({SPAN}, {limits}) ORDER BY offered DESC"
    )
    assert (voice["answered_in"], voice["abandoned_short"], chat["answered_in"]) == (1, 1, 1)
    steps = "from = '2026-01-05 10:00:00', to = '2026-01-05 11:00:00', step_ms = 1800000"
    found = {
        (row["channel"], row["start"][11:16]): (row["offered"], row["answered"])
        for row in db.rows(f"SELECT * FROM kpi_channel_interval({steps})")
    }
    assert found == {
        ("voice", "10:00"): (1, 1),
        ("voice", "10:30"): (1, 0),
        ("chat", "10:30"): (1, 1),
    }


# --- the present, and contacts ---


def test_who_waits_and_is_served_is_counted_by_the_time_of_the_site(fill: Fill) -> None:
    rows = [visit("a", TEN, "waiting"), visit("b", TEN + 30_000, "waiting"),
            visit("c", TEN, "answered", 10_000, agent="ann")]  # fmt: skip
    legs = [
        leg("c", TEN + 10_000, visit_queued_at=TEN),
        leg("d", TEN + 1_000, queue="", agent="bob"),
        leg("e", TEN - 9_000, agent="cyd", released_at=TEN + 40_000, release_reason="completed"),
    ]
    db = fill(TEN + 40_000, visits=rows, legs=legs,
              agent_intervals=[interval("ann", TEN + 10_000, None, "talk")])  # fmt: skip
    now = queue(db, "now_queue(at = NULL)")
    assert (now["waiting"], now["longest_wait_ms"]) == (2, 40_000)
    assert (now["waiting_past_threshold"], now["in_service"]) == (1, 1)
    earlier = queue(db, "now_queue(at = '2026-01-05 10:00:05')")
    assert (earlier["waiting"], earlier["in_service"]) == (2, 1)
    serving = db.rows("SELECT contact, queue FROM serving_at(at = NULL) ORDER BY contact")
    assert serving == [{"contact": "c", "queue": "sales"}, {"contact": "d", "queue": ""}]
    (agent,) = db.rows("SELECT * FROM now_agent(at = NULL)")
    assert (agent["state"], agent["for_ms"], agent["team"]) == ("talk", 30_000, "red")


def test_a_contact_is_one_row_a_visit_with_its_legs_and_rings(fill: Fill) -> None:
    db = fill(
        TEN + 900_000,
        visits=[
            visit("c", TEN, "answered", 12_000, agent="ann", customer="k1", priority=2),
            visit("c", TEN + 100_000, "waiting", queue="help"),
        ],
        legs=[
            leg("c", TEN + 12_000, visit_queued_at=TEN, released_at=TEN + 100_000, hold_ms=8_000,
                release_reason="transferred", wrapped_at=TEN + 110_000, talk_ms=80_000,
                wrap_ms=10_000, handled=1),
            leg("c", TEN + 20_000, agent="bob"),
        ],
        declines=[{"site": "s", "contact": "c", "declined_at": TEN + 5_000, "agent": "cyd",
                   "ordinal": 0, "queue": "sales", "channel": "voice", "reason": "rejected",
                   "is_deleted": 0}],
    )  # fmt: skip
    first, second = db.rows("SELECT * FROM contacts ORDER BY queued_at")
    assert (first["wait_ms"], first["is_within_threshold"], first["outcome"]) == (
        (12_000, 1, "answered")
    )
    assert (first["leg_agents"], first["handled"], first["transferred"]) == (["ann"], 1, 1)
    assert (first["talk_ms"], first["hold_ms"], first["wrap_ms"]) == (80_000, 8_000, 10_000)
    assert (first["declined"], first["customer"], first["priority"]) == (1, "k1", 2)
    assert (second["wait_ms"], second["is_within_threshold"], second["declined"]) == (None, None, 0)


def test_contacts_of_a_range_are_those_queued_in_it_with_all_that_followed(fill: Fill) -> None:
    day = DAY + 86_400_000
    db = fill(
        day + 60_000,
        visits=[
            visit("before", DAY - 1, "abandoned", 500),
            visit("c", day - 10_000, "answered", 20_000, agent="ann"),
            visit("after", day, "waiting"),
        ],
        legs=[leg("c", day + 10_000, visit_queued_at=day - 10_000, released_at=day + 11_000,
                  release_reason="completed", talk_ms=1_000)],
    )  # fmt: skip
    (row,) = db.rows(f"SELECT * FROM contacts_between({SPAN})")
    assert (row["contact"], row["leg_agents"], row["talk_ms"]) == ("c", ["ann"], 1_000)
    everyone = db.rows("SELECT contact FROM contacts ORDER BY queued_at")
    assert [row["contact"] for row in everyone] == ["before", "c", "after"]


def test_two_stories_of_a_contact_with_one_moment_are_two_records(fill: Fill) -> None:
    rows = [
        visit("c", TEN, "abandoned", 1_000, story=TEN),
        visit("c", TEN, "waiting", story=TEN + 1),
    ]
    db = fill(TEN + 60_000, visits=rows)
    assert queue(db, f"kpi_queue({SPAN})")["offered"] == 2
    assert len(db.rows("SELECT * FROM contacts")) == 2


def test_queues_sum_to_their_channel_and_to_the_site(fill: Fill) -> None:
    rows = [
        visit("a", TEN, "answered", 1_000, agent="ann"),
        visit("b", TEN, "answered", 50_000, agent="ann", queue="help"),
        visit("c", TEN, "abandoned", 2_000, queue="help", channel="chat"),
    ]
    db = fill(TEN + 60_000, visits=rows)
    assert len(db.rows(f"SELECT * FROM kpi_queue({SPAN})")) == 3
    channels = {r["channel"]: r["answered"] for r in db.rows(f"SELECT * FROM kpi_channel({SPAN})")}
    assert channels == {"voice": 2, "chat": 0}
    site = queue(db, f"kpi_site({SPAN})")
    assert (site["offered"], site["answered_in"], site["service_level"]) == (3, 1, 1 / 3)


def test_feedback_keeps_what_is_absent_apart_from_zero(fill: Fill) -> None:
    survey = {"site": "s", "contact": "c", "at": TEN, "type": "survey.answered", "key": "k"}
    survey |= {"csat": 5, "resolved": True, "nps": None, "queue": None, "is_deleted": 0}
    db = fill(TEN, feedback=[survey])
    row = queue(db, "contact_feedback")
    assert (row["csat"], row["resolved"], row["nps"], row["queue"]) == (5, True, None, None)
