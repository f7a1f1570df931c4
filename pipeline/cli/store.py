"""`callboard store`: the local ClickHouse of the embedded stack."""

from __future__ import annotations

import asyncio
import os
from urllib.parse import urlsplit

import typer

from pipeline.ingest.service import configure_logging, until_signalled
from schemas.config import Config
from sinks.clickhouse.local import EngineFailed, LocalClickHouse, StoreLocked, serve


def store() -> None:
    """Serve CALLBOARD_DATA_DIR/store at CALLBOARD_CLICKHOUSE_URL until interrupted."""
    config = Config.from_env(os.environ)
    configure_logging(config)
    if not config.clickhouse_password or not config.analyst_password:
        typer.echo(
            "set CALLBOARD_CLICKHOUSE_PASSWORD and CALLBOARD_ANALYST_PASSWORD: "
            "an empty password lets nobody in",
            err=True,
        )
        raise typer.Exit(1)
    try:
        asyncio.run(_run(config))
    except (StoreLocked, EngineFailed, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(config: Config) -> None:
    address = urlsplit(config.clickhouse_url)
    local = LocalClickHouse(
        config.data_dir / "store",
        config.clickhouse_password,
        config.analyst_password,
        writer_user=config.clickhouse_user,
        database=config.clickhouse_database,
    )
    host, port = address.hostname or "127.0.0.1", address.port or 8123
    await serve(local, host, port, stop=until_signalled())
