"""Rows of Unified CCE: a simulated centre told in whole seconds, and the traps of its keys."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from pipeline.replay import read_history, snapshots
from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.platforms.cisco_tcd import WRITER, number_of
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.platforms.cisco_tcd.calls import DISPOSITIONS
from pipeline.sources.source import Unread
from schemas.kpis import COUNTERS
from schemas.settings import parse_site
from tests.engine.subjects import EngineSubject, frame, tick
from tests.sources.round_trip import BUSY, no_bad_line

EXACT = ("answered", "abandoned", "declined", "handled", "transferred")
SECONDS_A_WAIT = 3
"""Queue and ring are cut to seconds, and so is the end that they are counted back from."""
SECONDS_A_LEG = 1
NOT_CARRIED = ("left_callback", "left_overflow", "left_other")
"""Moves between queues by a script leave no row; a contact's next row is of the next queue."""

Totals = dict[str, dict[str, int]]
TCD = {
    "RouterCallKeyDay": 154321,
    "RouterCallKey": 77,
    "RouterCallKeySequenceNumber": 1,
    "PeripheralID": 5000,
    "ICRCallKey": 200000001,
    "PeripheralCallType": 2,
    "CallDisposition": 13,
    "AgentSkillTargetID": 5017,
    "SkillGroupSkillTargetID": 5100,
    "DateTime": "2024-01-15 09:01:40",
    "TimeZone": 0,
    "Duration": 98,
    "LocalQTime": 20,
    "RingTime": 3,
    "DelayTime": 0,
    "TalkTime": 60,
    "HoldTime": 5,
    "WorkTime": 10,
}
END = 1705309300_000


class StillTalking:
    """The queue and the wait of each answered visit whose leg has not ended, by whose it is."""

    def __init__(self) -> None:
        self.legs: dict[tuple[str, str], tuple[str, int]] = {}
        self._queued: dict[str, int] = {}

    def see(self, happening: Happening) -> None:
        contact, agent, kind = happening.contact, happening.agent, happening.kind
        if contact is not None and kind is Kind.ENQUEUED:
            self._queued[contact.id] = happening.at
        if contact is None or agent is None:
            return
        if kind is Kind.CONNECTED and not happening.facts:
            wait = happening.at - self._queued[contact.id]
            self.legs[contact.id, agent.id] = happening.queue, wait
        elif kind is Kind.WRAPPED_UP:
            self.legs.pop((contact.id, agent.id), None)


class Trip:
    """A simulated centre: its own totals, its rows, and what the rows come back as.

    Who still talks or works at the end has no row yet and is taken off the totals.
    """

    def __init__(self) -> None:
        simulation = Simulation(BUSY)
        (centre,) = simulation.centres
        writer, still = WRITER("plan"), StillTalking()
        self.payloads: list[bytes] = []
        self.end = 0
        for happening in centre.happenings():
            self.payloads += writer.payloads(happening)
            still.see(happening)
            self.end = happening.at
        plan = centre.plan
        self.site = plan.site
        made: dict[str, Any] = dict(site_settings(plan))
        made["queues"] = {str(number_of(q)): value for q, value in made["queues"].items()}
        made["sources"] = {"cisco-tcd": {"queue": ["CallTypeID"]}}
        self.settings = parse_site(made, "plan")
        self.truth: Totals = {}
        for (queue, _), counters in simulation.totals[plan.site].items():
            self.truth[str(number_of(queue))] = dict(counters)
        for queue, wait in still.legs.values():
            self.truth[str(number_of(queue))]["answered"] -= 1
            self.truth[str(number_of(queue))]["wait_ms"] -= wait

    def told(self, payloads: list[bytes]) -> Totals:
        read = FORMATS["cisco-tcd"]
        history = read_history(payloads, read, self.site, None, no_bad_line, self.settings)
        assert history.last is not None
        (view,) = snapshots(history, self.settings, [max(history.last, self.end)])
        return {queue: _summed(channels) for queue, channels in view["queues"].items()}


