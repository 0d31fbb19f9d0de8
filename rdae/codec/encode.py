"""Pictures to the bytes of files.

analysis -> y, z -> for each tile: [refinement] -> latents (prior <-> range coder) -> sections -> container

What no quality changes is prepared once; an encoding is a result, and of several the best is packed into a file.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from rdae.clock import Clock
from rdae.codec import container, decode, latents, sections
from rdae.codec.container import Container, Header, Section, SectionType
from rdae.codec.latents import Digest, Latents, Quantised
from rdae.codec.refinement import Listener, Plan, Report, better, plans, refine, tiles_with_neighbours
from rdae.codec.sections.alpha import fill
from rdae.codec.tiles import Grid, automatic, cut_rows
from rdae.errors import PictureError, StreamError, VerifyError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster
from rdae.pictures.spool import release

Tile = int | Literal["auto"] | None
Levels = npt.NDArray[np.uint8]

KEEP_PIXELS = 1 << 22
"""Of larger pictures neither features nor latents are kept: they would take 50 MB and more."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, with what the encoder knows about it.

    data: the whole file. reconstruction: what it decodes to, uint8 (h, w, 3), without alpha.
    rate_bits: the ideal code length -log2 P(ẑ, ŷ) of its integers under the model's tables.
    latents_sha256: of ẑ and ŷ as integers. seconds: by stage.
    """

    data: bytes
    reconstruction: Levels
    rate_bits: float
    latents_sha256: str
    seconds: dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A picture that is to be encoded, and what is the same for all qualities.

    levels: uint8 (h, w, 3), those of the raster, with other colours under alpha 0.  before, after: the sections beside
    the latents.  features: of the analysis, if they are kept from one encoding to the next.
    """

    raster: Raster
    model: Model
    tile: int | None
    grid: Grid
    levels: Levels
    before: tuple[Section, ...]
    after: tuple[Section, ...]
    features: tuple[npt.NDArray[np.float32], ...] | None

    @property
    def small(self) -> bool:
        """Tell if arrays of the picture's size may be kept."""
        return self.raster.height * self.raster.width <= KEEP_PIXELS

    def bands_of_features(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield the part of the analysis that no quality enters."""
        if self.features is not None:
            yield from self.features
            return
        for band in self.model.transforms.features(self.levels):
            release(self.levels)
            yield band

    def rows_of_tiles(self, index: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yield y in steps of a quality index, float32 (latents, k, width), of each row of tiles."""
        bands = self.model.transforms.latents(self.bands_of_features(), index)
        return cut_rows(bands, [bottom - top for top, bottom in self.grid.rows()])


@dataclasses.dataclass(frozen=True, eq=False)
class Encoding:
    """What one encoding of a picture came to.

    payloads: of each tile.  rate_bits: ideal, 0 if nobody asked.  cost: in bits, R + βD, of what a search has found,
    else 0.  tiles: their latents, if they are kept.
    """

    header: Header
    payloads: tuple[bytes, ...]
    checksum: int
    latents_sha256: str
    rate_bits: float = 0.0
    cost: float = 0.0
    tiles: tuple[Latents, ...] = ()


def prepare(
    picture: Levels | Raster,
    model: Model,
    *,
    tile: Tile = "auto",
    keep: bool = False,
    clock: Clock | None = None,
) -> Prepared:
    """Do what all encodings of a picture share.

    picture, tile: as in `compress`.  keep: compute the features of a small picture now and keep them.
    """
    raster = picture if isinstance(picture, Raster) else Raster(picture)
    side = automatic(raster.height, raster.width) if tile == "auto" else tile
    levels = raster.levels if raster.alpha is None else fill(raster.levels, raster.alpha)
    prepared = Prepared(
        raster=raster,
        model=model,
        tile=side,
        grid=Grid.of(raster.height, raster.width, side),
        levels=levels,
        before=tuple(sections.before(raster)),
        after=tuple(sections.after(raster)),
        features=None,
    )
    if not (keep and prepared.small):
        return prepared
    with (clock or Clock()).stage("analysis"):
        features = tuple(prepared.bands_of_features())
    return dataclasses.replace(prepared, features=features)


def compress(
    picture: Levels | Raster,
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
    tile: log2 of the tiles' side in latents, 4..16; None: one tile; "auto": as `rdae.codec.tiles.automatic` says.
    effort: 0..9, how long to look for better latents (`rdae.codec.refinement`); listener: is told of each step of that.
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    try:
        prepared = prepare(picture, model, tile=tile)
        data = file_of(
            prepared, best_encoding(prepared, quality_index, effort, listener=listener, clock=clock)
        )
    except MemoryError as error:
        levels = picture.levels if isinstance(picture, Raster) else picture
        raise PictureError(f"not enough memory for {levels.shape[1]} x {levels.shape[0]} pixels") from error
    if verify:
        check(data, prepared.raster, model, clock)
    return data


def encode(
    picture: Levels | Raster, model: Model, quality_index: int, *, tile: Tile = "auto", effort: int = 0
) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = Clock()
    prepared = prepare(picture, model, tile=tile)
    encoding = best_encoding(prepared, quality_index, effort, account=True, keep=True, clock=clock)
    with clock.stage("synthesis"):
        reconstruction = reconstruct(prepared, encoding)
    data = file_of(prepared, encoding)
    return Encoded(data, reconstruction, encoding.rate_bits, encoding.latents_sha256, clock.seconds)


def quantise(picture: Levels | Raster, model: Model, quality_index: int) -> Quantised:
    """Analyse and round a picture at a quality index 0..800, as one tile."""
    prepared = prepare(picture, model, tile=None)
    (y,) = prepared.rows_of_tiles(quality_index)
    return latents.quantise(y, model.hyper_analyse(y, quality_index), model.prior, quality_index)


def check(data: bytes, raster: Raster, model: Model, clock: Clock | None = None) -> None:
    """Decode all but the pixels of what was just encoded of `raster`, and compare; VerifyError if it differs.

    clock: gets the seconds, as one stage "verify".
    """
    clock = clock or Clock()
    inner = Clock(clock.listener)  # whose stages are no others than this one
    try:
        with clock.stage("verify"):
            found = decode.verify(data, model, max_pixels=None, clock=inner)
    except StreamError as error:
        raise VerifyError(f"what was encoded does not decode here to what was meant: {error}") from error
    if not found.are_of(raster):
        raise VerifyError("alpha or metadata do not decode here to what was meant")


def best_encoding(
    prepared: Prepared,
    quality_index: int,
    effort: int = 0,
    *,
    listener: Listener | None = None,
    account: bool = False,
    keep: bool = False,
    clock: Clock | None = None,
) -> Encoding:
    """Encode a picture by each plan of a level of effort, and return what costs least.

    account: sum up the ideal rate.  keep: keep the latents of a small picture, for `reconstruct`.
    """
    clock = clock or Clock()
    searches = plans(effort)
    if not searches:
        return _plain(prepared, quality_index, account=account, keep=keep, clock=clock)
    report = Report(listener, prepared.grid, searches)
    found: list[Encoding] = []
    for plan in searches:
        if report.stopped and found:
            break
        found.append(_refined(prepared, quality_index, plan, report, account=account, keep=keep, clock=clock))
    return best_of(found, report.plain_bits)


def best_of(encodings: Sequence[Encoding], plain_bits: float) -> Encoding:
    """Return the encoding that costs least, beyond doubt: of equal ones the first.  plain_bits: of the plain one."""

    def cheaper(best: Encoding, other: Encoding) -> Encoding:
        return other if better(other.cost, best.cost, plain_bits) else best

    return functools.reduce(cheaper, encodings)


def _plain(prepared: Prepared, index: int, *, account: bool, keep: bool, clock: Clock) -> Encoding:
    """Encode what the analysis gives, each latent rounded."""

    def tiles() -> Iterator[tuple[Quantised, float]]:
        rows = prepared.rows_of_tiles(index)
        for _ in prepared.grid.rows():
            with clock.stage("analysis"):
                row = next(rows)
            for left, right in prepared.grid.columns():
                y = row[:, :, left:right]
                with clock.stage("analysis"):
                    z = prepared.model.hyper_analyse(y, index)
                with clock.stage("prior"):
                    quantised = latents.quantise(y, z, prepared.model.prior, index)
                yield quantised, 0.0

    return _encoding(prepared, index, tiles(), account=account, keep=keep, clock=clock)


def _refined(
    prepared: Prepared,
    quality_index: int,
    plan: Plan,
    report: Report,
    *,
    account: bool,
    keep: bool,
    clock: Clock,
) -> Encoding:
    """Encode the latents that a plan finds to be best."""
    aim = plan.aim(quality_index)
    report.begin(plan)

    def tiles() -> Iterator[tuple[Quantised, float]]:
        rows = prepared.rows_of_tiles(aim.index)
        cut = tiles_with_neighbours(prepared.levels, rows, prepared.grid)
        while True:
            with clock.stage("analysis"):
                each = next(cut, None)
            if each is None:
                return
            with clock.stage("refinement"):
                found = refine(prepared.model, each.levels, each.y, each.tile, aim, plan.stages, report)
            report.add(found)
            yield found.best.quantised, found.best.cost

    return _encoding(prepared, aim.index, tiles(), account=account, keep=keep, clock=clock)


def _encoding(
    prepared: Prepared,
    index: int,
    tiles: Iterator[tuple[Quantised, float]],
    *,
    account: bool,
    keep: bool,
    clock: Clock,
) -> Encoding:
    """Code all tiles, each of which comes with its cost."""
    raster = prepared.raster
    payloads: list[bytes] = []
    kept: list[Latents] = []
    digest, rate_bits, total = Digest(), 0.0, 0.0
    clock.tell("encoding", 0, len(prepared.grid))
    for quantised, cost in tiles:
        with clock.stage("coding"):
            payloads.append(quantised.payload())
            digest.add(quantised.latents)
        if account:
            with clock.stage("account"):
                rate_bits += quantised.rate_bits()
        if keep and prepared.small:
            kept.append(quantised.latents)
        total += cost
        clock.tell("encoding", len(payloads), len(prepared.grid))
    return Encoding(
        header=Header(
            raster.width, raster.height, prepared.model.model_id, index, raster.grey, prepared.tile
        ),
        payloads=tuple(payloads),
        checksum=digest.checksum,
        latents_sha256=digest.sha256,
        rate_bits=rate_bits,
        cost=total,
        tiles=tuple(kept),
    )


def encoding_of(prepared: Prepared, index: int, quantised: Quantised) -> Encoding:
    """Return the encoding of a picture of one tile, at a quality index, that is quantised already."""
    tiles = iter([(quantised, 0.0)])
    return _encoding(prepared, index, tiles, account=False, keep=False, clock=Clock())


def container_of(prepared: Prepared, encoding: Encoding) -> Container:
    """Return header and sections of an encoding's file."""
    coded = (Section(SectionType.LATENTS, payload) for payload in encoding.payloads)
    return Container(encoding.header, (*prepared.before, *coded, *prepared.after), encoding.checksum)


def file_of(prepared: Prepared, encoding: Encoding) -> bytes:
    """Return the bytes of an encoding's file."""
    return container.pack(container_of(prepared, encoding))


def reconstruct(prepared: Prepared, encoding: Encoding) -> Levels:
    """Return what a decoder makes of an encoding, uint8 (h, w, 3), without alpha."""
    if not encoding.tiles:
        return decode.decode(container_of(prepared, encoding), prepared.model).picture
    rows = _kept_rows(prepared, encoding)
    return decode.picture_of(rows, prepared.model, encoding.header)


def _kept_rows(prepared: Prepared, encoding: Encoding) -> Iterator[npt.NDArray[np.int32]]:
    """Yield ŷ·64 of each row of tiles."""
    across = len(prepared.grid.columns())
    for number in range(0, len(encoding.tiles), across):
        row = [tile.y64 for tile in encoding.tiles[number : number + across]]
        yield row[0] if across == 1 else np.concatenate(row, axis=2)
