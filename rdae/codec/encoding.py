"""One encoding of a picture: what no quality changes is prepared once, what comes of a quality is packed into a file.

analysis -> y, z -> for each tile: [refinement] -> latents (prior <-> range coder) -> sections -> container
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
from rdae.codec.sections.pixels import Rectangle
from rdae.codec.tiles import Grid, automatic, cut_rows
from rdae.networks import graphs
from rdae.networks.model import Model
from rdae.pictures.raster import Raster
from rdae.pictures.spool import release

Tile = int | Literal["auto"] | None
Levels = npt.NDArray[np.uint8]

StoredPart = tuple[Rectangle, Section]

KEEP_PIXELS = 1 << 22
"""Of larger pictures neither features nor latents are kept: they would take 50 MB and more."""


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """A picture that is to be encoded, and what is the same for all qualities.

    levels: uint8 (h, w, 3), those of the raster, with other colours where nobody sees those of the latents.  before,
    after: the sections beside the latents.  pixels: the sections of rectangles that are stored as pixels.  features:
    of the analysis, if they are kept from one encoding to the next.
    """

    raster: Raster
    model: Model
    tile: int | None
    grid: Grid
    levels: Levels
    before: tuple[Section, ...]
    after: tuple[Section, ...]
    pixels: tuple[Section, ...]
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

    prepared: what it is of.  payloads: of each tile.  rate_bits: ideal, 0 if nobody asked.  cost: in bits, R + βD, of
    what a search has found, else 0.  tiles: their latents, if they are kept.
    """

    prepared: Prepared
    header: Header
    payloads: tuple[bytes, ...]
    checksum: int | None
    latents_sha256: str
    rate_bits: float = 0.0
    cost: float = 0.0
    tiles: tuple[Latents, ...] = ()


def prepare(
    picture: Levels | Raster,
    model: Model,
    *,
    tile: Tile = "auto",
    pixels: Sequence[StoredPart] = (),
    keep: bool = False,
    clock: Clock | None = None,
) -> Prepared:
    """Do what all encodings of a picture share.

    picture: a raster, or uint8 (h, w, 3), of any size from 1x1.
    tile: log2 of the tiles' side in latents, 4..16; None: one tile; "auto": as `rdae.codec.tiles.automatic` says.
    pixels: rectangles that are stored as pixels, with their sections: latents say there what is cheap to say.
    keep: compute the features of a small picture now and keep them.
    """
    raster = picture if isinstance(picture, Raster) else Raster(picture)
    side = automatic(raster.height, raster.width) if tile == "auto" else tile
    model.open_ahead(graphs.ENCODING)
    levels = raster.levels
    if raster.alpha is not None or pixels:
        levels = fill(levels, _seen(raster, [rectangle for rectangle, _ in pixels]))
    prepared = Prepared(
        raster=raster,
        model=model,
        tile=side,
        grid=Grid.of(raster.height, raster.width, side),
        levels=levels,
        before=tuple(sections.before(raster)),
        after=tuple(sections.after(raster)),
        pixels=tuple(section for _, section in pixels),
        features=None,
    )
    if not (keep and prepared.small):
        return prepared
    with (clock or Clock()).stage("analysis"):
        features = tuple(prepared.bands_of_features())
    return dataclasses.replace(prepared, features=features)


def _seen(raster: Raster, hidden: Sequence[Rectangle]) -> npt.NDArray[np.uint8]:
    """Return alpha, uint8 (h, w), with 0 also where rectangles hide what the latents say."""
    seen = np.full(raster.levels.shape[:2], 255, np.uint8) if raster.alpha is None else raster.alpha.copy()
    for rectangle in hidden:
        rectangle.of(seen)[:] = 0
    return seen


def searched_encoding(
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
    prepared.model.open_ahead(graphs.SEARCHING)
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
        prepared=prepared,
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


def container_of(encoding: Encoding) -> Container:
    """Return header and sections of an encoding's file."""
    prepared = encoding.prepared
    coded = (Section(SectionType.LATENTS, payload) for payload in encoding.payloads)
    parts = (*prepared.before, *coded, *prepared.pixels, *prepared.after)
    return Container(encoding.header, parts, encoding.checksum)


def file_of(encoding: Encoding) -> bytes:
    """Return the bytes of an encoding's file."""
    return container.pack(container_of(encoding))


def reconstruct(encoding: Encoding) -> Levels:
    """Return what a decoder makes of an encoding, uint8 (h, w, 3), without alpha."""
    prepared = encoding.prepared
    if not encoding.tiles or prepared.pixels:
        return decode.decode(container_of(encoding), prepared.model).picture
    return decode.picture_of(_kept_rows(encoding), prepared.model, encoding.header)


def _kept_rows(encoding: Encoding) -> Iterator[npt.NDArray[np.int32]]:
    """Yield ŷ·64 of each row of tiles."""
    across = len(encoding.prepared.grid.columns())
    for number in range(0, len(encoding.tiles), across):
        row = [tile.y64 for tile in encoding.tiles[number : number + across]]
        yield row[0] if across == 1 else np.concatenate(row, axis=2)
