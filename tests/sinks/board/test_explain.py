"""Figures explained over HTTP: the engine's parts, for programs and for people."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from pipeline.simulate.options import HOUR, Options, Scenario
from pipeline.simulate.stream import Simulation
from schemas.config import Config
from schemas.events import read_event
from schemas.settings import parse_site
from sinks.board.explain import AT_ONCE, MAX_ASKING, AskError, Explained, read
from sinks.board.explain_page import headline, render
from sinks.board.runbooks import Runbooks
from sinks.board.server import create_app
from sinks.clickhouse.writer import HttpStore, Unavailable
from tests.sinks.board.centre import bank
from tests.sinks.board.guards import Only
from tests.sinks.board.test_server import Board, serving
from tests.sinks.clickhouse.engine_rows import EngineRows, in_frames, write_frames
from tests.sinks.clickhouse.store import Database, Server, database, running
from tests.sinks.clickhouse.test_explain import by_engine, replayed

SETTINGS = {
    "site": "sim",
    "name": "Simulated <site>",
    "time_zone": "Europe/Berlin",
    "defaults": {"formula": "sl_event_negative", "targets": {"service_level": 0.8}},
}
HTML = {"Accept": "text/html,application/xhtml+xml"}
JSON = {"Accept": "application/json"}


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    options = Options(agents=20, queues=3, duration_ms=HOUR, scenario=Scenario.BURST, seed=3)
    return [read_event(record.payload) for record in Simulation(options).records()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("explain")) as server:
        yield server


@pytest.fixture(scope="module")
def filled(store: Server, events: list[dict[str, Any]]) -> Iterator[Database]:
    with database(store) as db:
        write_frames(db, EngineRows(parse_site(SETTINGS, "test")), in_frames(events, 100))
        yield db


@asynccontextmanager
async def explaining(
    config: Config, at: int, hidden: str = "none"
) -> AsyncIterator[aiohttp.ClientSession]:
    """A board of site `sim` and another, asked as somebody who may not see `hidden`."""
    board = Board()

    guard = Only(*{"sim", "bank"} - {hidden})
    board.app = create_app(board.hub, lambda: True, guard, config)
    centre = bank()
    centre.site = "sim"
    board.feed(centre, bank(), at=at)
    async with serving(board) as session:
        yield session


def moment(events: list[dict[str, Any]], share: float) -> int:
    first, last = events[0]["ts"], events[-1]["ts"]
    return int(first + (last - first) * share)


async def ask(session: aiohttp.ClientSession, **given: Any) -> tuple[int, dict[str, Any]]:
    params = {name: str(value) for name, value in given.items()}
    async with session.get("/explain", params=params, headers=JSON) as response:
        return response.status, await response.json()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("share", [0.4, 0.85])
async def test_the_parts_are_those_of_the_board_at_that_time(
    filled: Database, events: list[dict[str, Any]], share: float
) -> None:
    at, told = moment(events, share), parse_site(SETTINGS, "test")
    expected = by_engine(replayed(events, at, told), told, ("15m",))
    async with explaining(filled.config(), events[-1]["ts"]) as session:
        seen = 0
        for key, parts in expected.items():
            if key[0] == "team":
                _, team, window = key
                given = {"site": "sim", "kpi": "occupancy", "window": window, "at": at}
                _, busy = await ask(session, **given, team=team or "")
                assert (busy["numerator"], busy["denominator"]) == parts, key
                continue
            if key[2] in ("longest", "waiting", "declined"):
                continue
            queue, channel, kpi, window = key
            status, found = await ask(
                session, site="sim", kpi=kpi, queue=queue, channel=channel, window=window, at=at
            )
            assert status == 200, found
            assert (found["numerator"], found["denominator"]) == parts, key
            assert (
                found["contacts_total"] == len(found["contacts"]) or len(found["contacts"]) == 500
            )
            seen += 1
        assert seen > 6
        view = replayed(events, at, told)
        now = view["all"]["queues"]["now"]
        status, waits = await ask(session, site="sim", kpi="waiting", at=at)
        assert (waits["numerator"], waits["denominator"]) == (now["waiting"], None)
        _, longest = await ask(session, site="sim", kpi="longest_wait", at=at)
        assert longest["value"] == now["longest_wait_ms"]
        assert longest["numerator"] == now["waiting_past_threshold"]
        assert longest["denominator"] == now["waiting"]
        times = view["all"]["windows"]["15m"]
        _, busy = await ask(session, site="sim", kpi="occupancy", window="15m", at=at)
        assert busy["denominator"] - busy["numerator"] == times["available_ms"]
        assert busy["value"] == times["occupancy"]
        counters = view["all"]["queues"]["windows"]["15m"]
        _, rings = await ask(session, site="sim", kpi="declined", window="15m", at=at)
        assert rings["numerator"] == counters["declined"]
        assert rings["denominator"] == counters["declined"] + counters["answered"]


async def test_a_person_gets_a_page_with_the_same_figure(
    filled: Database, events: list[dict[str, Any]]
) -> None:
    at = moment(events, 0.85)
    async with explaining(filled.config(), events[-1]["ts"]) as session:
        given = {"site": "sim", "kpi": "service_level", "window": "15m", "at": str(at)}
        _, found = await ask(session, **given)
        async with session.get("/explain", params=given, headers=HTML) as response:
            page, policy = await response.text(), response.headers["Content-Security-Policy"]
            assert (response.status, response.content_type) == (200, "text/html")
    assert "unsafe" not in policy
    assert not re.search(r"<script(?! src)|style=|https?://", page), "nothing inline or foreign"
    assert f"{found['numerator']:,} of {found['denominator']:,} = " in page
    assert "Service level of Simulated &lt;site&gt;, 15 minutes to " in page
    assert ", target 80&nbsp;%" in page
    assert "By sl_event_negative: met / (met + missed" in page
    assert page.count("<tr>") > found["contacts_total"]


async def test_a_site_one_may_not_see_does_not_exist(
    filled: Database, events: list[dict[str, Any]]
) -> None:
    async with explaining(filled.config(), events[-1]["ts"], hidden="sim") as session:
        hidden = await ask(session, site="sim", kpi="asa")
        unknown = await ask(session, site="nowhere", kpi="asa")
    assert hidden == (404, {"error": "no site 'sim'"})
    assert unknown == (404, {"error": "no site 'nowhere'"})


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"kpi": "service_levle"}, 400, "did you mean service_level?"),
        ({"kpi": "asa", "window": "10m"}, 400, "5m, 15m, 30m, 60m, today, total"),
        ({"kpi": "asa", "channel": "voyce"}, 400, "did you mean voice?"),
        ({"kpi": "asa", "at": "noon"}, 400, "at: 'noon' is neither"),
        ({"kpi": "asa", "at": "2150-01-01T00:00:00Z"}, 400, "lies ahead"),
        ({"kpi": "asa", "format": "jsno"}, 400, "did you mean json?"),
        ({"kpi": "asa", "quue": "x"}, 400, "quue is no parameter; did you mean queue?"),
        ({"kpi": "asa", "team": "red"}, 400, "use queue and channel"),
        ({"kpi": "occupancy", "queue": "q"}, 400, "use team"),
        ({}, 400, "kpi is missing"),
        ({"kpi": "asa", "queue": "x' OR {y:String} \\"}, 404, "no queue"),
        ({"kpi": "occupancy", "team": "nobody"}, 404, "no team 'nobody'"),
    ],
)
async def test_what_cannot_be_asked_is_said_with_the_right_words(
    filled: Database, events: list[dict[str, Any]], given: dict[str, str], status: int, words: str
) -> None:
    async with explaining(filled.config(), events[-1]["ts"]) as session:
        found, answer = await ask(session, site="sim", **given)
        assert (found, words in answer["error"]) == (status, True), answer
        async with session.get("/explain", params=given, headers=HTML) as response:
            assert response.content_type == "text/html"


async def test_while_the_store_is_away_the_board_says_so_and_goes_on(
    events: list[dict[str, Any]],
) -> None:
    away = Config(clickhouse_url="http://127.0.0.1:9", clickhouse_user="writer")
    async with explaining(away, events[-1]["ts"]) as session:
        params = {"site": "sim", "kpi": "asa"}
        async with session.get("/explain", params=params, headers=HTML) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "5")
            assert "The store does not answer" in await response.text()
        async with session.get("/api/board?site=sim") as response:
            assert response.status == 200


async def test_a_crowd_of_viewers_leaves_room_in_the_queue_of_the_store(
    events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    full, go = asyncio.Event(), asyncio.Event()
    running: list[int] = []
    most = 0

    async def check(_self: HttpStore, _sql: str, told: dict[str, Any]) -> list[list[object]]:
        nonlocal most
        running.append(told["max_execution_time"])
        most = max(most, len(running))
        await go.wait()
        running.pop()
        raise Unavailable("Code: 60. server db-1.internal has no table secret")

    monkeypatch.setattr(HttpStore, "check", check)
    refused: list[str] = []
    async with explaining(Config(clickhouse_user="writer"), events[-1]["ts"]) as session:

        async def one() -> str:
            async with session.get("/explain?site=sim&kpi=asa", headers=JSON) as response:
                assert (response.status, response.headers["Retry-After"]) == (503, "5")
                error = (await response.json())["error"]
            if "Too many" in error:
                refused.append(error)
                if len(refused) == 5:
                    full.set()
            return str(error)

        asking = [asyncio.create_task(one()) for _ in range(MAX_ASKING + 5)]
        async with asyncio.timeout(180):
            await full.wait()
        async with session.get("/api/board?site=sim") as response:
            assert response.status == 200
        go.set()
        answers = await asyncio.gather(*asking)
    assert most == AT_ONCE
    assert len(refused) == 5
    assert not any("secret" in answer or "internal" in answer for answer in answers)


async def test_a_board_that_knows_nothing_yet_says_so() -> None:
    board = Board()
    board.app = create_app(board.hub, lambda: False, config=Config())
    async with serving(board) as session:
        status, answer = await ask(session, site="sim", kpi="asa")
    assert (status, "does not know its sites yet" in answer["error"]) == (503, True)


HOSTILE = (
    *("<img src=x onerror=alert(1)>", '"><script>alert(1)</script>', "it's", "back\\slash"),
    *("a -- b", "/* c", "{y:String}", "{db}", "%s", "a&b=c#d", "; DROP TABLE visits", "\u2028"),
    *("line\nbreak", "😀", "FORMAT CSV", "\\x7B"),
)


async def test_names_of_events_are_neither_markup_nor_statements(store: Server) -> None:
    ts = 1_767_607_200_000
    told: list[dict[str, Any]] = []
    for name in HOSTILE:
        about = {"site": "sim", "ts": ts, "contact": name}
        queued = {"queue": name, "channel": "voice", "direction": "inbound"}
        told.append(about | queued | {"type": "contact.queued"})
        told.append(about | {"type": "contact.answered", "ts": ts + 1_000, "agent": name})
    told.sort(key=lambda event: event["ts"])
    with database(store) as db:
        engine = EngineRows(parse_site(SETTINGS, "test"))
        await asyncio.to_thread(write_frames, db, engine, [told])
        async with explaining(db.config(), ts + 1_000) as session:
            for name in HOSTILE:
                status, found = await ask(session, site="sim", kpi="asa", queue=name)
                assert (status, found["numerator"], found["denominator"]) == (200, 1_000, 1), name
                (row,) = found["contacts"]
                assert (row["contact"], row["queue"], row["agent"]) == (name, name, name)
            params = {"site": "sim", "kpi": "asa"}
            async with session.get("/explain", params=params, headers=HTML) as response:
                page = await response.text()
            for name in HOSTILE:
                params = {"site": name, "kpi": "asa"}
                async with session.get("/explain", params=params, headers=HTML) as response:
                    assert response.status == 404
                    page += await response.text()
    assert html.escape(HOSTILE[0]) in page
    assert "<img" not in page
    assert not re.search(r"<script(?! src)", page)


async def test_a_moment_the_store_has_not_reached_is_waited_for_and_then_said(
    filled: Database, events: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.board.explain.PATIENCE_S", 0.5)
    last = events[-1]["ts"]
    async with explaining(filled.config(), last + 100_000) as session:
        status, answer = await ask(session, site="sim", kpi="asa", at=last + 90_000)
    assert status == 503
    assert "has not come as far" in answer["error"]


async def test_the_reader_of_the_store_is_enough(store: Server) -> None:
    with database(store, "callboard") as db:
        event: dict[str, Any] = {"type": "contact.queued", "site": "sim", "ts": 1_767_607_200_000}
        event |= {"contact": "c'1", "queue": "it's", "channel": "voice", "direction": "inbound"}
        engine = EngineRows(parse_site(SETTINGS, "test"))
        await asyncio.to_thread(write_frames, db, engine, [[event]])
        config = db.config().model_copy(update={"analyst_password": "read"})
        async with explaining(config, event["ts"]) as session:
            status, found = await ask(session, site="sim", kpi="waiting", queue="it's")
    assert (status, found["numerator"], found["contacts"][0]["contact"]) == (200, 1, "c'1")


def answer(value: float, target: Any, **more: Any) -> Explained:
    asked = read({"site": "s", "kpi": "service_level", "window": "15m"} | more)
    return Explained(asked, 0, 0, 0, parse_site({"site": "s"}, "t"), 31, 52, value, target,
                     "abandons_negative", 0)  # fmt: skip


def test_a_figure_that_misses_its_target_is_never_rounded_into_it() -> None:
    assert headline(answer(31 / 52, 0.8)) == (
        "Service level of s, 15 minutes to 00:00:00: 31 of 52 = 59.6 %, target 80 %"
    )
    assert "= 79.9 %" in headline(answer(0.79999, 0.8))
    assert "Off target" in render(answer(0.79999, 0.8))
    assert "On target" in render(answer(0.8, 0.8))


def test_a_question_needs_its_words() -> None:
    with pytest.raises(AskError, match="site is missing"):
        read({"kpi": "asa"})
    assert read({"site": "s", "kpi": "asa", "at": "7"}).at == 7


# --- runbooks --------------------------------------------------------------------------------


@asynccontextmanager
async def runbooks(folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    board = Board()
    board.app = web.Application()
    board.app.add_routes(Runbooks(folder).routes())
    async with serving(board) as session:
        yield session


async def test_runbooks_are_pages(tmp_path: Path) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "secret.md").write_text("secret")
    text = "# Late\n\n## Meaning\n\n| a | b |\n|---|---|\n| 1 | <script>x</script> |\n"
    text += "\nSee [how](../operations.md) and [that](CallboardLate.md).\n"
    (tmp_path / "runbooks" / "CallboardLate.md").write_text(text)
    async with runbooks(tmp_path / "runbooks") as session:
        async with session.get("/runbooks/CallboardLate") as response:
            page = await response.text()
            assert response.status == 200
        assert "<h1>Late</h1>" in page
        assert "<table>" in page
        assert "<script>x" not in page
        assert "<a>how</a> and " in page, "the board serves no other pages of the documents"
        assert '<a href="CallboardLate.md">that</a>' in page
        async with session.get("/runbooks") as response:
            assert 'href="runbooks/CallboardLate"' in await response.text()
        async with session.get("/runbooks/Nothing") as response:
            (link,) = re.findall(r"href='([^']+)'|href=\"([^\"]*runbooks)\"", await response.text())
            async with session.get(response.url.join(URL("".join(link)))) as listed:
                assert listed.status == 200
        for name in ("Nothing", "..%2Fsecret", "%2e%2e%2fsecret.md", "..", "secret"):
            async with session.get(f"/runbooks/{name}") as response:
                assert response.status == 404, name
                assert "secret</p>" not in await response.text()
