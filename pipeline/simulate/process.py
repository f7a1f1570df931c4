"""Runs a feeder as a process: environment in, log out, stops on SIGTERM and Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable

from schemas.config import Config
from service.logs import configure

log = logging.getLogger(__name__)


def run_process(name: str, run: Callable[[Config], Awaitable[None]], site: str = "") -> None:
    """Run until the feed ends or the process is told to stop; errors of `run` are raised.

    `name` is what the lines of its log call it, `site` whose they are if it has just one.
    """
    config = Config.from_env(os.environ)
    configure(name, config, site=site)
    asyncio.run(_until_stopped(run, config))


async def until_answered(host: str, port: int) -> None:
    """Wait until somebody listens there: the door.

    A stack starts its feeder early and its clock with the door; a clock read sooner is an old one.
    """
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def say_retry(reason: str, seconds: float) -> None:
    """Log that the door has to be asked again."""
    log.warning("the door does not take events (%s), again in %.1f s", reason, seconds)


async def _until_stopped(run: Callable[[Config], Awaitable[None]], config: Config) -> None:
    task = asyncio.current_task()
    assert task is not None
    for stop in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await run(config)
