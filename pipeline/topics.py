"""Topics on the broker: missing ones are created, existing ones are checked, wrong ones refused.

Every role calls `ensure_topics` before it opens a consumer or a producer: some brokers create a
topic with a partition count of their own as soon as a client asks for it by name, so existing
topics are only ever looked up in the list of all.

    TopicsError     topics that cannot be used; beside it only what the broker's connection raises
    TopicsMissing   topics that are not there and that this user may not create

Where the broker knows users, a role sees only the topics that it has rights on, and may create
none: those are made by `callboard topics --create` as the user `operator`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError, for_code
from aiokafka.partitioner import murmur2
from aiokafka.protocol.metadata import MetadataRequest

from schemas.brokers import Brokers
from schemas.topics import TOPICS, TopicSpec
from service.logs import about

log = logging.getLogger(__name__)

MAX_REPLICAS = 3
_ALREADY_EXISTS = 36
_FORBIDDEN = (29, 31)  # of the topic, of the cluster
_PATIENCE_S = 10.0


class TopicsError(RuntimeError):
    """Topics that cannot be used; the message has one paragraph for each, with what to do."""


class TopicsMissing(TopicsError):
    """Somebody else must create these topics, and may yet do so."""


@dataclass(slots=True)
class TopicState:
    """A topic beside what it should be; `problems` is empty when it can be used.

    `partitions` is 0 for a missing topic. `config` is what the broker tells, which may be nothing.
    """

    spec: TopicSpec
    partitions: int = 0
    config: Mapping[str, str] = field(default_factory=dict)
    created: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def missing(self) -> bool:
        """Whether the broker does not have the topic."""
        return self.partitions == 0


@lru_cache(maxsize=65536)
def partition_of(site: str, partitions: int) -> int:
    """The partition of a site on every topic keyed by site: Kafka's default for its UTF-8 key."""
    return int(murmur2(site.encode()) & 0x7FFFFFFF) % partitions


async def ensure_topics(
    brokers: Brokers, partitions: int, specs: Iterable[TopicSpec] = TOPICS
) -> list[TopicState]:
    """Create the topics that are missing and return the state of all; `created` tells which.

    Raises `TopicsError` if one cannot be created or is not what it should be, and `KafkaError`
    while the broker does not answer.
    """
    async with _admin(brokers) as admin:
        states = await _look(admin, partitions, specs)
        missing = [state.spec for state in states if state.missing]
        if missing:
            created = await _create(admin, missing, partitions)
            states = await _look_until_complete(admin, partitions, specs)
            for state in states:
                state.created = state.spec.name in created
    refuse_wrong(states)
    return states


async def look_at_topics(
    brokers: Brokers, partitions: int, specs: Iterable[TopicSpec] = TOPICS
) -> list[TopicState]:
    """The state of the topics, changing nothing. Raises `KafkaError` without a broker."""
    async with _admin(brokers) as admin:
        return await _look(admin, partitions, specs)


async def ensure_topics_patiently(
    brokers: Brokers, partitions: int, specs: Iterable[TopicSpec] = TOPICS
) -> list[TopicState]:
    """`ensure_topics`, tried until the broker answers and has them. Raises `TopicsError`."""
    wait_s = 0.2
    while True:
        try:
            return await ensure_topics(brokers, partitions, specs)
        except TopicsMissing as missing:
            log.warning("%s; looking again in %.1f s", missing, wait_s)
        except (KafkaError, OSError) as error:
            reason = await why_not(brokers) or repr(error)
            log.warning("no broker at %s yet: %s; trying again in %.1f s", brokers, reason, wait_s)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, 5.0)


async def why_not(brokers: Brokers) -> str:
    """Why no broker can be spoken to, in one line; empty if one can."""
    return await brokers.why_not(create_conn, MetadataRequest([]))


async def ends_as_fetched(consumer: Any, partitions: Iterable[Any]) -> dict[Any, int]:
    """Where partitions assigned to an aiokafka consumer end, from the answers to fetches.

    Tansu's own word for the end counts batches instead of records, so it is too low; as a place to
    fetch from it will do. Moves the consumer, and waits for as long as the broker is silent.
    """
    places = list(partitions)
    for tp, offset in (await consumer.end_offsets(places)).items():
        consumer.seek(tp, offset)
    while any(consumer.highwater(tp) is None for tp in places):
        await consumer.getmany(timeout_ms=20)
    return {tp: consumer.highwater(tp) for tp in places}


def refuse_wrong(states: Iterable[TopicState]) -> None:
    """Raise `TopicsError` that lists every problem of the states."""
    problems = [problem for state in states for problem in state.problems]
    if problems:
        raise TopicsError("\n".join(problems))


