"""`reconciliation` is empty where engine and records agree, and shows the one row that does not."""

from __future__ import annotations

from typing import Any

import orjson

from pipeline.engine import Site
from tests.engine.stories import (
    DAY,
    HOUR,
    MINUTE,
    SITE,
    Event,
    abandoned,
    answered,
    declined,
    offered,
    queued,
    released,
    site,
    state,
    wrapped,
)
from tests.sinks.clickhouse.engine_rows import EngineRows, totals_by_sql, totals_of
from tests.sinks.clickhouse.store import Database, record

T = 1_767_571_200_000  # 2026-01-05T00:00Z
AT = "toDateTime64('2026-01-05 00:00:00', 3, 'UTC')"


def story() -> list[Event]:
    return [
        state(T, "available", team="red"),
        queued(T + 1_000, "a"),
        offered(T + 2_000, "a"),
        declined(T + 9_000, "a"),
        offered(T + 10_000, "a"),
        answered(T + 12_000, "a"),
        queued(T + 13_000, "b"),
        abandoned(T + 45_000, "b"),
        released(T + 70_000, "a", reason="transferred"),
        wrapped(T + 95_000, "a"),
    ]


def told(db: Database, events: list[Event], until: int) -> EngineRows:
    engine = EngineRows(site())
    records = [engine.apply([event]) for event in events]
    db.write(*records, engine.tick(until))
    return engine


def differences(db: Database) -> list[dict[str, Any]]:
    return db.rows("SELECT * FROM reconciliation ORDER BY pane_start, counter")


def stored(db: Database, table: str, moment: int) -> list[dict[str, Any]]:
    at = f"fromUnixTimestamp64Milli(toInt64({moment}), 'UTC')"
    return db.rows(f"SELECT * FROM {table} FINAL WHERE pane_start = {at}")


def bump(db: Database, table: str, change: str, where: str) -> None:
    """Alter a row by hand: a newer row of the same version replaces it."""
    columns = [row["name"] for row in db.rows(f"DESCRIBE TABLE {table}")]
    db.command(
        f"INSERT INTO {table} SELECT {', '.join(columns)} "
        f"FROM (SELECT * REPLACE ({change}) FROM (SELECT * FROM {table} FINAL WHERE {where}))"
    )


def test_a_story_told_by_the_engine_is_what_the_records_say(db: Database) -> None:
    told(db, story(), T + 5 * MINUTE)
    assert db.value("SELECT count() FROM queue_panes FINAL") >= 5
    assert db.value("SELECT count() FROM team_panes FINAL") == 30
    assert differences(db) == []


ALTERATIONS: list[tuple[str, str, str, set[tuple[str, int, int]]]] = [
    ("queue_panes", "offered + 1 AS offered", "offered = 1 LIMIT 1", {("offered", 2, 1)}),
    ("team_panes", "available_ms - 1 AS available_ms", "available_ms = 10000 LIMIT 1",
     {("available_ms", 9_999, 10_000)}),
    ("visits", "addMilliseconds(outcome_at, 1) AS outcome_at", "contact = 'a'",
     {("wait_ms", 11_000, 11_001)}),
    ("visits", "1 AS is_deleted", "contact = 'b'",
     {("offered", 1, 0), ("abandoned", 1, 0), ("abandoned_wait_ms", 32_000, 0),
      ("sl_missed", 1, 0)}),
    ("legs", "talk_ms + 7 AS talk_ms", "contact = 'a'", {("talk_ms", 58_000, 58_007)}),
    ("declines", "'help' AS queue", "contact = 'a'", {("declined", 1, 0), ("declined", 0, 1)}),
    ("agent_intervals", "addMilliseconds(ended_at, -3) AS ended_at", "state = 'talk'",
     {("talk_ms", 10_000, 9_997)}),
]  # fmt: skip


def test_one_row_altered_by_hand_appears_with_its_pane_and_counter(db: Database) -> None:
    """A site for each alteration, so that one look shows them all."""
    for number, (table, change, where, _) in enumerate(ALTERATIONS):
        engine = EngineRows(site(site=f"s{number}"))
        db.write(*[engine.apply([event]) for event in story()], engine.tick(T + 5 * MINUTE))
        bump(db, table, change, f"site = 's{number}' AND {where}")
    found = differences(db)
    for number, (*_, shown) in enumerate(ALTERATIONS):
        rows = [row for row in found if row["site"] == f"s{number}"]
        assert {(row["counter"], row["stored"], row["recomputed"]) for row in rows} == shown
    assert {row["pane"] for row in found} == {"queue", "team"}
    assert {row["name"] for row in found} == {"sales", "help", "red"}


def test_a_pane_that_is_missing_in_the_middle_of_a_long_state_appears(db: Database) -> None:
    told(db, [state(T, "available", team="red")], T + 10 * MINUTE)
    assert differences(db) == []
    bump(db, "team_panes", "1 AS is_deleted", f"pane_start = {AT} + INTERVAL 5 MINUTE")
    (row,) = differences(db)
    assert (row["counter"], row["stored"], row["recomputed"]) == ("available_ms", 0, 10_000)
    assert row["pane_start"] == "2026-01-05 00:05:00.000"


