"""The job beside the peers: callboard does it to the integer, and what is wrong is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from bench.peers import callboard, reference
from bench.peers.__main__ import RESULTS
from bench.peers.day import Day, write_day
from bench.peers.job import (
    PANE_MS,
    PANES,
    SITE_ROW,
    Results,
    compare,
    line_of,
    read_results,
)
from bench.peers.page import BEGIN, END, PAGE, figures
from bench.peers.steps import AGENT_TYPES, CONTACT_TYPES, WIDTH, Agent, Contact, Presence, Trailing

MINUTES = 30


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    return write_day(
        tmp_path_factory.mktemp("day") / "day.ndjson", MINUTES, agents=60, queues=6, calls=900
    )


def results_of(run: Callable[[str, str], int], day: Day, place: Path) -> Results:
    assert run(str(day.path), str(place)) == day.events
    return read_results(place, day.last_edge)


@pytest.fixture(scope="module")
def expected(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(reference.run, day, tmp_path_factory.mktemp("expected") / "results")


def test_the_day_has_something_of_every_figure(day: Day, expected: Results) -> None:
    of_queues = [figures for (_, queue), figures in expected.items() if queue != SITE_ROW]
    of_site = [figures for (_, queue), figures in expected.items() if queue == SITE_ROW]
    assert all(any(column) for column in zip(*of_queues, strict=True))
    assert all(any(column) for column in zip(*of_site, strict=True))
    assert len(of_site) > MINUTES * 60_000 // PANE_MS - 5
    assert max(edge for edge, _ in expected) == day.last_edge


def test_callboard_and_the_loop_by_hand_agree_to_the_integer(
    day: Day, expected: Results, tmp_path: Path
) -> None:
    difference = compare(expected, results_of(callboard.run, day, tmp_path / "results"))
    assert difference.equal, difference
    assert difference.rows > 1000


def test_what_the_peers_are_given_to_run_agrees_with_both(day: Day, expected: Results) -> None:
    assert compare(expected, _by_steps(day)).equal


def _by_steps(day: Day) -> Results:
    contacts: dict[str, Contact] = {}
    agents: dict[str, Agent] = {}
    queues: dict[str, Trailing] = {}
    site = Presence()
    for line in day.path.read_bytes().splitlines():
        event = orjson.loads(line)
        if event["type"] in CONTACT_TYPES:
            for queue, ts, added in contacts.setdefault(event["contact"], Contact()).take(event):
                queues.setdefault(queue, Trailing(WIDTH)).add(ts, added)
        if event["type"] in AGENT_TYPES:
            for change in agents.setdefault(event["agent"], Agent()).take(event):
                site.change(change)
    end = day.last_edge + PANES * PANE_MS
    found: Results = {(edge, SITE_ROW): tuple(sums) for edge, sums in site.closed(end)}
    for queue, trailing in queues.items():
        found |= {(edge, queue): tuple(sums) for edge, sums in trailing.closed(end)}
    return {key: sums for key, sums in found.items() if key[0] <= day.last_edge}


def test_a_wrong_figure_a_missing_row_and_one_too_many_are_differences(expected: Results) -> None:
    assert compare(expected, dict(expected)).equal
    key = next(key for key in expected if key[1] != SITE_ROW)
    figures = expected[key]
    off_by_one = compare(expected, {**expected, key: (figures[0] + 1, *figures[1:])})
    assert (off_by_one.wrong, off_by_one.missing, off_by_one.extra) == (1, 0, 0)
    assert str(key) in off_by_one.first
    missing = compare(expected, {k: v for k, v in expected.items() if k != key})
    assert (missing.wrong, missing.missing, missing.extra) == (0, 1, 0)
    extra = compare(expected, {**expected, (1, "nobody"): figures})
    assert (extra.wrong, extra.missing, extra.extra) == (0, 0, 1)


def test_the_sites_rows_count_only_where_a_peer_makes_them(expected: Results) -> None:
    queues = {key: figures for key, figures in expected.items() if key[1] != SITE_ROW}
    assert compare(expected, queues, site=False).equal
    assert compare(expected, queues).missing == len(expected) - len(queues)


def test_rows_are_read_from_files_of_a_folder_without_zeros_and_what_lies_beyond(
    tmp_path: Path,
) -> None:
    (tmp_path / "queues").mkdir()
    (tmp_path / "queues" / "part").write_text(
        line_of(10_000, "sales", [1, 1]) + line_of(20_000, "sales", [0, 0])
    )
    (tmp_path / "site").write_text(f'10000,"{SITE_ROW}",5,0\n' + line_of(30_000, SITE_ROW, [1, 1]))
    assert read_results(tmp_path, last_edge=20_000) == {
        (10_000, "sales"): (1, 1),
        (10_000, SITE_ROW): (5, 0),
    }


def test_a_row_given_twice_is_an_error(tmp_path: Path) -> None:
    place = tmp_path / "results"
    place.write_text(line_of(10_000, "sales", [1, 1]) * 2)
    with pytest.raises(ValueError, match="two rows"):
        read_results(place, last_edge=10_000)


def test_the_page_shows_the_results_that_are_kept() -> None:
    kept = orjson.loads(RESULTS.read_bytes())
    assert BEGIN + figures(kept) + END in PAGE.read_text()


def test_the_page_says_who_is_faster_and_who_is_wrong() -> None:
    def contender(cpu_s: float, wrong: int) -> dict[str, object]:
        difference = {"rows": 9, "missing": 0, "extra": 0, "wrong": wrong}
        run = {"events": 10_000, "cpu_s": cpu_s, "wall_s": 1.0, "rss_mb": 50.0}
        runs = [{**run, "difference": difference}]
        return {"mode": "streaming", "part": "all", "runs": runs}

    measured = {
        "minutes": 60,
        "events": 10_000,
        "rows": 9,
        "engine": "compiled",
        "machine": {"words": "a machine"},
        "contenders": {
            "callboard": contender(1.0, 0),
            "A": contender(2.0, 1),
            "B": contender(0.5, 0),
        },
    }
    page = figures({"sizes": {"hour": measured}, "versions": {"A": "1.0"}})
    assert "faster than callboard here: B." in page
    assert "| A | all | 5 / 5 / 5 | 0.50 | 10 / 10 / 10 | 2.0 | 50 | **no** |" in page
    assert "| **callboard** | all | 10 / 10 / 10 | 1.00 | 10 / 10 / 10 | 1.0 | 50 | yes |" in page
