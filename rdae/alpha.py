"""Transparency: kept exactly, in few bytes, and colours that nobody sees made cheap.

A payload is a byte that names the method, then for

    CONSTANT  one byte, the alpha of all pixels
    PLAIN     all rows, top to bottom, left to right, packed (rdae.packing)
    LEFT      the same, but of each pixel less its left neighbour (0 at the border), modulo 256

Masks of text and shapes are smallest plain, soft ones by their differences. The size comes from the file's header,
which its reader has checked.
"""

import numpy as np
import numpy.typing as npt

from rdae.errors import CorruptError
from rdae.packing import pack, unpack_parts

CONSTANT, PLAIN, LEFT = 0, 1, 2
OPAQUE = 255
THOROUGH_PIXELS = 1 << 22  # more are packed with less effort: seconds, not minutes

Plane = npt.NDArray[np.uint8]  # (h, w)
Levels = npt.NDArray[np.uint8]  # (h, w, 3)
Numbers = npt.NDArray[np.float32]


def encode(alpha: Plane) -> bytes:
    """The payload of a plane of alpha, uint8 (h, w)."""
    first = int(alpha[0, 0])
    if bool((alpha == first).all()):
        return bytes([CONSTANT, first])
    planes = {PLAIN: np.ascontiguousarray(alpha), LEFT: _differences(alpha)}
    # Which is better shows at the lowest effort already.
    method = min(planes, key=lambda each: len(pack(planes[each].data, 0)))
    return bytes([method]) + pack(planes[method].data, 6 if alpha.size <= THOROUGH_PIXELS else 1)


def decode(payload: bytes, width: int, height: int) -> Plane:
    """The plane, uint8 (height, width); CorruptError if the payload is not one of that size."""
    if not payload or payload[0] not in (CONSTANT, PLAIN, LEFT):
        raise CorruptError(f"alpha of an unknown method: {payload[:1]!r}")
    if payload[0] == CONSTANT:
        if len(payload) != 2:
            raise CorruptError(f"constant alpha of {len(payload)} bytes, expected 2")
        return np.full((height, width), payload[1], np.uint8)
    plane = np.empty(height * width, np.uint8)
    end = 0
    for part in unpack_parts(payload[1:], plane.size):
        plane[end : end + len(part)] = np.frombuffer(part, np.uint8)
        end += len(part)
    if end < plane.size:
        raise CorruptError(f"alpha of {end} pixels, expected {plane.size}")
    plane = plane.reshape(height, width)
    if payload[0] == LEFT:
        np.add.accumulate(plane, axis=1, dtype=np.uint8, out=plane)
    return plane


def fill(levels: Levels, alpha: Plane) -> Levels:
    """The picture with other colours where alpha is 0: such that they cost next to nothing.

    They go on smoothly from the colours in sight, finer near them: means over 2 x 2, 4 x 4, ... pixels of what can be
    seen, of which each place without takes the finest that has something, interpolated.
    """
    unseen = alpha == 0
    if not unseen.any():
        return levels
    if unseen.all():
        return np.full_like(levels, 128)
    sums, weights = _halved(levels, ~unseen)
    filled = levels.copy()
    means = _filled(sums, weights)
    for top in range(0, len(levels), 2 * BAND):
        rows = slice(top, min(top + 2 * BAND, len(levels)))
        place = unseen[rows]
        if place.any():
            wanted = _doubled(means, top // 2, len(place), levels.shape[1])
            filled[rows][place] = np.round(wanted[place]).astype(np.uint8)
    return filled


BAND = 64


def _differences(alpha: Plane) -> Plane:
    found = alpha.copy()
    found[:, 1:] -= alpha[:, :-1]
    return found


def _halved(values: npt.NDArray[np.generic], weights: npt.NDArray[np.generic]) -> tuple[Numbers, Numbers]:
    """Sums over 2 x 2 of weighted values, (h, w, 3), and of weights, (h, w); of bands, so as to need little memory."""
    height, width = weights.shape
    sums = np.zeros((-(-height // 2), -(-width // 2), 3), np.float32)
    total = np.zeros(sums.shape[:2], np.float32)
    for top in range(0, height, 2 * BAND):
        weight = weights[top : top + 2 * BAND].astype(np.float32)
        value = values[top : top + 2 * BAND] * weight[:, :, None]
        for row in range(2):
            for column in range(2):
                part = weight[row::2, column::2]
                there = (slice(top // 2, top // 2 + part.shape[0]), slice(part.shape[1]))
                total[there] += part
                sums[there] += value[row::2, column::2]
    return sums, total


def _filled(sums: Numbers, weights: Numbers) -> Numbers:
    """Means (h, w, 3) where there is weight, and elsewhere those of the next coarser picture."""
    means = sums / np.maximum(weights, 1)[:, :, None]
    nothing = weights == 0
    if nothing.any():
        # Each place counts once from now on, however much of it can be seen.
        coarser = _filled(*_halved(means, ~nothing))
        for top in range(0, len(means), 2 * BAND):
            rows = slice(top, min(top + 2 * BAND, len(means)))
            place = nothing[rows]
            means[rows][place] = _doubled(coarser, top // 2, len(place), means.shape[1])[place]
    return means


def _doubled(coarse: Numbers, top: int, height: int, width: int) -> Numbers:
    """Rows 2 top ... of the picture at twice the size, (height, width, 3), interpolated linearly."""
    rows = np.clip(np.arange(top - 1, top + -(-height // 2) + 1), 0, len(coarse) - 1)
    columns = np.clip(np.arange(-1, -(-width // 2) + 1), 0, coarse.shape[1] - 1)
    tall = _between(coarse[rows], axis=0)[:height]
    return _between(tall[:, columns], axis=1)[:, :width]


def _between(values: Numbers, axis: int) -> Numbers:
    """Twice as many values along an axis, less those of the neighbours at its ends."""
    values = np.moveaxis(values, axis, 0)
    out = np.empty((2 * (len(values) - 2), *values.shape[1:]), np.float32)
    out[0::2] = 0.75 * values[1:-1] + 0.25 * values[:-2]
    out[1::2] = 0.75 * values[1:-1] + 0.25 * values[2:]
    return np.moveaxis(out, 0, axis)
