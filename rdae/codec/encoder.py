"""A picture on its way into a file, a row of tiles at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Literal

from torch import Tensor

from rdae import latents
from rdae.clock import Clock
from rdae.codec import container
from rdae.codec import sections as extras
from rdae.codec.bands import Picture, cut_levels, gathered, memory_for
from rdae.codec.container import Container, Header, Section, SectionType
from rdae.codec.sections.alpha import fill
from rdae.codec.tiles import Grid, automatic
from rdae.heap import trim
from rdae.latents import Coded, Digest
from rdae.model import Model
from rdae.pictures.raster import Raster
from rdae.pictures.spool import let_go
from rdae.refinement import Listener, Plan, Refinement, Tally, parts
from rdae.rows import join

Tile = int | Literal["auto"] | None

KEEP_PIXELS = 1 << 22
"""Of larger pictures nothing is kept from one trial to the next: it would take 50 MB and more."""


class Subject:
    """A picture that is to be encoded, and what all its encodings share: with `keep`, of a small one, computed once."""

    def __init__(
        self,
        picture: Picture | Raster,
        model: Model,
        tile: Tile,
        *,
        keep: bool = False,
        plans: Sequence[Plan] = (),
        listener: Listener | None = None,
    ) -> None:
        self.plans, self.listener = plans, listener
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
            return self.encoded(quality_index, clock).file()

    def encoded(self, quality_index: int, clock: Clock, *, account: bool = False) -> Encoder:
        """What has encoded it at a quality index, by the plan that does it best; account: as in `Encoder`."""
        best = self.encoder(quality_index, clock, account=account)
        best.run()
        tally = best.tally
        for plan in self.plans[1:]:
            if tally.stopped:
                break
            other = Encoder(self, quality_index, clock, plan=plan, tally=tally, account=account)
            other.run()
            if tally.last_is_best:
                best = other
        return best

    def encoder(
        self, quality_index: int, clock: Clock, *, account: bool = False, later: bool = False
    ) -> Encoder:
        """What encodes it by the first plan; account, later: as in `Encoder`."""
        plan = self.plans[0] if self.plans else None
        return Encoder(self, quality_index, clock, plan=plan, account=account, later=later)

    def trim(self) -> None:
        """Give back memory that is free, in pictures for which that is worth its time."""
        if not self.small:
            trim()

    def memory(self) -> AbstractContextManager[None]:
        """What a lack of memory is called inside."""
        return memory_for(self.raster.height, self.raster.width)


class Encoder:
    """A picture on its way into a file, a row of tiles at a time.

    plan: how to look for better latents than those of the analysis; None: not at all.  tally: of the plans before.
    account: sum up the ideal rate; later: hold back what is to be coded until the file is asked for.
    """

    def __init__(
        self,
        subject: Subject,
        quality_index: int,
        clock: Clock,
        *,
        plan: Plan | None = None,
        tally: Tally | None = None,
        account: bool = False,
        later: bool = False,
    ) -> None:
        raster, model = subject.raster, subject.model
        self._subject, self._model, self._clock = subject, model, clock
        self._account, self._later = account, later
        self._plan = plan or Plan(())
        self._aim = self._plan.aim(quality_index)
        self.tally = tally or Tally(subject.grid, subject.plans, subject.listener)
        self._header = Header(
            raster.width, raster.height, model.model_id, self._aim.index, raster.grey, subject.tile
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

    def run(self) -> None:
        """Encode everything."""
        for _ in self.encoded():
            pass

    def encoded(self) -> Iterator[Coded]:
        """Encode everything; yield what is coded of each tile."""
        for _, _, coded in self.tiles():
            self._waiting.append(coded)
            if not self._later:
                self._code()
            yield coded

    def tiles(self) -> Iterator[tuple[int, int, Coded]]:
        """Analyse and round; yield each tile's first and last column of latents (one past it) and what is coded."""
        if self._plan.stages:
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
        return parts(self._model, self._subject.picture, self._latents(), self._grid, self._aim)

    def _refined(self) -> Iterator[tuple[int, int, Coded]]:
        """Do what `tiles` does, after such a search."""
        searches = self.searches()
        self.tally.begin()
        for _ in self._grid.rows():
            for left, right in self._grid.columns():
                with self._clock.stage("analysis"):
                    search = next(searches)
                with self._clock.stage("refinement"):
                    found = self.tally.run(search, self._plan.stages)
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
        return gathered(cut_levels(bands, size, (0, 0), grey=raster.grey), size, self._clock)

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
