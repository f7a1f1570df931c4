"""One cluster for all tests of faults: each has sites of its own on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that runs."""
    found = Cluster(tmp_path_factory.mktemp("faults"))
    try:
        found.start()
        yield found
    finally:
        found.close()
