"""Finesse: a simulated centre told in pictures of its dialogs, and the traps of such pictures."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from pipeline.replay import read_history, snapshots
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.platforms import cisco_finesse
from pipeline.sources.platforms.cisco_finesse import FinesseTranslator
from pipeline.sources.source import Unread
from schemas.kpis import COUNTERS
from schemas.settings import parse_site
from tests.engine.subjects import EngineSubject, frame
from tests.sources.fixtures import fixture_of
from tests.sources.round_trip import BUSY, RoundTrip, Totals, no_bad_line, round_trip

EXACT = ("answered", "handled", "talk_ms", "hold_ms", "wrap_ms")
"""Finesse gives the ms of each change. `transferred` too, for calls; a task's end does not tell."""
NOT_CARRIED = ("abandoned", "abandoned_in", "abandoned_short", "abandoned_wait_ms", "sl_abandoned")
"""Only a caller who hangs up while it rings is seen; who leaves a queue otherwise never is."""
MS_A_WAIT = 1000
"""The routing script writes whole seconds."""
OPTIONS = {"wait_variable": "callVariable4", "after_no_answer": "waits"}
VOICE = ("billing", "sales", "support")


@pytest.fixture(scope="module")
def trip() -> RoundTrip:
    return round_trip("cisco-finesse", sources={"cisco-finesse": OPTIONS})


def told(payloads: list[bytes]) -> Totals:
    """The figures of payloads in some order, by queue."""
    plan = Simulation(BUSY).centres[0].plan
    settings = parse_site(site_settings(plan) | {"sources": {"cisco-finesse": OPTIONS}}, "plan")
    read = FORMATS["cisco-finesse"]
    history = read_history(payloads, read, plan.site, None, no_bad_line, settings)
    assert history.last is not None
    (view,) = snapshots(history, settings, [history.last])
    return {
        queue: {n: sum(f["windows"]["total"][n] for f in channels.values()) for n in COUNTERS}
        for queue, channels in view["queues"].items()
    }


def test_pictures_give_the_centres_own_totals(trip: RoundTrip) -> None:
    assert trip.view["inconsistent"] == 0
    assert sum(truth["answered"] for truth in trip.truth.values()) > 500
    for queue, truth in trip.truth.items():
        got = trip.told[queue]
        for name in EXACT + (("transferred",) if queue in VOICE else ()):
            assert got[name] == truth[name], (queue, name)
        assert 0 <= truth["wait_ms"] - got["wait_ms"] <= MS_A_WAIT * truth["answered"]
        assert all(got[name] <= truth[name] for name in NOT_CARRIED)
        # A ring that the end of the visit cuts short looks like one that nobody answered.
        gone = truth["offered"] - truth["answered"]
        assert truth["declined"] <= got["declined"] <= truth["declined"] + gone
        assert got["answered"] + got["abandoned"] <= got["offered"] <= truth["offered"]


def test_copies_come_again(trip: RoundTrip) -> None:
    """A batch that is sent again repeats some pictures after newer ones."""
    again = [*_redelivered(trip.payloads)]
    assert len(again) > len(trip.payloads)
    assert told(again) == trip.told


def _redelivered(payloads: list[bytes]) -> Iterator[bytes]:
    rng = random.Random(3)
    for start in range(0, len(payloads), 40):
        batch = payloads[start : start + 40]
        yield from batch
        if rng.random() < 0.3:
            yield from batch


def test_copies_to_several_agents_come_in_any_order(trip: RoundTrip) -> None:
    """What Finesse publishes at one moment to several nodes has no order among the nodes."""
    rng = random.Random(4)
    shuffled: list[bytes] = []
    moment: list[bytes] = []
    seen = b""
    for payload in trip.payloads:
        picture = orjson.loads(payload)["update"].encode()
        if picture != seen:
            rng.shuffle(moment)
            shuffled += moment
            moment, seen = [], picture
        moment.append(payload)
    assert told([*shuffled, *moment]) == trip.told


def translator(**options: Any) -> FinesseTranslator:
    made = SOURCES["cisco-finesse"].begin("here", options)
    assert isinstance(made, FinesseTranslator)
    return made


def said(payloads: list[bytes], **options: Any) -> list[str]:
    made = translator(**options)
    return [event["type"] for payload in payloads for event in made.translate(payload)]


def lines(first: int, last: int) -> list[bytes]:
    found = fixture_of("cisco-finesse").payloads
    return [payload for number, payload in found if first <= number <= last]


def test_waits_are_what_a_call_variable_says() -> None:
    (queued, offered) = translator(wait_variable="callVariable4").translate(lines(6, 6)[0])
    assert offered["ts"] - queued["ts"] == 23_000
    (queued, offered) = translator(wait_variable="callVariable5").translate(lines(6, 6)[0])
    assert offered["ts"] == queued["ts"]


