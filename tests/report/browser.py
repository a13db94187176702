"""A headless Chromium for tests and benchmarks of the report; no network."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
MISSING = None if CHROMIUM and DRIVER else "no Chromium with its driver: apt-get install chromium chromium-driver"

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
)


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser with a profile of its own, thrown away afterwards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        try:
            yield driver
        finally:
            driver.quit()


def show(driver: Any, path: Path, width: int = 1280, dark: bool = False) -> None:
    """Open a report and wait until its lists are unpacked."""
    phone = width < 600
    screen = {"width": width, "height": 844 if phone else 900, "deviceScaleFactor": 1, "mobile": phone}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    # A click while the page still scrolls would miss.
    motion = {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, motion]})
    driver.get(path.resolve().as_uri())
    for _ in range(600):
        if driver.execute_script("return document.documentElement.dataset.ready || !failure.hidden"):
            return
        time.sleep(0.05)
    raise AssertionError("the report does not open")


def milliseconds(driver: Any, name: str) -> list[float]:
    """What the page measured of itself under ``name``."""
    return driver.execute_script("return performance.getEntriesByName(arguments[0]).map(e => e.duration)", name)
