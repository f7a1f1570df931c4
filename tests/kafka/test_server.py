"""The broker of the tests keeps what it was told when it is killed."""

from __future__ import annotations

from pathlib import Path

from pipeline.topics import ensure_topics_patiently, look_at_topics
from schemas.brokers import Brokers
from schemas.topics import TOPICS
from tests.kafka.server import running_kafka


async def test_topics_outlive_a_kill(tmp_path: Path) -> None:
    with running_kafka(tmp_path) as kafka:
        made = await ensure_topics_patiently(Brokers(kafka.address), 4)
        assert all(state.created for state in made)
        kafka.kill()
        kafka.start()
        found = await look_at_topics(Brokers(kafka.address), 4)
        assert [state.spec for state in found] == list(TOPICS)
        assert {state.partitions for state in found} == {4}
        assert not [problem for state in found for problem in state.problems]
