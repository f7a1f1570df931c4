"""Several sites as one stream, and its continuation from the middle."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from pipeline.simulate.options import MINUTE, Scenario
from pipeline.simulate.stream import Simulation
from tests.simulate.runs import BUSY, run

THREE = replace(BUSY, sites=3, agents=20, duration_ms=40 * MINUTE)


def test_records_of_all_sites_come_in_the_order_they_arrive() -> None:
    records = run(THREE).records
    assert {record.site for record in records} == {"sim", "sim-2", "sim-3"}
    assert all(earlier.at <= later.at for earlier, later in pairwise(records))
    assert all(e["site"] == r.site for r, e in zip(records, run(THREE).events, strict=True))


def test_a_site_is_the_same_alone_and_beside_others() -> None:
    alone = run(replace(THREE, sites=1)).records
    assert [record for record in run(THREE).records if record.site == "sim"] == alone


def test_each_site_keeps_its_order_when_all_were_silent() -> None:
    silent = run(replace(THREE, scenario=Scenario.OUTAGE))
    for site in ("sim", "sim-2", "sim-3"):
        moments = [event["ts"] for event in silent.events if event["site"] == site]
        assert moments == sorted(moments)


def test_the_stream_goes_on_from_any_moment() -> None:
    records = run(THREE).records
    middle = records[len(records) // 2].at
    rest = list(Simulation(THREE).records(after=middle))
    assert rest == [record for record in records if record.at >= middle]
