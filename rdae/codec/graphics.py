"""Which pixels are stored as pixels: all, where a picture is to be kept exactly, and graphics where that costs less.

What an encoding costs is what the autoencoder was trained on: its bits, and its error in bits, R + βD. The levels of
graphics, stored as they are, cost R and no error; with fewer colours less R, and some error. Latents are taken only
where they cost less than all of these, and never if exactness itself takes fewer bits. In a picture that has graphics
in some places, rectangles of these over latents are tried likewise.

Photographs do not pay for the question: a look at every fourth row tells them from graphics.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.codec.container import MAX_QUALITY_INDEX, NO_MODEL, Container, Header, Section, pack
from rdae.codec.encoding import Encoding, Prepared, StoredPart, container_of, prepare, reconstruct
from rdae.codec.refinement.judging import Judge
from rdae.codec.sections import after, before, pixels, webp
from rdae.codec.sections.pixels import Rectangle
from rdae.objective import Objective, Weights
from rdae.pictures.raster import Raster
from rdae.pictures.spool import release
from rdae.quality import beta

Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Settings = Sequence[tuple[int, int]]  # method and quality of WebP, all of which are tried

QUICK: Settings = ((4, 80),)
USUAL: Settings = ((4, 100), (5, 100))
BEST: Settings = ((4, 100), (5, 90), (5, 100), (6, 100))
BEST_PIXELS = 1 << 21
"""Larger pictures get the best settings for lossless files from BEST_EFFORT on: they take 17 seconds a megapixel."""

QUICKLY_BEST_PIXELS = 1 << 18
"""Up to so many they also get them where exact pixels are one choice among others."""

BEST_EFFORT = 2
BAND_PIXELS = 1 << 24
"""Of one rectangle, at most: what Pillow holds of it is four bytes each."""

JUDGED_PIXELS = 1 << 22
"""Of larger pictures squared errors alone count: SSIMULACRA2 holds a whole picture several times."""


COLOURS = (256, 128, 64, 32, 16)  # with 8 grounds of one colour got another
KMEANS = 2  # rounds in which the colours move to the means of what they stand for

ROW_STEP = 4  # rows that are looked at
GREY_ROWS = 64  # after which a picture that was grey so far is taken for grey
CELL = 32  # side in pixels of what is graphics or not, a multiple of ROW_STEP and of pixels.GRID
EQUAL_SHARE = 0.4
"""Of pixels that equal their left neighbour, or the upper one: photographs had little, graphics most."""

NEAR_SHARE = 0.25  # the mean from which on it is asked whether exactness takes less
FEW_COLOURS, FEW_GREYS = 256, 64
"""Pictures with no more are graphics, whatever they look like: dithered ones, faxes. Photographs have 256 greys."""

EDGE = 48  # levels between neighbours that are more than a slope
EDGES_SHARE = 1 / 256
LEAST_CELLS = 24  # of a rectangle
MOST_RECTANGLES = 12
MOST_CELLS = 0.95
"""The share of graphics from which on a picture is one: it is stored as a whole, or not at all."""

LEAST_JUDGED_INDEX = 400
"""Errors are judged as from this index on: below, squared ones count, which forgive that slopes become steps."""

HOPELESS = (4.0, 1.1)
"""Of what latents cost, what exactness may take at most for fewer colours to be tried, and for itself if mixed."""

ICON_PIXELS = 1 << 14
ICON_FACTOR = 3.0
"""Icons are looked at closely, so errors count so many times: squared ones, as SSIMULACRA2 is made for more pixels."""

WORTH = 0.95
"""What a mixture may cost at most of what it is compared with: for less nobody should wait twice as long."""


class Choice(NamedTuple):
    """A file, and the encoding of its latents; None if it has none."""

    container: Container
    encoding: Encoding | None


class Candidate(NamedTuple):
    """A picture stored as pixels: its file, and the levels that it shows."""

    container: Container
    levels: Levels


def lossless(raster: Raster, effort: int) -> Container:
    """Return the file of a picture that is kept exactly, colours under alpha 0 included."""
    return _stored(raster, raster.levels, MAX_QUALITY_INDEX, _lossless_settings(raster, effort))


def _lossless_settings(raster: Raster, effort: int) -> Settings:
    best = raster.width * raster.height <= BEST_PIXELS or effort >= BEST_EFFORT
    return BEST if best else USUAL


def best(encoding: Encoding, search: Callable[[Prepared], Encoding]) -> Choice:
    """Return what costs least: an encoding as it is, its picture stored as pixels, or a mixture.

    search: encodes what is prepared with rectangles in the way that the encoding was made.
    """
    prepared, index = encoding.prepared, encoding.header.quality_index
    raster = prepared.raster
    plain = Choice(container_of(encoding), encoding)
    look = Look.of(raster.levels) if webp.available() else None
    if look is None or not (look.exactness_is_near or (look.shares >= EQUAL_SHARE).any()):
        return plain
    account = Account(raster, prepared.model.objective, index)
    parts = list(_parts(raster, look, account))
    if not (parts or look.exactness_is_near):
        return plain
    cost = account.cost(plain.container, reconstruct(encoding))
    found = [(cost, plain)]
    if look.exactness_is_near:
        walk = _walk(account, raster, look, index, cost)
        found += [(other, Choice(each.container, None)) for other, each in walk]
    if parts:
        mixed = search(prepare(raster, prepared.model, tile=prepared.tile, pixels=parts))
        made = container_of(mixed)
        found.append((account.cost(made, reconstruct(mixed)) / WORTH, Choice(made, mixed)))
    choice = min(found, key=lambda each: each[0])[1]
    exact = next((each for _, each in found[1:] if each.encoding is None), choice)  # it comes first
    if choice.encoding is not None and len(pack(exact.container)) < len(pack(choice.container)):
        return exact
    return choice


class Look(NamedTuple):
    """What a picture looks like.

    shares: of `_equal_shares`, by cells. few: whether it has few colours. small: whether anything can be tried: icons.
    """

    shares: npt.NDArray[np.float64]
    few: bool
    small: bool

    @classmethod
    def of(cls, levels: Levels) -> Look:
        """Look at every fourth row of a picture, and the next."""
        look = cls(
            _equal_shares(levels), _few_colours(levels), levels.shape[0] * levels.shape[1] <= ICON_PIXELS
        )
        release(levels)
        return look

    @property
    def whole(self) -> bool:
        """Whether nearly all of it is graphics."""
        return self.small or self.few or float((self.shares >= EQUAL_SHARE).mean()) >= MOST_CELLS

    @property
    def mixed(self) -> bool:
        """Whether most of it is graphics."""
        return float(self.shares.mean()) >= EQUAL_SHARE

    @property
    def exactness_is_near(self) -> bool:
        """Whether exact pixels may take less than latents, at high qualities at least."""
        return self.whole or float(self.shares.mean()) >= NEAR_SHARE


def _walk(
    account: Account, raster: Raster, look: Look, index: int, limit: float
) -> Iterator[tuple[float, Candidate]]:
    """Yield a picture as pixels with its costs: exactly, and of fewer and fewer colours until the costs rise.

    Only graphics get fewer: a photograph among them would be the first to lose by it. Where most is a photograph
    exactness is no choice at all, unless it takes fewer bits. limit: what latents cost.
    """
    if not look.small and _quick_bits(raster) > HOPELESS[not look.whole] * limit:
        return
    last = math.inf
    for number, each in enumerate(candidates(raster, index)):
        cost = account.cost(each.container, each.levels)
        yield cost if look.whole or look.mixed else math.inf, each
        if not look.whole or (number > 1 and cost > last):
            return
        last = cost


def _quick_bits(raster: Raster) -> int:
    """What exactness takes, within a few percent; faster settings mistake text, by a factor of six."""
    ((method, quality),) = QUICK
    levels = _seen_levels(raster)
    bands = _bands(Rectangle(0, 0, raster.width, raster.height))
    return 8 * sum(len(webp.encode(band.of(levels), method=method, quality=quality)) for band in bands)


def _seen_levels(raster: Raster) -> Levels:
    """The levels of a picture, but for colours under alpha 0."""
    if raster.alpha is None:
        return raster.levels
    return np.where(raster.alpha[:, :, None] > 0, raster.levels, np.uint8(0))


class Account:
    """What files of a picture cost at a quality index: R + βD in bits, D being what the model was trained for."""

    def __init__(self, raster: Raster, objective: Objective, index: int) -> None:
        area = raster.width * raster.height
        judged = ICON_PIXELS < area <= JUDGED_PIXELS
        self._weights = objective.weights(max(index, LEAST_JUDGED_INDEX)) if judged else Weights()
        self._beta = beta(index) * (ICON_FACTOR if area <= ICON_PIXELS else 1.0)
        self._raster = raster

    @functools.cached_property
    def _judge(self) -> Judge:
        return Judge(self._raster.levels, self._weights)

    def cost(self, made: Container, seen: Levels) -> float:
        """Return what a file costs that decodes to these levels, uint8 (h, w, 3)."""
        return 8 * len(pack(made)) + self.error_bits(seen)

    def error_bits(self, seen: Levels) -> float:
        """Return βD of levels of the whole picture."""
        return self._beta * self._judge.distortion(visible(self._raster, seen))

    def error_bits_of(self, wanted: Levels, seen: Levels) -> float:
        """Return βD of levels of a rectangle."""
        return self._beta * Judge(wanted, self._weights).distortion(seen)


def visible(raster: Raster, seen: Levels) -> Levels:
    """What is seen of levels: under alpha 0 nothing is, so any colour is right there."""
    return seen if raster.alpha is None else np.where(raster.alpha[:, :, None] > 0, seen, raster.levels)


def is_graphics(raster: Raster) -> bool:
    """Tell if nearly all of a picture is graphics, or it is an icon."""
    return webp.available() and Look.of(raster.levels).whole


def offers(raster: Raster, index: int, *, always: bool, effort: int = 0) -> Iterator[Candidate]:
    """Yield what `candidates` does, as far as it could be worth it.

    always: the exact one of any picture, made with as much effort as `lossless` makes it: there is nothing else.
    """
    if not webp.available():
        return
    look = Look.of(raster.levels)
    if always or look.exactness_is_near:
        found = candidates(raster, index, _lossless_settings(raster, effort) if always else None)
        yield from found if look.whole else [next(found)]


def parts(raster: Raster, objective: Objective, index: int) -> list[StoredPart]:
    """Return the rectangles of a picture that are graphics, if not all of it is, with what costs least there."""
    if not webp.available():
        return []
    return list(_parts(raster, Look.of(raster.levels), Account(raster, objective, index)))


def candidates(raster: Raster, index: int, settings: Settings | None = None) -> Iterator[Candidate]:
    """Yield a picture stored as pixels: exactly, but for colours under alpha 0, then with fewer and fewer colours.

    settings: of the exact one; None: as its size allows.
    """
    levels = _seen_levels(raster)
    yield _exact(raster, levels, settings)
    for each in _simpler(levels, grey=raster.grey):
        yield Candidate(_stored(raster, each, index, QUICK, exact=False), each)


def _exact(raster: Raster, levels: Levels, settings: Settings | None = None) -> Candidate:
    """A picture, exactly. levels: without colours under alpha 0, though in some icons keeping them is cheaper."""
    area = raster.width * raster.height
    settings = settings or (BEST if area <= QUICKLY_BEST_PIXELS else USUAL)
    found = Candidate(_stored(raster, levels, MAX_QUALITY_INDEX, settings), levels)
    if raster.alpha is None or area > ICON_PIXELS:
        return found
    kept = Candidate(_stored(raster, raster.levels, MAX_QUALITY_INDEX, settings), raster.levels)
    return min(found, kept, key=lambda each: len(pack(each.container)))


def _stored(
    raster: Raster, levels: Levels, index: int, settings: Settings, *, exact: bool = True
) -> Container:
    """All of a picture, with these levels: as one rectangle if it is not too large, with alpha if that takes less."""
    bands = _bands(Rectangle(0, 0, raster.width, raster.height))
    sections: list[Section] = []
    for band in bands:
        place = None if len(bands) == 1 else band
        sections.append(pixels.encode(band.of(levels), place, exact=exact, settings=settings))
        release(levels)
    header = Header(raster.width, raster.height, NO_MODEL, index, raster.grey)
    apart = Container(header, (*before(raster), *sections, *after(raster)))
    if raster.alpha is None or len(bands) > 1:
        return apart
    together = pixels.encode(levels, alpha=raster.alpha, exact=exact, settings=settings)
    found = Container(header, (*before(raster), together))
    return found if len(pack(found)) < len(pack(apart)) else apart


def _simpler(levels: Levels, *, grey: bool) -> Iterator[Levels]:
    """Yield levels with fewer colours, each the mean of what it stands for, as far as there are fewer."""
    image = Image.fromarray(levels)
    method = Image.Quantize.MAXCOVERAGE  # of Pillow's ways that which left the least error for the bytes
    last = levels
    for colours in COLOURS:
        reduced = image.quantize(colours, method=method, kmeans=KMEANS, dither=Image.Dither.NONE)
        found = np.asarray(reduced.convert("RGB"))
        if grey:
            found = np.repeat(found[:, :, 1:2], 3, axis=2)
        if not np.array_equal(found, last):
            yield found
        last = found


def _bands(rectangle: Rectangle) -> list[Rectangle]:
    """Rectangles, top to bottom and left to right, that a WebP can hold and that are not too much memory."""
    found = []
    limit = webp.MAX_SIDE // pixels.GRID * pixels.GRID
    for left in range(rectangle.left, rectangle.right, limit):
        width = min(limit, rectangle.right - left)
        rows = max(pixels.GRID, min(limit, BAND_PIXELS // width // pixels.GRID * pixels.GRID))
        found += [
            Rectangle(left, top, width, min(rows, rectangle.bottom - top))
            for top in range(rectangle.top, rectangle.bottom, rows)
        ]
    return found


def _equal_shares(levels: Levels) -> npt.NDArray[np.float64]:
    """How much of each cell equals its left or its upper neighbour, the larger share: (cells down, cells across)."""
    rows = levels[::ROW_STEP]
    left, upper = np.ones(rows.shape[:2], bool), np.ones(rows.shape[:2], bool)
    if levels.shape[1] > 1:
        left[:, 1:] = (rows[:, 1:] == rows[:, :-1]).all(axis=2)
        left[:, 0] = left[:, 1]
    if levels.shape[0] > 1:
        next_rows = levels[1::ROW_STEP]
        upper[: len(next_rows)] = (rows[: len(next_rows)] == next_rows).all(axis=2)
        upper[len(next_rows) :] = upper[len(next_rows) - 1]
    if levels.shape[1] == 1 or levels.shape[0] == 1:  # there is one direction only
        return _by_cells(left & upper)
    return np.maximum(_by_cells(left), _by_cells(upper))


def _by_cells(equal: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The share of each cell; equal: of the rows that are looked at."""
    height, width = equal.shape
    tops, lefts = range(0, height, CELL // ROW_STEP), range(0, width, CELL)
    sums = np.add.reduceat(np.add.reduceat(equal, lefts, axis=1, dtype=np.int64), tops, axis=0)
    heights, widths = np.diff([*tops, height]), np.diff([*lefts, width])
    found: npt.NDArray[np.float64] = sums / np.outer(heights, widths)
    return found


def _few_colours(levels: Levels) -> bool:
    """Whether a picture has few colours in the rows that are looked at, which ends where it has more."""
    found, grey = np.empty(0, np.uint32), True
    for top in range(0, len(levels), ROW_STEP):
        row = levels[top].astype(np.uint32)
        grey = grey and bool((row == row[:, :1]).all())
        found = np.union1d(found, row[:, 0] << 16 | row[:, 1] << 8 | row[:, 2])
        if len(found) > FEW_COLOURS or (grey and len(found) > FEW_GREYS and top >= GREY_ROWS):
            return False
    return len(found) <= (FEW_GREYS if grey else FEW_COLOURS)


def _parts(raster: Raster, look: Look, account: Account) -> Iterator[StoredPart]:
    """Yield rectangles of graphics, the largest first, with the sections that cost least; none if all of it is."""
    free = look.shares >= EQUAL_SHARE
    if look.whole:
        return
    for _ in range(MOST_RECTANGLES):
        top, left, bottom, right = _largest(free)
        if (bottom - top) * (right - left) < LEAST_CELLS:
            return
        free[top:bottom, left:right] = False
        x, y = left * CELL, top * CELL
        size = min(right * CELL, raster.width) - x, min(bottom * CELL, raster.height) - y
        for band in _bands(Rectangle(x, y, *size)):
            levels = band.of(raster.levels)
            if _has_edges(levels):
                yield band, _cheapest(levels, band, account, grey=raster.grey)


def _cheapest(levels: Levels, band: Rectangle, account: Account, *, grey: bool) -> Section:
    """The section of a rectangle that costs least: with all its colours, or with fewer."""
    levels = np.ascontiguousarray(levels)
    found = pixels.encode(levels, band, exact=True, settings=USUAL)
    cost = 8.0 * len(found.payload)
    last = math.inf
    for number, simpler in enumerate(_simpler(levels, grey=grey)):
        section = pixels.encode(simpler, band, exact=False, settings=QUICK)
        other = 8 * len(section.payload) + account.error_bits_of(levels, simpler)
        if other < cost:
            found, cost = section, other
        if number and other > last:  # it rises from there on
            break
        last = other
    return found


def _has_edges(levels: Levels) -> bool:
    """Whether there is more in it than skies and slopes, which latents say in next to no bits."""
    rows = levels[::ROW_STEP].astype(np.int16)
    return bool((np.abs(np.diff(rows, axis=1)).max(axis=2) >= EDGE).mean() > EDGES_SHARE)


def _largest(free: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Top, left, bottom and right of the largest rectangle of cells that are all free; empty if none is."""
    found, area = (0, 0, 0, 0), 0
    heights = np.zeros(free.shape[1] + 1, np.int64)  # of free cells above; the last ends all rectangles
    for row, line in enumerate(free):
        heights[:-1] = np.where(line, heights[:-1] + 1, 0)
        open_: list[tuple[int, int]] = []  # where rectangles begin that go on, and their heights, which rise
        for here, height in enumerate(heights.tolist()):
            left = here
            while open_ and open_[-1][1] >= height:
                left, lowest = open_.pop()
                if lowest * (here - left) > area:
                    area = lowest * (here - left)
                    found = (row + 1 - lowest, left, row + 1, here)
            open_.append((left, height))
    return found
