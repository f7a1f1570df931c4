"""`callboard topics`: show the topics beside what they should be, and create missing ones."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from pipeline.topics import (
    TopicsError,
    TopicState,
    ensure_topics,
    look_at_topics,
    refuse_wrong,
    why_not,
)
from schemas.access import USERS
from schemas.config import Config, ConfigError


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing ones.")] = False,
) -> None:
    """Show the topics; exit with 1 if one is missing or not what it should be."""
    try:
        config = Config.from_env(os.environ)
        states = asyncio.run(_states(config, create))
        Console().print(_table(states, config.partitions))
        refuse_wrong(states)
    except (ConfigError, TopicsError) as error:
        Console(stderr=True).print(str(error), style="red", highlight=False)
        raise typer.Exit(1) from None
    if any(state.missing for state in states):
        raise typer.Exit(1)


async def _states(config: Config, create: bool) -> list[TopicState]:
    brokers, specs = config.brokers, USERS["operator"].topics
    try:
        work = ensure_topics if create else look_at_topics
        return await work(brokers, config.partitions, specs)
    except (KafkaError, OSError) as error:
        reason = await why_not(brokers) or repr(error)
        raise TopicsError(f"no answer from the broker at {brokers}: {reason}") from error


def _table(states: list[TopicState], partitions: int) -> Table:
    table = Table("topic", "state", "partitions", "cleanup", "retention ms", "max bytes")
    for state in states:
        config = state.config
        table.add_row(
            state.spec.name,
            _word(state),
            f"{state.partitions}/{partitions}",
            config.get("cleanup.policy", "?"),
            config.get("retention.ms", "?"),
            config.get("max.message.bytes", "?"),
        )
    return table


def _word(state: TopicState) -> str:
    if state.missing:
        return "missing"
    if state.problems:
        return "wrong"
    return "created" if state.created else "good"
