"""Fixtures: a broker with the topics, a configuration for it, and sites with settings files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.topics import ensure_topics
from schemas.brokers import Brokers
from schemas.config import Config
from tests.ingest.broker import PARTITIONS, Broker, running_broker
from tests.ports import free_port

SITES = ("north", "south")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker, empty."""
    with running_broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def settings_dir(tmp_path: Path) -> Path:
    """A settings folder with two sites."""
    folder = tmp_path / "settings"
    folder.mkdir()
    for site in SITES:
        (folder / f"{site}.yml").write_text(f"site: {site}\n")
    return folder


@pytest.fixture
async def config(broker: Broker, settings_dir: Path, tmp_path: Path) -> Config:
    """A configuration for the broker, whose topics exist."""
    await ensure_topics(Brokers(broker.address), PARTITIONS)
    return Config(
        bootstrap=broker.address,
        partitions=PARTITIONS,
        epoch=1,
        settings_dir=settings_dir,
        data_dir=tmp_path / "data",
        door_port=free_port(),
        ingest_port=free_port(),
        tick_ms=100,
    )
