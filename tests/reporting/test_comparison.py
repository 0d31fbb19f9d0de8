"""Versions on equal terms, the window where they differ most, the strip and the page of `rdae compare`."""

import base64
import dataclasses
import hashlib
import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model
from PIL import Image

from rdae.api import open_model
from rdae.clock import Clock
from rdae.codec.tiles import Region
from rdae.errors import PictureError, ResultsError, TargetError
from rdae.evaluation.codecs import PILLOW_CODECS, Codec, Rdae
from rdae.metrics import psnr
from rdae.reporting.comparison import crops, page, strip, versions
from rdae.reporting.comparison.versions import Compared, Version
from rdae.ssimulacra2 import ssimulacra2, xyb
from rdae.targets import Target

Levels = npt.NDArray[np.uint8]

PHOTO = tiny_model.photo(72, 96)
with Image.open(Path(__file__).resolve().parents[2] / "data" / "example.png") as opened:
    EXAMPLE = np.asarray(opened.convert("RGB"))[100:196, 60:188]
HOSTILE = "<img src=x onerror=alert(1)> & co.png"


@dataclasses.dataclass(frozen=True)
class Sized:
    """A codec whose files have the sizes that it is given, by quality, and whose pictures get better with quality."""

    sizes: Sequence[int]
    name: ClassVar[str] = "sized"
    title: ClassVar[str] = "Sized"
    description: ClassVar[str] = "sizes as given"
    suffix: ClassVar[str] = ".sized"
    identity: ClassVar[Mapping[str, Any]] = {}
    arguments: ClassVar[tuple[str, ...]] = ("sized",)
    untrained: ClassVar[bool] = False

    @property
    def qualities(self) -> Sequence[float]:
        return self.all_qualities

    @property
    def all_qualities(self) -> Sequence[float]:
        return [float(quality) for quality in range(len(self.sizes))]

    def prepare(self) -> None:
        """Nothing."""

    def encode(self, picture: Levels, quality: float, /, clock: Clock | None = None) -> bytes:
        del picture, clock
        return bytes([round(quality)]) * self.sizes[round(quality)]

    def decode(self, data: bytes, /, clock: Clock | None = None) -> Levels:
        del clock
        step = 2 * (len(self.sizes) - data[0])
        return (PHOTO // step * step).astype(np.uint8)


# Sizes that fall amid their rise, as those of JPEG XL do; (limit, size of the largest that fits, note).
FALLING = (100, 200, 300, 400, 370, 390, 410, 600, 800)


@pytest.mark.parametrize(
    ("limit", "expected", "note"),
    [
        (400, 400, ""),
        (399, 390, ""),
        (415, 410, ""),
        (430, 410, ""),
        (590, 410, "31% below the limit"),
        (900, 800, "at its best, 11% below the limit"),
        (100, 100, ""),
        (80, 100, "its smallest file, 25% over the limit"),
    ],
)
@pytest.mark.parametrize("kind", ["size", "bpp"])
def test_the_largest_file_within_a_limit_is_found_and_what_is_unequal_is_said(
    kind: Any, limit: int, expected: int, note: str
) -> None:
    value = limit if kind == "size" else 8 * limit / (72 * 96)
    found = versions.version(Sized(FALLING), PHOTO, Target(kind, value))
    assert found.file_bytes == expected == FALLING[int(found.quality or 0)]
    assert found.note == note
    assert found.bpp == pytest.approx(8 * expected / (72 * 96))
    assert found.psnr == psnr(PHOTO, found.picture)
    assert found.ssimulacra2 == ssimulacra2(PHOTO, found.picture)


def test_the_smallest_file_of_a_score_is_found() -> None:
    codec = Sized((100, 200, 300, 290, 400))
    scores = [ssimulacra2(PHOTO, codec.decode(codec.encode(PHOTO, q))) or 0.0 for q in codec.all_qualities]
    assert scores == sorted(scores)
    middle = (scores[1] + scores[2]) / 2
    found = versions.version(codec, PHOTO, Target("ssimulacra2", middle))
    assert (
        found.file_bytes == 300
    )  # quality 3 has a smaller one, but is not looked at: it is beyond the crossing
    assert found.note == ("" if scores[2] - middle <= 1 else f"{scores[2] - middle:.1f} above the score")
    low = versions.version(codec, PHOTO, Target("ssimulacra2", max(0.5, scores[0] - 5)))
    assert (low.file_bytes, low.note[:19]) == (100, "its smallest file, ")
    high = versions.version(codec, PHOTO, Target("ssimulacra2", (scores[-1] + 100) / 2))
    assert (high.file_bytes, high.note) == (400, "at its best, below the score")


@pytest.mark.parametrize("name", ["jpeg", "webp"])
def test_a_real_codecs_largest_file_is_that_of_all_its_qualities(name: str) -> None:
    codec = PILLOW_CODECS[name]
    sizes = [len(codec.encode(PHOTO, quality)) for quality in codec.all_qualities]
    for limit in (sizes[7], sizes[40] + 1, sizes[70] - 1):
        found = versions.version(codec, PHOTO, Target("size", limit))
        assert found.file_bytes == max(size for size in sizes if size <= limit)


def test_rdae_meets_sizes_and_scores_and_says_where_it_cannot() -> None:
    codec = Rdae(open_model(threads=1), effort=0)
    within = versions.version(codec, PHOTO, Target("size", 1000))
    assert 950 <= within.file_bytes <= 1000
    assert within.note == ""
    good = versions.version(codec, EXAMPLE, Target("ssimulacra2", 50))
    assert good.ssimulacra2 == pytest.approx(50.5, abs=0.5)
    assert 0 < (good.quality or 0) < 100
    assert good.note == ""
    least = versions.version(codec, PHOTO, Target("size", 20))
    assert (least.quality, least.note[:19]) == (0, "its smallest file, ")
    most = versions.version(codec, PHOTO, Target("bpp", 100))
    assert most.note.startswith("at its best, ")


def test_a_picture_that_is_stored_as_pixels_has_no_quality() -> None:
    flat = np.full((64, 64, 3), 200, np.uint8)
    flat[20:40, 20:40] = 30
    found = versions.version(Rdae(open_model(threads=1), effort=0), flat, Target("size", 4000))
    assert found.quality is None
    assert found.psnr == math.inf
    assert versions.numbers(found)[3] == "exact"


def saved(folder: Path, picture: Image.Image, name: str = "a.png") -> Path:
    picture.save(folder / name)
    return folder / name


def test_pictures_are_read_as_they_are_seen(tmp_path: Path) -> None:
    levels = np.dstack([PHOTO, np.where(np.arange(96) < 48, 0, 255) * np.ones((72, 1))]).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(levels))
    notes: list[str] = []
    told: list[str] = []
    codec = PILLOW_CODECS["jpeg"]
    found = versions.compared(path, "a", [codec], Target("bpp", 3), tell=told.append, note=notes.append)
    assert (found.original[:, :48] == 255).all()
    assert (found.original[:, 48:] == PHOTO[:, 48:]).all()
    assert found.file_bytes == path.stat().st_size
    assert notes == ["transparent, so it is compared over white"]
    assert told == ["a: JPEG 4:4:4"]