def test_a_pane_nobody_should_have_counted_appears(db: Database) -> None:
    told(db, story(), T + 5 * MINUTE)
    change = f"toDateTime64({AT} - INTERVAL 1 HOUR, 3, 'UTC') AS pane_start"
    bump(db, "queue_panes", change, "offered = 1 LIMIT 1")
    assert {row["recomputed"] for row in differences(db)} == {0}


def test_the_open_pane_is_not_compared(db: Database) -> None:
    engine = told(db, story(), T + 2 * MINUTE + 1)
    db.write(engine.apply([queued(T + 2 * MINUTE + 5_000, "c")]))
    assert differences(db) == []
    db.write(engine.tick(T + 2 * MINUTE + 10_000))
    assert differences(db) == []
    assert (
        db.value(f"SELECT sum(offered) FROM queue_panes FINAL WHERE pane_start = {AT} + 120") == 1
    )


def test_panes_of_versions_ahead_of_the_progress_are_left_out_until_all_is_there(
    db: Database,
) -> None:
    engine = told(db, story(), T + 5 * MINUTE + 1)
    late = engine.apply([abandoned(T + 14_000, "b")], now=T + 5 * MINUTE + 1)
    tables = _tables(late)
    assert set(tables) == {"visits", "queue_panes"}
    # The sink died between two tables: the panes are in, the visit and the progress are not.
    db.write(_part_of(late, {"queue_panes": tables["queue_panes"]}))
    assert differences(db) == []
    db.write(late)
    assert differences(db) == []
    assert db.value("SELECT sum(abandoned_wait_ms) FROM queue_panes FINAL") == 1_000


def test_a_range_is_compared_by_the_panes_that_begin_in_it(db: Database) -> None:
    told(db, story(), T + 5 * MINUTE)
    bump(db, "queue_panes", "offered + 1 AS offered", f"pane_start = {AT}")
    asked = {
        "'2026-01-05 00:00:00', to = '2026-01-05 00:00:05'": 1,
        "'2026-01-05 00:00:00', to = '2026-01-05 00:01:03'": 1,
        "'2026-01-05 00:00:00.001', to = '2026-01-05 00:05:00'": 0,
        "'2026-01-04 23:59:57', to = '2026-01-05 00:00:00'": 0,
    }
    for span, number in asked.items():
        assert len(db.rows(f"SELECT * FROM reconciliation_between(from = {span})")) == number, span


def test_thresholds_are_those_of_each_row_and_anchors_too(db: Database) -> None:
    settings = site(anchor="arrival", pane_ms=6_000, queues={"sales": {"threshold_ms": 3_000}})
    engine = EngineRows(settings)
    records = [engine.apply([event]) for event in story()]
    db.write(*records, engine.tick(T + 5 * MINUTE))
    assert differences(db) == []
    assert db.value("SELECT sum(sl_missed) FROM queue_panes FINAL") == 2


def test_a_silence_of_weeks_that_the_engine_steps_over_is_no_difference(db: Database) -> None:
    engine = told(db, [state(T, "available", team="red")], T + 5 * MINUTE)
    db.write(engine.tick(T + 9 * DAY))
    assert db.value("SELECT count() FROM team_panes FINAL") < 1_000
    assert differences(db) == []
    inside = "from = '2026-01-08 00:00:00', to = '2026-01-09 00:00:00'"
    assert db.rows(f"SELECT * FROM reconciliation_between({inside})") == []
    bump(db, "team_panes", "0 AS available_ms", f"pane_start = {AT}")
    assert len(differences(db)) == 1


def test_what_was_told_at_the_very_end_of_a_pane_is_taken_back_within_that_moment(
    db: Database,
) -> None:
    """At 30 s to the millisecond the pane is complete, until an event of the past comes in."""
    engine = EngineRows(site())
    talk = [queued(T, "a"), answered(T + 4_000, "a"), released(T + 4_000, "a")]
    db.write(engine.apply(talk, T + 30_000))
    assert stored(db, "team_panes", T + 20_000)[0]["wrap_ms"] == 10_000
    db.write(engine.apply([wrapped(T + 4_000, "a")], T + 30_000))
    assert stored(db, "team_panes", T + 20_000)[0]["wrap_ms"] == 0
    assert differences(db) == []


def test_what_was_told_at_the_very_end_of_a_pane_is_taken_back_as_the_pane_closes(
    db: Database,
) -> None:
    engine = EngineRows(site())
    talk = [queued(T, "a"), answered(T + 4_000, "a"), released(T + 4_000, "a")]
    db.write(engine.apply(talk, T + 30_000))
    db.write(engine.apply([wrapped(T + 4_000, "a"), queued(T + 31_000, "b")], T + 30_000))
    assert stored(db, "team_panes", T + 20_000)[0]["wrap_ms"] == 0
    assert differences(db) == []


# --- panes older than the memory of the engine ---------------------------------------------------


