"""Prometheus and Alertmanager beside the embedded stack, where they are installed.

They watch the same pages, load the same rules and send to the same receivers as in a deployment;
only addresses differ. What they know of the past is kept in the data folder.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from dashboards.alerts.files import ROUTES, RULES, write
from pipeline.stack.process import RoleProcess
from pipeline.stack.roles import environment, page_answers
from pipeline.stack.settings_watch import SettingsWatch
from schemas.config import Config

log = logging.getLogger(__name__)

PROGRAMS = {
    "prometheus": ("prometheus",),
    "alertmanager": ("alertmanager", "prometheus-alertmanager"),
}
"""What each program may be called: Debian names the second one otherwise."""

SCRAPE_S = 5
READY_S = 60.0
GRACE_S = 10.0
_KEPT = "15d"


class AlertingError(RuntimeError):
    """Prometheus or Alertmanager cannot be started; the message says what to do."""


def programs() -> dict[str, str]:
    """The path of each program; raise `AlertingError` that names those that are missing."""
    found = {
        name: next(filter(None, map(shutil.which, called)), "") for name, called in PROGRAMS.items()
    }
    missing = [name for name, path in found.items() if not path]
    if missing:
        raise AlertingError(
            f"{' and '.join(missing)} not found: install what is missing to use --alerts "
            "(Debian and Ubuntu: apt-get install prometheus prometheus-alertmanager)"
        )
    return found


class Alerting:
    """The two processes of one stack, from start to stop."""

    def __init__(
        self, root: Path, config: Config, paths: Mapping[str, str], settings: SettingsWatch
    ) -> None:
        self._root = root
        self._config = config
        self._paths = paths
        self._settings = settings
        self._changed = asyncio.Event()
        self._processes: list[RoleProcess] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def addresses(self) -> dict[str, str]:
        """Where each of the two listens."""
        return {
            "prometheus": f"http://127.0.0.1:{self._config.prometheus_port}",
            "alertmanager": f"http://127.0.0.1:{self._config.alertmanager_port}",
        }

    async def start(self) -> None:
        """Start both and wait until they are ready; raise `AlertingError` with their last words."""
        self._write()
        for name, command in self._commands().items():
            process = RoleProcess(
                name, command, environment(self._config), self._root / "logs" / f"{name}.log"
            )
            self._processes.append(process)
            await process.start()
            await self._until_ready(process)
            self._tasks.append(asyncio.create_task(_kept_running(process)))
        self._tasks.append(asyncio.create_task(self._follow_settings()))

    async def stop(self) -> None:
        """Stop both."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._processes:
            await process.stop(GRACE_S)

    def _commands(self) -> dict[str, Sequence[str]]:
        home, ports = self._root / "alerting", self._config
        return {
            "alertmanager": (
                self._paths["alertmanager"],
                f"--config.file={home / ROUTES}",
                f"--storage.path={home / 'alertmanager-data'}",
                f"--web.listen-address=127.0.0.1:{ports.alertmanager_port}",
                f"--web.external-url={self.addresses['alertmanager']}",
                "--cluster.listen-address=",
            ),
            "prometheus": (
                self._paths["prometheus"],
                f"--config.file={home / 'prometheus.yml'}",
                f"--storage.tsdb.path={home / 'prometheus-data'}",
                f"--storage.tsdb.retention.time={_KEPT}",
                f"--web.listen-address=127.0.0.1:{ports.prometheus_port}",
                f"--web.external-url={self.addresses['prometheus']}",
            ),
        }

    def _write(self) -> None:
        """The files of both, from the definitions and from the settings of the sites."""
        home = self._root / "alerting"
        home.mkdir(mode=0o700, exist_ok=True)
        delivered = self._config.model_copy(update={"alerts_by": "prometheus"})
        write(home, tuple(self._settings.settings.values()), delivered)
        text = yaml.safe_dump(prometheus_config(self._config), sort_keys=False)
        (home / "prometheus.yml").write_text(text)

    async def _follow_settings(self) -> None:
        """Opening hours are in Alertmanager's file: written anew and loaded when they change."""
        self._settings.listeners.append(self._changed.set)
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._write()
            await self._reload("alertmanager")

    async def _reload(self, name: str) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            try:
                async with session.post(f"{self.addresses[name]}/-/reload") as answer:
                    if answer.status != 200:
                        log.warning("%s keeps its old settings: %s", name, await answer.text())
            except (aiohttp.ClientError, TimeoutError) as error:
                # Restarted, it reads the new file anyway.
                log.info("%s was not told of the new settings: %r", name, error)

    async def _until_ready(self, process: RoleProcess) -> None:
        address = f"{self.addresses[process.name]}/-/ready"
        deadline = asyncio.get_running_loop().time() + READY_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while not await page_answers(session, address):
                if not process.running or asyncio.get_running_loop().time() > deadline:
                    raise AlertingError(f"{process.name} did not start:\n{process.last_words()}")
                await asyncio.sleep(0.1)


def prometheus_config(config: Config) -> dict[str, Any]:
    """Prometheus' configuration: the pages of the roles, the rules, where alerts go."""
    pages = {
        "door": config.door_port,
        "ingest": config.ingest_port,
        "agents": config.worker_port,
        "sink": config.sink_port,
    }
    watchers = {"prometheus": config.prometheus_port, "alertmanager": config.alertmanager_port}
    return {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": f"{SCRAPE_S}s"},
        "rule_files": [RULES],
        "alerting": {"alertmanagers": [_static(config.alertmanager_port)]},
        "scrape_configs": [
            *({"job_name": f"callboard-{role}", **_static(port)} for role, port in pages.items()),
            *({"job_name": name, **_static(port)} for name, port in watchers.items()),
        ],
    }


def _static(port: int) -> dict[str, object]:
    return {"static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}


async def _kept_running(process: RoleProcess) -> None:
    """Start a process again whenever it ends."""
    while True:
        await process.start_again(await process.wait())
