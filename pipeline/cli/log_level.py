"""`callboard log-level`: levels of a running role's loggers, for a while."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from typing import Annotated

import orjson
import typer

from pipeline.doctor.pages import ROLES, PageError, named_pages, pages_of
from schemas.config import Config, ConfigError, shown_address
from service.log_levels import LEVELS, ROOT, LevelError, seconds_of
from service.operator_page import ROLE_HEADER

TIMEOUT_S = 10.0


def log_level(
    role: Annotated[str, typer.Argument(help=f"{', '.join(ROLES)}, or store.")],
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[LOGGER] [LEVEL]", help="Without a level: what they are."),
    ] = None,
    for_time: Annotated[
        str, typer.Option("--for", help="90s, 10m, 2h: then the level goes back by itself.")
    ] = "10m",
    page: Annotated[
        str, typer.Option(help="The role's page, if not on this machine: http://HOST:PORT.")
    ] = "",
) -> None:
    """Show or change the levels of a role's loggers while it runs.

    For example `callboard log-level ingest DEBUG`, or `callboard log-level sink aiokafka INFO`. The
    door and the board ask for CALLBOARD_OPERATOR_TOKEN. Without a page: SIGUSR1 turns debugging on
    for ten minutes, and off again.
    """
    try:
        config = Config.from_env(os.environ)
        address = _address(config, role, page)
        logger, level = _asked(words or [])
        body = None
        if level:
            body = {"logger": logger, "level": level, "for_s": seconds_of(for_time)}
        _show(_answer(address, role, config.operator_token, body), body is None)
    except (ConfigError, PageError, LevelError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _address(config: Config, role: str, page: str) -> str:
    role = {"agents": "worker"}.get(role, role)
    if role not in (*ROLES, "store"):
        raise PageError(f"{role!r} is no role: {', '.join(ROLES)}, store")
    if role == "store":
        return (page or config.clickhouse_url).rstrip("/")
    return {**pages_of(config), **named_pages([f"{role}={page}"] if page else [])}[role]


def _asked(words: list[str]) -> tuple[str, str]:
    """Logger and level; the level is empty if only to show."""
    if not words:
        return ROOT, ""
    if len(words) > 2 or words[-1].upper() not in LEVELS:
        raise LevelError(f"a logger, if not all, and a level: {', '.join(LEVELS)}")
    return (words[0] if len(words) == 2 else ROOT), words[-1].upper()


def _answer(address: str, role: str, token: str, body: object) -> dict[str, dict[str, object]]:
    request = urllib.request.Request(f"{address}/log-level")
    if body is not None:
        request.data, request.method = orjson.dumps(body), "PUT"
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    # A proxy of the environment would see the token, and is asked for nothing on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            found: dict[str, dict[str, object]] = orjson.loads(answer.read())
            return found
    except urllib.error.HTTPError as error:
        told = error.read(500).decode("utf-8", "replace").strip()
        if ROLE_HEADER not in error.headers:
            told = f"{shown_address(address)} is no page of callboard"
        raise PageError(f"{role}: {told}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise PageError(f"{role}: no answer from {shown_address(address)}: {reason}") from None


def _show(levels: dict[str, dict[str, object]], every: bool) -> None:
    for name, level in levels.items():
        left = level.get("seconds_left")
        if every or left is not None:
            back = "" if left is None else f", back in {left} s"
            typer.echo(f"{name}: {level['level']}{back}")
