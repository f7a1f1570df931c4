"""The brokers and the topics on them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.doctor.around import Around
from pipeline.doctor.finding import CannotTell, Finding, failed, ok, warning
from pipeline.topics import TopicState, look_at_topics, why_not
from schemas.topics import CHANGELOGS, TOPICS


async def check(around: Around) -> list[Finding]:
    """Whether brokers answer, and who they are."""
    config = around.config
    try:
        admin = await around.admin()
        cluster = await around.of_broker(admin.describe_cluster())
    except CannotTell as error:
        todo = "CALLBOARD_BOOTSTRAP names others; `callboard up` starts one"
        if config.kafka_security != "plaintext":
            todo += "; CALLBOARD_KAFKA_… say how to log in"
        reason = await why_not(config.brokers)
        return [failed("brokers", f"none answers: {reason}" if reason else str(error), todo)]
    count = len(cluster["brokers"])
    how = "" if config.kafka_security == "plaintext" else f", by {config.kafka_security}"
    name = "1 broker" if count == 1 else f"{count} brokers"
    return [ok("brokers", f"{name} at {config.bootstrap}{how}")]


async def topics(around: Around) -> list[Finding]:
    """Every topic beside what it should be."""
    described = {topic["topic"]: topic for topic in await around.topics()}
    config, specs = around.config, (*TOPICS, *CHANGELOGS)
    looked = look_at_topics(config.brokers, config.partitions, specs)
    states = await around.of_broker(looked)
    findings: list[Finding] = []
    for state in states:
        findings += _of_topic(state, described.get(state.spec.name, {}))
    if not findings:
        each = "1 partition" if config.partitions == 1 else f"{config.partitions} partitions"
        told = f"{len(states)} of {each}; cleanup, retention and sizes as they should be"
        findings.append(ok("topics", told))
    return findings


def _of_topic(state: TopicState, described: Mapping[str, Any]) -> Iterator[Finding]:
    name = state.spec.name
    if state.missing:
        yield failed(name, "is missing", "callboard topics --create")
        return
    for problem in state.problems:
        told, _, todo = problem.removeprefix(f"topic {name}: ").partition(". ")
        yield failed(name, told, todo)
    parts = described.get("partitions", [])
    headless = [part["partition"] for part in parts if part.get("leader", 0) < 0]
    if headless:
        told = f"partitions {headless} have no leader"
        yield failed(name, told, "start the brokers that hold them")
    thin = [part["partition"] for part in parts if len(part["isr"]) < len(part["replicas"])]
    if thin:
        told = f"partitions {thin} have fewer copies in sync than they should"
        yield warning(name, told, "a broker is away, or cannot keep up")
