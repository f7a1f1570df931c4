"""One broker with users and rights for all tests here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pipeline.topics import ensure_topics
from schemas.access import USERS
from tests.security.broker import SecureKafka

PARTITIONS = 2


@pytest.fixture(scope="package")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """A broker with the users, rights and topics of the deployment."""
    server = SecureKafka(tmp_path_factory.mktemp("kafka"))
    try:
        server.start()
        asyncio.run(_prepare(server))
        yield server
    finally:
        server.kill()


async def _prepare(server: SecureKafka) -> None:
    await server.give_rights()
    operator = server.brokers("kafka-operator")
    await ensure_topics(operator, PARTITIONS, USERS["operator"].topics)
