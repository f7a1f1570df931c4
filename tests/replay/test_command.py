"""`callboard replay` as a user runs it: moments, errors, tables and pipes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources import bank1999
from schemas.moments import parse_moment
from tests.replay.command import boards, run

JANUARY, FEBRUARY = bank1999.MONTHS
CLOCK = b'{"type":"clock","site":"s","ts":5000}\n'


def queues(board: dict[str, Any], window: str) -> dict[str, Any]:
    found: dict[str, Any] = board["all"]["queues"]["windows"][window]
    return found


def settings(folder: Path, text: str) -> Path:
    path = folder / "site.yml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def seventh_of_february(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of one day, so that a test need not replay a month."""
    header, *rows = gzip.decompress(FEBRUARY.read_bytes()).splitlines(keepends=True)
    path = tmp_path_factory.mktemp("bank") / "990207.txt"
    path.write_bytes(header + b"".join(row for row in rows if row.split(b"\t")[5] == b"990207"))
    return path


def test_without_a_moment_it_is_the_last_event() -> None:
    lines = CLOCK + b'{"type":"clock","site":"s","ts":4000}\n'
    [board] = boards("-", stdin=lines)
    assert (board["site"], board["at"]) == ("s", 5000)


def test_moments_are_answered_in_the_order_given() -> None:
    ats = ["--at", "7000", "--at", "1970-01-01T00:00:01.5Z", "--at", "7000"]
    assert [board["at"] for board in boards("-", *ats, stdin=CLOCK)] == [7000, 1500, 7000]


def test_a_board_has_the_keys_of_the_contract() -> None:
    queued = b'{"type":"contact.queued","site":"s","ts":1,"contact":"c","queue":"q"}\n'
    state = b'{"type":"agent.state","site":"s","ts":1,"agent":"a","state":"busy"}\n'
    [board] = boards("-", stdin=queued + state)
    assert board.keys() >= {"queues", "teams", "all", "late", "inconsistent", "dead_lettered"}
    entry = board["queues"]["q"]["voice"]
    assert entry["now"].keys() >= {"waiting", "longest_wait_ms", "in_service"}
    windows = {"5m", "15m", "30m", "60m", "today", "total"}
    for windowed in (entry, board["teams"][""], board["all"], board["all"]["queues"]):
        assert windowed["windows"].keys() == windows
    assert board["teams"][""]["agents"] == {"busy": 1}


def test_malformed_lines_are_named_counted_and_do_not_stop_the_run(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_bytes(b'{"type":"clock","site":"s","ts":"1"}\n' + b"\n" + b"x\n" * 25 + CLOCK)
    done = run(file, "--json", "--at", "0", "--at", "9000")
    assert done.returncode == 0
    assert [json.loads(line)["dead_lettered"] for line in done.stdout.splitlines()] == [26, 26]
    told = done.stderr.decode().splitlines()
    assert told[0] == f"{file}:1: ts: should be a valid integer, not '1'"
    assert told[1].startswith(f"{file}:3: payload: not JSON: ")
    assert told[20:] == [f"{file}: 6 more lines cannot be read"]


def test_a_broken_row_of_the_bank_is_named_and_counted(tmp_path: Path) -> None:
    rows = gzip.decompress(JANUARY.read_bytes()).splitlines(keepends=True)[:200]
    rows[10] = rows[10].replace(b"990101", b"991301")
    file = tmp_path / "january.txt"
    file.write_bytes(b"".join(rows))
    done = run(file, "--format", "bank-1999", "--json")
    assert json.loads(done.stdout)["dead_lettered"] == 1
    assert done.stderr.decode() == f"{file}:11: date: '991301' is no date YYMMDD\n"


def test_events_of_another_site_are_skipped_unread(tmp_path: Path) -> None:
    site = settings(tmp_path, "site: s\n")
    other = b'{"type":"clock","site":"t","ts":99999}\n{"type":"nonsense","site":"t"}\n'
    [board] = boards("-", "--settings", site, stdin=other + CLOCK)
    assert (board["site"], board["at"], board["dead_lettered"]) == ("s", 5000, 0)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"nonsense\n", CLOCK.replace(b'"s"', b'"t"')])
@pytest.mark.parametrize("ats", [[], ["--at", "5000"]], ids=["last", "at"])
def test_a_file_without_any_readable_event_prints_nothing_and_fails(
    tmp_path: Path, content: bytes, ats: list[str]
) -> None:
    site = settings(tmp_path, "site: s\n")
    done = run("-", "--settings", site, "--json", *ats, stdin=content)
    assert done.returncode != 0
    assert done.stdout == b""
    assert b"no readable event of site s" in done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["absent.ndjson"], "absent.ndjson: No such file or directory"),
        (["-", "--at", "noon"], "'noon' is neither epoch milliseconds nor ISO time"),
        (["-", "--at", "1999-01-01T00:00:00"], "names no zone"),
        (["-", "--settings", "absent.yml"], "absent.yml: cannot be read"),
        (["-", "--format", "bank-2000"], "'bank-2000' is not one of canonical, bank-1999"),
        (["-", "--window", "5h"], "'5h' is not one of 5m, 15m, 30m, 60m, today, total"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_without_a_traceback(
    args: list[str], message: str
) -> None:
    done = run(*args, "--json", stdin=CLOCK)
    assert done.returncode != 0
    assert done.stdout == b""
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_wrong_settings_are_refused_with_file_and_key(tmp_path: Path) -> None:
    site = settings(tmp_path, "site: s\ndefaults:\n  treshold_ms: 1\n")
    done = run("-", "--settings", site, stdin=CLOCK)
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"{site}:3: defaults.treshold_ms: unknown key; did you mean threshold_ms?\n"
    )


def test_the_table_reads_as_the_board_does(seventh_of_february: Path) -> None:
    moment = "1999-02-07T15:30:00+02:00"
    done = run(seventh_of_february, "--format", "bank-1999", "--at", moment, "--window", "30m")
    text = done.stdout.decode()
    assert done.returncode == 0
    assert "bank  1999-02-07T15:30:00.000+02:00" in text
    assert "Queues, last 30m" in text
    [board] = boards(seventh_of_february, "--format", "bank-1999", "--at", parse_moment(moment))
    c = queues(board, "30m")
    [line] = [line for line in text.splitlines() if line.strip().startswith("all")][:1]
    assert line.split()[1:7] == [
        "5",
        "0:52",
        str(board["all"]["queues"]["now"]["in_service"]),
        str(c["offered"]),
        str(c["answered"]),
        str(c["abandoned"]),
    ]
    assert f"{c['service_level'] * 100:.1f} %" in line
