"""What an evaluation found, a point for each picture and quality, and its JSON file.

The file has the form of CompressAI's result files ("results" with "bpp", "psnr-rgb", ...: means over the
pictures, an entry a quality) and more: the points of each picture, the account of rate and distortion.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rdae.evaluation.curves import Curve


@dataclass(frozen=True)
class Account:
    """The two terms of the loss (the negative ELBO, up to constants) for one real file.

    estimated_bits: -log2 of the probability of all coded integers. overhead_bits: what is in the file besides
    them: header, section lengths, checksums. beta: the weight of the MSE (0..255) in loss = bpp + beta * MSE.
    """

    estimated_bits: float
    overhead_bits: int
    beta: float


@dataclass(frozen=True)
class Agreement:
    """How a decoded picture and its latents compare with the encoder's own."""

    differing_pixels: int
    max_difference: int  # levels, 0..255
    latents_equal: bool


@dataclass(frozen=True)
class Point:
    """One picture at one quality. bpp counts all bytes of the file; metrics are of the decoded picture."""

    quality: float
    file_bytes: int
    pixels: int
    mse: float
    psnr: float  # dB, infinite for a lossless file
    ms_ssim: float | None  # None for pictures too small for it
    encoding_s: float
    decoding_s: float
    account: Account | None = None
    decoded: Agreement | None = None  # in the process that encoded
    decoded_fresh: Agreement | None = None  # in a process of its own

    @property
    def bpp(self) -> float:
        """Bits of the file per pixel of the picture."""
        return 8 * self.file_bytes / self.pixels

    @property
    def estimated_bpp(self) -> float | None:
        """The estimated rate per pixel."""
        return None if self.account is None else self.account.estimated_bits / self.pixels

    @property
    def overhead_bpp(self) -> float | None:
        """What the container costs per pixel."""
        return None if self.account is None else self.account.overhead_bits / self.pixels

    @property
    def beta(self) -> float | None:
        """The weight of the MSE in the loss."""
        return None if self.account is None else self.account.beta

    @property
    def gap_percent(self) -> float | None:
        """By how much the file is larger than its estimated rate and overhead together."""
        if self.account is None:
            return None
        return 100 * (8 * self.file_bytes / (self.account.estimated_bits + self.account.overhead_bits) - 1)

    @property
    def loss(self) -> float | None:
        """The bpp really paid + beta * MSE."""
        return None if self.account is None else self.bpp + self.account.beta * self.mse

    def as_json(self) -> dict[str, Any]:
        """The point as it stands in a result file; None where a value does not apply or is infinite."""
        values: dict[str, Any] = {
            "quality": self.quality,
            "bytes": self.file_bytes,
            "bpp": self.bpp,
            "psnr-rgb": self.psnr,
            "ms-ssim-rgb": self.ms_ssim,
            "mse-rgb": self.mse,
            "encoding_time": self.encoding_s,
            "decoding_time": self.decoding_s,
        }
        if self.account is not None:
            values |= {
                "estimated_bits": self.account.estimated_bits,
                "overhead_bits": self.account.overhead_bits,
                "gap_percent": self.gap_percent,
                "beta": self.account.beta,
                "loss": self.loss,
            }
        for name, agreement in (("decoded", self.decoded), ("decoded_fresh", self.decoded_fresh)):
            if agreement is not None:
                values[name] = {
                    "differing_pixels": agreement.differing_pixels,
                    "max_difference": agreement.max_difference,
                    "latents_equal": agreement.latents_equal,
                }
        return {key: _rounded(value) for key, value in values.items()}


@dataclass(frozen=True)
class PictureResult:
    """The points of one picture, by rising quality."""

    name: str
    width: int
    height: int
    points: tuple[Point, ...]

    def falls(self) -> list[str]:
        """Where bpp or PSNR does not rise from one quality to the next, in words; empty if both always do."""
        return [
            f"{self.name}: {what} {getattr(low, key):.4f} at quality {low.quality:g}, "
            f"{getattr(high, key):.4f} at {high.quality:g}"
            for low, high in zip(self.points, self.points[1:], strict=False)
            for what, key in (("bpp", "bpp"), ("PSNR", "psnr"))
            if not getattr(high, key) > getattr(low, key)
        ]


@dataclass(frozen=True)
class Evaluation:
    """One codec on a set of pictures. All pictures have a point for each of the qualities.

    failures: (picture, message) of those that could not be measured; they are in no mean.
    """

    name: str
    description: str
    qualities: tuple[float, ...]
    pictures: tuple[PictureResult, ...]
    failures: tuple[tuple[str, str], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)

    def means(self) -> dict[str, list[float | None]]:
        """Means over the pictures, an entry a quality; PSNR is the mean of the pictures' PSNR."""
        getters: dict[str, Callable[[Point], float | None]] = {
            "quality": lambda p: p.quality,
            "bpp": lambda p: p.bpp,
            "psnr-rgb": lambda p: p.psnr,
            "ms-ssim-rgb": lambda p: p.ms_ssim,
            "mse-rgb": lambda p: p.mse,
            "encoding_time": lambda p: p.encoding_s,
            "decoding_time": lambda p: p.decoding_s,
        }
        if any(point.account for picture in self.pictures for point in picture.points):
            getters |= {
                "estimated_bpp": lambda p: p.estimated_bpp,
                "overhead_bpp": lambda p: p.overhead_bpp,
                "gap_percent": lambda p: p.gap_percent,
                "beta": lambda p: p.beta,
                "loss": lambda p: p.loss,
            }
        columns = list(zip(*(picture.points for picture in self.pictures), strict=True))
        return {key: [_mean([get(p) for p in column]) for column in columns] for key, get in getters.items()}

    def curve(self) -> Curve:
        """The mean points that have a finite PSNR, by rising rate."""
        means = self.means()
        rows = sorted(zip(means["bpp"], means["psnr-rgb"], means["ms-ssim-rgb"], strict=True), key=_first)
        finite = [(b, p, m) for b, p, m in rows if b is not None and p is not None and math.isfinite(p)]
        ms_ssim = tuple(m for _, _, m in finite if m is not None)
        return Curve(
            self.name,
            tuple(b for b, _, _ in finite),
            tuple(p for _, p, _ in finite),
            ms_ssim if len(ms_ssim) == len(finite) else (),
        )

    def to_json(self) -> str:
        """The content of a result file."""
        results = {key: [_rounded(v) for v in column] for key, column in self.means().items()}
        falls = [line for picture in self.pictures for line in picture.falls()]
        content = {
            "name": self.name,
            "description": self.description,
            "meta": dict(self.meta),
            "results": results,
            "monotone": {"holds": not falls, "exceptions": falls},
            "failures": [{"picture": name, "error": message} for name, message in self.failures],
            "pictures": [
                {
                    "name": picture.name,
                    "width": picture.width,
                    "height": picture.height,
                    "points": [point.as_json() for point in picture.points],
                }
                for picture in self.pictures
            ],
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _first(row: tuple[float | None, ...]) -> float:
    return row[0] or 0.0


def _rounded(value: Any) -> Any:
    """Nine significant digits keep result files readable; JSON has no infinity."""
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value
