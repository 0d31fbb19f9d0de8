"""Picture <-> .rdae bytes: the one place where transforms, latents and container meet.

picture -> analysis -> y, z -> latents (prior and range coder) -> payload -> container -> bytes
        <- synthesis <- ŷ   <-                                 <-         <-           <-
alpha, profile, EXIF, XMP   -> extras                          -> sections -^
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae import container, extras, latents
from rdae.architecture import PATCH
from rdae.clock import Clock
from rdae.container import Container, Header, Section, SectionType
from rdae.errors import CorruptError, PictureError, StreamError, VerifyError, WeightsError
from rdae.extras.alpha import fill, means
from rdae.heap import trim
from rdae.latents import Coded, Digest, Latents
from rdae.model import Model
from rdae.pictures.bands import Bands
from rdae.pictures.raster import Raster, info_of, mode_of
from rdae.pictures.spool import let_go
from rdae.prior.layers import exact_float32
from rdae.refinement import Listener, Refinement, Stage, Tally, parts, stages
from rdae.rows import Span, join
from rdae.tiles import Grid, Region, automatic, window

Tile = int | Literal["auto"] | None
Picture = npt.NDArray[np.uint8]

SCALES = (1, 2, 4, 8)
"""How many pixels to a side one pixel of a reduced decode stands for."""

KEEP_PIXELS = 1 << 22
"""Of larger pictures nothing is kept from one trial to the next: it would take 50 MB and more."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, with what the encoder knows about it.

    data: the whole file. reconstruction: what it decodes to, uint8 (h, w, 3), without alpha.
    rate_bits: the ideal code length -log2 P(ẑ, ŷ) of its integers under the model's tables.
    latents_sha256: of ẑ and ŷ as integers. seconds: by stage.
    """

    data: bytes
    reconstruction: Picture
    rate_bits: float
    latents_sha256: str
    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decompressed picture, with the hash of ẑ and ŷ and the seconds by stage."""

    raster: Raster
    latents_sha256: str
    seconds: dict[str, float]

    @property
    def picture(self) -> Picture:
        """Its levels, uint8 (h, w, 3)."""
        return self.raster.levels


@torch.inference_mode()
def quantise(picture: Picture | Raster, model: Model, quality_index: int, effort: int = 0) -> Coded:
    """Analyse and round a picture at a quality index 0..800, as one tile; effort: as in `compress`."""
    subject = _Subject(picture, model, tile=None, plan=stages(effort))
    ((_, _, coded),) = _Encoder(subject, quality_index, Clock()).tiles()
    return coded


