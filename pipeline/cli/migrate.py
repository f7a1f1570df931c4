"""`callboard migrate`: bring the tables and views of the store up to this version."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.config import Config, ConfigError
from sinks.clickhouse import migrate as migrations
from sinks.clickhouse.query import QueryError, cleaned, connect
from sinks.clickhouse.retention import keep


def migrate(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the statements and change nothing.")
    ] = False,
) -> None:
    """Apply the migrations that are pending and CALLBOARD_RETENTION_DAYS; safe at every start."""
    try:
        config = Config.from_env(os.environ)
        client = connect(config, write=True)
        try:
            if dry_run:
                _print_plan(client, config.clickhouse_database)
            else:
                _apply(client, config.clickhouse_database)
                for line in keep(client, config.clickhouse_database, config.retention_days):
                    typer.echo(line)
        finally:
            client.close()
    except (QueryError, ConfigError, migrations.MigrationError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except (ClickHouseError, OSError) as error:
        typer.echo(cleaned(error), err=True)
        raise typer.Exit(1) from None


def _print_plan(client: migrations.Client, database: str) -> None:
    for migration, statements in migrations.plan(client, database):
        typer.echo(f"-- {migration.name}")
        for statement in statements:
            typer.echo(f"{statement};\n")


def _apply(client: migrations.Client, database: str) -> None:
    applied = migrations.migrate(client, database)
    for migration in applied:
        typer.echo(f"applied {migration.name}")
    if not applied:
        typer.echo(f"{database} is up to date")
