"""The page in a real browser, as a supervisor meets it."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.sinks.board.centre import Centre, bank, large
from tests.sinks.board.conftest import Browser, Stage

pytestmark = pytest.mark.browser

SIZES = [(1920, 1080), (1366, 768), (390, 844)]
STATE = "return document.body.dataset.state"
SPOKEN = "return document.getElementById('announce').textContent"
TIP = "const t = document.getElementById('tip'); return t.hidden ? '' : t.innerText"
WIDTHS = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


WATCH_STATES = """window.states = [];
  new MutationObserver(() => window.states.push(
    [document.body.dataset.state, Number(document.getElementById('age').dataset.age)]
  )).observe(document.getElementById('age'), {attributes: true})"""


def is_live(state: str) -> bool:
    return state == "live"


def seconds(text: str) -> int:
    total = 0
    for part in text.split(":"):
        total = total * 60 + int(part)
    return total


CROWDED = [(view, site) for view in ("wall", "queues", "agents") for site in ("crowd", "extreme")]
PLAIN = [("wall", site) for site in ("bank", "quiet", "breached")]
BETWEEN = [(1100, 700), (768, 1024)]

CUT = """return [...document.querySelectorAll(".tile :is(.n, .foot), .chip, header *, aside *, td")]
  .filter(n => n.offsetParent && getComputedStyle(n).clipPath === "none")
  .filter(n => !n.closest("select, svg"))
  .filter(n => n.scrollWidth > n.clientWidth + 1 && getComputedStyle(n).display !== "inline")
  .filter(n => getComputedStyle(n).textOverflow !== "ellipsis")
  .map(n => n.className + ": " + n.textContent)"""
SPILT = """return [...document.querySelectorAll(".tile")].flatMap(t => {
  const edge = t.getBoundingClientRect();
  return [...t.querySelectorAll("data, .foot span, h2, .key, .chip, dd, tbody th, tbody td")]
    .map(n => [n, n.getBoundingClientRect()])
    .filter(([n, box]) => box.width)
    .filter(([n, box]) => box.right > edge.right + 1 || box.bottom > edge.bottom + 1)
    .map(([n]) => t.dataset.tile + ": " + n.textContent);
})"""


@pytest.mark.parametrize(("view", "site"), CROWDED + PLAIN)
def test_nothing_scrolls_sideways_and_nothing_is_cut_off(
    browser: Browser, view: str, site: str
) -> None:
    browser.open(f"/?site={site}#{view}")
    for width, height in [*SIZES, *(BETWEEN if site == "extreme" else [])]:
        browser.resize(width, height)
        browser.settle()
        full, seen = browser.ask(WIDTHS)
        assert full <= seen, (width, height)
        if view == "wall" and width > 1000:
            tall = "return document.documentElement.scrollHeight"
            assert browser.ask(tall) <= height, "a wall shows all at once"
        assert browser.ask(CUT) == [], (width, height)
        assert browser.ask(SPILT) == [], (width, height)
    assert browser.complaints() == []


def test_the_wall_has_at_most_twelve_tiles(browser: Browser) -> None:
    browser.open("/?site=metro#wall")
    tiles = browser.ask("return [...document.querySelectorAll('.tile')].map(t => t.dataset.tile)")
    assert len(tiles) == len(set(tiles)) == 11


FIGURES = ("offered", "answered", "abandoned", "service_level", "abandonment", "asa_ms", "aht_ms")


@pytest.mark.parametrize("centre", [bank(), large()], ids=lambda centre: centre.site)
@pytest.mark.parametrize("window", ["5m", "60m", "today"])
def test_the_table_holds_exactly_what_was_sent(
    browser: Browser, centre: Centre, window: str
) -> None:
    browser.open(f"/?site={centre.site}&window={window}#queues")
    cells = browser.ask(
        "return [...document.querySelectorAll('td[data-kpi]')].map(c => ({...c.dataset}))"
    )
    shown = {
        (c.get("queue"), c.get("channel"), c["kpi"]): c["value"]
        for c in cells
        if c["window"] == window
    }
    for (queue, channel, kpi), value in expected(centre, window).items():
        text = shown[queue, channel, kpi]
        assert (None if text == "" else float(text)) == value, (queue, channel, kpi)
    assert {c["scope"] for c in cells if "queue" not in c} == {"all"}


def expected(centre: Centre, window: str) -> dict[tuple[str | None, str | None, str], Any]:
    """What each figure must be, by queue, channel and KPI; no queue for all of them."""
    figures: dict[tuple[str | None, str | None, str], Any] = {}
    rows: list[tuple[str | None, str | None, dict[str, Any]]] = [
        (queue, channel, entry)
        for queue, channels in centre._queues(centre.start).items()
        for channel, entry in channels.items()
    ]
    rows.append((None, None, centre._all_queues(centre.start)))
    for queue, channel, entry in rows:
        figures |= {(queue, channel, kpi): entry["windows"][window][kpi] for kpi in FIGURES}
        figures[queue, channel, "waiting"] = entry["now"]["waiting"]
    return figures


def test_no_data_is_a_dash_and_never_a_zero(browser: Browser) -> None:
    browser.open("/?site=quiet#queues")
    ratios = "td:is([data-kpi=service_level], [data-kpi=abandonment], [data-kpi=asa_ms])"
    shown = browser.ask(
        f"""return [...document.querySelectorAll('{ratios}')]
          .map(c => [c.innerText, c.dataset.value])"""
    )
    assert shown
    assert all(pair == ["–", ""] for pair in shown)
    assert browser.ask("return document.querySelectorAll('td[data-level=off]').length") == 0
    browser.open("/?site=quiet#wall")
    number = "return document.querySelector('[data-tile=service_level] .n').innerText"
    assert browser.ask(number).split() == ["–", "no", "data"]


COUNTED = """const shown = document.querySelector('[data-tile=longest_wait_ms] .n data');
  window.watching?.disconnect();
  window.seen = [];
  window.watching = new MutationObserver(() => {
    if (document.body.dataset.state !== "live") return;
    window.seen.push([shown.textContent, performance.now()]);
  });
  window.watching.observe(shown, {childList: true, subtree: true})"""


def test_the_longest_wait_counts_up_by_itself(browser: Browser, stage: Stage) -> None:
    browser.open("/?site=bank#wall")
    # It stands still once the figures are old: a page that is served late by a busy machine may
    # have too little time before that, and gets another one.
    seen: list[tuple[str, float]] = []
    for _ in range(10):
        seen = counted_in_silence(browser, stage)
        if len(seen) >= 3:
            break
    assert len(seen) >= 3
    waits = [(seconds(text), moment / 1000) for text, moment in seen]
    for (wait, moment), (next_wait, next_moment) in pairwise(waits):
        assert next_wait > wait
        assert abs((next_wait - wait) - (next_moment - moment)) < 1, "as fast as time goes"


def counted_in_silence(browser: Browser, stage: Stage) -> list[tuple[str, float]]:
    """What the page showed by itself, and when, between its last figures and their being old."""
    age = "return Number(document.getElementById('age').dataset.age)"
    browser.until(age, lambda age: age < 1500)
    stage.feeder.paused = True
    try:
        browser.ask(COUNTED)
        found: list[tuple[str, float]] = browser.until(
            "return [window.seen, document.body.dataset.state]",
            lambda told: len(told[0]) >= 3 or told[1] != "live",
        )[0]
    finally:
        stage.feeder.paused = False
    browser.until(STATE, is_live)
    return found


def test_time_in_state_counts_up_by_itself(browser: Browser) -> None:
    browser.open("/?site=bank#agents")
    script = "return document.querySelector('tr[data-agent=Ada] .c-time').innerText"
    before = seconds(browser.ask(script))
    browser.until(script, lambda text: seconds(text) >= before + 2)


def test_a_silent_pipeline_makes_the_board_say_so_and_recover(
    browser: Browser, stage: Stage
) -> None:
    browser.open("/?site=bank#wall")
    colour = """const n = document.querySelector('[data-tile=longest_wait_ms] .n');
      return getComputedStyle(n).color + getComputedStyle(n).opacity"""
    bright = browser.ask(colour)
    assert browser.ask("return document.getElementById('banner').hidden")
    browser.ask(WATCH_STATES)
    stage.feeder.paused = True
    try:
        browser.until(STATE, lambda state: state == "stale")
        states = browser.ask("return window.states")
        assert {state for state, _ in states} == {"live", "stale"}
        # The page says so when the age says so: not before, and not a second reading later.
        assert all((state == "stale") == (age > 5000) for state, age in states)
        banner = "return document.getElementById('banner').innerText"
        assert "Figures are old" in browser.ask(banner)
        assert browser.ask(colour) != bright
        assert browser.ask("return document.title").startswith("(old)")
        assert browser.ask(SPOKEN) == "Figures are old"
        age = "return Number(document.getElementById('age').dataset.age)"
        before = browser.ask(age)
        browser.until(age, lambda later: later >= before + 1000)
    finally:
        stage.feeder.paused = False
    browser.until(STATE, is_live)
    assert browser.ask("return document.getElementById('banner').hidden")
    assert browser.ask(colour) == bright
    assert browser.ask(SPOKEN) == "Figures are live again."


def test_a_lost_board_is_said_at_once_and_found_again(browser: Browser, stage: Stage) -> None:
    browser.open("/?site=bank#queues")
    browser.ask(WATCH_STATES)
    stage.stop()
    try:
        browser.until(STATE, lambda state: state == "lost")
        states = [state for state, _ in browser.ask("return window.states")]
        assert "stale" not in states, "it does not wait until the figures are old"
        assert "Connection lost" in browser.ask(
            "return document.getElementById('banner').innerText"
        )
        assert browser.ask("return document.querySelectorAll('tbody tr').length") == 7
    finally:
        stage.start()
    browser.until(STATE, is_live)
    browser.complaints()


def test_a_line_that_hangs_without_an_error_is_noticed(browser: Browser) -> None:
    """A dead proxy keeps the connection open; only the missing heartbeat tells."""
    browser.open("/?site=bank#wall")
    browser.ask(
        """window.RealSource = window.EventSource;
        window.EventSource = class { addEventListener() {} close() {} };
        window.dispatchEvent(new Event("online"));"""
    )
    browser.until(STATE, lambda state: state == "lost")
    browser.ask("window.EventSource = window.RealSource")
    browser.until(STATE, is_live)


def test_a_tile_explains_itself_on_focus_and_on_hover(browser: Browser) -> None:
    browser.resize(1920, 1080)
    browser.open("/?site=bank&window=30m#wall")
    window = bank()._all_queues(bank().start)["windows"]["30m"]
    tile = browser.driver.find_element(By.CSS_SELECTOR, "[data-tile=service_level]")
    browser.ask("arguments[0].focus()", tile)
    said = browser.until(TIP, bool)
    assert "abandons_negative" in said
    assert "answered within the queue’s threshold / (answered + abandoned)" in said
    whole = window["answered"] + window["abandoned"]
    assert f"{window['answered_in']} / {whole} = " in said
    assert "≥ 80 %" in said
    assert tile.get_attribute("aria-describedby") == "tip"
    tile.send_keys(Keys.ESCAPE)
    browser.until(TIP, lambda text: text == "")
    for name in browser.ask(
        "return [...document.querySelectorAll('.tile')].map(t => t.dataset.tile)"
    ):
        other = browser.driver.find_element(By.CSS_SELECTOR, f"[data-tile={name}]")
        ActionChains(browser.driver).move_to_element(other).perform()
        assert len(browser.until(TIP, bool)) > 40, name


def test_a_queue_explains_its_own_formula(browser: Browser) -> None:
    browser.open("/?site=bank&window=today#queues")
    button = (
        "[...document.querySelectorAll('.queues .name')].find(b => b.textContent === 'Callback')"
    )
    browser.ask(f"{button}.focus()")
    said = browser.until(TIP, bool)
    assert "answered within 5 min" in said
    assert re.search(r"ASA [\d:]+ / \d+ = \d:\d\d", said)


def test_colour_is_never_the_only_sign(browser: Browser) -> None:
    browser.resize(1920, 1080)
    browser.open("/?site=breached#wall")
    tiles = browser.ask(
        """return [...document.querySelectorAll(".tile[data-level]")].map(t => {
          const chip = t.querySelector(".chip");
          return [t.dataset.level, chip.hidden, chip.textContent,
                  chip.querySelector("use").getAttribute("href")];
        })"""
    )
    words = {"on": "On target", "near": "Near target", "off": "Off target"}
    assert {level for level, *_ in tiles} >= {"off", "none"}
    for level, hidden, word, shape in tiles:
        assert hidden == (level == "none")
        if level != "none":
            assert (word, shape) == (words[level], f"#i-{level}")
    browser.open("/?site=breached#queues")
    marks = browser.ask(
        """return [...document.querySelectorAll("td[data-level=off], td[data-level=near]")]
          .map(c => [c.dataset.level, getComputedStyle(c, "::before").content])"""
    )
    assert len(marks) > 10
    signs = {"off": "■", "near": "▲"}
    for level, content in marks:
        assert signs[level] in content


def test_a_row_is_marked_as_the_worst_that_callers_notice_and_says_which(browser: Browser) -> None:
    browser.open("/?site=extreme#queues")
    rows = browser.ask(
        """return [...document.querySelectorAll('.queues tbody tr')].map(row => [
          row.querySelector('.mark').dataset.level,
          [...row.querySelectorAll('td[data-level]:not(.c-aht_ms)')].map(c => c.dataset.level)])"""
    )
    order = ["none", "on", "near", "off"]
    for mark, cells in rows:
        assert mark == max(cells, key=order.index)
    browser.open("/?site=breached#wall")
    browser.ask("document.querySelector('[data-tile=queues]').focus()")
    said = browser.until(TIP, bool)
    assert re.search(
        r"Internet support: service level [\d.]+ % \(≥ 80 %\), longest wait [\d:]+", said
    )


def test_a_queue_of_few_calls_is_marked_and_stands_behind_those_of_many(browser: Browser) -> None:
    browser.open("/?site=bank#wall")
    order = browser.ask(
        """const row = (queue, answered, level, longest = 0) => {
          const row = { queue, name: queue, channel: "voice", answered, abandoned: 0, waiting: 0,
            waiting_past_threshold: 0, service_level: level, longest_wait_ms: longest,
            min_volume: 5, targets: { service_level: 0.8, longest_wait_ms: 60000 } };
          return row;
        };
        return import("/static/js/kpi.js").then(({ judgeQueue, worstFirst }) => {
          const rows = [row("few", 2, 0.1), row("fine", 90, 0.9), row("many", 90, 0.7),
            row("few but waiting", 2, 0.1, 600000)];
          for (const one of rows) one.verdict = judgeQueue(one);
          return rows.sort(worstFirst).map((one) => [one.queue, one.verdict.level]);
        })"""
    )
    assert order == [["few but waiting", "off"], ["many", "off"], ["few", "off"], ["fine", "on"]]


def test_the_worst_queue_is_first_and_sorting_is_the_reader_s(browser: Browser) -> None:
    names = """return [...document.querySelectorAll('.queues tbody:not(.all) .name')]
      .map(n => n.innerText)"""
    browser.open("/?site=bank#queues")
    assert browser.ask(names)[0] == "Internet support"
    sort = "document.querySelector('th.c-{} button').click()"
    browser.ask(sort.format("name"))
    assert browser.ask(names) == sorted(browser.ask(names))
    assert browser.ask("return document.querySelector('th.c-name').ariaSort") == "ascending"
    browser.ask(sort.format("name"))
    assert browser.ask(names) == sorted(browser.ask(names), reverse=True)
    browser.ask(sort.format("offered"))
    assert browser.ask(names)[0] == "Regular service"
    browser.open("/?site=bank#wall")
    first = "return document.querySelector('.wall tbody th').innerText"
    assert "Internet support" in browser.ask(first)


def test_the_address_keeps_view_site_and_window(browser: Browser) -> None:
    browser.open("/?site=bank&window=15m#queues")
    assert browser.ask("return document.getElementById('w-15m').checked")
    browser.ask("document.getElementById('w-today').click()")
    browser.ask("location.hash = '#agents'")
    assert "window=today" in browser.driver.current_url
    browser.until("return document.querySelectorAll('.agents tbody tr').length", lambda n: n == 15)
    current = "return document.querySelector('nav [aria-current=page]').textContent"
    assert browser.ask(current) == "Agents"
    browser.ask(
        """const site = document.getElementById('site'); site.value = 'metro';
        site.dispatchEvent(new Event('change'))"""
    )
    browser.until("return document.querySelectorAll('.agents tbody tr').length", lambda n: n == 200)
    assert "site=metro" in browser.driver.current_url


def test_agents_can_be_narrowed_down(browser: Browser) -> None:
    browser.open("/?site=metro#agents")
    rows = "return document.querySelectorAll('.agents tbody tr').length"
    states = """return [...new Set([...document.querySelectorAll('.agents tbody tr')]
      .map(r => r.dataset.state))]"""
    browser.ask("document.querySelector('.filters [data-state=hold]').click()")
    holding = sum(agent.state == "hold" for agent in large().agents)
    assert browser.ask(rows) == holding
    assert browser.ask(states) == ["hold"]
    browser.ask("document.querySelectorAll('.teams button')[1].click()")
    team = sum(agent.state == "hold" and agent.team == "t0" for agent in large().agents)
    assert browser.ask(rows) == team


def test_a_keyboard_reaches_everything_and_is_seen(browser: Browser) -> None:
    browser.open("/?site=bank#wall")
    browser.ask("document.activeElement.blur()")
    reached = []
    for _ in range(24):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        reached.append(
            browser.ask(
                """const a = document.activeElement, s = getComputedStyle(a);
                const shown = a.matches('#windows input') ? getComputedStyle(a.nextSibling) : s;
                const name = a.id || a.dataset.tile || a.hash || a.tagName;
                return [name, parseFloat(shown.outlineWidth)]"""
            )
        )
    names = [name for name, _ in reached]
    assert names[0] == "skip"
    for name in ("site", "#wall", "#queues", "#agents", "age", "theme", "service_level", "trend"):
        assert name in names, names
    assert all(width >= 1 for name, width in reached if name not in ("BODY", "site"))


def test_a_listener_finds_landmarks_headers_and_few_words(browser: Browser) -> None:
    browser.open("/?site=bank#queues")
    for landmark in ("header", "nav[aria-label]", "main", "h1", "[role=status][aria-live=polite]"):
        assert browser.driver.find_elements(By.CSS_SELECTOR, landmark), landmark
    heads = browser.ask(
        "return [...document.querySelectorAll('table thead th')].map(t => [t.scope, t.innerText])"
    )
    assert all(scope == "col" and text for scope, text in heads)
    assert browser.ask("return document.documentElement.lang") == "en"
    unnamed = """return [...document.querySelectorAll("button, select, input, a")]
      .filter(n => n.offsetParent && !(n.getAttribute("aria-label") || n.textContent.trim()
        || n.labels?.[0]?.textContent.trim())).length"""
    assert browser.ask(unnamed) == 0
    browser.ask(
        """window.spoken = []; new MutationObserver(() => window.spoken.push(1))
          .observe(document.getElementById('announce'), {childList: true, subtree: true})"""
    )
    time.sleep(2)
    assert browser.ask("return window.spoken.length") <= 1


def test_the_theme_follows_the_system_until_it_is_chosen(browser: Browser) -> None:
    theme = "return document.documentElement.dataset.theme"
    browser.resize(1366, 768, "light")
    browser.open("/?site=bank#wall")
    assert browser.ask(theme) == "light"
    browser.resize(1366, 768, "dark")
    browser.until(theme, lambda value: value == "dark")
    try:
        browser.ask("document.getElementById('theme').click()")
        browser.ask("document.getElementById('theme').click()")
        assert browser.ask(theme) == "light"
        browser.open("/?site=bank#wall")
        assert browser.ask(theme) == "light", "it is remembered"
    finally:
        browser.ask("localStorage.clear()")


def test_the_page_loads_nothing_from_elsewhere(browser: Browser, stage: Stage) -> None:
    browser.open("/?site=bank#wall")
    loaded = browser.ask("return performance.getEntriesByType('resource').map(r => r.name)")
    assert len(loaded) > 8
    assert [name for name in loaded if not name.startswith(stage.url)] == []
    assert browser.ask("return document.fonts.check('16px Inter')")


def test_a_site_nobody_knows_shows_no_other_site_s_figures(browser: Browser, stage: Stage) -> None:
    browser.driver.get("about:blank")
    browser.driver.get(stage.url + "/?site=nowhere#wall")
    browser.until(STATE, lambda state: state == "waiting")
    banner = "return document.getElementById('banner').innerText"
    assert "nowhere" in browser.until(banner, bool)
    visible = "return getComputedStyle(document.getElementById('main')).visibility"
    assert browser.ask(visible) == "hidden"


def test_going_to_and_fro_does_not_use_up_the_browser_s_connections(
    browser: Browser, stage: Stage
) -> None:
    """A browser keeps left pages for its back button, and allows six connections to a host."""
    for _ in range(7):
        browser.open("/?site=bank#wall")
    browser.driver.back()
    browser.driver.back()
    browser.until(STATE, is_live)
