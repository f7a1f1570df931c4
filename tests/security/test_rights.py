"""What the rights of a user do not say is refused by a real broker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    for_code,
)

from pipeline.topics import TopicsMissing, ensure_topics, look_at_topics, why_not
from schemas.access import USERS, User, UserName, principal_of
from schemas.brokers import Brokers, Mechanism
from schemas.topics import FRAMES, RAW
from tests.security.broker import SecureKafka
from tests.security.conftest import PARTITIONS

NAMES = list(USERS)
ALL = [spec.name for spec in USERS["operator"].topics]
GROUPS = ("callboard-ingest-1", "callboard-agents", "callboard-sink-1", "callboard-sink-alerts-1")


def may_be_in(user: User, group: str) -> bool:
    if user.group is None:
        return False
    (name,) = user.group.names
    return group.startswith(name) if user.group.pattern == "prefix" else group == name


def unread(user: User) -> list[str]:
    """Topics that it sees and may not read."""
    return [spec.name for spec in user.topics if spec.name not in user.reads]


@asynccontextmanager
async def started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


@pytest.mark.parametrize("name", NAMES)
async def test_a_user_sees_the_topics_of_its_rights(kafka: SecureKafka, name: UserName) -> None:
    brokers = kafka.brokers(principal_of(name))
    states = await look_at_topics(brokers, PARTITIONS, USERS["operator"].topics)
    seen = [state.spec for state in states if not state.missing]
    assert seen == list(USERS[name].topics)
    assert [problem for state in states for problem in state.problems] == []


@pytest.mark.parametrize("name", NAMES)
async def test_it_can_write_to_no_other(kafka: SecureKafka, name: UserName) -> None:
    brokers = kafka.brokers(principal_of(name))
    async with started(AIOKafkaProducer(**brokers.arguments())) as producer:
        for topic in ALL:
            if topic not in USERS[name].writes:
                with pytest.raises(TopicAuthorizationFailedError):
                    await producer.send_and_wait(topic, b"forged", partition=0)


@pytest.mark.parametrize("name", [name for name in NAMES if unread(USERS[name])])
async def test_it_can_read_no_other(kafka: SecureKafka, name: UserName) -> None:
    """Of those it sees: whoever may read a topic sees it, so the rest is refused above."""
    brokers = kafka.brokers(principal_of(name))
    consumer = AIOKafkaConsumer(**brokers.arguments(), enable_auto_commit=False)
    async with started(consumer):
        for topic in unread(USERS[name]):
            place = TopicPartition(topic, 0)
            consumer.assign([place])
            consumer.seek(place, 0)
            with pytest.raises(TopicAuthorizationFailedError):
                await consumer.getone(place)


@pytest.mark.parametrize("name", NAMES)
async def test_it_can_be_in_no_other_group(kafka: SecureKafka, name: UserName) -> None:
    brokers = kafka.brokers(principal_of(name))
    for group in GROUPS:
        if may_be_in(USERS[name], group):
            continue
        consumer = AIOKafkaConsumer(**brokers.arguments(), group_id=group, enable_auto_commit=False)
        async with started(consumer):
            place = TopicPartition(USERS[name].topics[0].name, 0)
            consumer.assign([place])
            with pytest.raises(GroupAuthorizationFailedError):
                await consumer.commit({place: 0})


async def test_nobody_makes_or_deletes_other_topics(kafka: SecureKafka) -> None:
    for name in NAMES:
        admin = AIOKafkaAdminClient(**kafka.brokers(principal_of(name)).arguments())
        try:
            await admin.start()
            answer = (await admin.create_topics([NewTopic("kpi.more", 1, 1)])).to_object()
            (made,) = answer["topic_errors"]
            assert for_code(made["error_code"]) is TopicAuthorizationFailedError, name
            answer = (await admin.delete_topics([FRAMES])).to_object()
            (gone,) = answer["topic_error_codes"]
            assert for_code(gone["error_code"]) is TopicAuthorizationFailedError, name
        finally:
            await admin.close()


async def test_a_role_that_may_make_no_topics_says_who_does(kafka: SecureKafka) -> None:
    board = kafka.brokers("kafka-board")
    with pytest.raises(TopicsMissing, match=r"topics --create. as operator") as refused:
        await ensure_topics(board, PARTITIONS, USERS["door"].topics)
    assert RAW in str(refused.value)


async def test_who_does_not_log_in_sees_nothing(kafka: SecureKafka) -> None:
    """A certificate is a user as well: that of the listener for certificates."""
    ca = str(kafka.authority.file)
    cert, key = kafka.authority.certificate("kafka-board")
    by_certificate = Brokers(
        kafka.address_of("mutual"), "ssl", ca_file=ca, cert_file=str(cert), key_file=str(key)
    )
    states = await look_at_topics(by_certificate, PARTITIONS, USERS["operator"].topics)
    assert [s.spec for s in states if not s.missing] == list(USERS["board"].topics)
    stranger, its_key = kafka.authority.certificate("somebody")
    unknown = Brokers(
        by_certificate.bootstrap, "ssl", ca_file=ca, cert_file=str(stranger), key_file=str(its_key)
    )
    states = await look_at_topics(unknown, PARTITIONS, USERS["operator"].topics)
    assert [s.spec.name for s in states if not s.missing] == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_every_mechanism_lets_in_who_has_the_password(
    kafka: SecureKafka, mechanism: Mechanism
) -> None:
    brokers = replace(kafka.brokers("kafka-board"), mechanism=mechanism)
    assert not await why_not(brokers)
    assert "refuses the user" in await why_not(replace(brokers, password="guess"))


async def test_the_listener_of_compose_wants_a_user_and_takes_no_password_in_the_clear(
    kafka: SecureKafka,
) -> None:
    roles = replace(
        kafka.brokers("kafka-board"),
        bootstrap=kafka.address_of("roles"),
        security="sasl_plaintext",
        ca_file="",
    )
    assert not await why_not(roles)
    assert "refuses the user" in await why_not(replace(roles, password="guess"))
    assert "refuses the user" in await why_not(replace(roles, mechanism="PLAIN"))
    assert "hangs up" in await why_not(Brokers(roles.bootstrap))
