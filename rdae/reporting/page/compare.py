"""The same picture by several codecs at equal bytes or equal PSNR: what the page's slider slides between."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rdae import metrics
from rdae.errors import ResultsError
from rdae.evaluation.codecs import PILLOW_CODECS, Codec, PillowCodec, Rdae, is_here, nearest_index
from rdae.evaluation.points import Point
from rdae.metrics import Picture
from rdae.networks import registry
from rdae.reporting.page.gather import CodecResults

if TYPE_CHECKING:
    from rdae.api import Model


@dataclass(frozen=True, eq=False)
class Version:
    """A picture as one codec gives it back.

    codec: its index in the comparison. match: "bytes" or "psnr", or "" for the codec that the others are matched to.
    """

    codec: int
    match: str
    quality: float
    data: bytes
    picture: Picture
    psnr: float
    ms_ssim: float | None
    ssimulacra2: float | None = None


def codec_of(results: CodecResults, threads: int | None = None, given: Sequence[Model] = ()) -> Codec | None:
    """What made a result file, to make more: the model it names, or a codec of Pillow; None if it is not known here.

    threads: that a model computes with; None: as many as may.  given: models to look among first.
    WeightsError if the model is not installed either.
    """
    model_id = model_id_of(results)
    if model_id:
        from rdae import open_model

        try:
            identity = bytes.fromhex(model_id)
        except ValueError:
            message = f"{results.name}: its model is called {model_id!r}, expected a hexadecimal number"
            raise ResultsError(message) from None
        for model in given:
            if model.model_id == identity:
                return Rdae(model)
        return Rdae(open_model(registry.find_by_id(identity), threads=threads))
    codec = pillow_codec_of(results)
    return codec if codec is not None and is_here(codec) else None


def model_id_of(results: CodecResults) -> str:
    """The id, in hexadecimal, of the model whose results these are; "" if they are of none."""
    evaluation = results.evaluation
    return str(evaluation.meta.get("model", "")) if evaluation is not None else ""


def pillow_codec_of(results: CodecResults) -> PillowCodec | None:
    """The codec of Pillow whose results these are; None if they are of none."""
    stated = results.evaluation.codec.get("name") if results.evaluation is not None else None
    for name, codec in PILLOW_CODECS.items():
        if not results.is_published and (stated == name or codec.title == results.name):
            return codec
    return None


def at(index: int, codec: Codec, picture: Picture, quality: float) -> Version:
    """A picture encoded at a quality and decoded. index: of the codec in the comparison."""
    return _version(index, codec, picture, quality, codec.encode(picture, quality))


def matched(
    index: int, codec: Codec, picture: Picture, to: Version, *, match: str, known: Sequence[Point] = ()
) -> Version:
    """A picture encoded at the quality at which bytes, or PSNR, come nearest to those of another version of it.

    The quality is found by bisection, in eight encodings or so. Where a codec's smallest or largest file is still too
    large or too small, it is that file.
    known: points of this picture by this codec, between which the quality is looked for.
    """
    qualities = codec.all_qualities

    @functools.cache
    def data_at(i: int) -> bytes:
        return codec.encode(picture, qualities[i])

    @functools.cache
    def reached(i: int) -> float:
        # Bytes are compared by ratio, PSNR by difference.
        data = data_at(i)
        return math.log(len(data)) if match == "bytes" else metrics.psnr(picture, codec.decode(data))

    wanted = math.log(len(to.data)) if match == "bytes" else to.psnr
    low, high = 0, len(qualities) - 1
    for point in known:
        if point.quality in qualities:
            has = math.log(point.file_bytes) if match == "bytes" else point.psnr
            i = qualities.index(point.quality)
            low, high = (max(low, i), high) if has < wanted else (low, min(high, i))
    best = nearest_index(reached, low, max(low, high), wanted)
    return _version(index, codec, picture, qualities[best], data_at(best), match=match)


def _version(
    index: int, codec: Codec, picture: Picture, quality: float, data: bytes, *, match: str = ""
) -> Version:
    decoded = codec.decode(data)
    psnr, ms_ssim = metrics.psnr(picture, decoded), metrics.ms_ssim(picture, decoded)
    return Version(index, match, quality, data, decoded, psnr, ms_ssim)
