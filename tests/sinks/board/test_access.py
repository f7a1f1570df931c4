"""The page for every reader: contrast as painted, names and roles, the keyboard alone, calm."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.sinks.board.conftest import Browser, Stage
from tests.sinks.board.test_page import SIZES, STATE, TIP, is_live

pytestmark = pytest.mark.browser

# Every visible piece of text with too little contrast against what is painted behind it: 4.5, or 3
# for large text (WCAG 1.4.3). Colours are those computed, opacity of ancestors included.
FAINT = """
  const channels = text => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return {rgb: [r, g, b], a};
  };
  const over = (top, alpha, ground) => top.map((c, i) => c * alpha + ground[i] * (1 - alpha));
  const chain = node => node ? [...chain(node.parentElement), node] : [];
  const light = rgb => {
    const [r, g, b] = rgb.map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !node.checkVisibility({visibilityProperty: true})) continue;
    if (node.closest(".vh, .skip, noscript, option, script") || node.offsetWidth === 1) continue;
    let ground = [255, 255, 255];
    let alpha = 1;
    for (const part of chain(node)) {
      const {rgb, a} = channels(getComputedStyle(part).backgroundColor);
      ground = over(rgb, a, ground);
      alpha *= Number(getComputedStyle(part).opacity);
    }
    const style = getComputedStyle(node);
    const ink = channels(node instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(over(ink.rgb, ink.a * alpha, ground)), light(ground)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    seen += 1;
    if (ratio < (large ? 3 : 4.5)) faint.push(`${text} in ${node.className}: ${ratio.toFixed(2)}`);
  }
  return [seen, faint];
