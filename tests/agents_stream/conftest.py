"""A broker, a configuration and a worker for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from schemas.config import Config
from tests.agents_stream.harness import Feed, WorkerProcess, broker
from tests.ports import free_port

LONG_AGO = 920_000_000_000
"""March 1999: nothing may depend on the wall clock."""


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Config]:
    """A worker on a broker of its own that makes checkpoints often."""
    with broker() as address:
        yield Config(
            bootstrap=address,
            partitions=2,
            epoch=1,
            worker_port=free_port(),
            data_dir=tmp_path,
            checkpoint_ms=300,
            alone=True,
            snapshot_dir=str(tmp_path / "snapshots"),
        )


@pytest.fixture
async def feed(config: Config) -> AsyncIterator[Feed]:
    """A feed that starts long ago."""
    feed = Feed(config, LONG_AGO)
    await feed.start()
    yield feed
    await feed.stop()


@pytest.fixture
def worker(config: Config, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that is not started yet."""
    worker = WorkerProcess(config, tmp_path)
    yield worker
    worker.kill()
