"""A live pipeline's rows in a real store, and history told again over them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from pipeline.backfill.comparing import Comparing
from pipeline.backfill.history import Record
from pipeline.backfill.telling import Framing, Telling
from pipeline.cli.main import build
from pipeline.ingest.customers import Customers
from pipeline.ingest.journal import Journal, read_journal
from pipeline.ingest.raw import RawRecord
from pipeline.replay import History, snapshots
from pipeline.simulate.options import HOUR, Options
from pipeline.simulate.stream import Simulation
from pipeline.topics import ensure_topics
from schemas.brokers import Brokers
from schemas.clock import Clock
from schemas.events import read_event
from schemas.kpis import COUNTERS
from schemas.settings import SiteSettings, parse_site
from sinks.clickhouse.tables import PROGRESS, TABLES
from tests.ingest.broker import put_raw, raw_headers, running_broker
from tests.sinks.clickhouse.store import Database, record
from tests.sinks.clickhouse.test_reconciliation import bump

SITE = "bank"
EPOCH = 3
OLD = parse_site({"site": SITE}, "test")
NEW = parse_site({"site": SITE, "defaults": {"threshold_ms": 7_000}}, "test")


def history(hours: int = 7) -> list[RawRecord]:
    options = Options(agents=12, queues=3, duration_ms=hours * HOUR, site=SITE, seed=5)
    return [RawRecord(r.site, r.payload, r.at) for r in Simulation(options).records()]


class _Live(Telling):
    """The live worker and sink: every frame's rows as a record of the rows topic."""

    def __init__(self, settings: SiteSettings, epoch: int = EPOCH) -> None:
        super().__init__(settings, _Nowhere())  # type: ignore[arg-type]
        self._epoch = epoch
        self.records: list[bytes] = []

    def _apply(self, frame: Any) -> None:
        self._offset += 1
        changes = self.site.apply(frame, self._offset)
        version = self._epoch << 40 | self._offset
        self.records.append(record(changes.rows, site=SITE, version=version, at=self.site.at))


class _Nowhere:
    def put(self, table: str, row: Any) -> None:
        """Rows go with the records."""


def live(
    db: Database, records: list[RawRecord], settings: SiteSettings = OLD, epoch: int = EPOCH
) -> _Live:
    """What the pipeline stores of these records."""
    told = _Live(settings, epoch)
    framing = Framing({SITE: told}, 1, Clock(), Customers(""), alone=True)
    journal_to(framing, records)
    assert db.write(*told.records) == []
    return told


def journal_to(framing: Framing, records: list[RawRecord]) -> None:
    for seq, one in enumerate(records, 1):
        framing.take(Record(0, seq, SITE.encode(), one.payload, one.headers(seq), one.received))
    framing.flush()


