"""Files of a wanted size, rate or distortion: the quality is found by trying some."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rdae import metrics, ssimulacra2
from rdae.clock import Clock
from rdae.codec import graphics
from rdae.codec.container import pack
from rdae.codec.encoding import Encoding, Prepared, file_of, prepare, reconstruct, searched_encoding
from rdae.codec.refinement import Listener
from rdae.errors import TargetError
from rdae.pictures.raster import Note, Raster, silent
from rdae.quality import MAX_INDEX
from rdae.targets import FIRST_INDEX, Met, Target, meet

Levels = npt.NDArray[np.uint8]


class _Similarity(NamedTuple):
    """A measure by which pictures are compared; least: the shortest side, in pixels, that it needs."""

    name: str
    least: int
    measure: Callable[[Levels, Levels], float | None]


_SIMILARITIES: Mapping[str, _Similarity] = {
    "ms-ssim": _Similarity("MS-SSIM", metrics.MS_SSIM_MIN_SIDE, metrics.ms_ssim),
    "ssimulacra2": _Similarity("SSIMULACRA2", ssimulacra2.MIN_SIDE, ssimulacra2.ssimulacra2),
}


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
        raster = self.prepared.raster
        if self.target.at_most:
            size = len(file_of(encoding))
            return encoding, size * (8 / (raster.width * raster.height) if self.target.kind == "bpp" else 1)
        with self.clock.stage("synthesis"):
            seen = reconstruct(encoding)
        with self.clock.stage("metric"):
            return encoding, likeness_in_sight(self.target, raster, seen)

    def best(self, first: int = FIRST_INDEX) -> Met[Encoding]:
        """Find the encoding that comes closest to the target on its right side, from the quality index `first` on."""
        return meet(self.target, self.measure, first)


def likeness(target: Target, wanted: Levels, seen: Levels) -> float:
    """Return what a target is about, of pictures uint8 (h, w, 3); TargetError if they are too small for it."""
    if target.kind == "psnr":
        return metrics.psnr(wanted, seen)
    name, least, measure = _SIMILARITIES[target.kind]
    similarity = measure(wanted, seen)
    if similarity is None:
        size = f"{seen.shape[1]} x {seen.shape[0]}"
        raise TargetError(f"{name} of {size} pixels: it needs sides of {least} or more")
    return similarity


def likeness_in_sight(target: Target, raster: Raster, seen: Levels) -> float:
    """Return `likeness` of what is visible of a picture and of what became of its levels, uint8 (h, w, 3).

    Pixels of alpha 0 do not count: a PSNR is of the others, and a similarity of the smallest rectangle with all of
    these that it can be of, in which pixels of alpha 0 count as unchanged.
    """
    if raster.alpha is None:
        return likeness(target, raster.levels, seen)
    if target.kind == "psnr":
        visible = raster.alpha > 0
        if not visible.any():
            return math.inf
        return likeness(target, raster.levels[visible][None], seen[visible][None])
    place = _in_sight(raster.alpha, _SIMILARITIES[target.kind].least)
    part = Raster(raster.levels[place], alpha=raster.alpha[place])
    return likeness(target, part.levels, graphics.visible(part, seen[place]))


def _in_sight(alpha: Levels, least: int) -> tuple[slice, slice]:
    """Return the rows and columns with pixels that are visible, and around them as many as `least` asks for."""
    found = []
    for axis, whole in enumerate(alpha.shape):
        visible = np.flatnonzero(alpha.any(axis=1 - axis))
        first, last = (int(visible[0]), int(visible[-1]) + 1) if visible.size else (0, 0)
        length = max(last - first, min(least, whole))
        first = min(max(0, (first + last - length) // 2), whole - length)
        found.append(slice(first, first + length))
    return found[0], found[1]


def compress_to(
    prepared: Prepared,
    target: Target,
    effort: int = 0,
    *,
    choose: bool = False,
    listener: Listener | None = None,
    clock: Clock | None = None,
    note: Note = silent,
) -> bytes:
    """Return the file that comes closest to a target on its right side; TargetError if there is none.

    It is sought without effort first, which is quick, then with it from there on.  choose: of graphics, take pixels
    (`rdae.codec.graphics`) where they come as close in fewer bytes, or closer; exact ones where nothing else does.
    note: is told in a line if that is so.
    """
    clock = clock or Clock()
    try:
        latents = _latents_to(prepared, target, effort, listener, clock)
    except TargetError:
        found = _with_pixels(prepared, target, effort, None, listener, clock) if choose else []
        if not found:
            raise
        best = _best(found, prepared, target)
        if best.exact:
            fails = "keep to" if target.at_most else "reach"
            wanted = target.words(target.value)
            note(f"the model does not {fails} {wanted} at any quality: the picture is stored exactly")
        return best.data
    if not choose:
        return latents.data
    found = [latents, *_with_pixels(prepared, target, effort, latents, listener, clock)]
    return _best(found, prepared, target).data


class _Found(NamedTuple):
    """A file that meets a target.

    seen: decodes it, uint8 (h, w, 3). at: the quality index of its latents. exact: it has the picture's own pixels.
    """

    data: bytes
    seen: Callable[[], Levels]
    at: int
    exact: bool = False


def _best(found: list[_Found], prepared: Prepared, target: Target) -> _Found:
    """Return the shortest file; of a size or rate that with the least error."""
    if len(found) == 1:
        return found[0]
    if not target.at_most:
        return min(found, key=lambda each: len(each.data))
    account = graphics.Account(prepared.raster, prepared.model.objective, FIRST_INDEX)
    return min(found, key=lambda each: account.error_bits(each.seen()))


def _with_pixels(
    prepared: Prepared,
    target: Target,
    effort: int,
    latents: _Found | None,
    listener: Listener | None,
    clock: Clock,
) -> list[_Found]:
    """Return what meets the target as pixels, and with rectangles of them.  latents: what did without, if any did."""
    stored = _stored_to(prepared, target, effort, always=latents is None and not target.at_most)
    nearest = 0 if target.at_most else MAX_INDEX
    index = nearest if latents is None else latents.at
    mixed = _mixed_to(prepared, target, effort, index, listener, clock)
    return mixed if stored is None else [stored, *mixed]


def _stored_to(prepared: Prepared, target: Target, effort: int, *, always: bool) -> _Found | None:
    """Return the picture stored as pixels in the best way within a size, or in the shortest with a distortion.

    always: also a photograph.
    """
    raster = prepared.raster
    offers = graphics.offers(
        raster, FIRST_INDEX, always=always, effort=effort
    )  # with all colours, then with fewer and fewer
    per_pixel = 8 / (raster.width * raster.height) if target.kind == "bpp" else 1
    good: list[tuple[bytes, graphics.Candidate, bool]] = []
    for number, each in enumerate(offers):
        data = pack(each.container)
        if target.at_most and len(data) * per_pixel <= target.value:
            good.append((data, each, number == 0))
            break  # what has more colours is better
        if not target.at_most:
            if likeness_in_sight(target, raster, each.levels) < target.value:
                break
            good.append((data, each, number == 0))
    if not good:
        return None
    data, best, exact = min(good, key=lambda each: len(each[0]))
    return _Found(data, lambda: best.levels, FIRST_INDEX, exact)


def _mixed_to(
    prepared: Prepared,
    target: Target,
    effort: int,
    index: int,
    listener: Listener | None,
    clock: Clock,
) -> list[_Found]:
    """Return files that come closest with rectangles of graphics over their latents, if the picture has some.

    index: of what came closest without.
    """
    raster, model = prepared.raster, prepared.model
    found: list[_Found] = []
    for _ in range(2):  # rectangles for the quality of the rest, which is higher with them
        parts = graphics.parts(raster, model.objective, index)
        if not parts:
            break
        mixed = prepare(raster, model, tile=prepared.tile, pixels=parts, keep=True)
        try:
            found.append(_latents_to(mixed, target, effort, listener, clock))
        except TargetError:
            break
        if found[-1].at == index:
            break
        index = found[-1].at
    return found


def _latents_to(
    prepared: Prepared, target: Target, effort: int, listener: Listener | None, clock: Clock
) -> _Found:
    """Return the file that comes closest by its latents."""
    try:
        met = _closest(prepared, target, effort, listener, clock)
        return _Found(file_of(met.made), lambda: reconstruct(met.made), met.index)
    except TargetError as error:
        raise TargetError(f"{error}{_share_of_metadata(prepared, target)}") from error


def _closest(
    prepared: Prepared, target: Target, effort: int, listener: Listener | None, clock: Clock
) -> Met[Encoding]:
    trials = _Trials(prepared, target, 0, None, clock)
    if not effort:
        return trials.best()
    found: Met[Encoding] | None = None
    with contextlib.suppress(TargetError):
        found = trials.best()
    # What was not met without effort may be met with it, at the end.
    first = found.index if found else 0 if target.at_most else MAX_INDEX
    try:
        return dataclasses.replace(trials, effort=effort, listener=listener).best(first)
    except TargetError:
        if found is None:
            raise
        return found  # a search may end a few bytes above what it began with, for a better picture


def _share_of_metadata(prepared: Prepared, target: Target) -> str:
    """What may be left out of a file that is too large at any quality, if there is something."""
    if not target.at_most or not prepared.before:
        return ""
    kinds = [f"{len(section.payload):,} bytes of {section.name.upper()}" for section in prepared.before]
    return f", with {' and '.join(kinds)}, which --strip (metadata=False) leaves out"
