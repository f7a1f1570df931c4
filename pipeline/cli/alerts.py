"""`callboard alerts`: list the alerts, write what their deliverer loads, check it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from dashboards.alerts import ALERTS, AlertsError, write
from dashboards.alerts.files import ROUTES, RULES
from schemas.config import Config, ConfigError, without_secrets
from schemas.settings import SettingsError, SiteSettings, load_site_file

Verb = Literal["list", "write", "check"]

_SETTINGS = typer.Option(help="Settings folder of the sites; CALLBOARD_SETTINGS_DIR without it.")


def alerts(
    verb: Annotated[Verb, typer.Argument(help="What to do.")],
    out: Annotated[Path | None, typer.Option(help="Where `write` puts the files.")] = None,
    settings: Annotated[Path | None, _SETTINGS] = None,
) -> None:
    """List the alerts, write what CALLBOARD_ALERTS_BY loads, or check it."""
    if verb == "list":
        Console().print(_table())
        return
    try:
        config = Config.from_env(os.environ)
        sites = _sites(config.settings_dir if settings is None else settings)
        _write(out, sites, config) if verb == "write" else _check(sites, config)
    except (AlertsError, ConfigError, SettingsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _table() -> Table:
    table = Table("alert", "severity", "for", "hours", "triggers; ends", box=None)
    for alert in ALERTS:
        hours = "opening" if alert.business_hours else "any"
        table.add_row(alert.name, alert.severity, alert.lasts, hours, alert.hysteresis)
    return table


def _sites(folder: Path) -> tuple[SiteSettings, ...]:
    if not folder.is_dir():
        raise AlertsError(f"{folder} is no folder of settings; name one with --settings")
    files = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    return tuple(map(load_site_file, files))


def _write(out: Path | None, sites: tuple[SiteSettings, ...], config: Config) -> None:
    if out is None:
        raise AlertsError("write where? name a folder with --out")
    for path in write(out, sites, config):
        typer.echo(str(path))


def _check(sites: tuple[SiteSettings, ...], config: Config) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), sites, config)
        if config.alerts_by == "grafana":
            typer.echo("Grafana has no tool that checks its files; they could be written.")
            return
        for tool, *words in (
            ("promtool", "check", "rules", str(Path(folder) / RULES)),
            ("amtool", "check-config", str(Path(folder) / ROUTES)),
        ):
            _run(config, tool, *words)


def _run(config: Config, tool: str, *words: str) -> None:
    if shutil.which(tool) is None:
        raise AlertsError(f"{tool} is not installed, so nothing can be said of its file")
    done = subprocess.run([tool, *words], capture_output=True, text=True, check=False)
    typer.echo(without_secrets(done.stdout.strip(), config))
    if done.returncode:
        raise AlertsError(without_secrets(done.stderr.strip(), config))