def test_a_contact_that_rang_unanswered_may_wait_on() -> None:
    assert said(lines(18, 22)).count("contact.queued") == 2
    waits = said(lines(18, 22), after_no_answer="waits")
    assert waits.count("contact.queued") == 1
    assert "contact.left" not in waits


def test_a_ring_that_ends_with_the_caller_is_what_the_site_says() -> None:
    assert said(lines(38, 39))[-1] == "contact.abandoned"
    assert "contact.declined" in said(lines(38, 39), caller_gone="declined")


def test_a_transfer_ends_the_leg_of_one_and_begins_that_of_the_other() -> None:
    made = translator()
    for payload in lines(1, 26):
        made.translate(payload)
    events = [event for payload in lines(27, 31) for event in made.translate(payload)]
    assert [(e["type"], e["agent"]) for e in events] == [
        ("contact.released", "1018"),
        ("contact.wrapped", "1018"),
        ("contact.answered", "1017"),
        ("contact.released", "1017"),
        ("contact.wrapped", "1017"),
    ]
    assert len({event["contact"] for event in events}) == 1


def test_an_address_belongs_to_whom_a_notification_shows_it() -> None:
    """Before any User notification the node's user tells whose the one device is."""
    events = [event for payload in lines(6, 7) for event in translator().translate(payload)]
    assert {event["agent"] for event in events if "agent" in event} == {"1017"}
    # Without its node a picture is nobody's until the address is known.
    update = orjson.loads(lines(7, 7)[0])["update"]
    alone = translator()
    assert alone.translate(update.encode()) == []
    for payload in lines(1, 4):
        alone.translate(payload)
    assert [event["agent"] for event in alone.translate(update.encode())] == ["1017"]


def test_payloads_come_as_objects_as_text_or_as_xml() -> None:
    update = orjson.loads(lines(2, 2)[0])["update"]
    forms = [
        lines(2, 2)[0],
        orjson.dumps(update),
        update.encode(),
        orjson.dumps({"update": update}),
    ]
    first, *others = [translator().translate(form) for form in forms]
    assert first
    assert all(other == first for other in others)


def test_calls_may_be_left_to_another_source() -> None:
    kinds = set(said([payload for _, payload in fixture_of("cisco-finesse").payloads[:69]]))
    assert len(kinds) > 5
    assert set(said(lines(1, 69), calls=False)) == {"agent.state"}


def test_a_centre_of_chats_takes_its_agents_states_from_the_medium() -> None:
    for media in ("5002", "Cisco_Chat_MRD"):
        (event,) = translator(agent_media=media).translate(lines(54, 54)[0])
        assert (event["agent"], event["state"], event["reason"]) == (
            "1018",
            "not_ready",
            "Team Meeting",
        )
        assert translator(agent_media=media).translate(lines(1, 1)[0]) == []


BOMB = (
    '<!DOCTYPE Update [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Update><event>PUT</event><data><user><loginId>&b;</loginId></user></data></Update>"
)
FILE = (
    '<!DOCTYPE Update [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
    "<Update><data><user><loginId>&f;</loginId></user></data></Update>"
)


@pytest.mark.parametrize(
    "update",
    [
        BOMB,
        FILE,
        "<Update><data><user><loginId>&undefined;</loginId></user></data></Update>",
        "<Update><data>" + "x" * 300_000 + "</data></Update>",
        "<Update><data>" + "<a>" * 60_000,
        "<Update><data><user></data></Update>",
        "<Other></Other>",
        "<Update></Update>",
        "\ud800",
        "",
    ],
)
def test_hostile_xml_is_refused(update: str) -> None:
    made = translator()
    payload = orjson.dumps({"update": update.encode("utf-8", "replace").decode()})
    with pytest.raises(Unread):
        made.translate(payload)
    assert made.memory() == [{}, {}, {}]


def test_call_variables_that_look_like_tags_do_no_harm() -> None:
    """Leaving call variables out before parsing must not change what the rest means."""
    update = orjson.loads(lines(6, 6)[0])["update"]
    odd = update.replace(
        "<value>23</value>", "<value><![CDATA[</callvariables><callvariables>]]></value>"
    )
    assert odd != update
    assert translator().translate(odd.encode()) == translator().translate(update.encode())


