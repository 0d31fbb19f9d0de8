"""Training pictures: decoded once, held as uint8 on the training device, cropped there.

A pack of 250 megapixels is 750 MB, which fits any machine that trains; no loader then stands in the way.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from rdae.errors import TrainingError
from rdae.pictures import SUFFIXES, to_rgb_array


def _files(source: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (name, bytes) of the pictures of a folder, a tar shard or a single file, in a fixed order."""
    if source.is_dir():
        for path in sorted(source.rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield str(path), path.read_bytes()
            elif path.suffix.lower() == ".tar":
                yield from _files(path)
    elif source.suffix.lower() == ".tar":
        with tarfile.open(source, "r:") as archive:
            for member in archive:
                if member.isfile() and Path(member.name).suffix.lower() in SUFFIXES:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        yield f"{source}:{member.name}", stream.read()
    elif source.is_file():
        yield str(source), source.read_bytes()
    else:
        raise TrainingError(f"{source}: no such folder, tar shard or picture")


def check_sources(sources: Iterable[str]) -> None:
    """Raise a TrainingError for a source that does not exist, before anybody waits for the others to be decoded."""
    for source in sources:
        if not Path(source).exists():
            raise TrainingError(f"{source}: no such folder, tar shard or picture")


def _decode(item: tuple[str, bytes]) -> tuple[str, Tensor | None]:
    name, data = item
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = to_rgb_array(image)
    except Exception:  # noqa: BLE001  whatever a broken file raises, the pack goes on without it
        return name, None
    return name, torch.from_numpy(pixels)


class Pictures:
    """A set of decoded pictures: uint8 (H, W, 3) each, on one device."""

    def __init__(self, sources: tuple[str, ...], device: torch.device, min_side: int) -> None:
        """Decode all pictures of the sources whose shorter side is at least `min_side`.

        Those that do not decode or are smaller are counted in `skipped`.  TrainingError if none is left.
        """
        self.pictures: list[Tensor] = []
        self.names: list[str] = []
        self.skipped: list[str] = []
        try:
            with ThreadPoolExecutor() as pool:
                for source in sources:
                    for name, picture in pool.map(_decode, _files(Path(source))):
                        if picture is None or min(picture.shape[:2]) < min_side:
                            self.skipped.append(name)
                        else:
                            self.pictures.append(picture.to(device))
                            self.names.append(name)
        except (OSError, EOFError, tarfile.TarError) as error:
            raise TrainingError(f"{source}: {error}") from error
        if not self.pictures:
            message = f"{', '.join(sources)}: no picture with both sides of at least {min_side} pixels"
            raise TrainingError(message)
        areas = torch.tensor([float(p.shape[0] * p.shape[1]) for p in self.pictures])
        self._weights = areas / areas.sum()
        self.pixels = int(areas.sum())

    def crops(self, count: int, side: int, generator: torch.Generator) -> Tensor:
        """Draw random crops, larger pictures more often, half of them mirrored: uint8 (count, 3, side, side)."""
        chosen = torch.multinomial(self._weights, count, replacement=True, generator=generator).tolist()
        randoms = torch.rand(count, 3, generator=generator).tolist()
        crops = []
        for picture_index, (u, v, flip) in zip(chosen, randoms, strict=True):
            picture = self.pictures[picture_index]
            top = int(u * (picture.shape[0] - side + 1))
            left = int(v * (picture.shape[1] - side + 1))
            crop = picture[top : top + side, left : left + side]
            crops.append(crop.flip(1) if flip < 0.5 else crop)
        return torch.stack(crops).permute(0, 3, 1, 2)

    def centre(self, index: int, side: int) -> Tensor:
        """Return the middle of a picture, at most `side` and a multiple of 64 each way: uint8 (1, 3, h, w)."""
        picture = self.pictures[index]
        height, width = (min(side, n) // 64 * 64 for n in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        return picture[top : top + height, left : left + width].permute(2, 0, 1)[None]
