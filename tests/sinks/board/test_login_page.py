"""Logging in with a real browser: typed, by a link, on a wall, from another site, and out again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import web
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from sinks.board import explain_site
from sinks.board.viewers import new_token
from tests.sinks.board.centre import Centre, bank, large
from tests.sinks.board.conftest import Browser
from tests.sinks.board.keepers import Keeper, Telling, guarded
from tests.sinks.board.test_access import FAINT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

WHO = "return document.getElementById('me')?.checkVisibility() && me.innerText.trim()"
SAID = "return document.getElementById('said')?.textContent"
STATE = "return document.body?.dataset.state"
VIEW = "return document.documentElement?.dataset.view"
WATCH = """window.violations = [];
  document.addEventListener("securitypolicyviolation", e => window.violations.push(
    e.violatedDirective + " " + e.blockedURI))"""


class Door:
    """A guarded board in a thread of its own, fed each second."""

    def __init__(self, folder: Path) -> None:
        self.keeper = Keeper(folder)
        self.keeper.now = time.time_ns() // 1_000_000
        self.tokens = {
            "Anna": self.keeper.give("Anna", ["bank"]),
            "Boss": self.keeper.give("Boss"),
            "Wall": self.keeper.give("Wall", ["bank"], wall=True),
        }
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stop = asyncio.Event()
        self.url = ""

    def open(self) -> None:
        """Serve."""
        self._thread.start()
        serving = asyncio.run_coroutine_threadsafe(self._serve(), self._loop)
        deadline = time.monotonic() + 60
        while not self.url:
            assert not serving.done(), serving.result()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def close(self) -> None:
        """End."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    async def _serve(self) -> None:
        centres: list[Centre] = [bank(), large()]
        board = guarded(self.keeper.guard(), *centres)
        runner = web.AppRunner(board.app, shutdown_timeout=1.0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        turning = asyncio.create_task(board.hub.run())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        while not self._stop.is_set():
            board.feed(*centres, at=time.time_ns() // 1_000_000)
            await asyncio.sleep(0.5)
        turning.cancel()
        await runner.cleanup()
        self._loop.stop()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    patch = pytest.MonkeyPatch()
    patch.setattr(explain_site, "Explainer", Telling)
    door = Door(tmp_path_factory.mktemp("login"))
    door.open()
    yield door
    door.close()
    patch.undo()


class Visitor(Browser):
    """A browser that is nobody yet."""

    def __init__(self, driver: WebDriver, door: Door) -> None:
        self.driver = driver
        self.door = door

    def go(self, path: str) -> None:
        self.driver.get("about:blank")
        self.driver.get(self.door.url + path)

    def type_token(self, token: str) -> None:
        field = self.driver.find_element(By.ID, "token")
        field.clear()
        field.send_keys(token)
        self.driver.find_element(By.ID, "enter").click()

    def live(self) -> None:
        self.until(STATE, lambda state: state == "live")


@pytest.fixture
def visitor(chromium: WebDriver, door: Door) -> Iterator[Visitor]:
    visitor = Visitor(chromium, door)
    visitor.resize(1366, 768)
    with visitor.before_each_page(WATCH):
        yield visitor
    chromium.get(door.url + "/healthz")
    chromium.delete_all_cookies()
    chromium.get("about:blank")


def test_a_typed_token_opens_what_was_asked_for_and_logging_out_closes_it(
    visitor: Visitor, door: Door
) -> None:
    visitor.go("/?site=bank&window=60m#queues")
    assert visitor.ask(VIEW) == "login"
    visitor.type_token(new_token())
    assert "not known" in visitor.until(SAID, bool)
    visitor.type_token(door.tokens["Anna"])
    visitor.live()
    assert visitor.driver.current_url == f"{door.url}/?site=bank&window=60m#queues"
    assert visitor.until(WHO, bool) == "Anna"
    visitor.driver.find_element(By.ID, "me").click()
    scope = "return document.getElementById('account-scope').innerText"
    assert visitor.ask(scope).startswith("Sites: bank. Until ")
    assert visitor.ask("return document.cookie") == "", "no script can read it"
    visitor.driver.find_element(By.ID, "leave").click()
    visitor.until(VIEW, lambda view: view == "login")
    visitor.go("/explain?site=bank&kpi=asa")
    assert visitor.ask(VIEW) == "login"


def test_a_link_logs_in_and_keeps_its_token_to_itself(visitor: Visitor, door: Door) -> None:
    wall = quote("?site=bank&kiosk#wall", safe="")
    visitor.go(f"/login#token={door.tokens['Wall']}&to={wall}")
    visitor.live()
    assert visitor.driver.current_url == f"{door.url}/?site=bank&kiosk#wall"
    told = visitor.ask(
        "return performance.getEntriesByType('navigation').concat("
        "performance.getEntriesByType('resource')).map(e => e.name).join(' ')"
    )
    assert door.tokens["Wall"] not in told
    assert not visitor.ask(WHO), "a wall has nothing to press"
    # Back does not lead to the address with the token.
    assert door.tokens["Wall"] not in visitor.ask("return document.referrer + location.href")


@pytest.mark.parametrize("to", ["https://evil.example.org/", "//evil.example.org/", "javascript:0"])
def test_a_link_leads_nowhere_else(visitor: Visitor, door: Door, to: str) -> None:
    visitor.go(f"/login#token={door.tokens['Boss']}&to={quote(to, safe='')}")
    visitor.live()
    assert visitor.driver.current_url.startswith(f"{door.url}/")


def test_a_token_taken_away_shows_the_log_in(visitor: Visitor, door: Door) -> None:
    token = door.keeper.give("Goes", ["bank"])
    visitor.go("/?site=bank#agents")
    visitor.type_token(token)
    visitor.live()
    door.keeper.take("Goes")
    visitor.until(VIEW, lambda view: view == "login")
    assert visitor.driver.current_url == f"{door.url}/?site=bank#agents"


def test_one_who_is_logged_in_comes_from_another_site_without_being_asked(
    visitor: Visitor, door: Door
) -> None:
    """Such a link, in a mail or in Grafana, is followed without the cookie at first."""
    visitor.go(f"/login#token={door.tokens['Boss']}")
    visitor.live()

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            link = f"{door.url}/?site=metro#queues"
            self.wfile.write(f"<a id=link href='{link}'>board</a>".encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        visitor.driver.get(f"http://localhost:{server.server_port}/")
        visitor.driver.find_element(By.ID, "link").click()
        visitor.live()
        assert visitor.driver.current_url == f"{door.url}/?site=metro#queues"
    finally:
        server.shutdown()
        server.server_close()


LIVE = ["/?site=bank#wall", "/?site=bank#queues", "/?site=bank#agents", "/?site=bank#quality"]
PAGES = ["/explain?site=bank&kpi=asa", "/explain?site=nowhere&kpi=asa", "/runbooks",
         "/runbooks/ServiceLevelLow"]  # fmt: skip


def elsewhere(visitor: Visitor) -> list[str]:
    """What a page has loaded from another origin, or complains of."""
    loaded = visitor.ask("return performance.getEntriesByType('resource').map(e => e.name)")
    assert len(loaded) > 2
    found = [one for one in loaded if not one.startswith(f"{visitor.door.url}/")]
    found += visitor.ask("return window.violations")
    return found + [c for c in visitor.complaints() if "Failed to load resource" not in c]


def test_no_page_loads_anything_from_elsewhere_or_breaks_its_own_policy(
    visitor: Visitor, door: Door
) -> None:
    visitor.complaints()
    visitor.go("/login")
    visitor.until("return document.fonts.status", lambda status: status == "loaded")
    assert elsewhere(visitor) == []
    visitor.type_token(door.tokens["Boss"])
    visitor.live()
    for path in (*LIVE, *PAGES):
        visitor.complaints()
        visitor.go(path)
        if path in LIVE:
            visitor.live()
            visitor.until(WHO, bool)
        assert elsewhere(visitor) == [], path


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (390, 844)])
def test_the_log_in_is_readable_and_fits(
    visitor: Visitor, width: int, height: int, theme: str
) -> None:
    visitor.resize(width, height, theme, motion="reduce")
    visitor.go("/?site=bank#wall")
    visitor.type_token("wrong")
    visitor.until(SAID, bool)
    seen, faint = visitor.ask(FAINT)
    assert seen >= 5
    assert faint == []
    full, wide = visitor.ask(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert full <= wide
    box = visitor.ask("return document.querySelector('main').getBoundingClientRect().toJSON()")
    assert abs(box["left"] - (width - box["right"])) < 1
    assert box["left"] >= 10


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1366, 768), (390, 844)])
def test_who_is_logged_in_fits_beside_everything_else(
    visitor: Visitor, door: Door, width: int, height: int
) -> None:
    visitor.resize(width, height)
    visitor.go(f"/login#token={door.tokens['Anna']}&to={quote('?site=bank#wall', safe='')}")
    visitor.live()
    visitor.until("return document.getElementById('me').checkVisibility()", bool)
    full, wide = visitor.ask(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert full <= wide
    visitor.driver.find_element(By.ID, "me").click()
    box = visitor.ask("return document.getElementById('account').getBoundingClientRect().toJSON()")
    assert 0 < box["left"] < box["right"] <= width
    assert visitor.ask("return document.getElementById('account').matches(':popover-open')")
    assert visitor.ask(FAINT)[1] == []
