"""The board's page in a headless browser, read as data."""

from __future__ import annotations

import shutil
from pathlib import Path

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
_CELLS = "[data-queue][data-kpi][data-value]"


def shown_figures(address: str, profile: Path) -> dict[tuple[str, str], float]:
    """Figures of the queue table by queue and KPI, exactly as the page holds them."""
    options = webdriver.ChromeOptions()
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        browser.get(address)
        WebDriverWait(browser, 20).until(lambda b: b.find_elements(By.CSS_SELECTOR, _CELLS))
        found: list[list[str]] = browser.execute_script(
            "return [...document.querySelectorAll(arguments[0])]"
            ".map(e => [e.dataset.queue, e.dataset.kpi, e.dataset.value])",
            _CELLS,
        )
    finally:
        browser.quit()
    return {(queue, kpi): float(value) for queue, kpi, value in found if _number(value)}


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
