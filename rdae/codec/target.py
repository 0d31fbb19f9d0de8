"""Files of a wanted size, rate or distortion: the quality is found by trying some."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from rdae import metrics, ssimulacra2
from rdae.clock import Clock
from rdae.codec import decode, graphics
from rdae.codec.container import pack
from rdae.codec.encoding import Encoding, Prepared, file_of, reconstruct, searched_encoding
from rdae.codec.refinement import Listener
from rdae.errors import TargetError
from rdae.pictures.raster import Raster
from rdae.quality import MAX_INDEX
from rdae.targets import FIRST_INDEX, Met, Target, meet


@dataclasses.dataclass(frozen=True)
class _Trials:
    """How a picture is tried: with what effort, and who is told of it."""

    prepared: Prepared
    target: Target
    effort: int
    listener: Listener | None
    clock: Clock

    def measure(self, index: int) -> tuple[Encoding, float]:
        """Encode at a quality index; return the encoding, and what the target is about."""
        encoding = searched_encoding(
            self.prepared,
            index,
            self.effort,
            listener=self.listener,
            keep=not self.target.at_most,
            clock=self.clock,
        )
        if self.target.at_most:
            size = len(file_of(encoding))
            raster = self.prepared.raster
            return encoding, size * (8 / (raster.width * raster.height) if self.target.kind == "bpp" else 1)
        with self.clock.stage("synthesis"):
            seen = reconstruct(encoding)
        with self.clock.stage("metric"):
            return encoding, likeness(self.target, self.prepared.levels, seen)

    def best(self, first: int = FIRST_INDEX) -> Met[Encoding]:
        """Find the encoding that comes closest to the target on its right side, from the quality index `first` on."""
        return meet(self.target, self.measure, first)


def likeness(target: Target, wanted: npt.NDArray[np.uint8], seen: npt.NDArray[np.uint8]) -> float:
    """Return what a target is about, of pictures uint8 (h, w, 3); TargetError if they are too small for it."""
    if target.kind == "psnr":
        return metrics.psnr(wanted, seen)
    if target.kind == "ms-ssim":
        name, least, similarity = "MS-SSIM", metrics.MS_SSIM_MIN_SIDE, metrics.ms_ssim(wanted, seen)
    else:
        name, least = "SSIMULACRA2", ssimulacra2.MIN_SIDE
        similarity = ssimulacra2.ssimulacra2(wanted, seen)
    if similarity is None:
        size = f"{seen.shape[1]} x {seen.shape[0]}"
        raise TargetError(f"{name} of {size} pixels: it needs sides of {least} or more")
    return similarity


def compress_to(
    prepared: Prepared,
    target: Target,
    effort: int = 0,
    *,
    choose: bool = False,
    listener: Listener | None = None,
    clock: Clock | None = None,
) -> bytes:
    """Return the file that comes closest to a target on its right side; TargetError if there is none.

    It is sought without effort first, which is quick, then with it from there on.  choose: of graphics, take pixels
    (`rdae.codec.graphics`) where they come as close in fewer bytes, or closer.
    """
    stored = _stored_to(prepared.raster, target) if choose and graphics.is_graphics(prepared.raster) else None
    try:
        data = _latents_to(prepared, target, effort, listener, clock or Clock())
    except TargetError:
        if stored is None:
            raise
        return pack(stored.container)
    if stored is None:
        return data
    if not target.at_most:
        return min(pack(stored.container), data, key=len)
    seen = decode.decode(data, prepared.model, None).picture
    account = graphics.Account(prepared.raster, prepared.model.objective, FIRST_INDEX)
    errors = [account.error_bits(levels) for levels in (stored.levels, seen)]
    return pack(stored.container) if errors[0] <= errors[1] else data


def _stored_to(raster: Raster, target: Target) -> graphics.Candidate | None:
    """Return the picture stored as pixels in the best way within a size, or in the shortest with a distortion."""
    found = list(graphics.candidates(raster, FIRST_INDEX))  # with all colours, then with fewer and fewer
    per_pixel = 8 / (raster.width * raster.height) if target.kind == "bpp" else 1
    if target.at_most:
        sizes = (len(pack(each.container)) * per_pixel for each in found)
        return next((each for each, size in zip(found, sizes, strict=True) if size <= target.value), None)
    good = [each for each in found if likeness(target, raster.levels, each.levels) >= target.value]
    return min(good, key=lambda each: len(pack(each.container)), default=None)


def _latents_to(
    prepared: Prepared, target: Target, effort: int, listener: Listener | None, clock: Clock
) -> bytes:
    """Return the file that comes closest by its latents."""
    try:
        return _closest(prepared, target, effort, listener, clock)
    except TargetError as error:
        raise TargetError(f"{error}{_share_of_metadata(prepared, target)}") from error


def _closest(
    prepared: Prepared, target: Target, effort: int, listener: Listener | None, clock: Clock
) -> bytes:
    trials = _Trials(prepared, target, 0, None, clock)
    try:
        found = trials.best()
    except TargetError:
        if not effort:
            raise
        first = 0 if target.at_most else MAX_INDEX  # with effort it may be met there
    else:
        if not effort:
            return file_of(found.made)
        first = found.index
    wanted = dataclasses.replace(trials, effort=effort, listener=listener)
    return file_of(wanted.best(first).made)


def _share_of_metadata(prepared: Prepared, target: Target) -> str:
    """What may be left out of a file that is too large at any quality, if there is something."""
    if not target.at_most or not prepared.before:
        return ""
    kinds = [f"{len(section.payload):,} bytes of {section.name.upper()}" for section in prepared.before]
    return f", with {' and '.join(kinds)}, which --strip (metadata=False) leaves out"