def test_what_no_codec_meets_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(PHOTO))
    codecs: list[Codec] = [PILLOW_CODECS["jpeg"], Sized((100, 200))]
    with pytest.raises(
        TargetError, match=r"a\.png: no codec gives a file of at most 5 bytes: Sized comes near"
    ):
        versions.compared(path, "a.png", codecs, Target("size", 5))
    with pytest.raises(TargetError, match=r"a\.png: no codec gives at most 0\.001 bpp"):
        versions.compared(path, "a.png", codecs, Target("bpp", 0.001))
    with pytest.raises(TargetError, match=r"a\.png: no codec gives SSIMULACRA2 99\.999"):
        versions.compared(path, "a.png", codecs, Target("ssimulacra2", 99.999))
    small = saved(tmp_path, Image.fromarray(PHOTO[:5]), "small.png")
    with pytest.raises(TargetError, match=r"small\.png: SSIMULACRA2 of 96 x 5 pixels"):
        versions.compared(small, "small.png", codecs, Target("ssimulacra2", 50))
    assert versions.compared(small, "s", codecs[:1], Target("size", 900)).versions[0].ssimulacra2 is None


BOTH = versions.BetterOf("JPEG", (PILLOW_CODECS["jpeg420"], PILLOW_CODECS["jpeg"]))

