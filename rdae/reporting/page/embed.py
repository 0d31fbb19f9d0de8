"""Pictures into a page of a bounded size: whole and lossless where that fits, else the same crop of each."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from rdae.codec.tiles import Region
from rdae.errors import ResultsError
from rdae.metrics import Picture

Group = Sequence[Picture]  # pictures of one size: the original, the codec's, and others

BASE64 = 4 / 3
STEP = 16  # crops begin and end at positions of the latents
LEAST_SIDE = 64
LEAST_SHARE = 1e-4


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as a URI of that media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def lossless(picture: Picture) -> bytes:
    """A WebP file of exactly this picture; PNG where a side is beyond WebP's 16383."""
    buffer = io.BytesIO()
    image = Image.fromarray(picture)
    if max(picture.shape[:2]) > 16383:
        image.save(buffer, "PNG", optimize=True)
    else:
        image.save(buffer, "WEBP", lossless=True, quality=60, method=4)
    return buffer.getvalue()


def uri_of(data: bytes) -> str:
    """What `lossless` made, as a URI."""
    return data_uri(data, "image/png" if data.startswith(b"\x89PNG") else "image/webp")


def fit(
    groups: Sequence[Group], budget: int, about: Sequence[Region] | None = None
) -> tuple[list[list[str]], list[Region | None]]:
    """The pictures as URIs of at most `budget` characters together, and for each group the crop, None if whole.

    All groups are cropped by the same share, about regions, one for each; without these about where the codec's version
    differs most from the original.
    ResultsError if not even small crops fit.
    """
    made = [[lossless(picture) for picture in group] for group in groups]
    crops: list[Region | None] = [None] * len(groups)
    share = 1.0
    while (size := _characters(made)) > budget:
        # Crops are of the busiest region, so that they take more than their share.
        share *= 0.85 * min(1.0, max(budget, 1) / size)
        if share < LEAST_SHARE:
            raise ResultsError("the pictures do not fit into the page: allow a larger one, or show fewer")
        places: Sequence[Region | None] = about or [None] * len(groups)
        crops = [_crop(group, share, place) for group, place in zip(groups, places, strict=True)]
        made = [
            [lossless(np.ascontiguousarray(crop.of(picture) if crop else picture)) for picture in group]
            for group, crop in zip(groups, crops, strict=True)
        ]
    return [[uri_of(data) for data in group] for group in made], crops


def _characters(made: Sequence[Sequence[bytes]]) -> int:
    return sum(math.ceil(BASE64 * len(data)) + 32 for group in made for data in group)


def _crop(group: Group, share: float, about: Region | None) -> Region | None:
    """The rectangle of about this share of the area about a region, or where the second picture differs most."""
    height, width = group[0].shape[:2]
    side = math.sqrt(share)
    rows, columns = (
        max(min(length, LEAST_SIDE), round(length * side / STEP) * STEP) for length in (height, width)
    )
    if rows >= height and columns >= width:
        return None
    rows, columns = min(rows, height), min(columns, width)
    if about is not None:
        x, y = (2 * about.x + about.width - columns) // 2, (2 * about.y + about.height - rows) // 2
        return Region(min(max(x, 0), width - columns), min(max(y, 0), height - rows), columns, rows)
    error = np.square(group[0].astype(np.float32) - group[min(1, len(group) - 1)]).sum(axis=2)
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = error.cumsum(0, dtype=np.float64).cumsum(1)
    tops, lefts = (
        np.arange(0, length - cropped + 1, STEP) for length, cropped in ((height, rows), (width, columns))
    )
    inside = (
        sums[np.ix_(tops + rows, lefts + columns)]
        - sums[np.ix_(tops, lefts + columns)]
        - sums[np.ix_(tops + rows, lefts)]
        + sums[np.ix_(tops, lefts)]
    )
    i, j = np.unravel_index(int(inside.argmax()), inside.shape)
    return Region(int(lefts[j]), int(tops[i]), columns, rows)
