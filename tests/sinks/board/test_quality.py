"""Quality on the board: apart from the figures of the moment, with an age of its own."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.clock import Clock
from schemas.live import QUALITY, QUALITY_WINDOWS, live_record
from sinks.board.state import SiteState, changes, view_of
from sinks.board.stream import Hub
from tests.sinks.board.centre import NOON
from tests.sinks.board.conftest import Browser
from tests.sinks.board.quality import Asked, asked, forsaken
from tests.sinks.board.test_page import CUT, SIZES, SPILT, WIDTHS
from tests.sinks.board.test_state import follow

NOTE = "return document.querySelector('.quality .note').textContent"
OLD = "const o = document.querySelector('.q-old'); return o.hidden ? '' : o.textContent"
CARDS = """return Object.fromEntries([...document.querySelectorAll('.q-cards data')]
  .map(n => [n.dataset.kpi, [n.dataset.value, n.textContent, n.closest('.tile').innerText]]))"""
KPIS = ("csat", "nps", "ces", "fcr_declared", "fcr_repeat")


def state_of(centre: Asked, at: int = NOON, epoch: int = 1, offset: int = 1) -> SiteState:
    state = SiteState()
    for record in centre.records(at, epoch, offset):
        state.apply(copy.deepcopy(record))
    return state


def told(centre: Asked, at: int, window: str = "7d") -> Any:
    content = {window: centre.window(window, at)}
    return live_record(centre.site, (1, 1), at, QUALITY, f"{window}.0", content)


def test_the_board_has_the_figures_with_their_own_moment() -> None:
    board = state_of(forsaken()).board
    assert board["at"] == NOON
    assert set(board[QUALITY]["windows"]) == set(QUALITY_WINDOWS)
    window = board[QUALITY]["windows"]["7d"]
    assert window["at"] == NOON - 3 * 3_600_000
    assert window["all"] == forsaken().window("7d")["all"]


def test_a_board_without_a_store_has_no_such_key() -> None:
    records = [r for r in asked().records(NOON) if r["kind"] != QUALITY]
    state = SiteState()
    for record in records:
        state.apply(record)
    assert QUALITY not in state.board


def test_parts_of_a_window_come_together_and_it_is_as_old_as_the_oldest() -> None:
    state = state_of(asked())
    extra = {"7d": {"queues": {"more": {"chat": {"csat_n": 1}}}, "teams": {}}}
    state.apply(live_record("asked", (1, 2), NOON - 5000, QUALITY, "7d.3", extra))
    window = state.board[QUALITY]["windows"]["7d"]
    assert {"more", asked().queues[0].id} <= set(window["queues"])
    assert window["at"] == NOON - 5000


def test_a_new_epoch_of_the_worker_keeps_what_the_store_said() -> None:
    state = state_of(asked())
    before = copy.deepcopy(state.board[QUALITY])
    for record in asked().records(NOON + 1000, epoch=2, offset=0):
        if record["kind"] != QUALITY:
            assert state.apply(record)
    assert state.board["epoch"] == 2
    assert state.board[QUALITY] == before


def test_a_record_of_the_store_moves_neither_time_nor_epoch_and_drops_nothing() -> None:
    state = state_of(asked())
    later = live_record(
        "asked", (7, 1), NOON + 99_000, QUALITY, "7d.0", told(asked(), NOON)["data"]
    )
    assert state.apply(later)
    assert (state.board["at"], state.board["epoch"]) == (NOON, 1)
    assert state.board["queues"] == state_of(asked()).board["queues"]
    assert not state.apply(told(asked(), NOON))


@pytest.mark.parametrize("data", [{"1y": {"queues": {}, "teams": {}}}, {"7d": {}}, {"7d": []}, []])
def test_what_is_no_window_is_refused_and_changes_nothing(data: Any) -> None:
    state = state_of(asked())
    before = copy.deepcopy(state.board)
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        state.apply(live_record("asked", (9, 9), NOON, QUALITY, "7d.0", data))
    assert state.board == before


def test_only_its_own_view_carries_it_and_no_figures_of_the_moment() -> None:
    board = state_of(asked()).board
    view = view_of(board, "quality")
    assert view[QUALITY] == board[QUALITY]
    assert not {"queues", "agents", "trend", "teams"} & view.keys()
    assert view["queue_names"]["PS"] == board["queues"]["PS"]["voice"]["name"]
    for other in ("wall", "queues", "agents"):
        assert QUALITY not in view_of(board, other)


def test_changes_make_the_next_board() -> None:
    old = view_of(state_of(forsaken()).board, "quality")
    new = view_of(state_of(asked(), NOON + 60_000).board, "quality")
    new["site"] = old["site"]
    operations = changes(old, new)
    assert follow(old, operations) | {"at": new["at"]} == new


def test_what_the_store_says_does_not_make_a_silent_worker_look_alive() -> None:
    now = 0.0
    hub = Hub(Clock(0, NOON, 1.0), monotonic=lambda: now)
    for record in asked().records(NOON):
        hub.apply(copy.deepcopy(record))
    now = 90.0
    hub.apply(told(asked(), NOON + 90_000))
    board = hub.board("asked")
    assert board["age_ms"] >= 90_000
    assert board[QUALITY]["windows"]["7d"]["at"] == NOON + 90_000


# --- the page ---------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize("days", QUALITY_WINDOWS)
def test_the_page_shows_what_was_told(browser: Browser, days: str) -> None:
    browser.open(f"/?site=asked&days={days}#quality")
    expected = asked().window(days)
    cards = browser.until(CARDS, lambda found: len(found) == 5 and found["csat"][0] != "")
    for kpi in KPIS:
        assert float(cards[kpi][0]) == expected["all"][kpi]
    assert f"{expected['all']['csat_n']:,} answers" in cards["csat"][2]
    assert f"{expected['all']['repeat_n']:,} contacts" in cards["fcr_repeat"][2]
    assert f"Provisional: {expected['all']['repeat_provisional']:,}" in cards["fcr_repeat"][2]
    cells = browser.ask(
        "return [...document.querySelectorAll('[aria-label=Queues] tr[data-key]')].map(r => "
        "[r.dataset.key, Object.fromEntries([...r.querySelectorAll('td[data-kpi]')].map(c => "
        "[c.dataset.kpi, [c.dataset.value, c.querySelector('.q-n').textContent]]))])"
    )
    shown = dict(cells)
    counts = {"csat": "csat_n", "nps": "nps_n", "ces": "ces_n"}
    counts |= {"fcr_declared": "declared_n", "fcr_repeat": "repeat_n"}
    for queue, channels in expected["queues"].items():
        for channel, figures in channels.items():
            for kpi, n in counts.items():
                value, said = shown[f"{queue}\0{channel}"][kpi]
                assert (float(value) if value else None) == figures[kpi]
                still = figures["repeat_provisional"] if kpi == "fcr_repeat" else 0
                assert said == f"n {figures[n]:,}" + (f", {still:,} open" if still else "")
    assert "counted by the store at" in browser.ask(NOTE)
    assert browser.ask(OLD) == ""
    assert browser.complaints() == []


@pytest.mark.browser
def test_another_time_is_a_click_and_an_address(browser: Browser) -> None:
    browser.open("/?site=asked#quality")
    want = asked().window("30d")["all"]["csat"]
    browser.ask("document.querySelector('.q-days [data-days=\"30d\"]').click()")
    browser.until(CARDS, lambda found: float(found["csat"][0] or -1) == want)
    assert "days=30d" in browser.ask("return location.search")


@pytest.mark.browser
def test_old_figures_say_so_while_the_board_is_live(browser: Browser) -> None:
    browser.open("/?site=forsaken#quality")
    said = browser.until(OLD, bool)
    assert "3 h old" in said
    assert browser.ask("return document.body.dataset.state") == "live"


@pytest.mark.browser
def test_without_a_word_of_the_store_there_are_dashes(browser: Browser) -> None:
    browser.open("/?site=bank#quality")
    assert "has not said anything" in browser.until(OLD, bool)
    cards = browser.ask(CARDS)
    assert {cards[kpi][1] for kpi in KPIS} == {"–no data"}
    browser.open("/?site=unsaid#quality")
    assert browser.until(OLD, lambda said: said == "") == ""
    cards = browser.ask(CARDS)
    assert {cards[kpi][1] for kpi in KPIS} == {"–no data"}
    assert "0 answers" in cards["csat"][2]


@pytest.mark.browser
@pytest.mark.parametrize("site", ["asked", "asked-crowd", "forsaken"])
def test_nothing_scrolls_sideways_and_nothing_is_cut_off(browser: Browser, site: str) -> None:
    browser.open(f"/?site={site}#quality")
    for width, height in [*SIZES, (1100, 700), (768, 1024)]:
        browser.resize(width, height)
        browser.settle()
        full, seen = browser.ask(WIDTHS)
        assert full <= seen, (width, height)
        assert browser.ask(CUT) == [], (width, height)
        assert browser.ask(SPILT) == [], (width, height)
    assert browser.complaints() == []
