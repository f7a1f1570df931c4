"""`callboard collect`: fetch payloads where a platform keeps them, and hand them to the door."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from schemas.config import Config

collect = typer.Typer(
    no_args_is_help=True,
    help="Fetch payloads where a platform keeps them, and hand them to the door.",
)

To = Annotated[str, typer.Option("--to", help="Address of the door; default: CALLBOARD_DOOR_URL.")]


@collect.command("queue-log")
def queue_log(
    file: Annotated[Path, typer.Argument(help="The log, such as /var/log/asterisk/queue_log.")],
    site: Annotated[str, typer.Option(help="The site whose log it is.")],
    to: To = "",
    state: Annotated[
        Path | None, typer.Option(help="Where the position is kept; default: in the data folder.")
    ] = None,
    from_end: Annotated[
        bool, typer.Option("--from-end", help="Without a position, leave out what is there.")
    ] = False,
) -> None:
    """Follow an Asterisk queue_log, through its rotations, until stopped.

    Each line reaches the door at least once and in its order. The position is kept after the door
    has answered that the lines are safe.
    """
    from pipeline.collect import queue_log as collector
    from pipeline.collect.door_client import DoorClient, DoorRefused
    from pipeline.collect.tail.position import PositionError
    from pipeline.simulate.process import run_process, say_retry

    async def run(config: Config) -> None:
        kept = state or config.data_dir / "collect" / f"queue-log-{quote(site, safe='')}.json"
        job = collector.Job(file, site, kept, from_end)
        address = to or config.door_url
        door = DoorClient(address, config.door_token, say_retry, source=collector.SOURCE)
        async with door:
            await collector.collect(job, door)

    try:
        run_process(run)
    except (DoorRefused, PositionError, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        raise typer.Exit(1) from None
