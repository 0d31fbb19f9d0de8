"""All levels of effort of one picture, for whoever compares them: each goes on from where the one below has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rdae.codec.encode import compress
from rdae.codec.encoding import Prepared, encoding_of, file_of, prepare, searched_encoding
from rdae.codec.refinement import Found, Plan, Refined, better, plans, refine, tiles_with_neighbours
from rdae.networks.model import Model
from rdae.pictures.raster import Raster


def effort_levels(
    picture: npt.NDArray[np.uint8] | Raster, model: Model, quality_index: int, highest: int
) -> Iterator[tuple[bytes, float]]:
    """Yield the files of the levels of effort 0..highest, and the seconds that `compress` takes for each alone.

    Only of pictures of one tile does that take no longer than the highest.  There the seconds of a level between count
    the gradient with which the next one begins, too.
    """
    begun = time.perf_counter()
    prepared = prepare(picture, model)
    if len(prepared.grid) > 1:
        for effort in range(highest + 1):
            begun = time.perf_counter()
            data = compress(picture, model, quality_index, effort=effort)
            yield data, time.perf_counter() - begun
        return
    data = file_of(searched_encoding(prepared, quality_index))
    yield data, time.perf_counter() - begun
    spent, best, plain_bits = 0.0, None, 0.0
    for plan in plans(highest):
        begun = time.perf_counter()
        refined = _refined(prepared, quality_index, plan)
        before_stages = time.perf_counter() - begun - refined.seconds[-1]
        found: Found | None = None
        for found, seconds in zip(refined.history[1:], refined.seconds[1:], strict=True):
            begun = time.perf_counter()
            if best is None or better(found.cost, best.cost, plain_bits):
                encoding = encoding_of(prepared, plan.aim(quality_index).index, found.quantised)
                data = file_of(encoding)
            yield data, spent + before_stages + seconds + time.perf_counter() - begun
        if best is None:
            plain_bits = refined.plain.bits
            best = found
        spent += before_stages + refined.seconds[-1]


def _refined(prepared: Prepared, quality_index: int, plan: Plan) -> Refined:
    """Search a picture of one tile."""
    aim = plan.aim(quality_index)
    rows = prepared.rows_of_tiles(aim.index)
    (only,) = tiles_with_neighbours(prepared.levels, rows, prepared.grid)
    return refine(prepared.model, only.levels, only.y, only.tile, aim, plan.stages)
