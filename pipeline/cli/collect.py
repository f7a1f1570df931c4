"""`callboard collect`: fetch payloads where a platform keeps them, and hand them to the door."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.collect_import import import_files
from pipeline.cli.door_address import To, without_password
from schemas.config import Config, ConfigError

if TYPE_CHECKING:
    from pipeline.collect.link import Open

collect = typer.Typer(
    no_args_is_help=True,
    help="Fetch payloads where a platform keeps them, and hand them to the door.",
)
collect.command("import")(import_files)


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
        kept = state or collector.state_of(config.data_dir, site, file)
        job = collector.Job(file, site, kept, from_end)
        address = to or config.door_url
        door = DoorClient(address, config.door_token, say_retry, source=collector.SOURCE)
        async with door:
            await collector.collect(job, door)

    try:
        run_process("collector", run, site)
    except (DoorRefused, PositionError, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        raise typer.Exit(1) from None


@collect.command("five9")
def five9(
    site: Annotated[str, typer.Option(help="The site whose domain it is.")],
    user: Annotated[str, typer.Option(help="A supervisor of the domain.")],
    to: To = "",
    login_url: Annotated[
        str, typer.Option(help="Where the domain's region logs in.")
    ] = "https://app.five9.com",
) -> None:
    """Follow the supervisor WebSocket of a Five9 domain until stopped: states of agents.

    After every connection the full picture comes anew, so there is no position to keep. The
    password is in CALLBOARD_FIVE9_PASSWORD or in the file CALLBOARD_FIVE9_PASSWORD_FILE names.
    """
    from pipeline.collect import five9 as collector
    from pipeline.collect.door_client import DoorClient, DoorRefused
    from pipeline.simulate.process import run_process, say_retry

    account = collector.Account(user, _secret("CALLBOARD_FIVE9_PASSWORD"), login_url.rstrip("/"))

    async def run(config: Config) -> None:
        door = DoorClient(
            to or config.door_url, config.door_token, say_retry, source=collector.SOURCE
        )
        async with door:
            await collector.Collector(account, site, door).run()

    try:
        run_process("collector", run, site)
    except (DoorRefused, collector.Five9Refused, OSError) as error:
        logging.getLogger(__name__).error("%s", error)
        raise typer.Exit(1) from None


def _secret(variable: str) -> str:
    """A platform's secret; never from the command line, which others see."""
    from pipeline.collect.secrets import SecretError, secret_of

    try:
        return secret_of(variable, os.environ)
    except SecretError as error:
        raise typer.BadParameter(str(error)) from None


Host = Annotated[str, typer.Option(help="Where the platform listens.")]
PlatformSite = Annotated[str, typer.Option(help="The site whose platform it is.")]


@collect.command("ami")
def ami(
    site: PlatformSite,
    user: Annotated[str, typer.Option(help="The user in manager.conf.")],
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port; 5039 is usual with --tls.")] = 5038,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    to: To = "",
) -> None:
    """Read an Asterisk by its Manager Interface until stopped.

    The user's secret is in CALLBOARD_AMI_SECRET or in the file CALLBOARD_AMI_SECRET_FILE names.
    """
    from pipeline.collect import ami as platform

    secret = _secret("CALLBOARD_AMI_SECRET")
    login = platform.Login(host, port, user, secret, tls)
    _follow(
        f"Asterisk at {host}:{port}", platform.SOURCE, lambda: platform.session(login), site, to
    )


@collect.command("freeswitch")
def freeswitch(
    site: PlatformSite,
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its port (event_socket.conf.xml).")] = 8021,
    to: To = "",
) -> None:
    """Read mod_callcenter of a FreeSWITCH by its event socket until stopped.

    The password is in CALLBOARD_ESL_PASSWORD or in the file CALLBOARD_ESL_PASSWORD_FILE names.
    """
    from pipeline.collect import event_socket as platform

    password = _secret("CALLBOARD_ESL_PASSWORD")
    login = platform.Login(host, port, password)
    name = f"FreeSWITCH at {host}:{port}"
    _follow(name, platform.SOURCE, lambda: platform.session(login), site, to)


@collect.command("finesse")
def finesse(
    site: PlatformSite,
    host: Annotated[str, typer.Option(help="The Finesse server, by the name in its certificate.")],
    user: Annotated[str, typer.Option(help="The user who is subscribed: a supervisor.")],
    agents: Annotated[Path, typer.Option(help="A file of agents' ids to follow, one a line.")],
    team: Annotated[
        list[str] | None, typer.Option(help="A team's id to follow; may be repeated.")
    ] = None,
    port: Annotated[int, typer.Option(help="Its port for XMPP over TLS.")] = 5223,
    domain: Annotated[str, typer.Option(help="Its XMPP domain; default: the host.")] = "",
    ca: Annotated[Path | None, typer.Option(help="Its certificate, where no CA signed it.")] = None,
    rest: Annotated[
        str,
        typer.Option(callback=without_password, help="Its REST API; default: https://HOST:8445."),
    ] = "",
    to: To = "",
) -> None:
    """Follow the Notification Service of a Cisco Finesse until stopped: agents and their dialogs.

    The password is in CALLBOARD_FINESSE_PASSWORD or in the file CALLBOARD_FINESSE_PASSWORD_FILE
    names.
    """
    from pipeline.collect import finesse as platform

    password = _secret("CALLBOARD_FINESSE_PASSWORD")
    try:
        ids = tuple(line.strip() for line in agents.read_text().splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(str(error)) from None
    login = platform.Login(
        host=host,
        user=user,
        password=password,
        agents=ids,
        teams=tuple(team or ()),
        port=port,
        domain=domain,
        rest=(rest or f"https://{host}:8445").rstrip("/"),
        ca=ca,
    )
    name = f"Finesse at {host}:{port}"
    _follow(name, platform.SOURCE, lambda: platform.session(login), site, to)


def _follow(name: str, source: str, open_session: Open, site: str, to: str) -> None:
    """Hand what a platform says to the door until stopped; what cannot be mended is said."""
    from pipeline.collect import link
    from pipeline.collect.door_client import DoorClient, DoorRefused
    from pipeline.collect.outbox import Outbox
    from pipeline.simulate.process import run_process, say_retry

    async def run(config: Config) -> None:
        async with DoorClient(
            to or config.door_url, config.door_token, say_retry, source=source
        ) as door:
            await link.collect(name, open_session, Outbox(door, site))

    try:
        run_process("collector", run, site)
    except (DoorRefused, link.LoginRefused, ConfigError) as error:
        logging.getLogger(__name__).error("%s", error)
        raise typer.Exit(1) from None
