"""A real browser for tests of pages: chromium without a window, what it complained of and what it asked for.

Needs chromium, its driver and selenium: `apt install chromium chromium-driver`, `pip install -e '.[browser]'`.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
STILL = "--force-prefers-reduced-motion"  # or what is clicked might still be scrolling
DRIVER = shutil.which("chromedriver")
NO_BROWSER = not (CHROMIUM and DRIVER)


@contextlib.contextmanager
def chromium(width: int = 1200, height: int = 900) -> Iterator[Any]:
    """A driver of a browser whose window has this size."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", STILL):
        options.add_argument(argument)
    options.add_argument(f"--window-size={width},{height}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        yield opened
    finally:
        opened.quit()


def forget(browser: Any) -> None:
    """Leave out of the logs what was before."""
    for log in ("browser", "performance"):
        browser.get_log(log)


def complaints(browser: Any) -> list[str]:
    """Messages of the console of any kind: errors, refusals by the content security policy, warnings."""
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser: Any) -> list[str]:
    """Addresses that anything was asked of, less data: URIs, which are in the page."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in asked if not url.startswith("data:")]


def until(condition: Any, seconds: float = 20.0) -> None:
    """Wait until a condition, a function without arguments, holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the page does not get there"
        time.sleep(0.05)


def script(browser: Any, code: str, *arguments: Any) -> Any:
    """What a piece of JavaScript returns."""
    return browser.execute_script(code, *arguments)


def choose(browser: Any, select: str, value: str) -> None:
    """Choose an option of the select of this id."""
    from selenium.webdriver.support.ui import Select

    Select(browser.find_element("id", select)).select_by_value(value)