@torch.inference_mode()
@exact_float32()
def compress(
    picture: Picture | Raster,
    model: Model,
    quality_index: int,
    *,
    verify: bool = False,
    tile: Tile = "auto",
    effort: int = 0,
    listener: Listener | None = None,
    clock: Clock | None = None,
) -> bytes:
    """Compress a picture at a quality index 0..800 to a file's bytes.

    picture: a raster, or uint8 (h, w, 3), of any size from 1x1.
    verify: decode all but the pixels again and compare; VerifyError if it differs, which only a machine that computes
    wrongly can bring about.
    tile: log2 of the tiles' side in latents, 4..16; None: one tile; "auto": as `rdae.tiles.automatic` says.
    effort: 0..9, how long to look for better latents (`rdae.refinement`); listener: is told of each step of that.
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    subject = _Subject(picture, model, tile, plan=stages(effort), listener=listener)
    data = subject.compress(quality_index, clock)
    if verify:
        check(data, subject.raster, model, clock)
    return data


@torch.inference_mode()
@exact_float32()
def check(data: bytes, raster: Raster, model: Model, clock: Clock | None = None) -> None:
    """Decode all but the pixels of what was just encoded of `raster`, and compare; VerifyError if it differs.

    clock: gets the seconds, as one stage "verify".
    """
    try:
        with (clock or Clock()).stage("verify"):
            decoder = _Decoder(data, model, None, Clock())
            decoder.skim()
            decoder.compare(raster)
    except StreamError as error:
        raise VerifyError(f"what was encoded does not decode here to what was meant: {error}") from error


@torch.inference_mode()
@exact_float32()
def encode(
    picture: Picture | Raster, model: Model, quality_index: int, *, tile: Tile = "auto", effort: int = 0
) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = Clock()
    subject = _Subject(picture, model, tile, plan=stages(effort))
    with subject.memory():
        encoder = _Encoder(subject, quality_index, clock, account=True)
        reconstruction = encoder.reconstruct()
        data = encoder.file()
    return Encoded(data, reconstruction, encoder.rate_bits, encoder.digest.sha256, clock.seconds)


def efforts(
    picture: Picture | Raster, model: Model, quality_index: int, highest: int
) -> Iterator[tuple[bytes, float]]:
    """Yield the files of the levels of effort 0..highest, and the seconds that `compress` takes for each alone.

    Of pictures of one tile they are stations of one search.
    """
    subject = _Subject(picture, model, "auto")
    if len(subject.grid) > 1:
        for effort in range(highest + 1):
            clock = Clock()
            with clock.stage("all"):
                data = compress(picture, model, quality_index, effort=effort)
            yield data, clock.seconds["all"]
        return
    plain, clock = Clock(), Clock()
    with _encoding(plain):
        data = subject.compress(quality_index, Clock())
    yield data, plain.seconds["all"]
    with _encoding(clock):
        (search,) = _Encoder(subject, quality_index, Clock()).searches()
        found = search.each(stages(highest))
        next(found)  # which has measured what it found, too
    for _ in range(highest):
        with _encoding(clock):
            encoder = _Encoder(subject, quality_index, Clock())
            encoder.take(next(found))
            data = encoder.file()
        yield data, clock.seconds["all"]


@contextmanager
def _encoding(clock: Clock) -> Iterator[None]:
    """Where tensors are made, for a generator, around whose yields this must not be."""
    with torch.inference_mode(), exact_float32(), clock.stage("all"):
        yield


class Trials:
    """Encodings of one picture at several qualities, for which what no quality enters is computed once.

    That is the analysis up to its first gain, what alpha and metadata become, and the colours under alpha 0.
    """

    def __init__(
        self, picture: Picture | Raster, model: Model, *, tile: Tile = "auto", clock: Clock | None = None
    ) -> None:
        """Take a picture; picture, model and tile as in `compress`, clock: gets the seconds of all trials by stage."""
        self._clock = clock or Clock()
        self._subject = _Subject(picture, model, tile, keep=True)

    def exert(self, effort: int, listener: Listener | None = None) -> None:
        """Make all further encodings with an effort 0..9; at first it is 0."""
        self._subject.plan, self._subject.listener = stages(effort), listener

    @property
    def wanted(self) -> Picture:
        """What is encoded, uint8 (h, w, 3): the picture, with other colours under alpha 0."""
        return self._subject.picture

    @torch.inference_mode()
    @exact_float32()
    def compress(self, quality_index: int) -> bytes:
        """Return the file's bytes, those of `compress`."""
        return self._subject.compress(quality_index, self._clock)

    @torch.inference_mode()
    @exact_float32()
    def reconstruct(self, quality_index: int) -> tuple[Picture, Callable[[], bytes]]:
        """Return what such a file would decode to, uint8 (h, w, 3), without alpha, and what makes the file of it.

        The range coder works only when the file is made, unless the picture is large.
        """
        with self._subject.memory():
            encoder = _Encoder(self._subject, quality_index, self._clock, later=self._subject.small)
            return encoder.reconstruct(), encoder.file


