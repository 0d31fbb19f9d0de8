"""The page of `rdae compare` in a real browser: keys and pointer flick at the same place, and nothing is asked for.

Needs what `browser_kit` says, and is skipped where that is missing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser_kit
import pytest
import tiny_model
from browser_kit import choose, complaints, requests, script, until

from rdae.codec.tiles import Region
from rdae.reporting.comparison import page as pages
from rdae.reporting.comparison.versions import Compared, Version
from rdae.targets import Target

pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[browser]'")
pytestmark = pytest.mark.skipif(
    browser_kit.NO_BROWSER, reason="no chromium with its chromedriver on this machine"
)

NAMES = ("first.png", "<img src=x onerror=alert(1)>.png")
TITLES = ["original", "rdae-visual", "AVIF 4:4:4, tuned for the eye", "JPEG & more"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shown = []
    for seed, name in enumerate(NAMES):
        levels = tiny_model.photo(400, 600) // (seed + 1)
        versions = [
            Version(title, f"how {title} was made", 10.0 * i, 1000 * i, levels // (i + 1), 30.0 + i, 50.0 + i)
            for i, title in enumerate(TITLES[1:], 1)
        ]
        shown.append(Compared(name, levels, 98765, versions))
    crops = [Region(300, 200, 100, 80), Region(100, 50, 40, 40)]
    path = tmp_path_factory.mktemp("browser") / "flick & look.html"
    path.write_bytes(pages.page_bytes(shown, crops, Target("size", 3000), zoom=3))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browser_kit.chromium() as opened:
        yield opened


@pytest.fixture
def page(file: Path, browser: Any) -> Iterator[Any]:
    """The page, freshly opened from the file system; afterwards there must be no request and no complaint."""
    browser.set_window_size(1200, 900)
    browser_kit.forget(browser)
    browser.get(file.as_uri())
    until(lambda: script(browser, "return [...document.images].every((image) => image.complete)"))
    yield browser
    assert complaints(browser) == []
    assert requests(browser) == [file.as_uri()]


def on_top(page: Any) -> list[str]:
    """What each picture shows: the version that a point in the middle of its frame belongs to."""
    code = """
        return [...document.querySelectorAll(".frame")].map((frame) => {
            frame.scrollIntoView({ block: "end" });
            const box = frame.getBoundingClientRect();
            return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2).alt;
        });"""
    found: list[str] = script(page, code)
    return found


def first_on_top(page: Any) -> str:
    """What the first picture shows, without scrolling: a pointer that is held stays over it."""
    code = """
        const images = [...document.querySelectorAll(".frame")[0].querySelectorAll("img")];
        return images.find((image) => getComputedStyle(image).zIndex === "1").alt;"""
    found: str = script(page, code)
    return found


def told(page: Any) -> list[str]:
    """The words above each picture."""
    return [words.text for words in page.find_elements("css selector", ".now")]


def press(page: Any, *keys: str) -> None:
    from selenium.webdriver import ActionChains

    ActionChains(page).send_keys(*keys).perform()


def places(page: Any) -> list[list[float]]:
    """Where the frames are scrolled to."""
    code = "return [...document.querySelectorAll('.frame')].map((each) => [each.scrollLeft, each.scrollTop])"
    found: list[list[float]] = script(page, code)
    return found


def test_keys_flick_all_pictures_at_the_same_place(page: Any) -> None:
    from selenium.webdriver import ActionChains, Keys

    assert on_top(page) == [TITLES[1]] * 2
    before = places(page)
    for i, title in enumerate(TITLES):
        press(page, str(i + 1))
        assert on_top(page) == [title] * 2
        assert all(words.startswith(title) for words in told(page))
    press(page, Keys.ARROW_RIGHT)
    assert on_top(page)[0] == TITLES[0]  # round to the first
    press(page, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert on_top(page)[0] == TITLES[2]
    press(page, "9")  # there is none
    assert on_top(page)[0] == TITLES[2]
    ActionChains(page).key_down(Keys.SPACE).perform()
    assert on_top(page) == [TITLES[0]] * 2
    ActionChains(page).key_up(Keys.SPACE).perform()
    assert on_top(page) == [TITLES[2]] * 2
    assert places(page) == before
    assert "2,000 bytes" in told(page)[0]
    assert "SSIMULACRA2 52.0" in told(page)[1]


def test_the_pointer_chooses_flicks_holds_and_moves(page: Any) -> None:
    from selenium.webdriver import ActionChains

    page.find_element("xpath", f"//label[contains(., '{TITLES[3]}')]").click()
    assert on_top(page) == [TITLES[3]] * 2
    button = page.find_element("css selector", ".numbers button[value='2']")
    script(page, "arguments[0].scrollIntoView()", button)  # below the bar that stays in sight
    button.click()
    assert on_top(page) == [TITLES[2]] * 2
    frame = page.find_element("css selector", ".frame")
    ActionChains(page).click(frame).perform()
    assert on_top(page) == [TITLES[3]] * 2
    ActionChains(page).click_and_hold(frame).perform()
    until(lambda: first_on_top(page) == TITLES[0])
    ActionChains(page).release().perform()
    assert first_on_top(page) == TITLES[3]
    assert on_top(page) == [TITLES[3]] * 2
    (left, top), other = places(page)
    ActionChains(page).drag_and_drop_by_offset(frame, -60, 40).perform()
    assert places(page) == [[left + 60, top - 40], other]
    assert on_top(page) == [TITLES[3]] * 2


def test_the_crop_is_in_the_middle_and_stays_there_when_the_zoom_changes(page: Any) -> None:
    def middle() -> list[float]:
        code = """
            const frame = document.querySelector(".frame"), zoom = Number(document.getElementById("zoom").value);
            const middle = [frame.scrollLeft + frame.clientWidth / 2, frame.scrollTop + frame.clientHeight / 2];
            return middle.map((length) => length / zoom);"""
        found: list[float] = script(page, code)
        return found

    assert script(page, "return document.getElementById('zoom').value") == "3"
    for zoom in ("3", "8", "4", "2"):
        choose(page, "zoom", zoom)
        assert middle() == pytest.approx([350, 240], abs=3 if zoom != "2" else 60)  # at 2 it is near the edge
        width = script(page, "return document.querySelector('.stack img').getBoundingClientRect().width")
        assert width == 600 * int(zoom)
    choose(page, "zoom", "fit")
    frames = "return [...document.querySelectorAll('.frame')].every((each) => each.scrollWidth <= each.clientWidth)"
    assert script(page, frames)


@pytest.mark.parametrize("width", [500, 1200])
def test_everything_has_a_name_for_the_keyboard_and_nothing_overflows(page: Any, width: int) -> None:
    page.set_window_size(width, 900)
    assert script(page, "return document.documentElement.scrollWidth <= innerWidth")
    nameless = script(
        page,
        """return [...document.querySelectorAll('select, button, input, [tabindex="0"]')]
            .filter((node) => !(node.textContent.trim() || node.getAttribute('aria-label') || node.labels?.length))
            .map((node) => node.outerHTML)""",
    )
    assert nameless == []
    hidden = script(page, "return [...document.images].filter((image) => image.ariaHidden !== 'true').length")
    assert hidden == 2  # of each picture the one that is shown
    assert script(page, "return document.images.length") == 2 * len(
        TITLES
    )  # the name that is markup made none
    assert [each.text for each in page.find_elements("css selector", "section.picture h2")] == list(NAMES)
