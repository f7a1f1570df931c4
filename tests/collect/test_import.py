"""Importing files: each payload reaches the door, through failures and restarts, once is enough."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import typer
from aiohttp import web
from typer.testing import CliRunner

from pipeline.cli.collect_import import import_files
from pipeline.collect import importing
from pipeline.collect.door_client import DoorClient, DoorRefused, Receipt
from pipeline.collect.importing import Done, Progress, import_file, payloads_of
from tests.collect.sources_door import SourcesDoor, open_sources_door

NAME = "feedback-csv"


def csv_file(path: Path, count: int) -> list[dict[str, str]]:
    rows = [{"kind": "survey", "contact": f"c-{n}", "ts": "2026-03-02T09:00:00Z", "csat": "4"}
            for n in range(count)]  # fmt: skip
    lines = ["kind,contact,ts,csat", *(",".join(row.values()) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return rows


async def run(file: Path, door: SourcesDoor, state: Path | None = None, name: str = NAME) -> Done:
    async with DoorClient(door.address, "", first_delay_s=0.01, source=name) as client:
        return await import_file(file, "here", payloads_of(name), client, Progress(state, name))


async def test_each_row_of_a_file_reaches_the_door_as_an_object(tmp_path: Path) -> None:
    rows = csv_file(tmp_path / "a.csv", 1_200)
    async with open_sources_door(SourcesDoor()) as door:
        done = await run(tmp_path / "a.csv", door)
    assert [orjson.loads(payload) for payload in door.taken] == rows
    assert (done.taken, done.refused, done.unreadable, door.posts) == (1_200, 0, 0, 3)
    assert door.places == {(NAME, "here")}


async def test_lines_that_are_no_payloads_are_told_by_their_numbers(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"kind,contact\nsurvey,c-1\n\xff\xff\nsurvey,c-2,,,x\nsurvey,c-3\n")
    async with open_sources_door(SourcesDoor()) as door:
        done = await run(file, door)
    assert len(door.taken) == 2
    assert (done.taken, done.unreadable) == (2, 2)
    assert [line for line, _ in done.told] == [3, 4]


async def test_what_the_door_refuses_is_told_by_the_line_of_the_file(tmp_path: Path) -> None:
    csv_file(tmp_path / "a.csv", 5)

    async def post(request: web.Request) -> web.Response:
        refused = {"line": 4, "field": "site", "reason": "leads nowhere"}
        return web.json_response({"taken": 4, "refused": [refused], "refused_count": 1})

    app = web.Application()
    app.router.add_post("/v1/sources/{source}", post)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door = SourcesDoor(port=runner.addresses[0][1])
    try:
        done = await run(tmp_path / "a.csv", door)
    finally:
        await runner.cleanup()
    assert (done.taken, done.refused, done.told) == (4, 1, [(5, "site: leads nowhere")])


async def test_a_door_that_is_away_is_waited_for(tmp_path: Path) -> None:
    csv_file(tmp_path / "a.csv", 700)
    door = SourcesDoor(answer=lambda number: "refuse" if number < 3 else "take")
    async with open_sources_door(door):
        done = await run(tmp_path / "a.csv", door)
    assert (done.taken, len(door.taken)) == (700, 700)


async def test_a_run_that_is_broken_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """The door takes the second batch, and its answer is lost with the run."""
    rows = csv_file(tmp_path / "a.csv", 1_400)
    state = tmp_path / "state" / "s.json"
    lost = asyncio.Event()

    def answer(number: int) -> str:
        if number == 1:
            lost.set()
            return "lose"
        return "take"

    door = SourcesDoor(answer=answer)
    async with open_sources_door(door):
        task = asyncio.create_task(run(tmp_path / "a.csv", door, state))
        await lost.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert orjson.loads(state.read_bytes())["files"].popitem()[1]["payloads"] == 500
        done = await run(tmp_path / "a.csv", door, state)
        assert (done.earlier, done.taken) == (500, 900)
        got = {orjson.loads(payload)["contact"] for payload in door.taken}
        assert got == {row["contact"] for row in rows}
        posts = door.posts
        assert (await run(tmp_path / "a.csv", door, state)).earlier == 1_400
        assert door.posts == posts


async def test_a_file_that_grew_goes_on_and_one_that_was_replaced_begins_anew(
    tmp_path: Path,
) -> None:
    file, state = tmp_path / "a.csv", tmp_path / "s.json"
    csv_file(file, 10)
    async with open_sources_door(SourcesDoor()) as door:
        await run(file, door, state)
        csv_file(file, 15)
        grown = await run(file, door, state)
        file.write_text("kind,contact,ts,nps\nsurvey,c-1,2026-03-02T09:00:00Z,9\n")
        replaced = await run(file, door, state)
    assert (grown.earlier, grown.taken) == (10, 5)
    assert (replaced.earlier, replaced.taken) == (0, 1)


async def test_rows_that_were_corrected_far_behind_the_beginning_are_sent(tmp_path: Path) -> None:
    file, state = tmp_path / "a.csv", tmp_path / "s.json"
    csv_file(file, 4_000)
    async with open_sources_door(SourcesDoor()) as door:
        await run(file, door, state)
        old = b"c-3500,2026-03-02T09:00:00Z,4"
        file.write_bytes(file.read_bytes().replace(old, old[:-1] + b"1"))
        corrected = await run(file, door, state)
        csv_file(file, 3_000)
        shorter = await run(file, door, state)
    assert (corrected.earlier, corrected.taken) == (0, 4_000)
    assert (shorter.earlier, shorter.taken) == (0, 3_000)


async def test_the_last_row_of_a_file_that_is_still_written_comes_whole_in_the_end(
    tmp_path: Path,
) -> None:
    file, state = tmp_path / "a.csv", tmp_path / "s.json"
    csv_file(file, 3)
    whole = file.read_bytes()
    file.write_bytes(whole.removesuffix(b"02T09:00:00Z,4\n"))
    async with open_sources_door(SourcesDoor()) as door:
        await run(file, door, state)
        file.write_bytes(whole)
        grown = await run(file, door, state)
    assert (grown.earlier, grown.taken) == (2, 1)
    last = {"kind": "survey", "contact": "c-2", "ts": "2026-03-02T09:00:00Z", "csat": "4"}
    assert orjson.loads(door.taken[-1]) == last


def test_the_state_of_many_files_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "MOST_FILES", 3)
    progress = Progress(tmp_path / "s.json", "here")
    for number in range(9):
        progress.save(tmp_path / str(number), importing.Safe(1, "x"))
    again = Progress(tmp_path / "s.json", "here")
    found = [again.of(tmp_path / str(number)) is not None for number in range(9)]
    assert found == [False] * 6 + [True] * 3


@pytest.mark.parametrize("content", [b"", b"[]", b'{"about":"other"}', b'{"about":"x","files":3}'])
async def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    csv_file(tmp_path / "a.csv", 3)
    state = tmp_path / "s.json"
    state.write_bytes(content)
    async with open_sources_door(SourcesDoor()) as door:
        assert (await run(tmp_path / "a.csv", door, state)).taken == 3


async def test_a_compressed_capture_of_any_platform(tmp_path: Path) -> None:
    lines = [orjson.dumps({"eventType": "Ticket_Add", "n": n}) for n in range(4)]
    file = tmp_path / "zoho.ndjson.gz"
    file.write_bytes(gzip.compress(b"\n".join(lines)))
    async with open_sources_door(SourcesDoor()) as door:
        done = await run(file, door, name="zoho")
    assert (door.taken, done.taken) == (lines, 4)


async def test_a_wrong_token_ends_the_import(tmp_path: Path) -> None:
    csv_file(tmp_path / "a.csv", 3)

    async def post(request: web.Request) -> web.Response:
        return web.Response(status=401, text="no")

    app = web.Application()
    app.router.add_post("/v1/sources/{source}", post)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        with pytest.raises(DoorRefused, match="token"):
            await run(tmp_path / "a.csv", SourcesDoor(port=runner.addresses[0][1]))
    finally:
        await runner.cleanup()


async def test_a_batch_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "MAX_BYTES", 1_000)
    csv_file(tmp_path / "a.csv", 100)
    async with open_sources_door(SourcesDoor()) as door:
        await run(tmp_path / "a.csv", door)
    assert len(door.taken) == 100
    assert door.posts >= 7


def test_receipts_of_a_feeder_that_never_ends_stay_small() -> None:
    total = Receipt()
    for _ in range(300):
        total.add(Receipt(1, 1, [(1, "no")]), after=7)
    assert (total.refused, len(total.told), total.told[0]) == (300, 100, (8, "no"))


@contextmanager
def served(door: SourcesDoor) -> Iterator[None]:
    """The door in a thread of its own: the command runs a loop itself."""
    ready: Future[asyncio.Event] = Future()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        over = asyncio.Event()
        async with open_sources_door(door):
            ready.set_result(over)
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    over = ready.result(30)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(30)
        loop.close()


def test_the_command_says_what_went_in_and_ends_with_1_if_a_file_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_DATA_DIR", str(tmp_path / "data"))
    app = typer.Typer()
    app.command("import")(import_files)
    csv_file(tmp_path / "a.csv", 3)
    door = SourcesDoor()
    with served(door):
        common = ["--format", NAME, "--site", "here", "--to", door.address]
        first = CliRunner().invoke(app, [str(tmp_path / "a.csv"), *common])
        second = CliRunner().invoke(
            app, [str(tmp_path / "a.csv"), str(tmp_path / "none.csv"), *common]
        )
        again = CliRunner().invoke(app, [str(tmp_path / "a.csv"), *common, "--again"])
        (tmp_path / "wide.csv").write_bytes("kind,contact\n".encode("utf-16"))
        wide = CliRunner().invoke(app, [str(tmp_path / "wide.csv"), *common])
    assert (first.exit_code, "3 taken, 0 refused, 0 unreadable" in first.output) == (0, True)
    assert second.exit_code == 1
    assert "3 were in already" in second.output
    assert "No such file" in second.output
    assert (again.exit_code, len(door.taken)) == (0, 6)
    assert (wide.exit_code, "is UTF-16" in wide.output) == (1, True)
    wrong = CliRunner().invoke(app, ["x", "--format", "five", "--site", "here"])
    assert wrong.exit_code == 2
