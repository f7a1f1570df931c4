"""`callboard topics`: show the topics beside what they should be, and create missing ones."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

import typer
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from pipeline.topics import TopicsError, TopicState, ensure_topics, look_at_topics, refuse_wrong
from schemas.config import Config, ConfigError


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create the missing ones.")] = False,
) -> None:
    """Show the topics; exit with 1 if one is missing or not what it should be."""
    work = ensure_topics if create else look_at_topics
    try:
        config = Config.from_env(os.environ)
        states = asyncio.run(work(config.brokers, config.partitions))
        Console().print(_table(states, config.partitions))
        refuse_wrong(states)
    except (ConfigError, TopicsError, KafkaError, OSError) as error:
        Console(stderr=True).print(str(error) or repr(error), style="red", highlight=False)
        raise typer.Exit(1) from None
    if any(state.missing for state in states):
        raise typer.Exit(1)


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
