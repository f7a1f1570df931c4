"""`callboard up`: the embedded stack on this machine."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.logging import RichHandler

from pipeline.demo.day import DemoError
from pipeline.simulate.options import Options, OptionsError, Scenario
from pipeline.stack.alerting import Alerting, AlertingError, programs
from pipeline.stack.folder import BY_HAND, DataFolder, FolderError, Mode
from pipeline.stack.roles import PortTaken, embedded_config, environment
from pipeline.stack.source import Play, feeder_command, is_over, prepare
from pipeline.stack.supervisor import Stack, StackError
from schemas.config import PREFIX, Config, ConfigError
from sinks.board.access import guard_of

log = logging.getLogger("callboard")

STACK_FILE = "stack.json"
_OF_SIMULATION = ("agents", "queues", "scenario", "seed")
DEFAULT_DATA = Path(".callboard")
_REFUSALS = (
    *(FolderError, StackError, OptionsError, DemoError, ConfigError, PortTaken),
    AlertingError,
)


def up(
    context: typer.Context,
    data: Annotated[Path, typer.Option(help="Folder of the stack.")] = DEFAULT_DATA,
    pace: Annotated[
        float, typer.Option(help="How many times as fast as time passes the demo's clock goes.")
    ] = 1.0,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="A simulated centre in place of the bank.")
    ] = False,
    empty: Annotated[
        bool, typer.Option("--empty", help="No data: a site `default` for your own events.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what the folder holds and begin anew.")
    ] = False,
    alerts: Annotated[
        bool,
        typer.Option("--alerts", help="Prometheus and Alertmanager as well; they must be there."),
    ] = False,
    agents: Annotated[int, typer.Option(help="Agents of the simulated centre.")] = 60,
    queues: Annotated[int, typer.Option(help="Queues of the simulated centre.")] = 6,
    scenario: Annotated[Scenario, typer.Option(help="What befalls it.")] = Scenario.NORMAL,
    seed: Annotated[int, typer.Option(help="Same seed, same centre.")] = 1,
) -> None:
    """Start broker, store, all roles and the board; Ctrl-C stops them.

    A bank's real day plays as if it were today, with its morning behind it. Started again, today is
    as it was.
    """
    console = Console(stderr=True)
    logging.basicConfig(
        level="INFO", format="%(message)s", handlers=[RichHandler(console=console, show_path=False)]
    )
    for noisy in ("aiokafka", "httpx", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # Topics are made anew at every start, which is nothing to tell.
    logging.getLogger("pipeline.topics").setLevel(logging.WARNING)
    try:
        given = {name for name in context.params if _is_typed(context, name)}
        _refuse_idle_options(given, simulate=simulate, empty=empty)
        if not 0 < pace <= 1000:
            raise OptionsError(f"--pace must be between 0 and 1000, not {pace:g}")
        mode = Mode.SIMULATE if simulate else Mode.EMPTY if empty else Mode.DEMO
        options = replace(Options(), agents=agents, queues=queues, scenario=scenario, seed=seed)
        folder = DataFolder(data)
        with folder.held():
            paths = programs() if alerts else None
            _run(folder, Play(mode, pace, options), fresh, paths, console)
    except _REFUSALS as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(1) from None


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _refuse_idle_options(given: set[str], *, simulate: bool, empty: bool) -> None:
    """An option that would do nothing, or harm, was given in the belief that it does something."""
    if simulate and empty:
        raise OptionsError("give --simulate or --empty, not both")
    if empty and "pace" in given:
        raise OptionsError("--pace is for what is played: your own events happen as time passes")
    idle = [f"--{name}" for name in _OF_SIMULATION if name in given]
    if idle and not simulate:
        raise OptionsError(f"{', '.join(idle)}: give --simulate as well, it is about its centre")


def _run(
    folder: DataFolder,
    play: Play,
    fresh: bool,
    paths: Mapping[str, str] | None,
    console: Console,
) -> None:
    new = _claim(folder, play, fresh, console)
    config = embedded_config(folder, folder.store_secrets(), os.environ)
    # What the board would refuse is said here, and not after its start has been waited for.
    guard_of(config)
    with console.status("laying out the day so far …"):
        prepare(folder, play, new)
    asyncio.run(_supervise(folder, config, play, paths, console))
    console.print("stopped")


def _claim(folder: DataFolder, play: Play, fresh: bool, console: Console) -> bool:
    if fresh:
        folder.clear()
    new = folder.claim(play.mode)
    if not new and play.mode is Mode.DEMO and is_over(folder, play.pace):
        console.print(
            "the demo's bank has closed since: a new demo begins. Events and SQL history of the "
            f"last one are cleared; {folder.settings} stays as it was edited, in a new time zone"
        )
        folder.clear(keep=BY_HAND)
        new = folder.claim(play.mode)
    return new


async def _supervise(
    folder: DataFolder,
    config: Config,
    play: Play,
    paths: Mapping[str, str] | None,
    console: Console,
) -> None:
    stop = asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    with console.status("starting …") as status:
        stack = Stack(
            folder,
            config,
            feeder_command(play.mode),
            lambda part: status.update(f"starting {part} …"),
        )
        alerting = paths and Alerting(folder.root, config, paths, stack.settings)

        file = folder.root / STACK_FILE
        # A stack that was killed leaves its own.
        file.unlink(missing_ok=True)

        async def started() -> None:
            again = file.exists()
            if alerting and not again:
                await alerting.start()
            status.stop()
            if again:
                log.info("all is up again, as epoch %d", stack.config.epoch)
            else:
                _print_addresses(folder, stack.config, bool(alerting), console)
            _write_stack_file(folder, stack.config)

        try:
            await stack.run(stop, started)
        finally:
            file.unlink(missing_ok=True)
            if alerting:
                await alerting.stop()


def _write_stack_file(folder: DataFolder, config: Config) -> None:
    """Lets `callboard sql` and others in this folder find the stack."""
    environ = {k: v for k, v in environment(config).items() if k.startswith(PREFIX)}
    path = folder.root / STACK_FILE
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps({"pid": os.getpid(), "environ": environ}))


def _print_addresses(folder: DataFolder, config: Config, alerts: bool, console: Console) -> None:
    store = config.clickhouse_url.removeprefix("http://")
    here = folder.root == DEFAULT_DATA
    sql = "callboard sql" if here else f"CALLBOARD_DATA_DIR={folder.root} callboard sql"
    lines = {
        "board": f"http://{config.board_host}:{config.board_port}/",
        "events": f"POST http://{config.door_host}:{config.door_port}/v1/events",
        "metrics": f"http://127.0.0.1:{config.worker_port}/metrics",
        "SQL": f'{sql} "…"  or  http://analyst:{config.analyst_password}@{store}/',
        "settings": f"{folder.settings} (edit while it runs)",
        "logs": str(folder.logs),
    }
    if alerts:
        lines["alerts"] = f"http://127.0.0.1:{config.prometheus_port}/alerts"
    console.print("\n[bold]callboard is up[/bold]; Ctrl-C stops it")
    for name, value in lines.items():
        console.print(f"  {name:<9} {value}", markup=False, highlight=False, soft_wrap=True)
