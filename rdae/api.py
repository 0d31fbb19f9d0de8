"""What users import: compress, decompress, and a model that stays open for many pictures."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rdae.clock import Clock
from rdae.codec import decode, encode
from rdae.codec.container import Container, parse
from rdae.codec.decode import Decoded
from rdae.codec.encode import Encoded
from rdae.codec.refinement import Listener
from rdae.codec.target import compress_to
from rdae.codec.tiles import Region
from rdae.effort import DEFAULT_EFFORT
from rdae.limits import MAX_PIXELS
from rdae.networks import complexity, weights
from rdae.networks import model as models
from rdae.networks.registry import find_by_id, tuned_path
from rdae.pictures.bands import Bands
from rdae.pictures.raster import Raster, to_raster
from rdae.quality import to_index
from rdae.targets import Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    Picture = Image.Image | npt.NDArray[np.uint8] | Raster


class Model:
    """An opened model: weights are read once, then any number of pictures can be coded with it."""

    def __init__(self, loaded: models.Model) -> None:
        """Wrap a loaded model; users call `open_model`."""
        self.loaded = loaded

    @property
    def name(self) -> str:
        """The weights' name."""
        return self.loaded.name

    @property
    def model_id(self) -> bytes:
        """The four bytes by which files name this model."""
        return self.loaded.model_id

    def compress(
        self,
        image: Picture,
        quality: float = 50.0,
        *,
        target: Target | None = None,
        effort: int = DEFAULT_EFFORT,
        verify: bool = False,
        metadata: bool | Collection[str] = True,
        listener: Listener | None = None,
        clock: Clock | None = None,
    ) -> bytes:
        """Return the bytes of an .rdae file.

        image: a Pillow image of any mode, or uint8 (h, w), (h, w, 3) or (h, w, 4) in sRGB, or a Raster. What is grey
        stays grey, and alpha is kept exactly; colours under alpha 0 are not.
        quality: 0 (smallest) to 100 (best). target: a size, rate or distortion, for which the quality is found in at
        most eight encodings of effort 0, and as many of the effort wanted. metadata: keep a Pillow image's ICC, EXIF
        and XMP: all, none, or some by name, as in ("icc", "exif").
        effort: 0 (fastest) to 9 (smallest files): how long to look for latents that fit this picture better. A decoder
        has no more to do. listener: is told of each step of that, and ends it by returning True.
        verify: decode all but the pixels again and compare, VerifyError if it differs.
        clock: gets the seconds by stage.
        ValueError if quality is out of range, PictureError if the image cannot be coded, TargetError if no quality
        meets the target.
        """
        raster = to_raster(image, metadata=metadata)
        clock = clock or Clock()
        if target is None:
            data = encode.compress(
                raster, self.loaded, to_index(quality), effort=effort, listener=listener, clock=clock
            )
        else:
            prepared = encode.prepare(raster, self.loaded, keep=True, clock=clock)
            data = compress_to(prepared, target, effort, listener=listener, clock=clock)
        if verify:
            encode.check(data, raster, self.loaded, clock)
        return data

    def decompress(
        self,
        data: bytes,
        *,
        exact: bool = False,
        max_pixels: int | None = MAX_PIXELS,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        clock: Clock | None = None,
    ) -> Image.Image:
        """Return the picture of an .rdae file's bytes; a StreamError or WeightsError if that cannot be done.

        Its mode is L, LA, RGB or RGBA; icc_profile, exif and xmp are in its info, if the file has them.
        exact: pixels that are the same on every machine, for more work; else they may differ by a level.
        max_pixels: larger pictures are refused before anything is allocated; None: take any size.
        region: x, y, width and height in pixels of the part that is wanted; only the tiles that it needs are decoded.
        ValueError if it is not inside of the picture.
        scale: 2, 4 or 8 for a picture of half, a quarter or an eighth of the width and height, rounded up: the means of
        boxes of so many by so many pixels, counted from the left upper corner. That saves memory, and little time.
        clock: gets the seconds by stage.
        """
        return self.unfold(
            data, exact=exact, max_pixels=max_pixels, region=region, scale=scale, clock=clock
        ).image()

    def unfold(
        self,
        data: bytes | Container,
        *,
        exact: bool = False,
        max_pixels: int | None = MAX_PIXELS,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        clock: Clock | None = None,
    ) -> Bands:
        """Begin to do what `decompress` does, and return a picture whose bands of rows are decoded as they are taken.

        data: a file's bytes, or what `rdae.codec.container.parse` has made of them.
        Its size is known then; errors that concern latents come with the bands.
        """
        part = None if region is None else Region(*region)
        return decode.unfold(
            data, self.loaded, max_pixels, exact=exact, region=part, scale=scale, clock=clock
        )

    def encode(self, picture: npt.NDArray[np.uint8], at: float, *, effort: int = DEFAULT_EFFORT) -> Encoded:
        """Compress uint8 (h, w, 3) at quality `at` and say all that the encoder knows."""
        return encode.encode(picture, self.loaded, to_index(at), effort=effort)

    def decode(self, data: bytes) -> Decoded:
        """Decompress and say all that the decoder knows."""
        return decode.decode(parse(data), self.loaded)

    def kmac_per_pixel(self) -> dict[str, float]:
        """Return thousands of multiply-accumulates per pixel of each part."""
        return complexity.kmac_per_pixel(self.loaded.architecture)


