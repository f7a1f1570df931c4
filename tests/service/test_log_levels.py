"""Levels at run time: changed for a while, by whom one trusts, and back by themselves."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Iterator

import orjson
import pytest

from schemas.config import Config
from service.log_levels import LevelError, Levels, seconds_of
from service.operator_page import Caller, OperatorPage, Reply

NAME = "tests.levels"
HERE = Caller("127.0.0.1", {})
TOKEN = Caller("192.0.2.7", {"Authorization": "Bearer op-token"})
DEBUG = orjson.dumps({"logger": NAME, "level": "debug", "for_s": 60})


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    found, root = logging.getLogger(NAME), logging.getLogger()
    kept = root.level
    yield found
    found.setLevel(logging.NOTSET)
    root.setLevel(kept)


async def _until(level: int, logger: logging.Logger) -> None:
    async with asyncio.timeout(180):
        while logger.level != level:
            await asyncio.sleep(0.01)


async def test_a_level_goes_back_by_itself(logger: logging.Logger) -> None:
    levels = Levels()
    levels.set(NAME, "DEBUG", 0.05)
    assert logger.level == logging.DEBUG
    await _until(logging.NOTSET, logger)
    assert NAME not in levels.shown()


async def test_a_second_change_comes_back_to_the_level_before_the_first(
    logger: logging.Logger,
) -> None:
    logger.setLevel(logging.ERROR)
    levels = Levels()
    levels.set(NAME, "DEBUG", 3600)
    levels.set(NAME, "INFO", 0.05)
    assert logger.level == logging.INFO
    await _until(logging.ERROR, logger)


async def test_a_signal_turns_debugging_on_and_off() -> None:
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    levels = Levels()
    levels.listen()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        await _until(logging.DEBUG, root)
        assert 590 <= int(str(levels.shown()["root"]["seconds_left"])) <= 600
        os.kill(os.getpid(), signal.SIGUSR1)
        await _until(logging.WARNING, root)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGUSR1)


@pytest.mark.parametrize("text", ["", "10", "0s", "-5m", "25h", "1d", "1.5h", "9999999s"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(LevelError):
        seconds_of(text)


def test_times() -> None:
    assert [seconds_of(text) for text in ("90s", "10m", "24h")] == [90, 600, 86_400]


def page(token: str = "", *, private: bool = True) -> OperatorPage:
    return OperatorPage("door", Config(operator_token=token), list, private=private)


async def test_on_an_operators_page_this_machine_may(logger: logging.Logger) -> None:
    reply = page().set_level(HERE, DEBUG)
    assert (reply.status, logger.level) == (200, logging.DEBUG)
    assert orjson.loads(reply.text)[NAME] == {"level": "DEBUG", "seconds_left": 60}
    for address in ("::1", "::ffff:127.0.0.1", "127.8.9.1"):
        assert page().show_levels(Caller(address, {})).status == 200


@pytest.mark.parametrize(
    "caller",
    [
        Caller("192.0.2.7", {}),
        Caller("::ffff:192.0.2.7", {}),
        Caller(None, {}),
        Caller("", {}),
        Caller("127.0.0.1", {"X-Forwarded-For": "192.0.2.7"}),
        Caller("127.0.0.1", {"forwarded": "for=192.0.2.7"}),
        Caller("127.0.0.1", {"Via": "1.1 proxy"}),
        Caller("127.0.0.1", {"Origin": "http://evil.example"}),
        Caller("127.0.0.1", {"Sec-Fetch-Site": "same-origin"}),
        Caller("192.0.2.7", {"Authorization": "Bearer wrong"}),
        Caller("192.0.2.7", {"Authorization": "Basic op-token"}),
        Caller("192.0.2.7", {"Authorization": "Bearer õp-token"}),
    ],
)
async def test_others_may_not(caller: Caller, logger: logging.Logger) -> None:
    assert page().set_level(caller, DEBUG).status == 403
    assert page("op-token").set_level(caller, DEBUG).status == 401
    assert page().show_levels(caller).status == 403
    assert logger.level == logging.NOTSET


async def test_with_the_token_anybody_may(logger: logging.Logger) -> None:
    assert page("op-token").set_level(TOKEN, DEBUG).status == 200
    assert page("op-token", private=False).show_levels(TOKEN).status == 200
    assert logger.level == logging.DEBUG


async def test_at_a_public_page_this_machine_is_a_proxy(logger: logging.Logger) -> None:
    assert page(private=False).set_level(HERE, DEBUG).status == 403
    assert page("op-token", private=False).set_level(HERE, DEBUG).status == 401
    assert logger.level == logging.NOTSET


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"DEBUG",
        b"[]",
        b'{"level": "LOUD"}',
        b'{"logger": "x"}',
        b'{"level": "DEBUG", "for_s": 0}',
        b'{"level": "DEBUG", "for_s": -1}',
        b'{"level": "DEBUG", "for_s": 86401}',
        b'{"level": "DEBUG", "for_s": true}',
        b'{"level": "DEBUG", "for_s": "10m"}',
        b'{"level": "DEBUG", "logger": "a b"}',
        b'{"level": "DEBUG", "logger": "a\\nb"}',
        b'{"level": "DEBUG", "logger": "a..b"}',
        b'{"level": ["DEBUG"]}',
    ],
)
async def test_what_cannot_be_is_said_and_changes_nothing(body: bytes) -> None:
    before = page().levels.shown()
    reply: Reply = page().set_level(HERE, body)
    assert reply.status == 400
    assert len(reply.text) < 300
    assert page().levels.shown() == before
