"""What every source must do, whatever its platform."""

from __future__ import annotations

import random
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.simulate.platforms import platform_writers
from pipeline.sources import FORMATS, SOURCES, BadLine
from pipeline.sources.source import Translator, Unread
from schemas.events import validate_event
from tests.sources.fixtures import HERE, Fixture, fixture_of
from tests.sources.mutations import mutations, nested

DOCS = Path(__file__).parents[2] / "docs" / "sources"
SITE = "here"
ASKED_FOR = {
    "asterisk-queue-log",
    "asterisk-ami",
    "freeswitch",
    "genesys-cloud",
    "five9",
    "cisco-finesse",
    "cisco-tcd",
    "amazon-connect",
    "twilio",
    "zendesk",
    "liveperson",
    "salesforce",
    "hubspot",
    "zoho",
    "feedback-csv",
}

every_source = pytest.mark.parametrize("name", sorted(SOURCES))


def begin(fixture: Fixture) -> Translator:
    return fixture.source.begin(SITE, fixture.options, "Europe/Berlin")


def outcome(translator: Translator, payload: bytes) -> Any:
    """The events, or the field that is wrong."""
    try:
        return translator.translate(payload)
    except Unread as error:
        return error.field


def test_every_platform_has_its_module_fixture_page_and_writer() -> None:
    assert set(SOURCES) >= ASKED_FOR
    assert set(FORMATS) >= ASKED_FOR
    assert {folder.name for folder in HERE.iterdir() if folder.is_dir()} >= set(SOURCES)
    assert {page.stem for page in DOCS.glob("*.md")} >= set(SOURCES)
    overview = DOCS.with_suffix(".md").read_text()
    assert {name for name in SOURCES if f"](sources/{name}.md) |" not in overview} == set()
    assert set(platform_writers()) == ASKED_FOR


@every_source
def test_the_documented_payloads_mean_what_is_written_by_hand(name: str) -> None:
    fixture = fixture_of(name)
    translator, expected = begin(fixture), fixture.expected
    for line, payload in fixture.payloads:
        got = outcome(translator, payload)
        want = expected.pop(line)
        if "bad" in want:
            assert got == want["bad"], line
        else:
            common = {"site": SITE, "source": name}
            assert got == [validate_event(common | event) for event in want["events"]], line
    assert not expected


@every_source
def test_each_payload_of_the_fixture_is_cited(name: str) -> None:
    fixture = fixture_of(name)
    text = (fixture.folder / "README.md").read_text()
    assert "http" in text
    kinds = {fixture.source.kind(payload) for _, payload in fixture.payloads}
    assert {kind for kind in kinds if kind not in text} == set()


@every_source
def test_events_are_valid_and_of_the_site(name: str) -> None:
    fixture = fixture_of(name)
    translator, events = begin(fixture), 0
    for _, payload in fixture.payloads:
        got = outcome(translator, payload)
        for event in got if isinstance(got, list) else ():
            assert validate_event(event) == event
            assert (event["site"], event["source"]) == (SITE, name)
            events += 1
    assert events


@every_source
def test_nothing_but_unread_is_raised_for_a_field_that_is_wrong(name: str) -> None:
    fixture = fixture_of(name)
    for index, (_, payload) in enumerate(fixture.payloads):
        translator = begin(fixture)
        for _, earlier in fixture.payloads[max(0, index - 5) : index]:
            outcome(translator, earlier)
        for wrong in mutations(payload):
            got = outcome(translator, wrong)
            assert isinstance(fixture.source.kind(wrong), str)
            for event in got if isinstance(got, list) else ():
                assert validate_event(event) == event


@every_source
def test_what_is_nested_deeply_is_refused_or_not_looked_at(name: str) -> None:
    fixture = fixture_of(name)
    translator = begin(fixture)
    for number, payload in fixture.payloads:
        for wrong in islice(nested(payload), number % 5, None, 5):
            outcome(translator, wrong)
            assert isinstance(fixture.source.kind(wrong), str)


@every_source
def test_what_is_refused_is_not_remembered(name: str) -> None:
    fixture = fixture_of(name)
    translator = begin(fixture)
    if not fixture.source.stateful:
        for _, payload in fixture.payloads:
            outcome(translator, payload)
            assert translator.memory() is None
        return
    for number, payload in fixture.payloads:
        before = orjson.dumps(translator.memory())
        # A fifth of the ways, another one for each payload: all of them take a minute.
        for wrong in islice(mutations(payload), number % 5, None, 5):
            if isinstance(outcome(translator, wrong), str):
                assert orjson.dumps(translator.memory()) == before
            else:
                translator = begin(fixture)
                translator.recall(orjson.loads(before))
        outcome(translator, payload)


@every_source
def test_memory_alone_carries_a_stream_on(name: str) -> None:
    """A translator that is made anew between any two payloads says the same."""
    fixture = fixture_of(name)
    whole, memory = begin(fixture), None
    remembered = False
    for _, payload in fixture.payloads:
        again = begin(fixture)
        if memory is not None:
            again.recall(memory)
        assert outcome(again, payload) == outcome(whole, payload)
        memory = orjson.loads(orjson.dumps(again.memory()))
        remembered |= memory is not None
    assert remembered == fixture.source.stateful


@every_source
def test_a_capture_is_read_whole(name: str) -> None:
    fixture = fixture_of(name)
    garbage = b"\x00\xff garbage\n"
    with fixture.capture.open("rb") as lines:
        clean = list(FORMATS[name].read(lines, SITE, None))
    with fixture.capture.open("rb") as lines:
        spoilt = list(FORMATS[name].read([*lines, garbage], SITE, None))
    assert [item for item in spoilt if not isinstance(item, BadLine)] == [
        item for item in clean if not isinstance(item, BadLine)
    ]
    assert sum(isinstance(item, BadLine) for item in spoilt) == 1 + sum(
        isinstance(item, BadLine) for item in clean
    )


@every_source
def test_repeated_payloads_say_nothing_new_about_contacts(name: str) -> None:
    """Every platform delivers at least once: a payload that comes again adds no event."""
    fixture = fixture_of(name)
    once, twice = begin(fixture), begin(fixture)
    payloads = [payload for _, payload in fixture.payloads]
    first = [event for payload in payloads for event in _events(once, payload)]
    doubled = []
    for payload in payloads:
        doubled += _events(twice, payload)
        doubled += _events(twice, payload)
    assert _distinct(doubled) == _distinct(first)


@every_source
def test_random_bytes_are_refused(name: str) -> None:
    fixture, rng = fixture_of(name), random.Random(7)
    translator = begin(fixture)
    for _ in range(300):
        outcome(translator, rng.randbytes(rng.randrange(60)))


def _events(translator: Translator, payload: bytes) -> list[dict[str, Any]]:
    got = outcome(translator, payload)
    return got if isinstance(got, list) else []


def _distinct(events: list[dict[str, Any]]) -> set[bytes]:
    return {orjson.dumps(event, option=orjson.OPT_SORT_KEYS) for event in events}