@pytest.mark.parametrize("wrong", ["", "x" * 5_000, "2024-13-45T99:99:99Z"])
def test_any_wrong_text_in_the_xml_is_refused_or_read(wrong: str) -> None:
    """A fuzz of each element: whatever it holds, nothing but `Unread` comes out."""
    for _, payload in fixture_of("cisco-finesse").payloads[:69]:
        value = orjson.loads(payload)
        update = value if isinstance(value, str) else value["update"]
        pieces = update.split("</")
        for index in range(len(pieces) - 1):
            tag, end, _ = pieces[index].rpartition(">")
            changed = "</".join([*pieces[:index], f"{tag}{end}{wrong}", *pieces[index + 1 :]])
            made = translator()
            try:
                made.translate(changed.encode())
            except Unread:
                assert made.memory() == [{}, {}, {}]


def test_memory_is_bounded_by_the_time_of_events() -> None:
    """Ended contacts are kept for minutes, those whose end was missed for two days."""
    made, ring = translator(), orjson.loads(lines(6, 6)[0])["update"]
    for payload in lines(1, 19):
        made.translate(payload)
    assert set(made.memory()[2]) == {"152018-217", "152018-218"}
    made.translate(ring.replace(">217<", ">300<").replace("16804377", "1").encode())
    assert set(made.memory()[2]) == {"152018-217", "152018-218", "152018-300"}
    later = ring.replace("16804377", "2").replace(">217<", ">301<").replace("09:00:", "10:00:")
    made.translate(later.encode())
    assert set(made.memory()[2]) == {"152018-300", "152018-301"}
    # The number of a dialog comes again when the gateway has been restarted.
    again = later.replace(">301<", ">302<").replace("-15T", "-18T").replace(">2<", ">1<")
    made.translate(again.encode())
    assert set(made.memory()[2]) == {"152018-302"}


def test_a_call_whose_end_was_missed_keeps_none_that_ended_after_it() -> None:
    made, ring = translator(), orjson.loads(lines(6, 6)[0])["update"]
    made.translate(ring.replace("16804377", "7").replace(">217<", ">100<").encode())
    for number in range(300, 320):
        memory, made = orjson.loads(orjson.dumps(made.memory())), translator()
        made.recall(memory)
        call = ring.replace("16804377", str(number)).replace(">217<", f">{number}<")
        call = call.replace("T09:00:", f"T{min(number - 290, 23)}:00:")
        made.translate(call.encode())
        made.translate(call.replace("ALERTING", "DROPPED").replace(":00:2", ":00:4").encode())
    dialogs, contacts = made.memory()[1:]
    assert len(contacts) <= 8
    assert "152018-100" in contacts
    assert set(dialogs.values()) <= set(contacts)


def test_a_dialogs_number_may_come_again_for_another_call() -> None:
    made = translator()
    for payload in lines(1, 16):
        made.translate(payload)
    other = orjson.loads(lines(6, 6)[0])["update"].replace(">217<", ">400<")
    events = made.translate(other.replace("T09:00:", "T15:00:").encode())
    assert {event["contact"] for event in events} == {"152018-400"}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cisco_finesse, "_MOST_CONTACTS", 50)
    monkeypatch.setattr(cisco_finesse, "_MOST_ADDRESSES", 20)
    made = translator()
    base = orjson.loads(lines(6, 6)[0])["update"]
    for n in range(200):
        update = base.replace("16804377", str(n + 1)).replace(">217<", f">{n + 1}<")
        made.translate(update.replace(">2001<", f">{n + 1}<").encode())
        node = f"/finesse/api/User/{n}/Dialogs"
        made.translate(orjson.dumps({"node": node, "update": update.replace(">2001<", f">{n}<")}))
    logins, dialogs, contacts = made.memory()
    assert len(logins) <= 20
    assert len(dialogs) <= 50
    assert len(contacts) <= 50


def test_a_state_that_began_long_ago_is_not_late() -> None:
    (fresh,), (old,) = (translator().translate(payload) for payload in lines(72, 73))
    hour = 3_600_000
    assert (fresh["ts"], old["ts"]) == (1_705_310_340_000, 1_705_312_800_000)
    board, late = EngineSubject().live([frame([old], old["ts"] + 500)])
    assert late == []
    assert board.agents() == {"available": 1}
    (told,) = translator(fresh_s=hour).translate(lines(73, 73)[0])
    assert told["ts"] == fresh["ts"]


def test_a_batch_that_is_sent_again_after_a_quarter_of_an_hour_says_the_same(
    trip: RoundTrip,
) -> None:
    """A call may have ended early in the batch, and begun before it."""
    payloads, made = trip.payloads[3_500:6_000], translator()
    first = [orjson.dumps(event) for payload in payloads for event in made.translate(payload)]
    newest = max(orjson.loads(event)["ts"] for event in first)
    since = next(
        index
        for index, payload in enumerate(payloads)
        if any(event["ts"] > newest - 900_000 for event in translator().translate(payload))
    )
    again = [orjson.dumps(event) for p in payloads[since:] for event in made.translate(p)]
    assert set(again) <= set(first)
