"""`callboard store`: the local ClickHouse of the embedded stack."""

from __future__ import annotations

import asyncio
import secrets
import signal
from urllib.parse import urlsplit

import typer

from pipeline.cli.role import configured, ended_by
from schemas.config import Config
from sinks.clickhouse.local import EngineFailed, LocalClickHouse, StoreLocked, serve

DEFAULT_PORT = 8123


def store() -> None:
    """Serve ClickHouse's HTTP interface at CALLBOARD_CLICKHOUSE_URL until interrupted.

    The data are in CALLBOARD_DATA_DIR/store. The user CALLBOARD_CLICKHOUSE_USER may do everything,
    the user analyst may read; passwords that are not set are made up and printed.
    """
    config = configured("store")
    try:
        asyncio.run(_run(config))
    except (StoreLocked, EngineFailed, OSError) as error:
        raise ended_by(error) from None


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    address = urlsplit(config.clickhouse_url)
    local = LocalClickHouse(
        config.data_dir / "store",
        config.clickhouse_password or _made_up(config.clickhouse_user),
        config.analyst_password or _made_up("analyst"),
        writer_user=config.clickhouse_user,
        database=config.clickhouse_database,
    )
    host = address.hostname or "127.0.0.1"
    port = DEFAULT_PORT if address.port is None else address.port
    await serve(local, host, port, stop=stop, config=config)


def _made_up(user: str) -> str:
    password = secrets.token_urlsafe(18)
    typer.echo(f"password of {user}: {password}")
    return password
