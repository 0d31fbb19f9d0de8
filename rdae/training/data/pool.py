"""Training pictures, decoded and held as uint8 on the training device, cropped there.

A pack of 250 megapixels is 750 MB, which fits any machine that trains; no loader then stands in the way.  Of more
than fits, `rdae.training.data.stream` holds a part at a time.
"""

from __future__ import annotations

import fnmatch
import tarfile

import torch
from torch import Tensor

from rdae.errors import TrainingError, describe
from rdae.training.data.decode import Decoder, Pixels
from rdae.training.data.sources import members, units

Weights = tuple[tuple[str, float], ...]


class Pool:
    """Decoded pictures, uint8 (H, W, 3) each, on one device, and the crops that are drawn from them."""

    def __init__(self, device: torch.device, min_side: int, weights: Weights = ()) -> None:
        """Begin without pictures.

        min_side: pictures with a shorter side are skipped.  weights: (pattern, weight) pairs; a picture of which the
        name, or its last part, matches is drawn so many times as often as its size alone would have it.
        """
        self.device = device
        self.min_side = min_side
        self.pictures: list[Tensor] = []
        self.names: list[str] = []
        self._skipped: dict[str, None] = {}  # in order, each once
        self._weights = weights
        self._matched: set[str] = set()  # patterns of weights
        self._any_left_out = False  # of pictures that could be used, by a weight of 0
        self._shares: list[float] = []
        self._drawn: Tensor | None = None  # the shares as a tensor, made when needed

    @property
    def skipped(self) -> list[str]:
        """Names of what did not decode or is too small."""
        return list(self._skipped)

    @property
    def pixels(self) -> int:
        """Pixels of the pictures held, each counted once: a small corpus can be in a stream's window several times."""
        once = dict(zip(self.names, self.pictures, strict=True)).values()
        return sum(picture.shape[0] * picture.shape[1] for picture in once)

    @property
    def unmatched(self) -> list[str]:
        """Patterns of weights that no name of a picture has matched so far."""
        return [pattern for pattern, _ in self._weights if pattern not in self._matched]

    def _add(self, name: str, pixels: Pixels | None) -> bool:
        """Hold a picture, unless it did not decode, is too small, or is never to be drawn."""
        weight = self._weight(name)
        if pixels is None or min(pixels.shape[:2]) < self.min_side:
            self._skipped[name] = None
            return False
        if weight == 0:
            self._any_left_out = True
            return False
        self.pictures.append(torch.from_numpy(pixels).to(self.device))
        self.names.append(name)
        self._shares.append(weight * pixels.shape[0] * pixels.shape[1])
        self._drawn = None
        return True

    def _drop_first(self) -> None:
        del self.pictures[0], self.names[0], self._shares[0]
        self._drawn = None

    def _weight(self, name: str) -> float:
        last = name.replace("\\", "/").replace(":", "/").rsplit("/", 1)[-1]
        matching = [
            (pattern, weight)
            for pattern, weight in self._weights
            if fnmatch.fnmatchcase(last, pattern) or fnmatch.fnmatchcase(name, pattern)
        ]
        self._matched.update(pattern for pattern, _ in matching)
        return matching[0][1] if matching else 1.0

    def _why_none(self) -> str:
        """Say why no picture is held, when all were seen."""
        usable = f"with both sides of at least {self.min_side} pixels"
        return f"--weight leaves out every picture {usable}" if self._any_left_out else f"no picture {usable}"

    def crops(
        self,
        count: int,
        side: int,
        generator: torch.Generator,
        *,
        rows: range | None = None,
        reduce: float = 0.0,
    ) -> Tensor:
        """Draw `count` random crops, larger pictures more often, half of them mirrored.

        rows: of these crops the ones that are made; default: all.  reduce: share of the crops that are the mean of
        2x2 pixels of an area twice as wide, where the picture is large enough.
        Returns uint8 (len(rows), 3, side, side).
        """
        if self._drawn is None:
            self._drawn = torch.tensor(self._shares, dtype=torch.float64)
        chosen = torch.multinomial(self._drawn, count, replacement=True, generator=generator).tolist()
        randoms = torch.rand(count, 4, generator=generator).tolist()
        crops = []
        for row in range(count) if rows is None else rows:
            picture = self.pictures[chosen[row]]
            u, v, flip, halve = randoms[row]
            factor = 2 if halve < reduce and min(picture.shape[:2]) >= 2 * side else 1
            reach = factor * side
            top = int(u * (picture.shape[0] - reach + 1))
            left = int(v * (picture.shape[1] - reach + 1))
            crop = picture[top : top + reach, left : left + reach]
            if factor == 2:
                crop = crop.reshape(side, 2, side, 2, 3).float().mean(dim=(1, 3)).round().to(torch.uint8)
            crops.append(crop.flip(1) if flip < 0.5 else crop)
        return torch.stack(crops).permute(0, 3, 1, 2)

    def centre(self, index: int, side: int) -> Tensor:
        """Return the middle of a picture, at most `side` and a multiple of 64 each way: uint8 (1, 3, h, w)."""
        picture = self.pictures[index]
        height, width = (min(side, n) // 64 * 64 for n in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        return picture[top : top + height, left : left + width].permute(2, 0, 1)[None]


class Pictures(Pool):
    """All pictures of the sources, held."""

    def __init__(
        self,
        sources: tuple[str, ...],
        device: torch.device,
        min_side: int,
        *,
        weights: Weights = (),
        workers: int = 0,
    ) -> None:
        """Decode all pictures of the sources whose shorter side is at least `min_side`.

        workers: processes that decode; 0 for threads.
        Those that do not decode or are smaller are counted in `skipped`.  TrainingError if none is left.
        """
        super().__init__(device, min_side, weights)
        decoder = Decoder(workers)
        unit = ", ".join(sources)
        try:
            for unit in units(sources):
                for _, name, pixels in decoder.decoded(members(unit)):
                    self._add(name, pixels)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise TrainingError(f"{unit}: {describe(error, unit)}") from error
        finally:
            decoder.close()
        if not self.pictures:
            raise TrainingError(f"{', '.join(sources)}: {self._why_none()}")
