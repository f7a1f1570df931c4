"""Frames, live records, topics, configuration and clock: what processes hand to each other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import topics
from schemas.clock import Clock, ClockError
from schemas.config import Config, ConfigError, misspelt_variables
from schemas.events import validate_event
from schemas.frames import Frame, FrameError, decode_frame, encode_frame
from schemas.live import (
    KINDS,
    LiveError,
    LiveParts,
    LiveRecord,
    assemble,
    decode_live,
    encode_live,
    live_record,
    part_of,
    pieces,
    record_key,
)
from schemas.settings import SiteSettings, parse_site

HELD = validate_event({"type": "contact.held", "site": "s", "ts": 5, "contact": "c", "agent": "a"})


@pytest.mark.parametrize(
    "frame",
    [
        Frame("s", 3, 1000),
        Frame("sé", 0, -1, (4, 10, 12), dead=[11], events=[HELD, HELD], offsets=[10, 12]),
        Frame("s", 1, 2, (0, 7, 7), events=[HELD], offsets=[7], journal=0),
        Frame("s", 1, 2, settings=SiteSettings(site="s").dump()),
    ],
)
def test_a_frame_survives_the_topic(frame: Frame) -> None:
    assert decode_frame(encode_frame(frame)) == frame


def test_a_frame_is_the_object_of_the_contract() -> None:
    frame = Frame("s", 2, 9, (0, 1, 2), dead=[2], events=[HELD], offsets=[1])
    assert orjson.loads(encode_frame(frame)) == {
        "v": 1,
        "site": "s",
        "epoch": 2,
        "now": 9,
        "raw": [0, 1, 2],
        "dead": [2],
        "events": [HELD],
        "offsets": [1],
    }


def test_the_settings_of_a_frame_read_back() -> None:
    settings = SiteSettings(site="s", pane_ms=5000)
    frame = decode_frame(encode_frame(Frame("s", 0, 1, settings=settings.dump())))
    assert frame.settings is not None
    assert parse_site(frame.settings, "frame") == settings


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"x"',
        b"{}",
        b'{"v":2,"site":"s","epoch":0,"now":1,"raw":null,"dead":[],"events":[],"offsets":[]}',
        b'{"v":1,"site":"s","epoch":0,"now":1,"raw":[1],"dead":[],"events":[],"offsets":[]}',
        b'{"v":1,"site":"s","epoch":0,"now":1,"raw":null,"dead":[],"events":[{}],"offsets":[]}',
    ],
)
def test_what_is_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        decode_frame(payload)


def record(kind: str, data: dict[str, Any], *, offset: int = 1, **other: Any) -> LiveRecord:
    part, epoch = other.get("part", "0"), other.get("epoch", 1)
    return live_record("s", (epoch, offset), other.get("at", 1000), kind, part, data)


TOTALS = {"all": {"agents": {}}, "late": 1, "inconsistent": 2, "dead_lettered": 3, "name": "S"}


def test_parts_of_a_site_make_the_object_of_the_contract() -> None:
    first, second = {"b": {"voice": {"x": 1}}}, {"a": {"chat": {"x": 2}}}
    board = assemble(
        [
            record("queues", first, part="3", at=2000),
            record("queues", second, part="4", at=3000),
            record("teams", {"t": {"agents": {}}}),
            record("agents", {"ann": {"state": "talk"}}),
            record("trend", {"step_ms": 60000}),
            record("totals", TOTALS, at=2500),
        ]
    )
    assert board["site"] == "s"
    assert board["at"] == 3000
    assert list(board["queues"]) == ["a", "b"]
    assert board["teams"] == {"t": {"agents": {}}}
    assert board["agents"] == {"ann": {"state": "talk"}}
    assert board["trend"] == {"step_ms": 60000}
    assert {key: board[key] for key in TOTALS} == TOTALS
    assert board["epoch"] == 1


def _trend(queues: int, start: int = 0) -> dict[str, Any]:
    series = {"offered": [999] * 60, "service_level": [2 / 3] * 60}
    named = {f"q{n:04}": {**series, "n": n} for n in range(queues)}
    return {"step_ms": 60_000, "start": start, "all": {"offered": [1]}, "queues": named}


def _records(trend: dict[str, Any], offset: int) -> list[LiveRecord]:
    return [
        record(kind, data, part=part, offset=offset)
        for kind, part, data in pieces("trend", "0", trend)
    ]


@pytest.mark.parametrize("queues", [0, 1, 100, 101, 2_500])
def test_the_trend_of_many_queues_comes_in_records_that_a_broker_takes(queues: int) -> None:
    records = _records(_trend(queues), 1)
    assert max(len(encode_live(one)) for one in records) < 256 * 1024
    board = assemble([record("totals", TOTALS), *reversed(records)])
    assert board["trend"] == _trend(queues)


@pytest.mark.parametrize("queues", [40, 150])
def test_queues_that_are_gone_leave_the_trend(queues: int) -> None:
    parts = LiveParts()
    later = _trend(queues, start=120_000)
    earlier = _records(_trend(450), 1)
    for one in (record("totals", TOTALS), *earlier, *_records(later, 2)):
        parts.take(one)
    assert parts.assemble()["trend"] == later


def test_times_before_1970_are_times() -> None:
    assert assemble([record("totals", TOTALS, at=-5), record("teams", {}, at=-9)])["at"] == -5


def test_without_totals_there_is_no_board_yet() -> None:
    assert assemble([]) == {}
    assert assemble([record("queues", {"q": {}})]) == {}


def test_a_newer_part_replaces_the_whole_older_one() -> None:
    parts = LiveParts()
    assert parts.take(record("totals", TOTALS))
    assert parts.take(record("queues", {"a": {}, "b": {}}, offset=5))
    assert parts.take(record("queues", {"b": {}}, offset=6))
    assert list(parts.assemble()["queues"]) == ["b"]


def test_an_older_record_is_ignored_and_an_equal_one_taken_again() -> None:
    parts = LiveParts()
    assert parts.take(record("totals", TOTALS, offset=5))
    assert not parts.take(record("totals", TOTALS | {"late": 9}, offset=4))
    assert parts.assemble()["late"] == 1
    assert parts.take(record("totals", TOTALS | {"late": 2}, offset=5))
    assert parts.assemble()["late"] == 2


def test_a_newer_epoch_begins_anew() -> None:
    parts = LiveParts()
    parts.take(record("totals", TOTALS, offset=900))
    parts.take(record("queues", {"gone": {}}, offset=900))
    assert parts.take(record("totals", TOTALS, offset=0, epoch=2))
    assert parts.assemble()["queues"] == {}
    assert not parts.take(record("queues", {"gone": {}}, offset=901, epoch=1))
    assert [kept["epoch"] for kept in parts.records()] == [2]


def test_a_live_record_survives_the_topic() -> None:
    given = record("agents", {"ann": {"state": "talk"}}, part=part_of("ann"))
    assert decode_live(encode_live(given)) == given
    assert record_key("s", "agents", "7") == b"s|agents|7"


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b'{"v":2}', b'{"v":1}', orjson.dumps(record("totals", {}) | {"kind": "x"})],
)
def test_what_is_no_live_record_is_refused(payload: bytes) -> None:
    with pytest.raises(LiveError):
        decode_live(payload)


def test_parts_are_stable_and_few() -> None:
    assert part_of("sales") == part_of("sales")
    assert {part_of(f"queue {n}") for n in range(5000)} == {str(n) for n in range(64)}
    assert "totals" in KINDS


def test_every_topic_has_its_needs_named_once() -> None:
    names = [topic.name for topic in topics.TOPICS]
    assert names == [
        *("events.raw", "events.frames", "kpi.live", "kpi.rows", "events.dead"),
        *("alerts.raw", "events.memory"),
    ]
    assert all(topic.max_message_bytes >= 1024 * 1024 for topic in topics.TOPICS)
    policies = {topic.name: topic.cleanup_policy for topic in topics.TOPICS}
    assert policies.pop("events.memory") == "compact"
    assert set(policies.values()) == {"delete"}


def test_configuration_comes_from_the_environment() -> None:
    config = Config.from_env(
        {
            "CALLBOARD_EPOCH": "7",
            "CALLBOARD_JOURNAL": "true",
            "CALLBOARD_DATA_DIR": "/d",
            "PATH": "",
        }
    )
    assert (config.epoch, config.journal, config.data_dir) == (7, True, Path("/d"))
    assert Config.from_env({}).door_port == 7070


def test_configuration_survives_its_own_variables() -> None:
    config = Config(epoch=3, journal=True, alone=True, clock_file="c.json", door_token="t")
    assert Config.from_env(config.to_env()) == config


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CALLBOARD_DOOR_PORT", "seventy"),
        ("CALLBOARD_DOOR_PORT", "70700"),
        ("CALLBOARD_PARTITIONS", "0"),
        ("CALLBOARD_JOURNAL", "perhaps"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}={value}: "):
        Config.from_env({name: value})


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("s3cret \n")
    assert Config.from_env({"CALLBOARD_DOOR_TOKEN_FILE": str(secret)}).door_token == "s3cret "


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        ({"CALLBOARD_DOOR_TOKEN_FILE": "/no/such"}, "CALLBOARD_DOOR_TOKEN_FILE=/no/such: "),
        (
            {"CALLBOARD_DOOR_TOKEN_FILE": "/dev/null", "CALLBOARD_DOOR_TOKEN": "t"},
            "CALLBOARD_DOOR_TOKEN_FILE and CALLBOARD_DOOR_TOKEN are both set",
        ),
    ],
)
def test_a_secret_that_cannot_be_read_is_named(environ: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^{problem}"):
        Config.from_env(environ)


def test_a_misspelt_variable_is_said() -> None:
    right = {
        "CALLBOARD_EPOCH": "1",
        "CALLBOARD_ENGINE": "python",
        "CALLBOARD_DOOR_TOKEN_FILE": "/f",
        "HOME": "/",
    }
    assert misspelt_variables({"CALLBOARD_BOOTSTRP": "x", **right}) == [
        "CALLBOARD_BOOTSTRP is not a setting; did you mean CALLBOARD_BOOTSTRAP?"
    ]


def test_without_a_file_the_clock_is_the_wall_clock() -> None:
    before = time.time_ns() // 1_000_000
    now = Clock.from_file("").now_ms()
    assert before <= now <= time.time_ns() // 1_000_000


def test_a_paced_clock_runs_from_its_moment(tmp_path: Path) -> None:
    path = tmp_path / "clock.json"
    Clock(wall_ms=1_000, site_ms=500_000, pace=60.0).write(path)
    clock = Clock.from_file(path)
    assert clock.at(1_000) == 500_000
    assert clock.at(2_000) == 560_000
    assert clock.at(0) == 440_000


@pytest.mark.parametrize("pace", [0.0, -1.0])
def test_a_clock_that_stands_or_runs_back_is_refused(tmp_path: Path, pace: float) -> None:
    path = tmp_path / "clock.json"
    Clock(pace=pace).write(path)
    with pytest.raises(ClockError, match="pace"):
        Clock.from_file(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"wall_ms":"x","site_ms":1,"pace":1}'])
def test_a_file_that_is_no_clock_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(text)
    with pytest.raises(ClockError, match="not a clock file"):
        Clock.from_file(path)
    with pytest.raises(ClockError, match="not a clock file"):
        Clock.from_file(tmp_path / "absent.json")
