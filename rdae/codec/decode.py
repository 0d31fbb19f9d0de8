"""The bytes of files to pictures.

container -> for each row of tiles: latents (range coder <-> prior) -> ŷ -> synthesis -> rows of levels
          -> pixels that are stored as such, in their places
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from rdae.clock import Clock
from rdae.codec import latents, sections
from rdae.codec.container import Container, Header, Section, SectionType, parse
from rdae.codec.latents import Digest
from rdae.codec.sections import AuxiliaryData, pixels
from rdae.codec.sections.pixels import Rectangle
from rdae.codec.tiles import Grid, Region, window
from rdae.errors import CorruptError, PictureError, WeightsError
from rdae.limits import MAX_PIXELS
from rdae.networks import graphs
from rdae.networks.architecture import PATCH
from rdae.networks.model import Model
from rdae.networks.transforms import Span
from rdae.pictures.bands import Bands
from rdae.pictures.raster import Raster, info_of, mode_of
from rdae.pictures.reduction import SCALES, means

Int32s = npt.NDArray[np.int32]
Levels = npt.NDArray[np.uint8]

BLANK_ROWS = 256


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decompressed picture, with the hash of ẑ and ŷ and the seconds by stage."""

    raster: Raster
    latents_sha256: str
    seconds: dict[str, float]

    @property
    def picture(self) -> Levels:
        """Its levels, uint8 (h, w, 3)."""
        return self.raster.levels


@dataclasses.dataclass(frozen=True)
class View:
    """The part of a picture that is wanted, and how.

    region: in pixels of the picture.  scale: 1, 2, 4 or 8, for means of boxes of so many by so many pixels, counted
    from the picture's left upper corner.  exact: pixels that are the same on every machine.
    """

    region: Region
    scale: int
    exact: bool

    @property
    def boxes(self) -> Region:
        """The region, counted in boxes."""
        return self.region.boxes(self.scale)


def view_of(parsed: Container, region: Region | None, scale: int, *, exact: bool) -> View:
    """Return a view of a file's picture, of all of it without a region; ValueError if there is none such."""
    header = parsed.header
    if scale not in SCALES or not hasattr(scale, "__index__"):  # as numpy's integers have
        raise ValueError(f"scale is {scale}, expected 1, 2, 4 or 8")
    if region is None:
        region = Region(0, 0, header.width, header.height)
    if not region.inside(header.width, header.height):
        size = f"{header.width} x {header.height}"
        raise ValueError(f"region {tuple(region)} is not inside of {size} pixels")
    return View(region, scale, exact)