@pytest.fixture
def home(tmp_path: Path, db: Database, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings and a data folder, and the variables that name them and the store."""
    (tmp_path / "settings").mkdir()
    write_settings(tmp_path, NEW)
    changes = {"settings_dir": tmp_path / "settings", "data_dir": tmp_path / "data"}
    config = db.config().model_copy(update=changes)
    for name, value in config.to_env().items():
        monkeypatch.setenv(name, value)
    return tmp_path


def write_settings(home: Path, settings: SiteSettings) -> None:
    (home / "settings" / "bank.yml").write_bytes(orjson.dumps(settings.dump()))


def journal(home: Path, records: list[RawRecord]) -> None:
    book = Journal(home / "data" / "journal")
    book.append(records)
    book.close()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build(["backfill", "sql"]), ["backfill", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def journal_run(*arguments: str) -> str:
    return run("--source", "journal", "--yes", *arguments)


def everything(db: Database) -> dict[str, list[Any]]:
    """All rows as they stand, without versions."""
    return {
        table: db.rows(f"SELECT * EXCEPT version FROM {table} FINAL ORDER BY ALL")
        for table in TABLES
    }


def versions(db: Database) -> int:
    """Rows of all versions, merged or not: any insert shows unless parts are merged."""
    return sum(int(db.value(f"SELECT max(_block_number) FROM {t}") or 0) for t in TABLES)


def differences(db: Database) -> int:
    return int(db.value("SELECT count() FROM reconciliation"))


def by_replay(records: list[RawRecord], settings: SiteSettings, at: int) -> dict[str, int]:
    checked = sorted((read_event(r.payload) for r in records), key=lambda e: e["ts"])
    (view,) = snapshots(History(SITE, at, 0, checked), settings, [at])
    found = view["all"]["queues"]["windows"]["total"]
    return {name: found[name] for name in COUNTERS}


def by_sql(db: Database, end: int) -> dict[str, int]:
    moment = f"fromUnixTimestamp64Milli(toInt64({end}), 'UTC')"
    (row,) = db.rows(f"SELECT * FROM kpi_site(from = '1970-01-02 00:00:00', to = {moment})")
    return {name: row[name] for name in COUNTERS}


def day_and_after() -> tuple[list[RawRecord], list[RawRecord]]:
    """A shift of seven hours that is over, and the first of the next, ten hours later."""
    first = history()
    gap = 17 * HOUR
    second = [RawRecord(SITE, _later(r.payload, gap), r.received + gap) for r in history(1)]
    return first, second


def _later(payload: bytes, by: int) -> bytes:
    event = orjson.loads(payload)
    event["ts"] += by
    for name in ("contact", "id"):
        if name in event:
            event[name] += "-b"
    return orjson.dumps(event)


# --- tests ----------------------------------------------------------------------------------------


def test_a_changed_threshold_gives_what_replay_gives_and_leaves_the_open_part(
    db: Database, home: Path
) -> None:
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)
    before = everything(db)
    output = journal_run()
    assert "queue_panes" in output
    after = everything(db)
    end = second[0].received - HOUR
    wanted = by_replay(first, NEW, end)
    assert by_sql(db, end) == wanted
    assert wanted != by_replay(first, OLD, end)
    moment = {t: TABLES[t].moments[0] for t in TABLES}
    begun = _text(second[-1].received - 900_000)
    for table in ("visits", "legs", "declines", "agent_intervals", "queue_panes", "team_panes"):
        recent = [[r for r in rows[table] if r[moment[table]] >= begun] for rows in (before, after)]
        assert recent[0] == recent[1], table
    assert {row["threshold_ms"] for row in after["visits"] if row["queued_at"] >= begun} == {20_000}
    assert {row["threshold_ms"] for row in after["visits"]} == {7_000, 20_000}
    assert differences(db) == 0


def _text(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.000")


def test_a_second_run_changes_nothing_and_a_dry_run_neither(db: Database, home: Path) -> None:
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)
    before = everything(db)
    output = run("--source", "journal", "--dry-run")
    assert "would change" in output
    assert "→" in output
    assert everything(db) == before
    journal_run()
    once, inserted = everything(db), versions(db)
    assert once != before
    output = journal_run()
    assert everything(db) == once
    assert versions(db) == inserted
    assert "→" not in output


def test_rows_altered_added_and_removed_by_hand_are_put_right(db: Database, home: Path) -> None:
    first, second = day_and_after()
    live(db, first + second, NEW)
    journal(home, first + second)
    before = everything(db)
    early = f"toUnixTimestamp64Milli({{}}) < {first[-1].received - 2 * HOUR}"
    bump(db, "queue_panes", "offered + 1 AS offered", early.format("pane_start") + " LIMIT 3")
    bump(db, "visits", "1 AS is_deleted", early.format("queued_at") + " LIMIT 2")
    bump(db, "legs", "talk_ms + 7 AS talk_ms", early.format("answered_at") + " LIMIT 2")
    left = "'waiting' AS outcome, CAST(NULL AS Nullable(DateTime64(3, 'UTC'))) AS outcome_at"
    bump(db, "visits", left, early.format("queued_at") + " LIMIT 5")
    bump(db, "visits", "'nobody' AS contact", early.format("queued_at") + " LIMIT 2")
    assert differences(db) > 0
    journal_run()
    assert everything(db) == before
    assert differences(db) == 0


def test_live_rows_that_come_later_win(db: Database, home: Path) -> None:
    first, second = day_and_after()
    middle = len(second) // 2
    told = live(db, first + second[:middle], NEW)
    journal(home, first + second[:middle])
    journal_run()
    told.records.clear()
    framing = Framing({SITE: told}, 1, Clock(), Customers(""), alone=False)
    for n, one in enumerate(second[middle:], 1_000_000):
        framing.take(Record(1, n, SITE.encode(), one.payload, one.headers(), one.received))
    framing.flush()
    db.write(*told.records)
    after = everything(db)
    db.empty()
    live(db, first + second, NEW)
    assert after == everything(db)


def test_killed_in_the_middle_and_run_again_the_result_is_the_same(
    db: Database, home: Path
) -> None:
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)
    before = versions(db)
    code = (
        "import sinks.clickhouse.backfill as b; b.INSERT_ROWS = 40\n"
        "from pipeline.cli.main import build\n"
        "build(['backfill', 'sql'])(['backfill', '--source', 'journal', '--yes'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
    try:
        deadline = time.monotonic() + 100
        while versions(db) < before + 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        killed = process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert killed == -signal.SIGKILL, "it was over before it could be killed"
    journal_run()
    after = everything(db)
    db.empty()
    live(db, first + second)
    journal_run()
    assert after == everything(db)
    assert differences(db) == 0


def test_an_empty_store_is_filled_from_a_file_and_agrees_with_replay(
    db: Database, home: Path
) -> None:
    records = history(3)
    path = home / "calls.ndjson"
    path.write_bytes(b"".join(r.payload + b"\n" for r in reversed(records)))
    run(str(path), "--yes")
    last = max(orjson.loads(r.payload)["ts"] for r in records)
    assert by_sql(db, last + 1) == by_replay(records, NEW, last)
    assert db.value(f"SELECT version FROM {PROGRESS} FINAL") == 0
    assert differences(db) == 0
    once = everything(db)
    run(str(path), "--yes")
    assert everything(db) == once


def test_contacts_cut_in_two_by_a_new_epoch_are_made_whole_from_files(
    db: Database, home: Path
) -> None:
    first, second = day_and_after()
    middle = len(first) // 2
    live(db, first[:middle], NEW)
    live(db, first[middle:] + second, NEW, EPOCH + 1)
    path = home / "raw.ndjson"
    path.write_bytes(b"".join(r.payload + b"\n" for r in first + second))
    end = second[0].received - HOUR
    wanted = by_replay(first, NEW, end)
    assert by_sql(db, end) != wanted
    run(str(path), "--yes")
    assert by_sql(db, end) == wanted
    assert differences(db) == 0


def test_a_history_that_begins_late_leaves_what_it_does_not_know(db: Database, home: Path) -> None:
    first, second = day_and_after()
    live(db, first + second)
    cut = [r for r in first if r.received >= first[0].received + HOUR]
    journal(home, cut + second)
    before = everything(db)
    journal_run()
    after = everything(db)
    known_from = _text(first[0].received + HOUR)
    for table in ("visits", "legs", "declines"):
        moment = TABLES[table].moments[0]
        old = [[r for r in rows[table] if r[moment] < known_from] for rows in (before, after)]
        assert old[0] == old[1]
    assert len(before["visits"]) == len(after["visits"])
    assert before["visits"] != after["visits"]
    assert differences(db) == 0


def test_other_panes_than_the_running_ones_are_refused(db: Database, home: Path) -> None:
    first, _ = day_and_after()
    live(db, first[:200])
    journal(home, first[:200])
    write_settings(home, parse_site({"site": SITE, "pane_ms": 20_000}, "test"))
    result = CliRunner().invoke(build(["backfill", "sql"]), ["backfill", "--source", "journal"])
    assert result.exit_code == 1
    assert "pane_ms is 10000 in the running pipeline" in result.output


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Any]:
    with running_broker(tmp_path) as broker:
        yield broker


def test_the_topic_is_read_as_the_journal_is(
    db: Database, home: Path, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)

    async def feed() -> None:
        await ensure_topics(Brokers(broker.address), 4)
        named = [(SITE.encode(), r.payload, raw_headers(r.received)) for r in first + second]
        await put_raw(broker.address, [(b"other", b"{}", raw_headers(1)), *named])

    asyncio.run(feed())
    monkeypatch.setenv("CALLBOARD_BOOTSTRAP", broker.address)
    monkeypatch.setenv("CALLBOARD_PARTITIONS", "4")
    run("--source", "topic", "--yes")
    by_topic = everything(db)
    db.empty()
    live(db, first + second)
    journal_run()
    assert everything(db) == by_topic
    assert len(list(read_journal(home / "data" / "journal"))) == len(first + second)


def test_a_silent_site_does_not_hold_up_the_others(db: Database, home: Path) -> None:
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)
    (home / "settings" / "a.yml").write_text("site: another\n")
    output = journal_run()
    assert "another: the history has no event of it" in output
    assert by_sql(db, second[0].received - HOUR) == by_replay(first, NEW, second[0].received - HOUR)
    asked = ["backfill", "--source", "journal", "--site", "another"]
    assert CliRunner().invoke(build(["backfill", "sql"]), asked).exit_code == 1


def test_killed_before_its_last_step_and_run_again_by_hand(
    db: Database, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are written then, and only the panes where old and new meet are not."""
    first, second = day_and_after()
    live(db, first + second)
    journal(home, first + second)
    # Begun before, and answered after, in a time that only the new threshold calls too long.
    until = db.value(
        "SELECT max(intDiv(toUnixTimestamp64Milli(outcome_at), 10000) * 10000 AS pane) "
        "FROM visits FINAL WHERE outcome = 'answered' "
        "AND dateDiff('ms', queued_at, outcome_at) BETWEEN 7001 AND 20000 "
        f"AND pane > toUnixTimestamp64Milli(queued_at) AND pane < {second[0].received}"
    )

    def killed(comparing: Comparing) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Comparing, "leave_to_records", killed)
        asked = ["backfill", "--source", "journal", "--until", str(until)]
        assert CliRunner().invoke(build(["backfill", "sql"]), [*asked, "--yes"]).exit_code != 0
    assert differences(db) > 0
    again = CliRunner().invoke(build(["backfill", "sql"]), asked, input="y\n")
    assert again.exit_code == 0, again.output
    assert "where old and new meet" in again.output
    assert differences(db) == 0
