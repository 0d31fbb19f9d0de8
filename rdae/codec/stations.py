"""All levels of effort of one picture, for whoever compares them: they are stations of the same searches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rdae.clock import Clock
from rdae.codec.bands import Picture
from rdae.codec.encoder import Encoder, Subject
from rdae.codec.encoding import compress
from rdae.model import Model
from rdae.pictures.raster import Raster
from rdae.refinement import better, plans
from rdae.training.modules.layers import exact_float32


def efforts(
    picture: Picture | Raster, model: Model, quality_index: int, highest: int
) -> Iterator[tuple[bytes, float]]:
    """Yield the files of the levels of effort 0..highest, and the seconds that `compress` takes for each alone.

    Only of pictures of one tile does that take no longer than the highest.
    """
    subject = Subject(picture, model, "auto")
    if len(subject.grid) > 1:
        for effort in range(highest + 1):
            clock = Clock()
            with clock.stage("all"):
                data = compress(picture, model, quality_index, effort=effort)
            yield data, clock.seconds["all"]
        return
    plain, clock = Clock(), Clock()
    with _encoding(plain):
        data = subject.compress(quality_index, Clock())
    yield data, plain.seconds["all"]
    before, bits = None, 0.0
    for plan in plans(highest):
        with _encoding(clock):
            (search,) = Encoder(subject, quality_index, Clock(), plan=plan).searches()
            stations = search.each(plan.stages)
            next(stations)  # the plain encoding: it has been measured, too
        for _ in plan.stages:
            with _encoding(clock):
                found = next(stations)
                if before is None or better(found.cost, before.cost, bits):
                    encoder = Encoder(subject, quality_index, Clock(), plan=plan)
                    encoder.take(found.coded)
                    data = encoder.file()
            yield data, clock.seconds["all"]
        if before is None:
            bits = search.plain.bits  # what `Tally` measures doubt by, too
        before = found


@contextmanager
def _encoding(clock: Clock) -> Iterator[None]:
    """Where tensors are made, for a generator, around whose yields this must not be."""
    with torch.inference_mode(), exact_float32(), clock.stage("all"):
        yield
