"""The documentation becomes a site without a warning, and the site asks no other host for anything.

The tests are skipped where mkdocs, or for those of the browser chromium with its driver and selenium, is missing:
`pip install -e '.[docs,browser]'`.
"""

import doctest
import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("mkdocs", "material", "mkdocstrings"))),
    reason="mkdocs with its theme is not installed: pip install -e '.[docs]'",
)


def built(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder), *arguments],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = built(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_page_is_there_and_the_readme_is_the_first(site: Path) -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        name = page.relative_to(ROOT / "docs").with_suffix("")
        folder = name.parent if name.name == "index" else name
        assert (site / folder / "index.html").is_file(), page
    front = (site / "index.html").read_text(encoding="utf-8")
    assert "A learned image codec" in front
    assert 'href="guide/"' in front


def test_links_beyond_the_documentation_lead_to_pages_of_the_site(site: Path) -> None:
    front = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="repository/weights/#measured"' in front
    assert 'id="measured"' in (site / "repository/weights/index.html").read_text(encoding="utf-8")
    bulk = (site / "bulk/index.html").read_text(encoding="utf-8")
    assert 'href="../repository/examples/ray_compress.py/"' in bulk
    example = (site / "repository/examples/ray_compress.py/index.html").read_text(encoding="utf-8")
    assert "class" in example
    assert "Compressor" in example


def test_the_python_api_has_every_public_name_and_its_parameters(site: Path) -> None:
    text = (site / "api/index.html").read_text(encoding="utf-8")
    for name in ("compress", "decompress", "open_model", "Model", "Model.compress", "Model.unfold"):
        assert f'id="rdae.{name}"' in text
    errors = (ROOT / "rdae" / "errors.py").read_text(encoding="utf-8")
    for name in re.findall(r"^class (\w+)", errors, re.MULTILINE):
        assert f'id="rdae.errors.{name}"' in text
    assert "<li><p><code>quality</code>: 0 (smallest) to 100 (best).</p></li>" in re.sub(
        r"<li>\s*(<p>)?(.*?)(</p>)?\s*</li>", r"<li><p>\2</p></li>", text, flags=re.DOTALL
    )


@pytest.mark.parametrize("wrong", ["[gone](docs/gone.md)", "[no heading](docs/guide.md#no-such-heading)"])
def test_a_dead_link_is_found(tmp_path: Path, wrong: str) -> None:
    unwanted = shutil.ignore_patterns("__pycache__", "*.onnx", "*.safetensors", "node_modules")
    for name in ("docs", "tools", "weights", "data", "examples", "rdae"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unwanted)
    for path in [*ROOT.glob("*.md"), ROOT / "LICENSE", ROOT / "mkdocs.yml"]:
        shutil.copy(path, tmp_path)
    with (tmp_path / "README.md").open("a", encoding="utf-8") as readme:
        readme.write(f"\n{wrong}\n")
    done = built(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode != 0
    assert re.search(r"WARNING.*(gone\.md|no-such-heading)", done.stderr), done.stderr


def test_the_examples_in_the_scripts_of_the_site_are_true() -> None:
    pytest.importorskip("griffe")
    import site_docstrings

    assert doctest.testmod(site_docstrings).attempted
    assert doctest.testmod(site_docstrings).failed == 0


def test_links_and_images_are_rewritten_but_not_in_code() -> None:
    import site_hooks

    text = """[a](x.md#y) ![b](z.svg)
<img src="z.webp" alt="b" width="9">
```md
[a](x.md) <img src="z.webp" alt="b" width="9">
```
[c](https://example.org/x.md) [d](#y)
"""
    expected = """[a](HERE#y) ![b](HERE)
![b](HERE){ width=9 }
```md
[a](x.md) <img src="z.webp" alt="b" width="9">
```
[c](https://example.org/x.md) [d](#y)
"""
    assert site_hooks.linked(text, lambda _: "HERE") == expected


# In a browser


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=os.fspath(site))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium with its chromedriver on this machine")
    pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[browser]'")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,900")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield opened
    opened.quit()


def until(condition: Any, *, seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return found


def requested(browser: Any) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"
    ]


@pytest.mark.parametrize("page", ["", "guide/", "api/", "results/", "decisions/", "repository/weights/"])
def test_no_page_asks_another_host_for_anything_or_complains(browser: Any, address: str, page: str) -> None:
    for log in ("browser", "performance"):
        browser.get_log(log)
    browser.get(address + page)
    until(lambda: browser.execute_script("return document.readyState") == "complete")
    asked = [url for url in requested(browser) if not url.startswith(("data:", "blob:"))]
    assert asked
    assert [url for url in asked if not url.startswith(address)] == []
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def test_search_finds_pages(browser: Any, address: str) -> None:
    browser.get(address)
    until(lambda: browser.execute_script("return document.readyState") == "complete")
    browser.execute_script("document.querySelector('[for=__search].md-header__button').click()")
    box = until(lambda: browser.find_element("css selector", ".md-search__input"))
    until(box.is_displayed)
    box.send_keys("orientation")
    links = until(lambda: browser.find_elements("css selector", ".md-search-result__link"))
    assert any("pictures/" in link.get_attribute("href") for link in links)


def test_dark_mode_is_a_click_away(browser: Any, address: str) -> None:
    browser.get(address)
    scheme = "return document.body.getAttribute('data-md-color-scheme')"
    before = until(lambda: browser.execute_script(scheme))
    browser.execute_script(
        "[...document.querySelectorAll('label[for^=__palette]')].find(label => !label.hidden).click()"
    )
    until(lambda: browser.execute_script(scheme) != before)
    assert {before, browser.execute_script(scheme)} == {"default", "slate"}


@pytest.mark.parametrize("page", ["", "guide/", "results/", "effort/", "api/", "guarantees/"])
def test_no_page_is_wider_than_a_phone(browser: Any, address: str, page: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True},
    )
    try:
        browser.get(address + page)
        until(lambda: browser.execute_script("return document.readyState") == "complete")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