@asynccontextmanager
async def _admin(brokers: Brokers) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**brokers.arguments(), request_timeout_ms=10_000)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _look(
    admin: Any, partitions: int, specs: Iterable[TopicSpec] = TOPICS
) -> list[TopicState]:
    found = {topic["topic"]: topic for topic in await admin.describe_topics(None)}
    states = []
    for spec in specs:
        topic = found.get(spec.name)
        state = TopicState(spec, 0 if topic is None else len(topic["partitions"]))
        if not state.missing:
            state.config = await _config(admin, spec.name)
            state.problems = _problems(state, partitions)
        states.append(state)
    return states


async def _look_until_complete(
    admin: Any, partitions: int, specs: Iterable[TopicSpec]
) -> list[TopicState]:
    """A created topic shows up in the metadata of every broker only after a moment."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        states = await _look(admin, partitions, specs)
        absent = [state.spec.name for state in states if state.missing]
        if not absent:
            return states
        if asyncio.get_running_loop().time() > deadline:
            raise TopicsError(f"created, but not listed by the broker: {', '.join(absent)}")
        await asyncio.sleep(0.1)


async def _create(admin: Any, specs: Iterable[TopicSpec], partitions: int) -> set[str]:
    """Create topics; another role may have been faster, which is no error."""
    number = len((await admin.describe_cluster())["brokers"])
    replicas = max(1, min(MAX_REPLICAS, number))
    topics = [
        NewTopic(spec.name, partitions, replicas, topic_configs=_wanted(spec)) for spec in specs
    ]
    response = (await admin.create_topics(topics)).to_object()
    created, problems, forbidden = set(), [], []
    for outcome in response["topic_errors"]:
        code, name = outcome["error_code"], outcome["topic"]
        if code == 0:
            created.add(name)
            told = "created: %d partitions, %d replicas"
            log.info(told, partitions, replicas, extra=about(topic=name))
        elif code in _FORBIDDEN:
            forbidden.append(name)
        elif code != _ALREADY_EXISTS:
            reason = outcome.get("error_message") or for_code(code).__name__
            problems.append(f"topic {name}: cannot be created: {reason}")
    if problems:
        raise TopicsError("\n".join(problems))
    if forbidden:
        raise TopicsMissing(
            f"{', '.join(forbidden)}: not there or not to be seen by this user, who may not create "
            "them; run `callboard topics --create` as operator, and see that the user has its "
            "rights (docs/deploy.md)"
        )
    return created


_SMALL = {
    "segment.bytes": str(8 * 1024 * 1024),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}
"""Kafka compacts what is not in the newest segment, by itself a gigabyte long. Whoever takes a
partition over reads all of its memory before anything else."""


def _wanted(spec: TopicSpec) -> dict[str, str]:
    wanted = {
        "cleanup.policy": spec.cleanup_policy,
        "retention.ms": str(spec.retention_ms),
        "max.message.bytes": str(spec.max_message_bytes),
    }
    return wanted | _SMALL if spec.cleanup_policy == "compact" else wanted


async def _config(admin: Any, name: str) -> dict[str, str]:
    # Asked for single keys, Tansu drops the connection; without any it tells those that were set.
    responses = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    config = {}
    for response in responses:
        for resource in response.to_object()["resources"]:
            for entry in resource["config_entries"]:
                if entry["config_value"] is not None:
                    config[entry["config_names"]] = entry["config_value"]
    return config


def _problems(state: TopicState, partitions: int) -> list[str]:
    spec, config = state.spec, state.config
    problems = []
    if state.partitions != partitions:
        problems.append(
            f"topic {spec.name}: expected {partitions} partitions, found {state.partitions}. "
            "Set CALLBOARD_PARTITIONS to what the topics were made with, the same for every role; "
            "another count needs new topics, a new epoch and a backfill."
        )
    policy = config.get("cleanup.policy", spec.cleanup_policy)
    if set(policy.split(",")) != set(spec.cleanup_policy.split(",")):
        problems.append(_wrong(spec, "cleanup.policy", spec.cleanup_policy, policy))
    retention = int(config.get("retention.ms", spec.retention_ms))
    if 0 <= retention < spec.retention_ms or (spec.retention_ms < 0 <= retention):
        wanted = f"{spec.retention_ms} or longer"
        problems.append(_wrong(spec, "retention.ms", wanted, str(retention)))
    largest = int(config.get("max.message.bytes", spec.max_message_bytes))
    if largest < spec.max_message_bytes:
        wanted = f"{spec.max_message_bytes} or more"
        problems.append(_wrong(spec, "max.message.bytes", wanted, str(largest)))
    return problems


def _wrong(spec: TopicSpec, key: str, expected: str, found: str) -> str:
    value = _wanted(spec)[key]
    return (
        f"topic {spec.name}: expected {key} {expected}, found {found}. Change it with "
        f"`kafka-configs.sh --bootstrap-server … --alter --entity-type topics "
        f"--entity-name {spec.name} --add-config {key}={value}`."
    )