STRIPES = np.where(np.arange(128)[None, :, None] % 2, (250, 0, 90), (0, 90, 250)).astype(np.uint8)
STRIPES = STRIPES * np.ones((96, 1, 1), np.uint8)  # of colours, which 4:2:0 makes one


@pytest.mark.parametrize(
    ("picture", "target", "title"),
    [
        (EXAMPLE, Target("bpp", 0.8), "JPEG 4:2:0"),
        (STRIPES, Target("bpp", 6), "JPEG 4:4:4"),
        (EXAMPLE, Target("ssimulacra2", 50), "JPEG 4:4:4"),
        (STRIPES, Target("ssimulacra2", 80), "JPEG 4:4:4"),
        (EXAMPLE, Target("size", 10), "JPEG 4:2:0"),  # which neither meets
    ],
)
def test_the_better_of_two_settings_is_shown_and_labelled(
    picture: Levels, target: Target, title: str
) -> None:
    found = BOTH.version(picture, target)
    made = [versions.version(codec, picture, target) for codec in BOTH.codecs]
    other = next(each for each in made if each.title != title)
    assert found.title == title
    assert found.description.endswith("; here the better of JPEG 4:2:0 and JPEG 4:4:4")
    assert found.ssimulacra2 is not None
    assert other.ssimulacra2 is not None
    if target.kind == "bpp":
        assert found.ssimulacra2 > other.ssimulacra2
    elif target.kind == "size" or other.ssimulacra2 >= target.value:
        assert found.file_bytes < other.file_bytes
    else:
        assert found.ssimulacra2 >= target.value


def test_a_page_calls_a_codec_by_what_its_versions_have_in_common() -> None:
    first = compared()
    one = dataclasses.replace(first, versions=[dataclasses.replace(first.versions[0], title="JPEG 4:2:0")])
    other = dataclasses.replace(
        first, versions=[dataclasses.replace(first.versions[0], title="JPEG 4:4:4", description="another")]
    )
    text = page.page_bytes([one, other], [CROP, CROP], Target("size", 1234)).decode()
    assert "<span>JPEG</span>" in text
    assert [text.count(f"<dt>JPEG {kind}</dt>") for kind in ("4:2:0", "4:4:4")] == [1, 1]
    assert re.findall(r"<strong>(JPEG [^<]*)</strong>", text) == ["JPEG 4:2:0", "JPEG 4:4:4"]


def slow_window(pictures: Sequence[Levels], window: tuple[int, int]) -> tuple[int, int]:
    """Left and top of the window that differs most, of those that begin at multiples of STEP, one by one."""
    columns, rows = window
    planes = [xyb(picture) for picture in pictures]
    best = (-1.0, 0, 0)
    height, width = pictures[0].shape[:2]
    for top in range(0, height - rows + 1, crops.STEP):
        for left in range(0, width - columns + 1, crops.STEP):
            here = [plane[:, top : top + rows, left : left + columns].astype(np.float64) for plane in planes]
            apart = [np.sqrt(((a - b) ** 2).sum(axis=0)).sum() for a, b in itertools.combinations(here, 2)]
            best = max(best, (float(np.median(apart)), -top, -left))
    return -best[2], -best[1]


