"""The option `--to` of what sends to the door: an address that everybody on the machine may see."""

from __future__ import annotations

from typing import Annotated

import typer


def without_password(address: str) -> str:
    """An address as it is. Raises `BadParameter`, which does not show it, if it names a user."""
    from pipeline.collect.door_client import has_password

    if has_password(address):
        raise typer.BadParameter(
            "holds a user or a password, which everybody on this machine would see; for the door "
            "use CALLBOARD_DOOR_TOKEN, or CALLBOARD_DOOR_URL"
        )
    return address


To = Annotated[
    str,
    typer.Option(
        "--to",
        callback=without_password,
        help="Address of the door; default: CALLBOARD_DOOR_URL.",
    ),
]
