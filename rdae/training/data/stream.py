"""Training pictures of a corpus larger than memory: a window that slides over its shards.

The window holds some hundred megapixels of consecutive pictures, and crops are drawn from all of it: it is the shuffle
buffer.  When crops of `reuse` times a picture's own pixels were drawn, the oldest picture leaves and the next ones are
decoded.  Each epoch goes through the shards in an order of its own, drawn from the seed.  So what the window holds
depends only on the seed and on how many pixels were drawn; its place is four integers, and a resumed run refills it.

Each process of a distributed run takes every n-th shard; where there are fewer shards than processes, every n-th
picture.
"""

from __future__ import annotations

import dataclasses
import tarfile
from collections.abc import Callable, Iterator

import torch

from rdae.errors import TrainingError, describe
from rdae.training.data.decode import Decoder
from rdae.training.data.pool import Pool, Weights
from rdae.training.data.sampling import mix
from rdae.training.data.sources import members, units


@dataclasses.dataclass(frozen=True, order=True)
class Position:
    """Where a picture lies: the epoch, its shard's position in the epoch's order, and its own in the shard."""

    epoch: int = 0
    shard: int = 0
    member: int = 0


class Stream(Pool):
    """A window of the pictures of all sources, on one device."""

    def __init__(
        self,
        sources: tuple[str, ...],
        device: torch.device,
        min_side: int,
        *,
        hold: int,
        reuse: float,
        seed: int,
        weights: Weights = (),
        workers: int = 0,
        rank: int = 0,
        world: int = 1,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        """Find the shards; nothing is decoded before `fill`.

        hold: pixels in the window, at least.  reuse: times its pixels that a picture is drawn from.
        rank, world: this process and how many there are.  tell: called once, with a line, for each shard that cannot be
        read to its end.  TrainingError for sources that do not exist.
        """
        super().__init__(device, min_side, weights)
        self.units = units(sources)
        if not self.units:
            raise TrainingError(f"{', '.join(sources)}: no tar shard and no picture")
        self.broken: dict[str, str] = {}  # shards that could not be read to their end, and why
        self._tell = tell
        self._hold, self._reuse, self._seed = hold, reuse, seed
        self._rank, self._world = rank, world
        self._decoder = Decoder(workers)
        self._positions: list[Position] = []
        self._drawn_pixels = 0.0  # of the oldest picture's share, those already drawn
        self._held = 0
        self._begin(Position())

    def fill(self) -> None:
        """Decode until the window is full.  TrainingError if a whole epoch has no usable picture."""
        while self._held < self._hold:
            self._load()

    def advance(self, pixels: int) -> None:
        """Tell that crops of so many pixels were drawn; pictures that were drawn from enough are replaced."""
        self._drawn_pixels += pixels / self._reuse
        while self._positions and self._drawn_pixels >= self._oldest():
            self._drawn_pixels -= self._oldest()
            self._held -= self._oldest()
            self._drop_first()
            del self._positions[0]
        self.fill()

    def state(self) -> list[float]:
        """Return the window's place, as numbers: its oldest picture's, and how far that one was drawn from."""
        place = self._positions[0] if self._positions else self._next
        return [place.epoch, place.shard, place.member, self._drawn_pixels]

    def restore(self, state: list[float]) -> None:
        """Put the window where `state` was taken; it is decoded anew."""
        while self.pictures:
            self._drop_first()
        self._positions.clear()
        self._held = 0
        self._drawn_pixels = float(state[3])
        self._begin(Position(*(int(number) for number in state[:3])))
        self.fill()

    def close(self) -> None:
        """End the decoding processes."""
        self._decoder.close()

    def _oldest(self) -> int:
        return int(self.pictures[0].shape[0] * self.pictures[0].shape[1])

    def _begin(self, place: Position) -> None:
        self._next = place
        self._decoder.close()  # what was decoded ahead of another place
        self._coming = self._decoder.decoded(self._items(place))
        self._barren = place.epoch  # the epoch in which the last usable picture was found

    def _load(self) -> None:
        place, name, pixels = next(self._coming)
        self._next = place
        if place.epoch > self._barren + 1:
            first, *more = self.units
            many = f" and {len(more)} more" if more else ""
            raise TrainingError(f"{first}{many}: {self._why_none()}")
        if self._add(name, pixels):
            self._positions.append(place)
            self._held += self.pictures[-1].shape[0] * self.pictures[-1].shape[1]
            self._barren = place.epoch

    def _items(self, start: Position) -> Iterator[tuple[Position, str, bytes | None]]:
        """Yield this process' pictures from a place on, epoch after epoch, without end."""
        epoch, shard, member = start.epoch, start.shard, start.member
        by_shard = len(self.units) >= self._world
        while True:
            generator = torch.Generator().manual_seed(mix(self._seed, epoch, 3))
            order = torch.randperm(len(self.units), generator=generator).tolist()
            own = order[self._rank :: self._world] if by_shard else order
            empty = True
            for position in range(shard, len(own)):
                unit = self.units[own[position]]
                try:
                    for place, name, data in members(unit, member):
                        if by_shard or (place + own[position]) % self._world == self._rank:
                            empty = False
                            yield Position(epoch, position, place), name, data
                except (OSError, EOFError, tarfile.TarError) as error:
                    # The rest of the corpus is not its affair. Where all processes read it, one tells.
                    self._leave(unit, error, tell=by_shard or self._rank == 0)
                member = 0
            if empty and shard == 0:
                # Nothing at all to decode would leave no place to notice it.
                yield Position(epoch + 2, 0, 0), "", None
            epoch, shard = epoch + 1, 0

    def _leave(self, unit: str, error: Exception, *, tell: bool) -> None:
        """Take note of a shard that cannot be read on; the same happens again in each epoch."""
        if unit not in self.broken:
            self.broken[unit] = describe(error, unit)
            if tell:
                self._tell(f"{unit}: {self.broken[unit]}; the rest of this shard is left out")

    def _why_none(self) -> str:
        """Say also why a shard, if there is one, could not be read."""
        broken = next(iter(self.broken), None)
        return super()._why_none() + (f", and {broken}: {self.broken[broken]}" if broken else "")