@pytest.mark.parametrize("window", [(16, 16), (48, 24), (96, 8)])
def test_the_window_is_the_one_that_a_slow_search_finds(
    monkeypatch: pytest.MonkeyPatch, window: tuple[int, int]
) -> None:
    monkeypatch.setattr(crops, "BAND", 16)  # several of them
    codecs = [PILLOW_CODECS[name] for name in ("jpeg", "jpeg420", "webp")]
    pictures = [PHOTO, *(codec.decode(codec.encode(PHOTO, 10)) for codec in codecs)]
    found = crops.most_different(pictures, window)
    assert (found.x, found.y) == slow_window(pictures, window)
    assert found[2:] == window


def test_one_codec_that_fails_does_not_choose_the_window() -> None:
    pictures = [np.full((128, 160, 3), 120, np.uint8) for _ in range(5)]
    pictures[0][:32, :32] = 255  # by far the largest difference, but of one alone
    for i, picture in enumerate(pictures):
        picture[96:, 128:] += np.uint8(4 * i)
    assert crops.most_different(pictures, (32, 32)) == Region(128, 96, 32, 32)
    assert crops.most_different(pictures[:2], (32, 32)) == Region(0, 0, 32, 32)


@pytest.mark.parametrize("window", [(300, 300), (96, 72), (300, 10), (10, 300), (7, 7)])
def test_a_window_is_inside_of_any_picture(window: tuple[int, int]) -> None:
    other = PHOTO.copy()
    other[-3:, -3:] = 0
    found = crops.most_different([PHOTO, other], window)
    assert found.inside(96, 72)
    assert found[2:] == (min(window[0], 96), min(window[1], 72))
    assert found.x + found.width == 96  # where they differ
    assert found.y + found.height == 72


def test_a_crop_by_hand_must_be_inside() -> None:
    assert crops.checked(Region(0, 0, 96, 72), PHOTO, "a.png") == (0, 0, 96, 72)
    for region in (Region(1, 0, 96, 72), Region(0, 70, 4, 4), Region(-1, 0, 4, 4)):
        with pytest.raises(PictureError, match=r"a\.png: a crop of .* is not inside of its 96 x 72 pixels"):
            crops.checked(region, PHOTO, "a.png")


def compared(count: int = 3, name: str = HOSTILE, note: str = "7% below the limit") -> Compared:
    """A picture with versions that are darker and darker."""
    made = [
        Version(
            f"Codec <{i}>, of a kind",
            f"codec {i} & more",
            10.0 * i,
            1000 + i,
            PHOTO // np.uint8(i + 1),
            31.25,
            55.5,
        )
        for i in range(1, count + 1)
    ]
    return Compared(name, PHOTO, 20736, [*made[:-1], dataclasses.replace(made[-1], note=note)])


CROP = Region(20, 10, 40, 24)


def places_of(sheet: Levels, part: Levels) -> list[tuple[int, int]]:
    """Where a picture stands in a sheet, as (left, top)."""
    height, width = part.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(sheet[:, :, 1], (height, width))
    return [(int(x), int(y)) for y, x in np.argwhere((windows == part[:, :, 1]).all(axis=(2, 3)))]