def decode(
    file: bytes | Container,
    model: Model | None,
    max_pixels: int | None = MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Decoded:
    """Decompress a file; a StreamError or WeightsError if that cannot be done soundly.

    file: its bytes, or what `container.parse` has made of them.  model: the one that it names, None if it has no
    latents.  max_pixels: larger pictures are refused before
    anything is allocated; None: take any size; of what is parsed already nothing is refused.
    exact: synthesise in exact arithmetic, so that pixels are the same on every machine, at a few times the work.
    region: the part of the picture that is wanted, for which only the tiles that it needs are decoded; ValueError if it
    does not lie in the picture.
    scale: 1, or 2, 4 or 8 for the means of boxes of so many by so many pixels, counted from the picture's left upper
    corner, as far as they have pixels in the region.  At the other edges what the synthesis makes beyond counts too.
    clock: gets the seconds by stage.
    """
    parsed, clock = _parsed(file, max_pixels), clock or Clock()
    view = view_of(parsed, region, scale, exact=exact)
    digest = Digest()
    with memory_for(parsed):
        found = _auxiliary_data(parsed, view)
        picture = np.empty((view.boxes.height, view.boxes.width, 3), np.uint8)
        top = 0
        for rows in _levels(parsed, model, view, digest, clock):
            picture[top : top + len(rows)] = rows  # of a grey picture one channel three times
            top += len(rows)
    raster = Raster(picture, parsed.header.grey, found.alpha, found.icc, found.exif, found.xmp)
    return Decoded(raster, digest.sha256, clock.seconds)


def unfold(
    file: bytes | Container,
    model: Model | None,
    max_pixels: int | None = MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Bands:
    """Begin to do what `decode` does: the rows of what is returned are decoded as they are taken."""
    parsed = _parsed(file, max_pixels)
    view = view_of(parsed, region, scale, exact=exact)
    with memory_for(parsed):
        found = _auxiliary_data(parsed, view)
    mode = mode_of(grey=parsed.header.grey, alpha=found.alpha is not None)
    info = info_of(found.icc, found.exif, found.xmp)
    levels = _levels(parsed, model, view, Digest(), clock or Clock())
    return Bands(view.boxes.width, view.boxes.height, mode, info, _with_alpha(parsed, levels, found.alpha))


def verify(
    file: bytes | Container,
    model: Model | None,
    max_pixels: int | None = MAX_PIXELS,
    clock: Clock | None = None,
) -> AuxiliaryData:
    """Decode all of a file but pixels of latents, compare it with its checksums; return what is beside the picture.

    file, max_pixels, and the errors: as of `decode`.  clock: gets the seconds by stage.
    """
    parsed, clock = _parsed(file, max_pixels), clock or Clock()
    grid = Grid.of(parsed.header.height, parsed.header.width, parsed.header.tile)
    tiles = len(grid)

    def tell(done: int) -> None:
        clock.tell("verifying", done, tiles)

    tell(0)
    with memory_for(parsed):
        if parsed.needs_model:
            needed = _needed(parsed, model)
            needed.open_ahead(graphs.VERIFYING)
            for _ in decoded_rows(parsed, needed, (0, grid.height), (0, grid.width), Digest(), clock, tell):
                pass
        pixels.rectangles(parsed)
        for section in pixels.pixel_sections(parsed):
            pixels.decode(section, parsed.header)
        return sections.read(parsed)


def _parsed(file: bytes | Container, max_pixels: int | None) -> Container:
    return file if isinstance(file, Container) else parse(file, max_pixels)


def _needed(parsed: Container, model: Model | None) -> Model:
    """Return the model; WeightsError if it is not the one that the file names."""
    needed = parsed.header.model
    if model is None:
        raise WeightsError(f"needs model {needed.hex()}")
    if needed != model.model_id:
        raise WeightsError(f"needs model {needed.hex()}, but {model.name} is {model.model_id.hex()}")
    return model


def decoded_rows(
    parsed: Container,
    model: Model,
    vertical: Span,
    horizontal: Span,
    digest: Digest,
    clock: Clock,
    tell: Callable[[int], None] | None = None,
) -> Iterator[Int32s]:
    """Yield ŷ·64, int32 (latents, k, w), of a window of latents, a row of tiles at a time, decoding what it needs.

    digest: gets all that is decoded.  tell: takes how many tiles were decoded so far.
    CorruptError, at the end at the latest, if what was decoded is not what was encoded; of a part of the tiles only
    damage can be told that the range coder notices.
    """
    header = parsed.header
    grid = Grid.of(header.height, header.width, header.tile)
    payloads = parsed.payloads(SectionType.LATENTS)
    columns = grid.columns()
    decoded = 0
    for number, (top, bottom) in enumerate(grid.rows()):
        first, last = max(top, vertical[0]), min(bottom, vertical[1])
        if first >= last:
            continue
        tiles: list[Int32s] = []
        for payload, (left, right) in zip(payloads[number * len(columns) :], columns, strict=False):
            start, end = max(left, horizontal[0]), min(right, horizontal[1])
            if start < end:
                size = (bottom - top, right - left)
                tile = latents.read(payload, model.prior, header.quality_index, size, clock)
                digest.add(tile)
                decoded += 1
                if tell is not None:
                    tell(decoded)
                tiles.append(tile.y64[:, first - top : last - top, start - left : end - left])
        yield _taken_together(tiles)
    checksum = parsed.latent_checksum
    if checksum is not None and decoded == len(payloads) and checksum != digest.checksum:
        raise CorruptError("the decoded latents are not those that were encoded")


def _meeting(spans: list[Span], wanted: Span) -> int:
    """How many spans have something of another."""
    return sum(max(start, wanted[0]) < min(end, wanted[1]) for start, end in spans)


def _taken_together(tiles: list[Int32s]) -> Int32s:
    """Return a row of tiles as one, and leave none of them in the list: while others work they would take memory."""
    row = tiles[0] if len(tiles) == 1 else np.concatenate(tiles, axis=2)
    tiles.clear()
    return row


def picture_of(rows: Iterable[Int32s], model: Model, header: Header) -> Levels:
    """Return the whole picture of bands of ŷ·64, int32 (latents, k, w): uint8 (h, w, 3)."""
    view = View(Region(0, 0, header.width, header.height), 1, exact=False)
    picture = np.empty((header.height, header.width, 3), np.uint8)
    top = 0
    for band in _cut(_synthesised(model, rows, header, view), view, (0, 0), Clock()):
        picture[top : top + len(band)] = band  # of a grey picture one channel three times
        top += len(band)
    return picture


def _levels(
    parsed: Container, model: Model | None, view: View, digest: Digest, clock: Clock
) -> Iterator[Levels]:
    """Yield a view's rows, top to bottom: uint8 (k, width, 3), or (k, width, 1) of a grey picture."""
    if parsed.needs_model:
        rows = _of_latents(parsed, _needed(parsed, model), view, digest, clock)
    else:
        clock.tell("decoding")
        rows = _blank(view, channels=1 if parsed.header.grey else 3)
    stored = list(zip(pixels.rectangles(parsed), pixels.pixel_sections(parsed), strict=True))
    return _with_pixels(rows, stored, parsed.header, view, clock) if stored else rows


def _of_latents(
    parsed: Container, model: Model, view: View, digest: Digest, clock: Clock
) -> Iterator[Levels]:
    """Yield what the latents say of a view's rows."""
    header, region = parsed.header, view.region
    model.open_ahead(graphs.VERIFYING if view.exact else graphs.DECODING)
    grid = Grid.of(header.height, header.width, header.tile)
    # A window of latents, of which those at its borders only serve as neighbours.
    vertical = window(region.y, region.height, grid.height, model.reach)
    horizontal = window(region.x, region.width, grid.width, model.reach)
    rows = decoded_rows(parsed, model, vertical, horizontal, digest, clock)
    made = _synthesised(model, rows, header, view)
    tiles = _meeting(grid.rows(), vertical) * _meeting(grid.columns(), horizontal)
    done = 0
    clock.tell("decoding", 0, tiles)
    for band in _cut(made, view, (vertical[0], horizontal[0]), clock):
        yield band
        done += len(band)
        # Of a row of tiles all latents come first: its tiles are done as their pixels are.
        clock.tell("decoding", tiles * done // view.boxes.height, tiles)


def _blank(view: View, channels: int) -> Iterator[Levels]:
    """Yield rows that stored pixels will cover."""
    boxes = view.boxes
    for top in range(0, boxes.height, BLANK_ROWS):
        yield np.zeros((min(BLANK_ROWS, boxes.height - top), boxes.width, channels), np.uint8)


def _with_pixels(
    rows: Iterable[Levels],
    stored: list[tuple[Rectangle, Section]],
    header: Header,
    view: View,
    clock: Clock,
) -> Iterator[Levels]:
    """Yield rows of a view with stored pixels in their places, each rectangle being decoded when it is reached."""
    boxes, scale = view.boxes, view.scale
    held: dict[Rectangle, Levels] = {}
    waiting = sorted(stored, key=lambda each: each[0].top, reverse=True)  # the next is last
    reached: list[tuple[Rectangle, Section]] = []
    top = boxes.y
    for rows_in in rows:
        band, bottom = np.array(rows_in), top + len(rows_in)
        while waiting and waiting[-1][0].top // scale < bottom:
            reached.append(waiting.pop())
        reached = [each for each in reached if -(-each[0].bottom // scale) > top]
        for rectangle in held.keys() - {each[0] for each in reached}:
            del held[rectangle]
        for rectangle, section in reached:
            # In boxes of the view's scale: rectangles begin where boxes do.
            first, last = max(top, rectangle.top // scale), min(bottom, -(-rectangle.bottom // scale))
            left = max(boxes.x, rectangle.left // scale)
            right = min(boxes.x + boxes.width, -(-rectangle.right // scale))
            if left >= right:
                continue
            if rectangle not in held:
                with clock.stage("pixels"):
                    held[rectangle] = means(pixels.decode(section, header).levels, scale)
            y, x = rectangle.top // scale, rectangle.left // scale
            found = held[rectangle][first - y : last - y, left - x : right - x]
            band[first - top : last - top, left - boxes.x : right - boxes.x] = found[:, :, : band.shape[2]]
        yield band
        top = bottom


def _cut(made: Iterator[Levels], view: View, origin: tuple[int, int], clock: Clock) -> Iterator[Levels]:
    """Yield what of bands of levels is in view.  origin: of the first band, in latents.  clock: gets "synthesis"."""
    boxes, side = view.boxes, PATCH // view.scale
    top, left = origin[0] * side, boxes.x - origin[1] * side
    while True:
        with clock.stage("synthesis"):
            band = next(made, None)
        if band is None:
            return
        first, last = max(boxes.y, top), min(boxes.y + boxes.height, top + len(band))
        if first < last:
            yield band[first - top : last - top, left : left + boxes.width]
        top += len(band)


def _synthesised(model: Model, rows: Iterable[Int32s], header: Header, view: View) -> Iterator[Levels]:
    """Yield bands of levels at the view's scale, of one channel if the picture is grey.

    Before they are reduced, bands have heights that are multiples of 8, so that no box is cut.
    """
    gains, index = model.transforms.gains, header.quality_index
    if view.exact:
        bands = model.exact_synthesis.run(rows, gains.restore[index], gains.synthesis[index])
    else:
        bands = model.transforms.synthesise(rows, index)
    return (means(_grey(levels) if header.grey else levels, view.scale) for levels in bands)


def _grey(levels: Levels) -> Levels:
    """(k, w, 3) -> (k, w, 1), the mean."""
    mean: Levels = ((levels.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
    return mean


def _auxiliary_data(parsed: Container, view: View) -> AuxiliaryData:
    """What a file holds beside latents; of alpha the part in view, at its scale."""
    found = sections.read(parsed)
    if found.alpha is None:
        return found
    alpha = np.ascontiguousarray(view.boxes.of(means(found.alpha, view.scale)))
    return dataclasses.replace(found, alpha=alpha)


def _with_alpha(
    parsed: Container, levels: Iterator[Levels], alpha: npt.NDArray[np.uint8] | None
) -> Iterator[Levels]:
    """Yield rows, uint8 (k, w, channels), with alpha beside the levels if there is any."""
    top = 0
    with memory_for(parsed):
        for rows in levels:
            bottom = top + len(rows)
            yield rows if alpha is None else np.concatenate([rows, alpha[top:bottom, :, None]], axis=2)
            top = bottom


@contextmanager
def memory_for(parsed: Container) -> Iterator[None]:
    """Say of which picture memory was too short."""
    try:
        yield
    except MemoryError as error:
        raise PictureError(
            f"not enough memory for {parsed.header.width} x {parsed.header.height} pixels"
        ) from error