_opened: dict[bytes | str | None, Model] = {}  # by id, and by what was asked for: a tune, or the default
_lock = threading.Lock()


def _renew_lock() -> None:
    global _lock  # noqa: PLW0603 - in a child of a fork, where nobody would release it
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def open_model(
    name_or_path: str | Path | None = None,
    *,
    tune: str | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Model:
    """Read a model for repeated use; WeightsError if it cannot be had, DeviceError if the device cannot.

    name_or_path: an installed model's name, or a weights file. tune: instead of that one of the published models,
    "psnr" or "visual", by what it is best at: PSNR, or what people see. Default: the tune of
    `rdae.networks.registry.DEFAULT_TUNE`. ValueError for both, or another tune.
    device: "cpu", "cuda", or "cuda:1" and so on; default: what RDAE_DEVICE says, else the CPU. Files decode to the same
    latents on each.
    threads: that share the work on a picture; default: as many as the processors that this process may use.
    A model can be shared by threads, and pickled; a process that was forked goes on with it.
    """
    if tune is not None:
        if name_or_path is not None:
            raise ValueError(f"model {name_or_path} and tune {tune}, expected one of them")
        name_or_path = tuned_path(tune)
    return Model(weights.load(name_or_path, device, threads))


def _tuned_model(tune: str | None) -> Model:
    return _opened_once(tune, lambda: tuned_path(tune))


def _model_for(parsed: Container) -> Model:
    """Return the model that a file names, of all that are installed."""
    needed = parsed.header.model
    return _opened_once(needed, lambda: find_by_id(needed))


def _opened_once(key: bytes | str | None, path: Callable[[], Path]) -> Model:
    with _lock:
        if key not in _opened:
            model = open_model(path())
            _opened[key] = _opened.setdefault(model.model_id, model)
        return _opened[key]


def compress(
    image: Picture,
    quality: float = 50.0,
    model: Model | None = None,
    *,
    tune: str | None = None,
    target: Target | None = None,
    effort: int = DEFAULT_EFFORT,
    verify: bool = False,
    metadata: bool | Collection[str] = True,
) -> bytes:
    """Return the bytes of an .rdae file: `Model.compress` with the given model, or that of a tune as `open_model` says.

    ValueError for both.
    """
    if model is not None and tune is not None:
        raise ValueError(f"model {model.name} and tune {tune}, expected one of them")
    return (model or _tuned_model(tune)).compress(
        image, quality, target=target, effort=effort, verify=verify, metadata=metadata
    )


def decompress(
    data: bytes,
    model: Model | None = None,
    *,
    exact: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    region: tuple[int, int, int, int] | None = None,
    scale: int = 1,
) -> Image.Image:
    """Return the picture of an .rdae file's bytes: `Model.decompress` with the given model or the one it names."""
    parsed = parse(data, max_pixels)
    return (model or _model_for(parsed)).unfold(parsed, exact=exact, region=region, scale=scale).image()