"""


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(
    ("view", "site"),
    [("wall", "breached"), ("wall", "quiet"), ("queues", "bank"), ("agents", "bank")],
)
def test_every_text_is_readable(browser: Browser, view: str, site: str, theme: str) -> None:
    browser.resize(1366, 768, theme)
    browser.open(f"/?site={site}#{view}")
    seen, faint = browser.ask(FAINT)
    assert seen > 40
    assert faint == []


def test_old_figures_are_pale_but_readable(browser: Browser, stage: Stage) -> None:
    # No transitions, or colours are looked at half way.
    browser.resize(1366, 768, "dark", motion="reduce")
    browser.open("/?site=bank#wall")
    stage.feeder.paused = True
    try:
        browser.until(STATE, lambda state: state == "stale")
        for theme in ("dark", "light"):
            browser.resize(1366, 768, theme, motion="reduce")
            browser.until("return document.documentElement.dataset.theme", theme.__eq__)
            assert browser.ask(FAINT)[1] == []
            off, plain = browser.ask(
                """return ["off", "none"].map(level => getComputedStyle(
                  document.querySelector(`[data-level=${level}] .n data`)).color)"""
            )
            assert off == plain, "no colour of a target survives"
    finally:
        stage.feeder.paused = False
    browser.until(STATE, is_live)


# Rules of WAI-ARIA and HTML that hold for the whole page, each as a list of what breaks it.
RULES = {
    "an id is there once": """
      const ids = [...document.querySelectorAll("[id]")].map(n => n.id);
      return ids.filter((id, i) => ids.indexOf(id) !== i)""",
    "what is referred to is there": """
      return [...document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")]
        .flatMap(n => ["aria-labelledby", "aria-describedby", "for"]
          .flatMap(a => (n.getAttribute(a) ?? "").split(" ").filter(Boolean)))
        .filter(id => !document.getElementById(id))""",
    "what can be focused has a role and a name": """
      const text = n => n.getAttribute("aria-label") || n.title || n.textContent.trim()
        || n.labels?.[0]?.textContent.trim()
        || (n.getAttribute("aria-labelledby") ?? "").split(" ")
          .map(id => document.getElementById(id)?.textContent).join(" ").trim();
      return [...document.querySelectorAll("a, button, input, select, [tabindex='0']")]
        .filter(n => !text(n) || !n.matches("a[href], button, input, select, [role]"))
        .map(n => n.outerHTML.slice(0, 120))""",
    "the order of focus is that of the page": """
      return [...document.querySelectorAll("[tabindex]")]
        .filter(n => n.tabIndex > 0).map(n => n.id)""",
    "what is hidden from listeners cannot be focused": """
      return [...document.querySelectorAll("[aria-hidden=true] :is(a, button, input, [tabindex])")]
        .map(n => n.outerHTML)""",
    "a picture is hidden or has a name": """
      return [...document.querySelectorAll("svg:not([aria-hidden=true])")]
        .filter(n => n.getAttribute("role") !== "img" || !n.getAttribute("aria-label"))
        .map(n => n.outerHTML)""",
    "headings go down by steps of one": """
      const levels = [...document.querySelectorAll("h1, h2, h3, h4")]
        .map(n => Number(n.tagName[1]));
      return levels.filter((level, i) => level > (levels[i - 1] ?? 0) + 1)""",
    "cells are under and beside headers": """
      return [...document.querySelectorAll("table")].filter(t =>
        [...t.tHead.rows[0].cells].some(c => c.scope !== "col" || !c.textContent)
        || [...t.tBodies].some(b => [...b.rows].some(r => r.cells[0].scope !== "row"
          || r.cells.length !== t.tHead.rows[0].cells.length))).map(t => t.className)""",
    "there is one of each landmark": """
      return ["main", "header", "nav", "h1", "[role=status]", "[role=tooltip]"]
        .filter(s => document.querySelectorAll(s).length !== 1)""",
    "one live region, and that a polite one": """
      return [...document.querySelectorAll("[aria-live], [role=status], [role=alert], [role=log]")]
        .filter(n => n.id !== "announce" || n.ariaLive !== "polite").map(n => n.outerHTML)""",
    "what is pressed or tapped is large enough": """
      return [...document.querySelectorAll(":is(nav, thead) a, label, header button, aside button")]
        .map(n => [n.textContent, n.getBoundingClientRect()])
        .filter(([, box]) => box.width > 1 && (box.width < 24 || box.height < 24))
        .map(([text]) => text)""",
}


@pytest.mark.parametrize(("width", "height"), SIZES[1:])
@pytest.mark.parametrize("view", ["wall", "queues", "agents"])
def test_names_and_roles(browser: Browser, view: str, width: int, height: int) -> None:
    browser.resize(width, height)
    browser.open(f"/?site=bank#{view}")
    broken = {rule: browser.ask(script) for rule, script in RULES.items()}
    assert {rule: found for rule, found in broken.items() if found} == {}


def test_the_keyboard_alone_gets_every_tile_explained_in_reading_order(browser: Browser) -> None:
    browser.resize(1920, 1080)
    browser.open("/?site=bank#wall")
    browser.ask("document.getElementById('theme').focus()")
    reached = []
    for _ in range(11):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        said = browser.until(TIP, bool)
        tile = browser.ask(
            """const tile = document.activeElement;
            return [tile.dataset.tile, tile.getAttribute('aria-describedby')]"""
        )
        reached.append(tile[0])
        assert tile[1] == "tip"
        assert "As of " in said, "with the age of its data"
        assert len(said.splitlines()) >= 3, said
        box = browser.ask(
            """const tip = document.getElementById('tip').getBoundingClientRect();
            return [tip.left, tip.top, innerWidth - tip.right, innerHeight - tip.bottom]"""
        )
        assert min(box) >= 0, (tile, box)
    assert reached == [
        "service_level", "waiting", "longest_wait_ms", "offered", "abandonment", "asa_ms", "aht_ms",
        "occupancy", "queues", "agents", "trend",
    ]  # fmt: skip


ON_SCREEN = """
  const box = document.getElementById(arguments[0]).getBoundingClientRect();
  const node = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
  return [Boolean(node?.closest("#" + arguments[0])), scrollY]
"""


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_age_stays_in_sight_wherever_the_page_is_scrolled(
    browser: Browser, width: int, height: int
) -> None:
    browser.resize(width, height)
    browser.open("/?site=crowd#queues")
    browser.ask("scrollTo(0, 1e6)")
    seen, scrolled = browser.ask(ON_SCREEN, "age")
    assert scrolled > 300
    assert seen
    age = browser.ask("return document.getElementById('age').innerText")
    assert "old" in age
    assert "last event" in age


def test_so_does_what_is_said_of_old_figures(browser: Browser, stage: Stage) -> None:
    browser.open("/?site=crowd#queues")
    stage.feeder.paused = True
    try:
        browser.until(STATE, lambda state: state == "stale")
        for width in (1366, 390):
            browser.resize(width, 768)
            browser.ask("scrollTo(0, 1e6)")
            assert browser.ask(ON_SCREEN, "banner")[0]
            assert browser.ask(ON_SCREEN, "age")[0]
            # Heads of columns stick below the banner, not under it; on a phone there are none.
            gap = """return document.querySelector('.queues thead th').getBoundingClientRect().top
              - document.getElementById('banner').getBoundingClientRect().bottom"""
            assert width < 1000 or abs(browser.ask(gap)) < 1
        # The pipeline may be what is silent: the last event grows older with the figures.
        shown = browser.ask("return document.getElementById('event-text').textContent")
        assert int(shown.split()[2]) >= 5, shown
    finally:
        stage.feeder.paused = False
    browser.until(STATE, is_live)


def test_every_source_says_when_it_was_last_heard(browser: Browser) -> None:
    browser.open("/?site=bank#wall")
    browser.ask("document.getElementById('age').focus()")
    said = browser.until(TIP, bool)
    assert "bank-1999: last event " in said
    assert "late, " in said


def test_figures_keep_their_place_while_they_change(browser: Browser) -> None:
    for view in ("wall", "queues", "agents"):
        browser.open(f"/?site=bank#{view}")
        loose = """return [...document.querySelectorAll("data, td, dd, .foot, .when *, .count")]
          .filter(n => !n.matches(".c-state, .c-team, .c-channel"))
          .filter(n => !getComputedStyle(n).fontVariantNumeric.includes("tabular-nums"))
          .map(n => n.className)"""
        assert browser.ask(loose) == []


def test_nothing_moves_for_who_wants_it_still(browser: Browser) -> None:
    moving = """return [...document.querySelectorAll("*")].map(n => getComputedStyle(n))
      .filter(s => s.transitionDuration !== "0s" || s.animationName !== "none").length"""
    browser.resize(1366, 768, motion="reduce")
    browser.open("/?site=bank#wall")
    assert browser.ask(moving) == 0
    browser.resize(1366, 768)
    assert browser.ask(moving) > 0, "else this test looks at nothing"


def test_a_kiosk_is_told_its_theme_and_has_nothing_to_press(browser: Browser) -> None:
    browser.resize(1920, 1080, "dark")
    browser.open("/?site=bank&theme=light&kiosk#wall")
    assert browser.ask("return document.documentElement.dataset.theme") == "light"
    hidden = """return [...document.querySelectorAll("nav, #windows, #theme")]
      .filter(n => n.checkVisibility()).length"""
    assert browser.ask(hidden) == 0
    for name in ("age", "clock"):
        assert browser.ask(ON_SCREEN, name)[0]
    assert "30 min" in browser.ask(
        "return document.querySelector('[data-tile=service_level]').innerText"
    ), "the window is still named"
    browser.open("/?site=bank&theme=nonsense#wall")
    assert browser.ask("return document.documentElement.dataset.theme") == "dark"


def test_a_page_of_before_an_upgrade_loads_itself_anew(browser: Browser) -> None:
    hurry = "const wait = setTimeout; window.setTimeout = (f, ms) => wait(f, Math.min(ms, 300));"
    with browser.before_each_page(hurry):
        browser.open("/?site=bank#wall")
        browser.ask("window.mine = true")
        asked = """return performance.getEntriesByType("resource")
          .filter(r => r.name.endsWith("api/sites")).length"""
        browser.until(asked, lambda count: count >= 3)
        assert browser.ask("return window.mine"), "the same version is no reason"
        browser.ask(
            """const real = window.fetch;
            window.fetch = async (...asked) => {
              const answer = await real(...asked);
              return new Response(await answer.text(), {headers: {"X-Board-Version": "newer"}});
            }"""
        )
        browser.until("return window.mine ?? null", lambda mine: mine is None)
        browser.until(STATE, is_live)


def order(browser: Browser) -> Any:
    return browser.ask(
        """return [...document.querySelectorAll('.queues tbody:not(.all) .name')]
          .map(n => n.innerText)"""
    )


def test_rows_hold_still_under_a_pointer_but_not_for_ever(browser: Browser, stage: Stage) -> None:
    browser.open("/?site=bank#queues")
    before = order(browser)
    move = "document.querySelector('.frame').dispatchEvent(new PointerEvent('pointermove'))"
    browser.ask(move)
    centre = next(c for c in stage.feeder.centres if c.site == "bank")
    last = next(queue for queue in centre.queues if queue.name == before[-1])
    was = dataclasses.replace(last)
    last.load, last.in_time, last.gives_up, last.longest_ms = 5.0, 0.1, 0.5, 900_000
    try:
        longest = f"""{move}; return [...document.querySelectorAll('.queues tr')]
          .find(r => r.innerText.includes('{last.name}'))
          .querySelector('.c-longest_wait_ms').innerText"""
        browser.until(longest, lambda text: ":" in text)
        assert order(browser) == before
        # A pointer that was left lying: ten seconds later nobody points any more.
        browser.ask(
            """const now = performance.now.bind(performance);
            performance.now = () => now() + 10001"""
        )
        first = "return document.querySelector('.queues tbody:not(.all) .name').innerText"
        browser.until(first, lambda name: name == last.name)
    finally:
        vars(last).update(vars(was))
