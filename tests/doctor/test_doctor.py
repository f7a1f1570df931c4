"""Each check of the doctor on real parts: as they should be, and broken."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from pipeline.cli.doctor import _table
from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, State, failed, seconds
from pipeline.doctor.pages import PageError, named_pages, pages_of
from pipeline.doctor.run import GROUPS, examine
from pipeline.topics import ensure_topics, look_at_topics
from schemas.brokers import Brokers
from schemas.clock import Clock
from schemas.config import Config
from schemas.frames import Frame, encode_frame
from schemas.topics import CHANGELOGS, FRAMES, TOPICS
from service.operator_page import OperatorPage
from service.operator_routes import operator_routes
from tests.ingest.broker import Broker, running_broker
from tests.ports import free_port
from tests.sinks.clickhouse.store import Server, database, record, running

PARTITIONS = 2
Of = dict[str, Finding]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("store")) as started:
        yield started


async def found(
    config: Config, group: str, pages: dict[str, str] | None = None, **environ: str
) -> Of:
    """The findings of one group, by name."""
    every = {**pages_of(config), **(pages or {})}
    async with Around(config, environ, every, frozenset(pages or ())) as around:
        [(name, findings)] = [one async for one in examine(around, [group])]
    assert name == group
    return {finding.name: finding for finding in findings}


def states(of: Of) -> set[State]:
    return {finding.state for finding in of.values()}


# --- configuration, machine, settings -----------------------------------------------------------


async def test_a_configuration_as_it_should_be(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("t0ken\n")
    of = await found(
        Config(), "configuration", CALLBOARD_DOOR_TOKEN_FILE=str(secret), CALLBOARD_EPOCH="1"
    )
    assert states(of) == {State.OK}
    assert of["secrets"].told == "1 in files"


async def test_what_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "clock.json").write_text("no clock")
    config = Config(door_host="0.0.0.0", clock_file=str(tmp_path / "clock.json"))
    of = await found(
        config,
        "configuration",
        CALLBOARD_DOOR_TOKN="t",
        CALLBOARD_CUSTOMER_KEY_FILE=str(tmp_path / "empty"),
        CALLBOARD_GRAFANA_TOKEN_FILE=str(tmp_path / "none"),
    )
    assert of["variables"].state is State.WARNING
    assert "did you mean CALLBOARD_DOOR_TOKEN?" in of["variables"].told
    assert of["clock file"].state is State.FAILED
    assert of["contradictions"].state is State.WARNING


async def test_secrets_that_cannot_be_read_or_are_empty(tmp_path: Path) -> None:
    async def told(path: Path) -> list[Finding]:
        environ = {"CALLBOARD_DOOR_TOKEN_FILE": str(path)}
        async with Around(Config(), environ, {}) as around:
            [(_, findings)] = [one async for one in examine(around, ["configuration"])]
        return [f for f in findings if f.name == "secrets" and f.state is not State.OK]

    (tmp_path / "empty").write_text("")
    assert [f.state for f in await told(tmp_path / "none")] == [State.FAILED]
    assert [f.state for f in await told(tmp_path / "empty")] == [State.WARNING]


async def test_disks_and_libraries_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = Config(journal=True, alone=True, data_dir=tmp_path)
    of = await found(config, "machine", CALLBOARD_ENGINE="python")
    assert of["Python"].state is State.OK
    assert of["engine"].state is State.OK
    assert "GB free of" in of["disk"].told
    lock = tmp_path / "requirements.lock"
    lock.write_text("aiohttp==0.0.1 \\\n    --hash=sha256:1\norjson==0.0.2\n")
    monkeypatch.setattr("pipeline.doctor.machine.LOCK", lock)
    monkeypatch.setattr("pipeline.doctor.machine.LOW_BYTES", 2**62)
    of = await found(config, "machine")
    assert of["libraries"].state is State.WARNING
    assert "(lock 0.0.1)" in of["libraries"].told
    assert of["disk"].state is State.WARNING
    monkeypatch.setattr("pipeline.doctor.machine.NO_BYTES", 2**62)
    assert (await found(config, "machine"))["disk"].state is State.FAILED
    gone = config.model_copy(update={"data_dir": tmp_path / "gone"})
    assert (await found(gone, "machine"))["disk"].state is State.FAILED


async def test_settings_files(tmp_path: Path) -> None:
    config = Config(settings_dir=tmp_path)
    assert (await found(config, "settings"))["folder"].state is State.FAILED
    (tmp_path / "north.yml").write_text("site: north\nqueues: {sales: {name: Sales}}\n")
    assert states(await found(config, "settings")) == {State.OK}
    (tmp_path / "south.yml").write_text("site: south\ntime_zon: UTC\n")
    (tmp_path / "twice.yml").write_text("site: north\n")
    of = await found(config, "settings")
    assert of["north.yml"].state is State.OK
    assert of["south.yml"].state is State.FAILED
    assert "time_zone" in of["south.yml"].told
    assert of["twice.yml"].told == "site north stands in north.yml already"
    none = config.model_copy(update={"settings_dir": tmp_path / "none"})
    assert (await found(none, "settings"))["folder"].state is State.FAILED


# --- broker and topics --------------------------------------------------------------------------


async def test_a_broker_that_is_there_and_one_that_is_not(broker: Broker) -> None:
    assert states(await found(Config(bootstrap=broker.address), "broker")) == {State.OK}
    away = Config(bootstrap=f"127.0.0.1:{free_port()}")
    of = await found(away, "broker")
    assert of["brokers"].state is State.FAILED
    assert "CALLBOARD_BOOTSTRAP" in of["brokers"].todo
    of = await found(away, "topics")
    assert of["topics"].state is State.UNKNOWN


async def test_a_broker_that_listens_and_says_nothing(tmp_path: Path) -> None:
    with running_broker(tmp_path) as silent:
        silent.pause()
        of = await found(Config(bootstrap=silent.address), "broker")
        silent.resume()
    assert of["brokers"].state is State.FAILED


async def test_topics_that_are_missing_or_wrong(tmp_path: Path) -> None:
    with running_broker(tmp_path) as started:
        brokers = Brokers(started.address)
        config = Config(bootstrap=started.address, partitions=PARTITIONS)
        of = await found(config, "topics")
        assert set(of) == {spec.name for spec in (*TOPICS, *CHANGELOGS)}
        assert {f.todo for f in of.values()} == {"callboard topics --create"}
        admin = AIOKafkaAdminClient(**brokers.arguments())
        await admin.start()
        short = {"cleanup.policy": "compact", "retention.ms": "60000"}
        await admin.create_topics([NewTopic(FRAMES, 3, 1, topic_configs=short)])
        await admin.close()
        others = [spec for spec in (*TOPICS, *CHANGELOGS) if spec.name != FRAMES]
        await ensure_topics(brokers, PARTITIONS, others)
        [looked] = await look_at_topics(
            brokers, PARTITIONS, [s for s in TOPICS if s.name == FRAMES]
        )
        of = await found(config, "topics")
        assert set(of) == {FRAMES}
        assert of[FRAMES].state is State.FAILED
        assert len(looked.problems) >= 2


async def test_topics_as_they_should_be(broker: Broker) -> None:
    await ensure_topics(Brokers(broker.address), PARTITIONS, (*TOPICS, *CHANGELOGS))
    config = Config(bootstrap=broker.address, partitions=PARTITIONS)
    of = await found(config, "topics")
    assert of["topics"].state is State.OK


# --- store, epoch, progress, clocks ---------------------------------------------------------------


async def test_a_store_as_it_should_be_without_tables_and_away(server: Server) -> None:
    with database(server) as db:
        of = await found(db.config(), "store")
        assert states(of) == {State.OK}
        bare = db.config().model_copy(update={"clickhouse_database": "bare"})
        of = await found(bare, "store")
        assert of["schema"].state is State.FAILED
        assert of["schema"].todo == "callboard migrate"
        wrong = db.config().model_copy(update={"clickhouse_password": "wrong"})
        of = await found(wrong, "store")
        assert of["store"].state is State.FAILED
        assert "refuses the password" in of["store"].told
    away = Config(clickhouse_url=f"http://127.0.0.1:{free_port()}")
    assert (await found(away, "store"))["store"].state is State.FAILED


async def put_frame(config: Config, epoch: int, now: int, written: int | None = None) -> int:
    """Write a frame of site s; gives its offset."""
    producer = AIOKafkaProducer(bootstrap_servers=config.bootstrap, acks="all")
    await producer.start()
    try:
        frame = Frame(site="s", epoch=epoch, now=now)
        value = encode_frame(frame)
        done = await producer.send_and_wait(
            FRAMES, value, key=b"s", partition=0, timestamp_ms=written
        )
        return int(done.offset)
    finally:
        await producer.stop()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def test_epochs_progress_and_clocks(broker: Broker, server: Server) -> None:
    await ensure_topics(Brokers(broker.address), PARTITIONS, (*TOPICS, *CHANGELOGS))
    with database(server) as db:
        update = {"bootstrap": broker.address, "partitions": PARTITIONS, "epoch": 3}
        config = db.config().model_copy(update=update)
        assert (await found(config, "epoch"))["frames"].state is State.WARNING
        assert states(await found(config, "progress")) == {State.SKIPPED}

        offset = await put_frame(config, 3, now_ms())
        assert states(await found(config, "epoch")) == {State.OK}
        assert (await found(config, "progress"))["progress"].state is State.FAILED
        row = record({}, at=now_ms(), version=3 << 40 | offset, site="s")
        await asyncio.to_thread(db.write, row)
        assert states(await found(config, "progress")) == {State.OK}

        lower = config.model_copy(update={"epoch": 2})
        of = await found(lower, "epoch")
        assert {of["frames"].state, of["store"].state} == {State.FAILED}
        assert "CALLBOARD_EPOCH to 3" in of["frames"].todo

        await put_frame(config, 3, now_ms() + 600_000)
        of = await found(config, "progress")
        assert of["progress"].state is State.FAILED
        assert "site s is 10 min behind" in of["progress"].told

        await put_frame(config, 3, now_ms())
        of = await found(config, "clocks")
        assert states(of) == {State.OK}
        assert {"ClickHouse", "frames", "site time"} <= set(of)


async def test_a_skewed_clock_file(broker: Broker, server: Server, tmp_path: Path) -> None:
    await ensure_topics(Brokers(broker.address), PARTITIONS, (*TOPICS, *CHANGELOGS))
    file = tmp_path / "clock.json"
    with database(server) as db:
        update = {
            "bootstrap": broker.address,
            "partitions": PARTITIONS,
            "clock_file": str(file),
            "alone": True,
        }
        config = db.config().model_copy(update=update)
        Clock(wall_ms=now_ms(), site_ms=now_ms() - 3_600_000).write(file)
        await put_frame(config, 1, now_ms())
        of = await found(config, "clocks")
        assert of["site time"].state is State.FAILED
        assert "60 min ahead of the clock" in of["site time"].told


async def test_a_machine_whose_clock_is_wrong(broker: Broker, server: Server) -> None:
    await ensure_topics(Brokers(broker.address), PARTITIONS, (*TOPICS, *CHANGELOGS))
    with database(server) as db:
        update = {"bootstrap": broker.address, "partitions": PARTITIONS}
        config = db.config().model_copy(update=update)
        await put_frame(config, 1, now_ms())
        behind = Around(config, {}, pages_of(config), wall=lambda: time.time() - 300)
        async with behind as around:
            [(_, findings)] = [one async for one in examine(around, ["clocks"])]
        of = {finding.name: finding for finding in findings}
        assert of["ClickHouse"].state is State.FAILED
        assert "ahead of this machine" in of["ClickHouse"].told
        assert of["ingest, by its newest frame"].state is State.FAILED
        await put_frame(config, 1, now_ms(), written=now_ms() - 120_000)
        assert (await found(config, "clocks"))["frames"].state is State.FAILED


# --- roles and watchers ---------------------------------------------------------------------------


@asynccontextmanager
async def serving(*routes: web.AbstractRouteDef) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_a_role_that_is_well_unready_stuck_down_or_another() -> None:
    stuck: list[str] = [""]
    unready: list[str] = []
    page = OperatorPage("sink", Config(epoch=1), lambda: unready, [lambda: stuck[0]])
    async with serving(*operator_routes(page)) as address:
        config = Config(epoch=1)
        assert (await found(config, "roles", {"sink": address}))["sink"].state is State.OK
        unready.append("the store takes no rows")
        of = await found(config, "roles", {"sink": address})
        assert (of["sink"].state, of["sink"].told) == (
            State.WARNING,
            "not ready: the store takes no rows",
        )
        stuck[0] = "the main loop has not turned for 40 s"
        of = await found(config, "roles", {"sink": address})
        assert of["sink"].state is State.FAILED
        assert "has not turned for 40 s" in of["sink"].told
        of = await found(config, "roles", {"worker": address})
        assert of["worker"].told == f"at {address} is the sink"
    async with serving() as other:
        of = await found(Config(), "roles", {"door": other})
        assert of["door"].told == f"at {other} is something else"
    down = f"http://127.0.0.1:{free_port()}"
    of = await found(Config(), "roles", {"door": down})
    assert of["door"].state is State.FAILED
    assert "nobody listens" in of["door"].told


async def test_roles_that_are_elsewhere_are_not_missed_and_those_of_a_stack_are() -> None:
    ports = {f"{r}_port": free_port() for r in ("door", "board", "worker", "ingest", "sink")}
    assert states(await found(Config(**ports), "roles")) == {State.SKIPPED}
    alone = Config(alone=True, **ports)
    assert states(await found(alone, "roles")) == {State.FAILED}


def _json(data: object) -> web.Response:
    return web.Response(body=orjson.dumps({"status": "success", "data": data}))


async def test_prometheus_says_what_it_scrapes_and_judges() -> None:
    up = {"labels": {"job": "callboard-sink"}, "health": "up", "scrapeUrl": "u", "lastError": ""}
    down = {**up, "health": "down", "lastError": "refused"}
    rule = {"name": "CallboardDataStale", "health": "ok", "state": "inactive"}
    told = {"targets": [up], "rules": [rule]}

    async def targets(_: web.Request) -> web.Response:
        return _json({"activeTargets": told["targets"]})

    async def rules(_: web.Request) -> web.Response:
        return _json({"groups": [{"rules": told["rules"]}]})

    routes = (web.get("/api/v1/targets", targets), web.get("/api/v1/rules", rules))
    async with serving(*routes) as address:
        none = {"alertmanager_port": free_port()}
        config = Config(**none)
        of = await found(config, "alerts", {"prometheus": address})
        assert {of["scrapes"].state, of["rules"].state} == {State.OK}
        told.update(targets=[up, down], rules=[{**rule, "health": "err", "lastError": "bad"}])
        of = await found(config, "alerts", {"prometheus": address})
        assert {of["scrapes"].state, of["rules"].state} == {State.FAILED}
        told.update(targets=[], rules=[])
        of = await found(config, "alerts", {"prometheus": address})
        assert {of["scrapes"].state, of["rules"].state} == {State.FAILED}
        contacts = config.model_copy(update={"alert_slack_url": "https://hooks.example/x"})
        of = await found(contacts, "alerts", {"prometheus": address})
        assert of["alertmanager"].state is State.WARNING


async def test_a_check_that_fails_itself_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrong(_: Around) -> list[Finding]:
        raise ZeroDivisionError

    monkeypatch.setitem(dict(GROUPS), "machine", wrong)
    monkeypatch.setattr("pipeline.doctor.run.GROUPS", {"machine": wrong, "x": GROUPS["machine"]})
    async with Around(Config(), {}, {}) as around:
        every = [one async for one in examine(around)]
    assert every[0][1][0].state is State.FAILED
    assert len(every) == 2


# --- what it says ------------------------------------------------------------------------------


def test_pages_are_named_by_role() -> None:
    assert named_pages(["worker=http://w:7090/"]) == {"worker": "http://w:7090"}
    for wrong in ("worker", "cook=http://w", "worker=w:7090"):
        with pytest.raises(PageError):
            named_pages([wrong])
    everywhere = pages_of(Config(door_host="0.0.0.0", board_host="::", page_host="::1"))
    assert everywhere["door"] == "http://127.0.0.1:7070"
    assert everywhere["board"] == "http://[::1]:7080"
    assert everywhere["sink"] == "http://[::1]:7092"


def test_what_others_wrote_does_nothing_to_the_terminal() -> None:
    from rich.console import Console

    console = Console(record=True, width=80, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(_table("topics", [failed("[red]n", "a\x1b[2J[bold]b[/bold]\nc", "do [this]")]))
    shown = console.export_text()
    assert "a\\x1b[2J[bold]b[/bold]\\nc" in shown
    assert "do [this]" in shown


def test_spans_are_told_for_people() -> None:
    told = [seconds(ms) for ms in (400, 59_000, -600_000, 86_400_000)]
    assert told == ["0.4 s", "59 s", "10 min", "24.0 h"]


async def test_the_session_is_closed() -> None:
    around = Around(Config(), {}, {})
    async with around:
        pass
    with pytest.raises(RuntimeError):
        await aiohttp.ClientSession.get(around._http, "http://127.0.0.1:1/")