@pytest.mark.parametrize(("zoom", "columns", "rows"), [(1, None, 1), (3, None, 1), (4, 2, 2), (4, 9, 1)])
def test_a_strip_has_each_version_once_pixel_by_pixel(zoom: int, columns: int | None, rows: int) -> None:
    shown = compared()
    sheet = strip.strip([shown], [CROP], zoom=zoom, columns=columns)
    places = []
    for picture in (shown.original, *(each.picture for each in shown.versions)):
        part = CROP.of(picture).repeat(zoom, 0).repeat(zoom, 1)
        (place,) = places_of(sheet, part)
        x, y = place
        assert (sheet[y : y + len(part), x : x + part.shape[1]] == part).all()
        below = sheet[y + len(part) :, x : x + part.shape[1]]
        assert (below[: 4 * strip.FONT_SIZES[1]] < 128).any()  # something is written there
        places.append(place)
    assert len({y for _, y in places}) == rows
    assert places == sorted(places, key=lambda place: (place[1], place[0]))  # in reading order
    across = sorted({x for x, _ in places})
    assert len({b - a for a, b in itertools.pairwise(across)}) == 1  # evenly spaced
    assert (sheet[:4] == 255).all()
    assert (sheet[:, :4] == 255).all()
    assert (sheet[-4:] == 255).all()
    assert (sheet[:, -4:] == 255).all()


def test_each_picture_has_a_row_and_what_is_written_fits_its_cell() -> None:
    long = compared(name="a" * 300 + ".png", note="its smallest file, 25% over the limit, and that is a lot")
    for zoom in (1, 3):
        sheet = strip.strip([long, compared()], [CROP, Region(0, 0, 16, 24)], zoom=zoom)
        tops = [y for _, y in places_of(sheet, CROP.of(PHOTO).repeat(zoom, 0).repeat(zoom, 1))]
        assert len(tops) == 1
        letters = strip._Letters(40 * zoom)
        for version in long.versions:
            cell = strip._cell(version, CROP, zoom)
            width = max(40 * zoom, letters.least_width([cell]))
            lines = strip._labels(cell, letters, width)
            told = " ".join(line.text for line in lines).replace(" \u00b7 ", " ")
            assert version.title.replace(",", "") in told
            for part in (*versions.numbers(version), version.note):
                assert part in told
            assert all(line.font.getlength(line.text) <= width for line in lines)
    endless = strip._Cell(PHOTO, "b" * 99, [(["c" * 99], strip.INK)])
    assert letters.least_width([endless]) == strip.LONGEST * letters.size
    assert [line.text[-3:] for line in strip._labels(endless, letters, 96)] == ["...", "..."]
    assert letters.shortened("a" * 300, 200, letters.text).endswith("...")
    assert letters.text.getlength(letters.shortened("a" * 300, 200, letters.text)) <= 200
    assert letters.known("\u65e5a\u00b7b\u00e9.png") == "?a\u00b7be.png"


def test_a_strip_that_would_be_too_large_is_refused() -> None:
    with pytest.raises(PictureError, match=r"a strip of \d+ x \d+ pixels, expected at most"):
        strip.strip([compared()], [Region(0, 0, 96, 72)], zoom=50)


@pytest.mark.parametrize(("suffix", "form"), [(".png", "PNG"), (".webp", "WEBP")])
def test_a_strip_is_written_without_further_loss(suffix: str, form: str) -> None:
    sheet = strip.strip([compared()], [CROP])
    with Image.open(io.BytesIO(strip.strip_bytes(sheet, suffix))) as image:
        assert image.format == form
        assert (np.asarray(image.convert("RGB")) == sheet).all()


