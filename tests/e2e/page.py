"""The board's page in a headless browser, read as data."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1366,768",
)
_CELLS = "[data-scope][data-kpi][data-value]"

Shown = dict[tuple[str, str, str], str]
"""What cells hold, by queue (empty for all), window and KPI."""


def missing_programs() -> list[str]:
    """What a browser needs and this machine lacks."""
    return [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]


class Page:
    """A browser on the board of one site."""

    def __init__(self, browser: Any, address: str) -> None:
        self._browser = browser
        self._address = address

    def shown(self, view: str, window: str) -> Shown:
        """Every cell of a view that holds a figure of the window or of now."""
        self._browser.get("about:blank")
        self._browser.get(f"{self._address}&window={window}#{view}")
        cells = f'[data-window="{window}"][data-kpi="offered"][data-value]'
        WebDriverWait(self._browser, 90).until(lambda b: b.find_elements(By.CSS_SELECTOR, cells))
        found: list[dict[str, str]] = self._browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])].map(e => ({...e.dataset}))", _CELLS
        )
        return {
            (cell.get("queue", ""), cell["window"], cell["kpi"]): cell["value"]
            for cell in found
            if "window" in cell
        }


@contextmanager
def opened(address: str, profile: Path) -> Iterator[Page]:
    """A browser for as long as the block lasts; `address` has a query."""
    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield Page(browser, address)
    finally:
        browser.quit()
