"""A board with a broker and a feeder in a thread of their own, and a headless Chromium."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.webdriver import WebDriver

from schemas.clock import Clock
from schemas.config import Config
from sinks.board.server import serving
from tests.ports import free_port
from tests.sinks.board.broker import Feeder, create_live_topic, tansu
from tests.sinks.board.centre import NOON, bank, crowd, extreme, large
from tests.sinks.board.quality import asked, asked_crowd, empty, forsaken

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
)


class Stage:
    """A served board; `feeder.paused` silences the pipeline, `stop` ends the board itself."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock(time.time_ns() // 1_000_000, NOON, 1.0)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.feeder: Feeder
        self._clock_file = folder / "clock.json"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._tasks: list[asyncio.Task[None]] = []
        self._bootstrap = ""
        self._board: Any = None

    def open(self, bootstrap: str) -> None:
        """Feed and serve."""
        self._bootstrap = bootstrap
        self.clock.write(self._clock_file)
        self._thread.start()
        self._run(create_live_topic(bootstrap))
        quiet, breached = bank("quiet"), bank("breached")
        quiet.site, breached.site = "quiet", "breached"
        centres = [bank(), large(), quiet, breached, crowd(), extreme()]
        centres += [asked(), forsaken(), asked_crowd(), empty()]
        self.feeder = Feeder(bootstrap, self.clock, *centres)
        self._run(self._feed())
        self.start()

    def start(self) -> None:
        """Serve the board."""
        config = Config(
            bootstrap=self._bootstrap, board_port=self.port, clock_file=str(self._clock_file)
        )
        self._board = serving(config)
        self._run(self._board.__aenter__())

    def stop(self) -> None:
        """End the board; the feeder goes on."""
        self._run(self._board.__aexit__(None, None, None))

    def close(self) -> None:
        """End everything."""
        self.stop()
        for task in self._tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        self._run(asyncio.sleep(0.2))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    async def _feed(self) -> None:
        self._tasks.append(asyncio.create_task(self.feeder.run()))

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(90)


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with tansu(free_port()) as bootstrap:
        stage = Stage(tmp_path_factory.mktemp("board"))
        stage.open(bootstrap)
        try:
            yield stage
        finally:
            stage.close()


class Browser:
    """A Chromium window with the few moves the tests need."""

    def __init__(self, driver: WebDriver, stage: Stage) -> None:
        self.driver = driver
        self._stage = stage

    def resize(self, width: int, height: int, theme: str = "dark", motion: str = "") -> None:
        """Make the window look like a device."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        scheme = [
            {"name": "prefers-color-scheme", "value": theme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        self._command("Emulation.setEmulatedMedia", {"features": scheme})

    def open(self, path: str) -> None:
        """Load a page afresh and wait for its first figures; only its site is fed from now on."""
        site = parse_qs(urlsplit(path).query).get("site")
        self._stage.feeder.watched = set(site or ["bank"])
        self.driver.get("about:blank")
        self.driver.get(self._stage.url + path)
        self.until("return document.body.dataset.state", lambda state: state == "live")

    def settle(self) -> None:
        """Wait until the page has been laid out and painted anew, observers of sizes included."""
        self.driver.execute_async_script(
            "const f = requestAnimationFrame, done = arguments[0]; f(() => f(() => f(done)))"
        )

    def ask(self, script: str, *args: Any) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *args)

    def until(self, script: str, good: Callable[[Any], bool], seconds: float = 180) -> Any:
        """Ask again until the answer is good; the last answer."""
        deadline = time.monotonic() + seconds
        answer = self.ask(script)
        while not good(answer):
            assert time.monotonic() < deadline, f"{script}: still {answer!r}"
            time.sleep(0.05)
            answer = self.ask(script)
        return answer

    def picture(self, path: Path) -> None:
        """Save what the window shows."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))

    def complaints(self) -> list[str]:
        """What the console said since the last call."""
        log: list[dict[str, str]] = self.driver.get_log("browser")  # type: ignore[attr-defined]
        return [entry["message"] for entry in log]

    def _command(self, name: str, parameters: dict[str, Any]) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    @contextmanager
    def before_each_page(self, script: str) -> Iterator[None]:
        """Run a script before those of every page that is loaded meanwhile."""
        made = self._command("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        try:
            yield
        finally:
            self._command("Page.removeScriptToEvaluateOnNewDocument", made)


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip("no Chromium with its chromedriver on this machine")
    options = Options()
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    chrome.set_page_load_timeout(90)
    yield chrome
    chrome.quit()


@pytest.fixture
def browser(chromium: WebDriver, stage: Stage) -> Iterator[Browser]:
    browser = Browser(chromium, stage)
    browser.complaints()  # those of tests that share the program, and meant them
    browser.resize(1366, 768)
    yield browser
    chromium.get("about:blank")
