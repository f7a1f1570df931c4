"""`callboard grafana push`: bring boards, playlist and alerts into a Grafana that runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dashboards.push import Action, Change, Grafana, PushError, content, push
from schemas.config import Config, ConfigError
from schemas.settings import SettingsError, SiteSettings, load_site_file


class What(StrEnum):
    """What to do with Grafana."""

    push = "push"


def grafana(
    what: Annotated[What, typer.Argument(help="push: bring boards and alerts into Grafana.")],
    url: Annotated[
        str | None, typer.Option(help="Address of Grafana; default CALLBOARD_GRAFANA_URL.")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            help="Token of a service account. Others can see it in the list of processes: "
            "better give CALLBOARD_GRAFANA_TOKEN."
        ),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Folder of the sites' settings, for their opening hours."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    secrets: Annotated[
        bool, typer.Option(help="Send the secrets of contact points again; use after a change.")
    ] = False,
) -> None:
    """Bring folder, boards, playlist and alert rules into a Grafana that runs.

    What is equal is left alone, what is not callboard's is not touched, nothing is deleted.
    """
    try:
        config = Config.from_env(os.environ)
        chosen = token or config.grafana_token
        found = Grafana(url or config.grafana_url, chosen, _secrets(config))
        brought = content(config, _sites(config, settings))
        _say(push(found, brought, dry_run=dry_run, secrets=secrets), dry_run)
    except (PushError, ConfigError, SettingsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _say(changes: Iterable[Change], dry_run: bool) -> None:
    """Each thing as it is done, so that an error shows how far the push came."""
    counts: Counter[Action] = Counter()
    for change in changes:
        counts[change.action] += 1
        note = f" ({change.note})" if change.note else ""
        typer.echo(f"{_word(change.action, dry_run):<12} {change.kind} {change.name}{note}")
    changed = counts[Action.created] + counts[Action.updated]
    if not changed:
        typer.echo("Nothing to change.")
    elif dry_run:
        typer.echo(f"{changed} would change; nothing was written.")
    else:
        typer.echo(f"{changed} changed.")


def _word(action: Action, dry_run: bool) -> str:
    if not dry_run:
        return action.value
    would = {Action.created: "would create", Action.updated: "would update"}
    return would.get(action, action.value)


def _sites(config: Config, folder: Path | None) -> tuple[SiteSettings, ...]:
    if config.alerts_by != "grafana" and folder is None:
        return ()
    where = folder or config.settings_dir
    if not where.is_dir():
        raise PushError(f"{where} is no folder of settings; name it by --settings")
    paths = sorted([*where.glob("*.yml"), *where.glob("*.yaml")])
    return tuple(load_site_file(path) for path in paths)


def _secrets(config: Config) -> list[str]:
    """Values that must not be printed, whatever Grafana answers."""
    words = ("token", "password", "key", "url")
    given = config.model_dump()
    return [
        str(value)
        for name, value in given.items()
        if value and name.startswith("alert_") and name.endswith(words)
    ] + [text for text in (config.grafana_token, config.door_token) if text]
