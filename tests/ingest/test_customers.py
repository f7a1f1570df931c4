"""Numbers of customers leave ingest only as hashes under a key of their site."""

from __future__ import annotations

import orjson
import pytest

from pipeline.ingest.customers import HASH_BYTES, Customers
from pipeline.ingest.dead_letters import Rejected
from pipeline.ingest.sites import Sites
from pipeline.ingest.translate import Streams
from pipeline.sources import SOURCES
from pipeline.sources.capture import read_capture
from pipeline.sources.source import Event, Source, Translator
from schemas.settings import SiteSettings

NUMBER = "+49 30 1234567"


def hidden(customers: Customers, site: str = "north", number: str = NUMBER) -> str | None:
    event: Event = {"type": "contact.queued", "site": site, "customer": number}
    customers.hide(event)
    found: str | None = event.get("customer")
    return found


def test_the_same_number_of_a_site_has_one_hash() -> None:
    first, again = hidden(Customers("key")), hidden(Customers("key"))
    assert first == again
    assert first is not None
    assert len(first) == 2 * HASH_BYTES
    assert NUMBER not in first


def test_another_site_number_or_key_gives_another() -> None:
    found = {
        hidden(Customers("key")),
        hidden(Customers("key"), "south"),
        hidden(Customers("key"), number=NUMBER + "8"),
        hidden(Customers("other key")),
    }
    assert len(found) == 4


def test_without_a_key_customers_are_left_out() -> None:
    assert hidden(Customers("")) is None


def test_an_event_without_a_customer_stays_as_it_is() -> None:
    event: Event = {"type": "clock", "site": "north", "ts": 1}
    Customers("key").hide(event)
    assert event == {"type": "clock", "site": "north", "ts": 1}


CANONICAL = {
    "type": "contact.queued",
    "site": "north",
    "ts": 1,
    "contact": "c",
    "queue": "q",
    "customer": NUMBER,
}
LINE = f"1700000100|1700000100.11|support|NONE|ENTERQUEUE||{NUMBER}|1".encode()


@pytest.mark.parametrize(
    ("name", "payload"),
    [("canonical", orjson.dumps(CANONICAL)), ("asterisk-queue-log", LINE)],
)
def test_translated_events_hold_no_number(name: str, payload: bytes) -> None:
    sites = Sites()
    sites.update({"north": SiteSettings(site="north")})
    events = Streams(sites, Customers("key"), {}).translate(payload, name, "north", 0)
    assert any("customer" in event for event in events)
    assert NUMBER.encode() not in orjson.dumps(events)


class Faulty(Translator):
    """Fails as a defect would, with the number in what is said of it."""

    def translate(self, payload: bytes) -> list[Event]:
        raise KeyError(payload.decode())


def test_a_defect_of_a_translator_tells_no_number(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source = Source("faulty", "Faulty", Faulty, lambda payload: "x")
    monkeypatch.setitem(SOURCES, "faulty", source)
    sites = Sites()
    sites.update({"north": SiteSettings(site="north")})
    with pytest.raises(Rejected, match=r"KeyError at test_customers\.py:\d+") as refused:
        Streams(sites, Customers("key"), {}).translate(NUMBER.encode(), "faulty", "north", 0)
    (bad,) = read_capture(source, [NUMBER.encode()], "north")
    for said in (refused.value.detail, str(bad), caplog.text):
        assert "KeyError" in said
        assert NUMBER not in said
