"""How the tests are shared out among processes, where pytest is run with `-n`."""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "stack": ("tests/e2e/", "tests/stack/test_supervision.py"),
    "alerts": ("tests/e2e/test_alerts.py",),
    "kafka": ("tests/faults/", "tests/kafka/", "tests/security/"),
    "browser": ("tests/sinks/board/",),
    "worker": (
        "tests/agents_stream/test_worker.py",
        "tests/agents_stream/test_checkpoint_every_record.py",
    ),
    "backfill": ("tests/backfill/",),
    "sink": ("tests/sinks/clickhouse/test_sink.py",),
}
"""Tests that start what several of them share, or what would starve beside another of its kind.

A group runs in one process, one test after the other; all other files are each a group of their
own. Where several paths fit, the longest counts. The groups named here take longest and begin
first, in this order.
"""


def group_of(path: str) -> str:
    """The group of a file, given by its path from the root of the repository."""
    found = [(len(p), name) for name, ps in GROUPS.items() for p in ps if path.startswith(p)]
    return max(found, default=(0, path))[1]


class Sharing(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Gives whole groups to processes, in the order of the tests."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    config.option.loadscopereorder = False
    return Sharing(config, log)


def pytest_xdist_auto_num_workers() -> int:
    """One more than cores: much of what the tests do is to wait. The longest group bounds them."""
    return min(os.cpu_count() or 1, 4) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(GROUPS)}
    items.sort(key=lambda item: order.get(group_of(item.nodeid.partition("::")[0]), len(order)))
