"""What users import: compress, decompress, and a model that stays open for many pictures.

The encoder is imported where it is used: a program that only shows pictures starts sooner without it.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from rdae.clock import Clock
from rdae.codec import decode
from rdae.codec.container import Container, parse
from rdae.codec.decode import Decoded
from rdae.codec.reading import read_container
from rdae.codec.tiles import Region
from rdae.effort import DEFAULT_EFFORT
from rdae.errors import NotRdaeError, PictureError, StreamError
from rdae.limits import MAX_PIXELS
from rdae.networks import complexity, weights
from rdae.networks import model as models
from rdae.networks.registry import find_by_id, tuned_path
from rdae.pictures import raster_in
from rdae.pictures.bands import Bands
from rdae.pictures.images import to_raster
from rdae.pictures.raster import Note, Raster, silent
from rdae.pictures.transparency import EXACT, Colour, colour_of, composed, quantised
from rdae.quality import to_index
from rdae.storage.sources import Source, is_source, opened
from rdae.targets import Target

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL import Image

    from rdae.codec.encode import Encoded
    from rdae.codec.refinement import Listener

    Picture = Image.Image | npt.NDArray[np.uint8] | Raster | Source


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
        alpha_quality: int = EXACT,
        background: str | Colour | None = None,
        exact: bool = True,
        lossless: bool = False,
        listener: Listener | None = None,
        clock: Clock | None = None,
        note: Note = silent,
    ) -> bytes:
        """Return the bytes of an .rdae file.

        image: a Pillow image of any mode, or uint8 (h, w), (h, w, 3) or (h, w, 4) in sRGB, or a Raster; or a picture
        file: its path, its bytes in any buffer, or the file opened in binary mode. What is grey stays grey, and alpha
        is kept exactly; colours under alpha 0 are not.
        quality: 0 (smallest) to 100 (best). target: a size, rate or distortion, for which the quality is found in at
        most eight encodings of effort 0, and as many of the effort wanted, and twice that again with some graphics.
        metadata: keep a Pillow image's ICC, EXIF and XMP: all, none, or some by name, as in ("icc", "exif").
        effort: 0 (fastest) to 9 (smallest files): how long to look for latents that fit this picture better. A decoder
        has no more to do. alpha_quality: 100 keeps alpha exactly, less leaves it fewer levels, down to 0 and 255.
        background: a colour such as "white", "#ffcc00" or (255, 204, 0), over which the picture is put: no alpha then.
        exact: store graphics as pixels, exactly or with fewer colours, where that costs less than latents do.
        lossless: keep the picture exactly, over a background if there is one, whatever quality and target say;
        `rdae.compress` needs no model for that.
        listener: is told of each step of that, and ends it by returning True.
        verify: decode all but the pixels again and compare, VerifyError if it differs.
        clock: gets the seconds by stage, and tells its listener how many tiles are done.
        note: takes a line for each thing that is dropped or changed, such as frames or 16 bits, and one if the model
        does not reach the target, and the picture is stored exactly.
        ValueError if a quality is out of range, alpha_quality is below 100 of what is lossless or has a background, or
        there is no such colour, TypeError for a target of another class, OSError if a file cannot be read
        (FileNotFoundError if there is none), PictureError if the image cannot be coded, TargetError if no quality
        meets the target.
        """
        from rdae.codec import encode

        index = to_index(quality)
        _check(target, alpha_quality, background, lossless=lossless)
        raster = _transparent(_raster(image, note, metadata=metadata), alpha_quality, background)
        clock = clock or Clock()
        if lossless:
            return encode.compress_lossless(raster, effort=effort, verify=verify, clock=clock)
        if target is None:
            data = encode.compress(
                raster,
                self.loaded,
                index,
                effort=effort,
                choose=exact,
                listener=listener,
                clock=clock,
            )
        else:
            from rdae.codec.encoding import prepare
            from rdae.codec.target import compress_to

            prepared = prepare(raster, self.loaded, keep=True, clock=clock)
            data = compress_to(
                prepared, target, effort, choose=exact, listener=listener, clock=clock, note=note
            )
        if verify:
            encode.check(data, raster, self.loaded, clock)
        return data

    def decompress(
        self,
        data: Source,
        *,
        exact: bool = False,
        max_pixels: int | None = MAX_PIXELS,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        clock: Clock | None = None,
    ) -> Image.Image:
        """Return the picture of an .rdae file; a StreamError, WeightsError or OSError if that cannot be done.

        data: the file's bytes in any buffer, its path, or the file opened in binary mode.
        Its mode is L, LA, RGB or RGBA; icc_profile, exif and xmp are in its info, if the file has them.
        exact: pixels that are the same on every machine, for more work; else they may differ by a level.
        max_pixels: larger pictures are refused before anything is allocated; None: take any size.
        region: x, y, width and height in pixels of the part that is wanted; only the tiles that it needs are decoded.
        ValueError if it is not inside of the picture.
        scale: 2, 4 or 8 for a picture of half, a quarter or an eighth of the width and height, rounded up: the means of
        boxes of so many by so many pixels, counted from the left upper corner. That saves memory, and little time.
        clock: gets the seconds by stage, and tells its listener how many tiles are done.
        """
        return self.unfold(
            data, exact=exact, max_pixels=max_pixels, region=region, scale=scale, clock=clock
        ).image()

    def unfold(
        self,
        data: Source | Container,
        *,
        exact: bool = False,
        max_pixels: int | None = MAX_PIXELS,
        region: tuple[int, int, int, int] | None = None,
        scale: int = 1,
        clock: Clock | None = None,
    ) -> Bands:
        """Begin to do what `decompress` does, and return a picture whose bands of rows are decoded as they are taken.

        data: as `decompress` takes it, or what `rdae.codec.container.parse` has made of a file's bytes.
        Its size is known then; errors that concern latents come with the bands.
        """
        part = _region(region)
        return decode.unfold(
            data if isinstance(data, Container) else _bytes(data),
            self.loaded,
            max_pixels,
            exact=exact,
            region=part,
            scale=scale,
            clock=clock,
        )

    def encode(
        self,
        picture: npt.NDArray[np.uint8],
        at: float,
        *,
        effort: int = DEFAULT_EFFORT,
        exact: bool = True,
    ) -> Encoded:
        """Compress uint8 (h, w, 3) at quality `at` and say all that the encoder knows; exact as in `compress`."""
        from rdae.codec import encode

        return encode.encode(picture, self.loaded, to_index(at), effort=effort, choose=exact)

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
    `rdae.networks.registry.DEFAULT_TUNE`. ValueError if both name_or_path and tune are given, or there is no such tune.
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


def _raster(image: Picture, note: Note, *, metadata: bool | Collection[str]) -> Raster:
    # An array is a buffer too, but of levels.  Its type is asked, as an image would be decoded for the answer.
    if isinstance(image, Raster) or any(
        hasattr(type(image), name) for name in ("__array_interface__", "__array__")
    ):
        return to_raster(image, note, metadata=metadata)  # type: ignore[arg-type] # which is of these three
    if not is_source(image):
        kind = type(image).__name__
        raise PictureError(
            f"{kind} is given, expected a Pillow image, a uint8 array, or a picture file's bytes, path or open file"
        )
    with opened(image, PictureError, PictureError) as file:
        return raster_in(file, note, metadata=metadata)


def _transparent(raster: Raster, alpha_quality: float, background: str | Colour | None) -> Raster:
    """Return a picture with as much transparency as is to be kept."""
    if background is not None:
        raster = composed(raster, colour_of(background))
    return quantised(raster, alpha_quality)


def _region(region: tuple[int, int, int, int] | None) -> Region | None:
    """ValueError for what is not four whole numbers."""
    if region is None:
        return None
    try:
        return Region(*map(operator.index, region))
    except TypeError:
        raise ValueError(f"region is {region!r}, expected whole numbers: x, y, width, height") from None


def _check_model(model: object) -> None:
    """TypeError for what is no opened model, such as a name."""
    if model is not None and not isinstance(model, Model):
        raise TypeError(f"model is {type(model).__name__}, expected what rdae.open_model returns")


def _check(
    target: Target | None, alpha_quality: float, background: str | Colour | None, *, lossless: bool
) -> None:
    """ValueError where one argument leaves another no meaning, TypeError for a target that is none."""
    if target is not None and not isinstance(target, Target):
        raise TypeError(f"target is {type(target).__name__}, expected rdae.Target")
    if alpha_quality != EXACT and (lossless or background is not None):
        what = "a lossless file" if lossless else "a picture over a background"
        raise ValueError(f"alpha_quality {alpha_quality} of {what}, expected {EXACT}")


def _bytes(data: Source) -> bytes:
    if not is_source(data):
        kind = type(data).__name__
        raise NotRdaeError(f"{kind} is given, expected the bytes of an .rdae file, its path or the open file")
    with opened(data, NotRdaeError, StreamError) as file:
        return read_container(file)


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
    alpha_quality: int = EXACT,
    background: str | Colour | None = None,
    exact: bool = True,
    lossless: bool = False,
    note: Note = silent,
) -> bytes:
    """Return the bytes of an .rdae file: `Model.compress` with the given model, or that of a tune as `open_model` says.

    ValueError if both model and tune are given, TypeError for a model that is not opened. The errors of
    `Model.compress`, among them FileNotFoundError for a path where no file is.
    """
    _check_model(model)
    if model is not None and tune is not None:
        raise ValueError(f"model {model.name} and tune {tune}, expected one of them")
    if lossless:
        from rdae.codec import encode

        to_index(quality)  # which says if there is no such quality, as always
        _check(target, alpha_quality, background, lossless=lossless)
        raster = _transparent(_raster(image, note, metadata=metadata), alpha_quality, background)
        return encode.compress_lossless(raster, effort=effort, verify=verify)
    return (model or _tuned_model(tune)).compress(
        image,
        quality,
        target=target,
        effort=effort,
        verify=verify,
        metadata=metadata,
        alpha_quality=alpha_quality,
        background=background,
        exact=exact,
        note=note,
    )


def decompress(
    data: Source,
    model: Model | None = None,
    *,
    exact: bool = False,
    max_pixels: int | None = MAX_PIXELS,
    region: tuple[int, int, int, int] | None = None,
    scale: int = 1,
) -> Image.Image:
    """Return the picture of an .rdae file: `Model.decompress` with the given model or the one that the file names.

    A file without latents, as `lossless` makes them, needs none.  TypeError for a model that is not opened.
    """
    _check_model(model)
    parsed = parse(_bytes(data), max_pixels)
    if model is None and not parsed.needs_model:
        part = _region(region)
        return decode.unfold(parsed, None, None, exact=exact, region=part, scale=scale).image()
    return (model or _model_for(parsed)).unfold(parsed, exact=exact, region=region, scale=scale).image()