def _summed(channels: dict[str, Any]) -> dict[str, int]:
    totals = [figures["windows"]["total"] for figures in channels.values()]
    waiting = sum(figures["now"]["waiting"] for figures in channels.values())
    return {n: sum(total[n] for total in totals) for n in COUNTERS} | {"waiting": waiting}


@pytest.fixture(scope="module")
def trip() -> Trip:
    return Trip()


def events(row: dict[str, Any], zone: str = "UTC", **options: Any) -> list[dict[str, Any]]:
    translator = SOURCES["cisco-tcd"].begin("here", options, zone)
    return translator.translate(orjson.dumps(row))


def seen(row: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Each event's seconds before the end of the row, by its type."""
    return {e["type"].split(".")[1]: (END - e["ts"]) / 1000 for e in events(row, **options)}


def test_rows_give_the_centres_own_totals_within_their_seconds(trip: Trip) -> None:
    told = trip.told(trip.payloads)
    answered = sum(counters["answered"] for counters in trip.truth.values())
    assert answered > 300
    for queue, truth in trip.truth.items():
        got = told[queue]
        for name in EXACT:
            assert got[name] == truth[name], (queue, name)
        ended = got["answered"] + got["abandoned"] + got["waiting"]
        # Only who rang unanswered is known to wait on; what became of them may have no row.
        assert got["offered"] == ended <= truth["offered"]
        assert got["waiting"] <= truth["declined"]
        assert [got[name] for name in NOT_CARRIED] == [0, 0, 0]
        for name in ("talk_ms", "hold_ms", "wrap_ms"):
            assert 0 <= truth[name] - got[name] <= 1000 * SECONDS_A_LEG * truth["handled"]
        for name, outcome in (("wait_ms", "answered"), ("abandoned_wait_ms", "abandoned")):
            bound = 1000 * SECONDS_A_WAIT * truth[outcome]
            assert abs(truth[name] - got[name]) <= bound, (queue, name)


def test_rows_again_and_in_another_order_give_the_same(trip: Trip) -> None:
    """An export that overlaps the last one, and whose rows come as the server finds them."""
    rng = random.Random(5)
    rows = [*trip.payloads, *rng.sample(trip.payloads, len(trip.payloads) // 5)]
    rng.shuffle(rows)
    assert trip.told(rows) == trip.told(trip.payloads)


def test_a_row_leads_back_from_its_end() -> None:
    assert seen(TCD) == {
        "wrapped": 0,
        "released": 10,
        "resumed": 10,
        "held": 15,
        "answered": 75,
        "offered": 78,
        "queued": 98,
    }


def test_the_newest_comes_first() -> None:
    """A contact that is known by its end is not late with its beginning."""
    for disposition in DISPOSITIONS:
        made = events(TCD | {"CallDisposition": disposition, "TalkTime": 0, "HoldTime": 0})
        stamps = [event["ts"] for event in made]
        assert stamps == sorted(stamps, reverse=True)


def test_the_key_begins_again_at_midnight() -> None:
    (first, *_), (second, *_) = events(TCD), events(TCD | {"RouterCallKeyDay": 154322})
    assert {first["contact"], second["contact"]} == {"154321-77", "154322-77"}


def test_a_call_that_was_not_routed_has_the_key_of_its_gateway() -> None:
    own = TCD | {"RouterCallKey": 0, "RouterCallKeyDay": 0, "PeripheralCallType": 9}
    made = events(own)
    assert {event["contact"] for event in made} == {"icr-5000-200000001"}
    assert [event["type"] for event in made if "queue" in event] == []


def test_a_transferred_call_has_a_row_for_each_leg() -> None:
    first = events(TCD | {"CallDisposition": 28})
    second = events(TCD | {"AgentSkillTargetID": 5018, "PeripheralCallType": 4, "LocalQTime": 0})
    reasons = {e["reason"] for e in first if e["type"] == "contact.released"}
    assert reasons == {"transferred"}
    assert {e["contact"] for e in first} == {e["contact"] for e in second}
    assert "contact.queued" not in {event["type"] for event in second}


def test_every_documented_disposition_is_known_and_no_other() -> None:
    assert set(DISPOSITIONS) == set(range(1, 63))
    for code in (0, 63, -1, 1000):
        with pytest.raises(Unread) as refused:
            events(TCD | {"CallDisposition": code})
        assert refused.value.field == "CallDisposition"


@pytest.mark.parametrize(
    ("row", "kinds"),
    [
        ({"CallDisposition": 3}, ["abandoned", "offered", "queued"]),
        ({"CallDisposition": 19}, ["declined", "offered", "queued"]),
        ({"CallDisposition": 6, "AgentSkillTargetID": None}, ["abandoned", "queued"]),
        ({"CallDisposition": 13, "AgentSkillTargetID": None}, []),
        ({"CallDisposition": 15, "AgentSkillTargetID": None}, ["left", "queued"]),
        ({"CallDisposition": 7, "PeripheralCallType": 4}, []),
        ({"CallDisposition": 53}, []),
        ({"CallDisposition": 13, "PeripheralCallType": 12}, []),
    ],
)
def test_rows_without_talk(row: dict[str, Any], kinds: list[str]) -> None:
    silent = TCD | {"TalkTime": 0, "HoldTime": 0, "WorkTime": 0} | row
    assert list(seen(silent)) == kinds


def test_a_caller_who_hangs_up_on_hold_was_answered() -> None:
    assert "abandoned" not in seen(TCD | {"CallDisposition": 6})


@pytest.mark.parametrize(
    ("how", "minutes", "hours_off"),
    [("minutes_west", 300, 5), ("minutes_west", -60, -1), ("minutes_east", 60, -1)],
)
def test_times_are_local(how: str, minutes: int, hours_off: int) -> None:
    made = events(TCD | {"TimeZone": minutes}, time_zone=how)
    assert made[0]["ts"] == END + hours_off * 3_600_000


def test_times_are_in_the_sites_zone_where_it_is_said() -> None:
    made = events(TCD | {"TimeZone": 300}, zone="Europe/Berlin", time_zone="site")
    assert made[0]["ts"] == END - 3_600_000


def test_columns_may_be_written_in_any_case() -> None:
    assert events({name.lower(): value for name, value in TCD.items()}) == events(TCD)
    assert events({name.upper(): value for name, value in TCD.items()}) == events(TCD)


def test_numbers_may_be_written_as_text() -> None:
    assert events({name: str(value) for name, value in TCD.items()}) == events(TCD)


def test_the_site_says_which_column_is_the_queue_and_what_follows_no_answer() -> None:
    row = TCD | {"CallTypeID": 5300, "CallDisposition": 19, "TalkTime": 0, "HoldTime": 0}
    made = events(row, queue=["CallTypeID"], after_no_answer="left")
    assert {event["queue"] for event in made if "queue" in event} == {"5300"}
    assert made[0]["type"] == "contact.left"


def test_states_of_other_media_are_not_the_agents() -> None:
    row = {"DateTime": "2024-01-15 09:00:00", "SkillTargetID": 5017, "AgentState": 3}
    assert events(row | {"TimeZone": 0, "MRDomainID": 1})
    assert events(row | {"TimeZone": 0, "MRDomainID": 5002}) == []
    assert events(row | {"TimeZone": 0, "MRDomainID": 5002}, media=["5002"])


def test_a_long_call_that_is_told_at_its_end_is_not_late() -> None:
    made = events(TCD | {"TalkTime": 7_200})
    board, late = EngineSubject().live([tick(END), frame(made, END + 6_000)])
    assert late == []
    assert board.counted("5100") == {
        "offered": 1,
        "answered": 1,
        "wait_ms": 23_000,
        "sl_missed": 1,
        "handled": 1,
        "talk_ms": 7_200_000,
        "hold_ms": 5_000,
        "wrap_ms": 10_000,
    }