@torch.inference_mode()
@exact_float32()
def decode(
    data: bytes,
    model: Model,
    max_pixels: int | None = container.MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Decoded:
    """Decompress the bytes of a file; a StreamError or WeightsError if that cannot be done soundly.

    exact: synthesise in exact arithmetic, so that pixels are the same on every machine, at a few times the work.
    max_pixels: larger pictures are refused before anything is allocated; None: take any size.
    region: the part of the picture that is wanted, for which only the tiles that it needs are decoded; ValueError if it
    does not lie in the picture.
    scale: 1, or 2, 4 or 8 for the means of boxes of so many by so many pixels, counted from the picture's left upper
    corner, as far as they have pixels in the region.  At the other edges what the synthesis makes beyond counts too.
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    view = _View(_Decoder(data, model, max_pixels, clock), region, scale)
    header = view.decoder.header
    with _memory_for(header.height, header.width):
        picture = _gathered(view.levels(exact=exact), (view.height, view.width), clock)
    found = view.extras
    raster = Raster(picture, header.grey, view.alpha, found.icc, found.exif, found.xmp)
    return Decoded(raster, view.decoder.digest.sha256, clock.seconds)


def unfold(
    data: bytes,
    model: Model,
    max_pixels: int | None = container.MAX_PIXELS,
    *,
    exact: bool = False,
    region: Region | None = None,
    scale: int = 1,
    clock: Clock | None = None,
) -> Bands:
    """Begin to do what `decode` does: the rows of what is returned are decoded as they are taken."""
    clock = clock or Clock()
    view = _View(_Decoder(data, model, max_pixels, clock), region, scale)
    header, found = view.decoder.header, view.extras
    mode = mode_of(grey=header.grey, alpha=view.alpha is not None)
    info = info_of(found.icc, found.exif, found.xmp)
    return Bands(view.width, view.height, mode, info, _unfolded(view, clock, exact=exact))


def _unfolded(view: _View, clock: Clock, *, exact: bool) -> Iterator[npt.NDArray[np.uint8]]:
    """The rows of a view, uint8 (k, w, channels), with alpha beside the levels if there is any."""
    header = view.decoder.header
    levels = iter(view.levels(exact=exact))
    top = 0
    while True:
        # Not around a yield: what the caller does in between is none of this.
        with torch.inference_mode(), exact_float32(), _memory_for(header.height, header.width):
            rows = next(_timed(levels, clock), None)
        if rows is None:
            return
        if view.alpha is not None:
            rows = np.concatenate([rows, view.alpha[top : top + len(rows), :, None]], axis=2)
        top += len(rows)
        yield rows


@torch.inference_mode()
@exact_float32()
def verify(
    data: bytes, model: Model, max_pixels: int | None = container.MAX_PIXELS, clock: Clock | None = None
) -> None:
    """Decode all of a file but its pixels, compare the latents with their checksum; the errors of `decode`.

    clock: gets the seconds by stage.
    """
    decoder = _Decoder(data, model, max_pixels, clock or Clock())
    decoder.skim()
    with _memory_for(decoder.header.height, decoder.header.width):
        decoder.extras()


class _Subject:
    """A picture that is to be encoded, and what all its encodings share: with `keep`, of a small one, computed once."""

    def __init__(
        self,
        picture: Picture | Raster,
        model: Model,
        tile: Tile,
        *,
        keep: bool = False,
        plan: Sequence[Stage] = (),
        listener: Listener | None = None,
    ) -> None:
        self.plan, self.listener = plan, listener
        raster = picture if isinstance(picture, Raster) else Raster(picture)
        height, width = raster.height, raster.width
        self.raster, self.model = raster, model
        self.small = height * width <= KEEP_PIXELS
        self.tile = automatic(height, width) if tile == "auto" else tile
        self.grid = Grid.of(height, width, self.tile)
        with self.memory():
            self.picture = raster.levels if raster.alpha is None else fill(raster.levels, raster.alpha)
        self._keep = keep and self.small
        self._features: list[Tensor] | None = None

    def features(self) -> Iterable[Tensor]:
        """The part of the analysis that no quality enters."""
        if not self._keep:
            return map(self._seen, self.model.features(self.picture, self.grid.rows()))
        if self._features is None:
            self._features = list(self.model.features(self.picture, self.grid.rows()))
        return self._features

    def _seen(self, features: Tensor) -> Tensor:
        """Let go of the pixels that features were made of."""
        let_go(self.picture)
        return features

    @cached_property
    def extras(self) -> tuple[list[Section], list[Section]]:
        """The sections before and after the latents."""
        return extras.sections_before(self.raster), extras.sections_after(self.raster)

    def compress(self, quality_index: int, clock: Clock) -> bytes:
        """The bytes of its file at a quality index."""
        with self.memory():
            encoder = _Encoder(self, quality_index, clock)
            for _ in encoder.encoded():
                pass
            return encoder.file()

    def trim(self) -> None:
        """Give back memory that is free, in pictures for which that is worth its time."""
        if not self.small:
            trim()

    def memory(self) -> AbstractContextManager[None]:
        """What a lack of memory is called inside."""
        return _memory_for(self.raster.height, self.raster.width)


class _Encoder:
    """A picture on its way into a file, a row of tiles at a time.

    account: sum up the ideal rate; later: hold back what is to be coded until the file is asked for.
    """

    def __init__(
        self,
        subject: _Subject,
        quality_index: int,
        clock: Clock,
        *,
        account: bool = False,
        later: bool = False,
    ) -> None:
        raster, model = subject.raster, subject.model
        self._subject, self._model, self._clock = subject, model, clock
        self._account, self._later = account, later
        self._header = Header(
            raster.width, raster.height, model.model_id, quality_index, raster.grey, subject.tile
        )
        self._grid = subject.grid
        self._waiting: list[Coded] = []
        self._sections: list[Section] = []
        self.digest = Digest()
        self.rate_bits = 0.0

    def rows(self) -> Iterator[Tensor]:
        """Encode everything; yield ŷ·64, int32 (latents, k, width), of each row of tiles."""
        y64 = (coded.latents.y64 for coded in self.encoded())
        for _ in self._grid.rows():
            yield join(y64, self._grid.width, dim=2)

    def encoded(self) -> Iterator[Coded]:
        """Encode everything; yield what is coded of each tile."""
        for _, _, coded in self.tiles():
            self._waiting.append(coded)
            if not self._later:
                self._code()
            yield coded

    def tiles(self) -> Iterator[tuple[int, int, Coded]]:
        """Analyse and round; yield each tile's first and last column of latents (one past it) and what is coded."""
        if self._subject.plan:
            yield from self._refined()
            return
        with self._clock.stage("analysis"):
            stream = self._latents()
        for _ in self._grid.rows():
            with self._clock.stage("analysis"):
                row = next(stream)
            self._subject.trim()
            for left, right in self._grid.columns():
                yield left, right, self._quantised(row[:, :, left:right])
            del row  # before the next one is made: of wide pictures it is large
            self._subject.trim()

    def _latents(self) -> Iterator[Tensor]:
        """The analysis' y, in steps, (latents, k, width) of each row of tiles."""
        index = self._header.quality_index
        return self._model.latents(self._subject.features(), index, self._grid.rows())

    def searches(self) -> Iterator[Refinement]:
        """What looks for better latents than those of the analysis, for each tile."""
        subject = self._subject
        return parts(self._model, subject.picture, self._latents(), self._grid, self._header.quality_index)

    def _refined(self) -> Iterator[tuple[int, int, Coded]]:
        """Do what `tiles` does, after such a search."""
        searches = self.searches()
        tally = Tally(self._grid, self._subject.plan, self._subject.listener)
        for _ in self._grid.rows():
            for left, right in self._grid.columns():
                with self._clock.stage("analysis"):
                    search = next(searches)
                with self._clock.stage("refinement"):
                    found = tally.run(search)
                del search
                yield left, right, found
                del found
            self._subject.trim()

    def take(self, found: Coded) -> None:
        """Be done with encoding a picture of one tile: this is what is coded of it."""
        self._waiting.append(found)

    def _quantised(self, y: Tensor) -> Coded:
        """Round a tile's y, in steps."""
        model, index = self._model, self._header.quality_index
        with self._clock.stage("analysis"):
            z = model.hyper_analyse(y, index)
        with self._clock.stage("prior"):
            return latents.quantise(y, z, model.prior, index)

    def reconstruct(self) -> Picture:
        """Encode everything, and decode it as a decoder would: uint8 (h, w, 3), without alpha."""
        raster = self._subject.raster
        size, index = (raster.height, raster.width), self._header.quality_index
        bands = self._model.synthesise(self.rows(), index)
        return _gathered(_levels(bands, size, (0, 0), grey=raster.grey), size, self._clock)

    def file(self) -> bytes:
        """The bytes of the file, when all rows were encoded."""
        self._code()
        before, after = self._subject.extras
        sections = (*before, *self._sections, *after)
        return container.pack(Container(self._header, sections, self.digest.checksum))

    def _code(self) -> None:
        """Turn what waits into sections."""
        for coded in self._waiting:
            with self._clock.stage("coding"):
                payload = coded.payload()
                self.digest.add(coded.latents)
            if self._account:
                with self._clock.stage("account"):
                    self.rate_bits += coded.rate_bits()
            self._sections.append(Section(SectionType.LATENTS, payload))
        self._waiting.clear()


class _Decoder:
    """A file on its way to latents, a row of tiles at a time: all of it that is exact."""

    def __init__(self, data: bytes, model: Model, max_pixels: int | None, clock: Clock) -> None:
        parsed = container.parse(data, max_pixels=max_pixels)
        self.header = parsed.header
        if self.header.model != model.model_id:
            needed = self.header.model.hex()
            raise WeightsError(f"needs model {needed}, but {model.name} is {model.model_id.hex()}")
        self.grid = Grid.of(self.header.height, self.header.width, self.header.tile)
        self.digest = Digest()
        self._parsed = parsed
        self._tiles = 0  # how many were decoded
        self.model, self._clock = model, clock

    def skim(self) -> None:
        """Decode everything and keep nothing; CorruptError if it is not what was encoded."""
        with _memory_for(self.header.height, self.header.width):
            for _ in self.rows((0, self.grid.height), (0, self.grid.width)):
                pass

    def extras(self) -> extras.Extras:
        """Return what is there beside latents; CorruptError."""
        return extras.read(self._parsed)

    def compare(self, raster: Raster) -> None:
        """CorruptError if the extras are not a raster's."""
        if not self.extras().are_of(raster):
            raise CorruptError("alpha or metadata are not those that were encoded")

    def rows(self, vertical: Span, horizontal: Span) -> Iterator[Tensor]:
        """Yield ŷ·64, int32 (latents, k, w), of a window of latents, a row of tiles at a time, decoding what it needs.

        CorruptError, at the end at the latest, if what was decoded is not what was encoded; of a part of the tiles only
        damage can be told that the range coder notices.
        """
        payloads = self._parsed.payloads(SectionType.LATENTS)
        checksum = self._parsed.latent_checksum
        columns = self.grid.columns()
        for at, (top, bottom) in enumerate(self.grid.rows()):
            down = slice(max(top, vertical[0]) - top, min(bottom, vertical[1]) - top)
            if down.start < down.stop:
                if len(columns) > 1:
                    trim()
                here = payloads[at * len(columns) : (at + 1) * len(columns)]
                tiles = self._row_of_tiles(here, bottom - top, horizontal)
                row = join((y64[:, down] for y64 in tiles), horizontal[1] - horizontal[0], dim=2)
                if len(columns) > 1:
                    trim()
                # In two, so that nobody has to wait for the next row to know that this is not all.
                yield from (
                    row.split(row.shape[1] - row.shape[1] // 2, dim=1) if bottom < vertical[1] else [row]
                )
                del row
        if checksum is not None and self._tiles == len(payloads) and checksum != self.digest.checksum:
            raise CorruptError("the decoded latents are not those that were encoded")

    def _row_of_tiles(self, payloads: list[bytes], height: int, horizontal: Span) -> Iterator[Tensor]:
        """Decode a row of tiles, so many latents high, as far as it is in a span of columns; yield the tiles' ŷ·64."""
        for payload, (left, right) in zip(payloads, self.grid.columns(), strict=True):
            across = slice(max(left, horizontal[0]) - left, min(right, horizontal[1]) - left)
            if across.start < across.stop:
                yield self._tile(payload, (height, right - left)).y64[:, :, across]

    def _tile(self, payload: bytes, size: tuple[int, int]) -> Latents:
        index = self.header.quality_index
        decoded = latents.read(payload, self.model.prior, index, size, self._clock)
        self.digest.add(decoded)
        self._tiles += 1
        return decoded


class _View:
    """A region of a file's picture at a scale; ValueError if there is none such. See `decode`."""

    def __init__(self, decoder: _Decoder, region: Region | None, scale: int) -> None:
        header = decoder.header
        if scale not in SCALES:
            raise ValueError(f"scale is {scale}, expected 1, 2, 4 or 8")
        if region is None:
            region = Region(0, 0, header.width, header.height)
        if not region.inside(header.width, header.height):
            size = f"{header.width} x {header.height}"
            raise ValueError(f"region {tuple(region)} is not inside of {size} pixels")
        self.decoder, self._scale = decoder, scale
        self._region, self._boxes = region, region.boxes(scale)
        self.height, self.width = self._boxes.height, self._boxes.width
        with _memory_for(header.height, header.width):
            self.extras = decoder.extras()
            plane = self.extras.alpha
            self.alpha = None if plane is None else np.ascontiguousarray(self._boxes.of(means(plane, scale)))

    def levels(self, *, exact: bool) -> Iterator[Picture]:
        """Yield its rows, top to bottom: uint8 (k, width, 3), or (k, width, 1) of a grey picture."""
        region, boxes, decoder, model = self._region, self._boxes, self.decoder, self.decoder.model
        # A window of latents, of which those at its borders only serve as neighbours.
        top, bottom = window(region.y, region.height, decoder.grid.height, model.reach)
        left, right = window(region.x, region.width, decoder.grid.width, model.reach)
        side = PATCH // self._scale
        rows = decoder.rows((top, bottom), (left, right))
        stream = model.synthesise(rows, decoder.header.quality_index, exact=exact, scale=self._scale)
        size, origin = (boxes.height, boxes.width), (boxes.y - top * side, boxes.x - left * side)
        return _levels(stream, size, origin, grey=decoder.header.grey)


def _levels(
    stream: Iterable[Tensor], size: tuple[int, int], origin: tuple[int, int], *, grey: bool
) -> Iterator[Picture]:
    """Cut the part of such a size that has its left upper corner at `origin` out of bands of levels.

    grey: make one channel of three, their mean.
    """
    height, width = size
    top = -origin[0]
    for levels in stream:
        start, end = max(0, -top), max(0, min(len(levels), height - top))
        if start < end:
            part = levels[start:end, origin[1] : origin[1] + width].cpu().numpy()
            yield (
                ((part.sum(axis=2, keepdims=True, dtype=np.uint16) + 1) // 3).astype(np.uint8)
                if grey
                else part
            )
        top += len(levels)


def _gathered(stream: Iterator[Picture], size: tuple[int, int], clock: Clock) -> Picture:
    """Put rows together, a single channel three times: uint8 (*size, 3)."""
    picture = np.empty((*size, 3), np.uint8)
    top = 0
    for rows in _timed(stream, clock):
        picture[top : top + len(rows)] = rows
        top += len(rows)
    return picture


def _timed(stream: Iterator[Picture], clock: Clock) -> Iterator[Picture]:
    """Count what making each item takes as the stage "synthesis"."""
    while True:
        with clock.stage("synthesis"):
            item = next(stream, None)
        if item is None:
            return
        yield item


@contextmanager
def _memory_for(height: int, width: int) -> Iterator[None]:
    """Turn the ways in which numpy and torch say that memory is short into one error that names the size."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(
            error
        ):
            raise PictureError(f"not enough memory for {width} x {height} pixels") from error
        raise
