"""What is remembered is always small enough to be kept, whatever the platform's ids look like."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any
from xml.sax.saxutils import escape

import orjson
import pytest

from pipeline.ingest.memory import MAX_MEMORY_BYTES
from pipeline.sources import SOURCES
from pipeline.sources.fitting import fit

CALLS = 2_000
AT = 1_700_000_000


def packed(memory: Any) -> int:
    return len(zlib.compress(orjson.dumps(memory), 1))


def test_what_fits_stays_as_it_is() -> None:
    part = {"a": 1, "b": 2}
    assert fit({"part": part}, [part], 100) == {"part": {"a": 1, "b": 2}}


def test_of_what_does_not_fit_the_oldest_go_and_of_the_first_part_before_others() -> None:
    first, second = ({f"{name}{n}": n for n in range(1_000)} for name in "xy")
    whole = orjson.dumps(fit([first, second], [first, second], 6_000))
    assert len(zlib.compress(whole, 1)) <= 6_000
    assert len(second) == 1_000
    assert list(first) == [f"x{n}" for n in range(1_000 - len(first), 1_000)]
    fit([first, second], [first, second], 50)
    assert not first
    assert len(second) < 10


def ids() -> Iterator[str]:
    """Two hundred characters that no packing makes shorter."""
    rng = random.Random(3)
    letters = [chr(c) for c in range(0x4E00, 0x9FA0)]
    while True:
        yield "".join(rng.choices(letters, k=200))


def queue_log(number: int, name: str, other: str) -> Iterator[bytes]:
    for rest in ("NONE|ENTERQUEUE|||1", f"{other}|CONNECT|1|x|1", f"{other}|PAUSE|x"):
        call = "NONE" if "PAUSE" in rest else name
        yield f"{AT + number}|{call}|{other}|{rest}".encode()
    yield f"{AT + number}|{other}|{name}|NONE|ENTERQUEUE|||1".encode()


def ami(number: int, name: str, other: str) -> Iterator[bytes]:
    common = {
        "Timestamp": f"{AT}.{number:06d}", "Uniqueid": name, "Queue": other, "MemberName": other,
        "DestUniqueid": name, "Linkedid": other, "DestChannel": "Local/1", "Status": "1",
        "Paused": "0", "PausedReason": other,
    }  # fmt: skip
    events = ("QueueMemberStatus", "QueueCallerJoin", "AgentCalled", "AgentConnect", "Hangup")
    for event in (*events, *(["AgentComplete"] if number % 2 else [])):
        yield orjson.dumps(common | {"Event": event})
    yield orjson.dumps(common | {"Event": "QueueCallerJoin", "Uniqueid": other})


def freeswitch(number: int, name: str, other: str) -> Iterator[bytes]:
    common = {
        "Event-Name": "CUSTOM", "Event-Subclass": "callcenter::info",
        "Event-Date-Timestamp": AT * 1_000_000 + number, "CC-Member-Session-UUID": name,
        "CC-Queue": other, "CC-Agent": other, "CC-Agent-UUID": name,
        "CC-Agent-State": "In a queue call", "CC-Agent-Bridged": "true",
    }  # fmt: skip
    actions = ("member-queue-start", "bridge-agent-start", "agent-state-change")
    for action in (*actions, *(["bridge-agent-end"] if number % 2 else []), actions[0]):
        yield orjson.dumps(common | {"CC-Action": action})


def finesse(number: int, name: str, other: str) -> Iterator[bytes]:
    node, since = f"/finesse/api/User/{other}/Dialogs", f"2023-11-14T22:{number // 60:02d}:00Z"
    part = "".join(
        f"<{tag}>{value}</{tag}>"
        for tag, value in {
            "mediaAddress": escape(name), "mediaAddressType": "AGENT_DEVICE",
            "state": "ALERTING", "stateChangeTime": since,
        }.items()
    )  # fmt: skip
    media = f"<callType>ACD_IN</callType><queueNumber>{other}</queueNumber>"
    dialog = (
        f"<id>{name}</id><mediaProperties>{media}</mediaProperties>"
        f"<participants><Participant>{part}</Participant></participants>"
    )
    update = (
        f"<Update><data><dialog>{dialog}</dialog></data><event>PUT</event>"
        f"<source>{node}</source></Update>"
    )
    yield orjson.dumps({"node": node, "update": update})


PLATFORMS: dict[str, Callable[[int, str, str], Iterator[bytes]]] = {
    "asterisk-queue-log": queue_log,
    "asterisk-ami": ami,
    "freeswitch": freeswitch,
    "cisco-finesse": finesse,
}


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_memory_of_a_platform_fits_whatever_its_ids_are(name: str) -> None:
    translator, random_ids = SOURCES[name].begin("here", {}), ids()
    for number in range(CALLS):
        call, other = next(random_ids), next(random_ids)
        for payload in PLATFORMS[name](number, call, other):
            translator.translate(payload)
    memory = translator.memory()
    assert 300_000 < packed(memory) < MAX_MEMORY_BYTES
    again = SOURCES[name].begin("here", {})
    again.recall(orjson.loads(orjson.dumps(memory)))
    for payload in PLATFORMS[name](CALLS, call, other):
        again.translate(payload)
    assert packed(again.memory()) < MAX_MEMORY_BYTES