def hours(db: Database, engine: EngineRows, first: int, last: int) -> None:
    """Time passes in steps in which memory is swept."""
    steps = range(first + 20 * MINUTE, last + 1, 20 * MINUTE)
    db.write(*[engine.tick(moment) for moment in steps])


def test_the_first_pane_of_a_contact_that_waits_for_hours_keeps_what_others_did_in_it(
    db: Database,
) -> None:
    engine = EngineRows(site())
    others = [queued(T + 1_000, "b"), abandoned(T + 2_000, "b")]
    db.write(engine.apply([*others, queued(T + 5_000, "a")]))
    hours(db, engine, T, T + 2 * HOUR)
    late = [abandoned(T + 2 * HOUR, "a"), offered(T + 2 * HOUR - 1, "a")]
    db.write(*[engine.apply([event], T + 2 * HOUR) for event in late])
    db.write(engine.tick(T + 2 * HOUR + MINUTE))
    (pane,) = stored(db, "queue_panes", T)
    assert (pane["offered"], pane["abandoned"], pane["is_whole"]) == (2, 1, 1)
    assert differences(db) == []


def test_a_forgotten_pane_is_left_to_the_records_when_an_older_event_corrects_it(
    db: Database,
) -> None:
    """Contact `a` is remembered, so its event is not late however old it is."""
    engine = told(db, story(), T + 5 * MINUTE)
    hours(db, engine, T, T + 3 * HOUR)
    (before,) = stored(db, "queue_panes", T)
    db.write(engine.apply([queued(T + 3 * HOUR, "c", queue="help")]))
    old = [
        queued(T + 4_000, "c"),
        answered(T + 14_000, "c", "bob"),
        released(T + 15_000, "c", "bob"),
        wrapped(T + 16_000, "c", "bob"),
    ]
    db.write(engine.apply(old, T + 3 * HOUR + 1), engine.tick(T + 3 * HOUR + MINUTE))
    (pane,) = stored(db, "queue_panes", T)
    (team,) = [row for row in stored(db, "team_panes", T + 10_000) if row["team"] == ""]
    assert (before["offered"], before["is_whole"]) == (1, 1)
    assert (pane["offered"], pane["is_whole"]) == (0, 0)
    assert (team["talk_ms"], team["is_whole"]) == (0, 0)
    assert differences(db) == []
    assert totals_by_sql(db) == totals_of(engine.site.view(), SITE)
    minute = f"from = {AT}, to = {AT} + INTERVAL 1 MINUTE"
    (sales,) = db.rows(f"SELECT * FROM kpi_queue({minute})")
    assert (sales["offered"], sales["answered"]) == (3, 2)
    bump(db, "queue_panes", "offered + 1 AS offered", f"pane_start = {AT} + INTERVAL 3 HOUR")
    assert len(differences(db)) == 1


def test_a_restarted_worker_still_knows_which_panes_it_has_forgotten(db: Database) -> None:
    engine = told(db, story(), T + 5 * MINUTE)
    hours(db, engine, T, T + 3 * HOUR)
    db.write(engine.apply([queued(T + 3 * HOUR, "c", queue="help")]))
    engine.site = Site.restore(engine.site.all_parts())
    moments = [(T + 4_000, "sales"), (T + 3 * HOUR - 4_000, "sales")]
    for moment, queue in moments:
        db.write(engine.apply([queued(moment, "c", queue=queue)], T + 3 * HOUR + 1))
        db.write(engine.apply([abandoned(moment + 1, "c", queue=queue)], T + 3 * HOUR + 1))
    db.write(engine.tick(T + 3 * HOUR + MINUTE))
    (old,), (recent,) = [
        stored(db, "queue_panes", moment - moment % 10_000) for moment, _ in moments
    ]
    assert (old["is_whole"], recent["is_whole"], recent["abandoned"]) == (0, 1, 1)
    assert differences(db) == []


def test_a_threshold_that_passes_in_a_silence_of_weeks_is_missed_in_its_own_pane(
    db: Database,
) -> None:
    patient = site(stuck_after_ms=30 * DAY, defaults={"threshold_ms": 8 * DAY})
    engine = EngineRows(patient)
    db.write(engine.apply([queued(T, "a"), state(T, "available", team="red")]))
    db.write(engine.tick(T + 10 * DAY))
    assert stored(db, "queue_panes", T + 8 * DAY)[0]["sl_missed"] == 1
    assert differences(db) == []
    assert totals_by_sql(db) == totals_of(engine.site.view(), SITE)


def test_a_site_without_progress_is_not_judged(db: Database) -> None:
    engine = EngineRows(site())
    records = [engine.apply([event]) for event in story()]
    tables = _tables(records[-1])
    db.write(_part_of(records[-1], tables))
    assert db.value("SELECT count() FROM progress") == 0
    assert differences(db) == []


def _tables(payload: bytes) -> dict[str, Any]:
    tables: dict[str, Any] = orjson.loads(payload)["tables"]
    return tables


def _part_of(payload: bytes, tables: dict[str, Any]) -> bytes:
    """A record as the first of two, so that it moves no progress."""
    head = orjson.loads(payload)
    return record(tables, site=SITE, version=head["version"], at=head["at"], part=0, parts=2)
