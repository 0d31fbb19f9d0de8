"""The page of `rdae report` in a real browser: its controls work, it asks no network for anything, and nothing fails.

Needs chromium, its driver and selenium (`apt install chromium chromium-driver`, `pip install -e '.[browser]'`), and is
skipped where one is missing.  The slow test makes a report of Kodak, from the pictures in the folder that the
environment variable RDAE_KODAK names.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser_kit
import pytest
import report_kit
from browser_kit import choose, complaints, requests, script, until
from rdae_command import rdae_command

from rdae.api import open_model

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[browser]'")
pytestmark = pytest.mark.skipif(
    browser_kit.NO_BROWSER, reason="no chromium with its chromedriver on this machine"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    page = tmp_path_factory.mktemp("browser") / "report of this & that.html"
    report_kit.report(page, "--match", "both", "-q", "40")
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_kit.chromium() as opened:
        yield opened


@pytest.fixture
def page(file: Path, browser: Any) -> Iterator[Any]:
    """The report, freshly opened from the file system; afterwards there must be no request and no complaint."""
    opened(browser, file)
    yield browser
    assert complaints(browser) == []
    assert requests(browser) == [file.as_uri()]


def opened(browser: Any, path: Path) -> None:
    browser_kit.forget(browser)
    browser.get(path.as_uri())
    until(lambda: browser.execute_script("return document.getElementById('look-canvas').width > 300"))


def pixels(browser: Any, canvas: str) -> list[int]:
    """A sum of the levels of each of 16 columns of a canvas: what is to be seen, in short."""
    code = """
        const canvas = document.getElementById(arguments[0]);
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const context = copy.getContext("2d", { willReadFrequently: true });
        context.drawImage(canvas, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        const sums = new Array(16).fill(0);
        for (let i = 0; i < data.length; i += 4) {
            sums[Math.floor((i / 4 % canvas.width) * 16 / canvas.width)] += data[i] + data[i + 1] + data[i + 2];
        }
        return sums;"""
    found: list[int] = script(browser, code, canvas)
    return found


def test_the_slider_is_moved_by_keys_and_pointer(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    slider = page.find_element("id", "slider")
    assert slider.get_attribute("aria-valuenow") == "50"
    middle = pixels(page, "look-canvas")
    slider.send_keys(Keys.ARROW_LEFT * 3, Keys.PAGE_DOWN)
    assert slider.get_attribute("aria-valuenow") == "37"
    assert pixels(page, "look-canvas") != middle
    slider.send_keys(Keys.END)
    assert slider.get_attribute("aria-valuenow") == "100"
    slider.send_keys(Keys.HOME)
    assert slider.get_attribute("aria-valuenow") == "0"
    ActionChains(page).drag_and_drop_by_offset(slider, 100, 0).perform()
    assert 10 < int(slider.get_attribute("aria-valuenow")) < 60
    choose(page, "look-right", "-1")
    choose(page, "look-left", "-1")
    slider.send_keys(Keys.HOME)
    both = pixels(page, "look-canvas")
    slider.send_keys(Keys.END)
    assert pixels(page, "look-canvas") == both  # the same picture on both sides


def test_the_metric_is_switched_and_curves_are_read(page: Any) -> None:
    from selenium.webdriver import Keys

    curve = "return document.querySelector('#chart .curve.first').getAttribute('d')"
    psnr = script(page, curve)
    choose(page, "metric", "ms-ssim-db")
    assert "MS-SSIM" in page.find_element("css selector", "#chart svg").get_attribute("aria-label")
    assert script(page, curve) != psnr
    choose(page, "metric", "psnr-rgb")
    assert script(page, curve) == psnr
    page.find_element("id", "log").click()
    assert script(page, curve) != psnr
    assert script(page, "return document.querySelectorAll('#chart .curve').length") == 3
    page.find_element("css selector", "#legend button:nth-child(2)").click()
    assert script(page, "return document.querySelectorAll('#chart .curve').length") == 2
    page.find_element("css selector", "#chart svg").send_keys(Keys.ARROW_RIGHT, Keys.PAGE_UP * 12)
    tip = page.find_element("id", "tip").text
    assert "bits per pixel" in tip
    assert "WebP" in tip
    assert "JPEG" not in tip


def test_the_table_is_sorted(page: Any) -> None:
    def column(i: int) -> list[str]:
        rows = "[...document.querySelectorAll('#table tbody tr')]"
        found: list[str] = script(page, f"return {rows}.map((row) => row.cells[arguments[0]].textContent)", i)
        return found

    heading = {head.text: i for i, head in enumerate(page.find_elements("css selector", "#table thead th"))}
    assert sorted(column(0)) == sorted(report_kit.NAMES)
    at = heading["bpp"]
    for expected in ("descending", "ascending"):
        page.find_elements("css selector", "#table thead button")[at].click()
        assert (
            page.find_elements("css selector", "#table thead th")[at].get_attribute("aria-sort") == expected
        )
        rates = [float(text) for text in column(at)]
        assert rates == sorted(rates, reverse=expected == "descending")
        assert len(set(rates)) == 3
    before = column(at)
    choose(page, "quality", "2")
    assert all(float(now) > float(then) for now, then in zip(column(at), before, strict=True))
    page.find_elements("css selector", "#table tbody th button")[0].click()
    assert script(page, "return document.getElementById('of').selectedOptions[0].textContent") == column(0)[0]


def test_pictures_are_compared_in_every_way(page: Any) -> None:
    from selenium.webdriver import Keys

    def mode(value: str) -> None:
        page.find_element("css selector", f"#look-mode input[value={value}]").find_element(
            "xpath", ".."
        ).click()

    slider = pixels(page, "look-canvas")
    choose(page, "look-zoom", "8")
    assert pixels(page, "look-canvas") != slider
    choose(page, "look-zoom", "fit")
    mode("side")
    until(lambda: pixels(page, "look-canvas") != slider)
    choose(page, "look-left", "-1")
    choose(page, "look-right", "0")
    mode("difference")
    tag = page.find_element("id", "tag-left")
    until(lambda: "difference ×4" in tag.text)
    dark = sum(pixels(page, "look-canvas"))
    choose(page, "look-gain", "16")
    until(lambda: "difference ×16" in tag.text)
    assert sum(pixels(page, "look-canvas")) > 2 * dark > 0
    mode("flicker")
    choose(page, "look-pace", "0")
    until(lambda: tag.text == "original" or "rdae" in tag.text)
    first = (tag.text, pixels(page, "look-canvas"))
    page.find_element("id", "view").send_keys(Keys.SPACE)
    assert tag.text != first[0]
    assert pixels(page, "look-canvas") != first[1]
    choose(page, "look-match", "psnr")
    choose(page, "look-right", "2")
    until(lambda: "JPEG" in page.find_element("id", "caption-right").text)
    assert "dB" in page.find_element("id", "caption-right").text


def test_maps_show_where_bits_went(page: Any) -> None:
    from selenium.webdriver import Keys

    everything = pixels(page, "bits-canvas")
    assert "latents ŷ" in page.find_element("id", "bits-words").text
    choose(page, "bits-map", "z")
    until(lambda: pixels(page, "bits-canvas") != everything)
    page.find_element("id", "bits-channel").send_keys(Keys.ARROW_RIGHT * 2)
    assert script(page, "return document.getElementById('bits-map').value") == "channel"
    assert page.find_element("id", "bits-channel-words").text.startswith("channel ")
    choose(page, "bits-picture", "2")
    assert script(page, "return document.getElementById('look-picture').value") == "2"


def test_the_keyboard_reaches_every_control_and_nothing_overflows(page: Any) -> None:
    assert script(page, "return document.documentElement.scrollWidth <= innerWidth")
    names = script(
        page,
        """return [...document.querySelectorAll('select, button, input, [tabindex="0"], a[href]')]
            .filter((node) => node.getClientRects().length)
            .filter((node) => node.tabIndex !== 0
                || !(node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.length))
            .map((node) => node.outerHTML)""",
    )
    assert names == []
    assert script(page, "return document.title") == f"{open_model().name}: rate and distortion"
    assert script(page, "return document.images.length") == 0  # the name that is markup made none


@pytest.mark.slow
@pytest.mark.skipif(
    "RDAE_KODAK" not in os.environ, reason="RDAE_KODAK does not name the folder of the Kodak pictures"
)
def test_a_report_of_kodak_itself(browser: Any, tmp_path: Path) -> None:
    data = report_kit.ROOT / "data" / "measured"
    files = [report_kit.ROOT / "weights" / "rdae-base.kodak.json"]
    files += [data / f"{name}.json" for name in ("jpeg", "webp", "avif")]
    page = tmp_path / "kodak.html"
    done = rdae_command(
        "report", *map(str, files), "-o", str(page), "--pictures", os.environ["RDAE_KODAK"], "--quiet"
    )
    assert done.exit_code == 0, done.stderr
    assert page.stat().st_size <= 10_000_000
    opened(browser, page)
    verdict = browser.find_element("id", "verdict").text
    assert all(name in verdict for name in ("JPEG 4:4:4", "WebP", "AVIF 4:4:4", "BPG", "VTM"))
    assert "mean of 24 pictures" in browser.find_element("id", "facts").text
    test_the_slider_is_moved_by_keys_and_pointer(browser)
    choose(browser, "metric", "ms-ssim-db")
    browser.find_element("css selector", "#table thead button").click()
    assert complaints(browser) == []
    assert requests(browser) == [page.as_uri()]