class Reader(HTMLParser):
    """Collects what a page refers to, its pictures, its text and its tables."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.links: list[str] = []
        self.images: list[tuple[str, str]] = []
        self.handlers: list[str] = []
        self.cells: list[str] = []
        self._in_cell = self._raw = False
        self.text = ""
        self.feed(data.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        self.links += [found[key] for key in ("src", "href", "srcset", "action", "data") if key in found]
        self.handlers += [key for key in found if key.startswith("on")]
        if tag == "img":
            self.images.append((found["alt"], found["src"]))
        self._raw = tag in ("script", "style")
        if tag in ("td", "th"):
            self._in_cell = True
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self._raw = self._raw and tag not in ("script", "style")
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._raw else data
        if self._in_cell:
            self.cells[-1] += data


def picture_of(uri: str) -> Levels:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def test_a_page_holds_every_picture_exactly_and_asks_for_nothing() -> None:
    shown = [compared(), compared(name="second.png")]
    data = page.page_bytes(shown, [CROP, CROP], Target("size", 1234), zoom=2, title="<i>Mine</i>")
    reader = Reader(data)
    assert reader.links
    assert [link for link in reader.links if not link.startswith("data:")] == []
    assert reader.handlers == []
    pictures = [picture for each in shown for picture in (each.original, *(v.picture for v in each.versions))]
    assert len(reader.images) == len(pictures)
    for (_, uri), picture in zip(reader.images, pictures, strict=True):
        assert (picture_of(uri) == picture).all()
    assert [alt for alt, _ in reader.images[:4]] == ["original", *(each.title for each in shown[0].versions)]
    text = data.decode()
    assert HOSTILE not in text
    assert escape(HOSTILE) in text
    assert "<i>Mine" not in text
    assert "<i>Mine</i>" in reader.text
    assert "For each codec, the largest file of at most 1,234 bytes." in reader.text
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)
    assert policy
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert (
        policy[1]
        == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert "{{" not in text


def test_a_page_has_the_numbers_of_all_versions() -> None:
    shown = compared()
    reader = Reader(page.page_bytes([shown], [CROP], Target("bpp", 0.5)))
    rows = [tuple(reader.cells[i : i + 7]) for i in range(0, len(reader.cells), 7)]
    assert rows[0] == ("Codec", "Bytes", "bpp", "SSIMULACRA2", "PSNR, dB", "Quality", "")
    assert rows[1] == ("original", "20,736", "24.00", "–", "–", "–", "")
    assert rows[2] == ("Codec <1>, of a kind", "1,001", "1.159", "55.5", "31.25", "10", "")
    assert rows[4][6] == "7% below the limit"
    assert "codec 2 & more" in reader.text
    assert "at most 0.5 bits per pixel" in reader.text
    bare = dataclasses.replace(
        shown,
        file_bytes=None,
        versions=[dataclasses.replace(shown.versions[0], psnr=math.inf, ssimulacra2=None, quality=None)],
    )
    reader = Reader(page.page_bytes([bare], [CROP], Target("ssimulacra2", 70)))
    assert reader.cells[8:10] == ["–", "–"]
    assert reader.cells[17:20] == ["–", "exact", "as pixels"]
    assert "SSIMULACRA2 of 70" in reader.text


def test_a_page_keeps_to_its_size_by_cutting_about_the_crop() -> None:
    noise = tiny_model.noise(3, 200, 260)
    made = [dataclasses.replace(each, picture=noise) for each in compared().versions]
    shown = Compared("noise.png", noise, None, made)
    crop = Region(180, 120, 60, 40)
    whole = page.page_bytes([shown], [crop], Target("size", 1000))
    assert "so that the page stays small" not in Reader(whole).text
    data = page.page_bytes([shown], [crop], Target("size", 1000), max_bytes=300_000)
    assert len(data) <= 300_000 < len(whole)
    reader = Reader(data)
    place = re.search(r"shown are (\d+) × (\d+) at (\d+),(\d+), so that the page stays small", reader.text)
    assert place
    width, height, left, top = (int(number) for number in place.groups())
    assert (picture_of(reader.images[0][1]) == noise[top : top + height, left : left + width]).all()
    assert left <= crop.x
    assert left + width >= crop.x + crop.width
    assert top <= crop.y
    assert top + height >= crop.y + crop.height
    with pytest.raises(ResultsError, match="without any picture"):
        page.page_bytes([shown], [crop], Target("size", 1000), max_bytes=1000)


@pytest.mark.parametrize(
    "write", [lambda s: page.page_bytes([s], [CROP], Target("size", 9)), lambda s: strip.strip([s], [CROP])]
)
def test_the_same_is_written_each_time(write: Callable[[Compared], Any]) -> None:
    assert np.array_equal(write(compared()), write(compared()))
