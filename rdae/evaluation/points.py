"""What was measured of one picture at one quality: bytes, distortion, seconds, and the account of the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rdae.evaluation.five_measures import DB, FIVE


@dataclass(frozen=True)
class Account:
    """The two terms of the loss (the negative ELBO, up to constants) for one real file.

    estimated_bits: -log2 of the probability of all coded integers. overhead_bits: what is in the file besides
    them: header, section lengths, checksums. beta: the weight of the MSE (0..255) in loss = bpp + beta * MSE.
    residual_bits: what exact recovery takes besides (rdae.evaluation.residual); None in files older than it.
    """

    estimated_bits: float
    overhead_bits: int
    beta: float
    residual_bits: float | None = None


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
    psnr: float  # dB, RGB, infinite for a lossless file
    ms_ssim: float | None  # None for pictures too small for it
    encoding_s: float
    decoding_s: float
    account: Account | None = None
    decoded: Agreement | None = None  # in the process that encoded
    decoded_fresh: Agreement | None = None  # in a process of its own
    psnr_y: float | None = None  # dB, BT.601 luma; None in files older than this metric
    ssimulacra2: float | None = None  # 100 for equal pictures, falling; None where it was not asked for
    # dB, by the keys of five_measures.FIVE; None where they were not asked for.
    five: Mapping[str, float] | None = field(default=None, hash=False)

    @property
    def bpp(self) -> float:
        """Bits of the file per pixel of the picture."""
        return 8 * self.file_bytes / self.pixels

    @property
    def ms_ssim_db(self) -> float | None:
        """MS-SSIM as -10 log10(1 - MS-SSIM); infinite at 1."""
        return None if self.ms_ssim is None else decibels(self.ms_ssim)

    @property
    def estimated_bpp(self) -> float | None:
        """The estimated rate per pixel."""
        return None if self.account is None else self.account.estimated_bits / self.pixels

    @property
    def residual_bpp(self) -> float | None:
        """What exact recovery takes beside the file, per pixel: with estimated_bpp an upper bound on its cost."""
        residual = None if self.account is None else self.account.residual_bits
        return None if residual is None else residual / self.pixels

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
        if self.psnr_y is not None:
            values["psnr-y"] = self.psnr_y
        if self.ssimulacra2 is not None:
            values["ssimulacra2"] = self.ssimulacra2
        if self.five is not None:
            values |= {key + DB: value for key, value in self.five.items()}
        if self.account is not None:
            values |= {
                "estimated_bits": self.account.estimated_bits,
                "overhead_bits": self.account.overhead_bits,
                "gap_percent": self.gap_percent,
                "beta": self.account.beta,
                "loss": self.loss,
            }
            if self.account.residual_bits is not None:
                values["residual_bits"] = self.account.residual_bits
        for name, agreement in (("decoded", self.decoded), ("decoded_fresh", self.decoded_fresh)):
            if agreement is not None:
                values[name] = {
                    "differing_pixels": agreement.differing_pixels,
                    "max_difference": agreement.max_difference,
                    "latents_equal": agreement.latents_equal,
                }
        return {key: rounded(value) for key, value in values.items()}


def point_from_json(values: Mapping[str, Any], pixels: int) -> Point:
    """The point that as_json wrote; KeyError, TypeError or ValueError for anything else.

    pixels: of the picture, as its points do not repeat it.
    """
    account = None
    if "estimated_bits" in values:
        account = Account(
            number(values["estimated_bits"]),
            whole(values["overhead_bits"]),
            number(values["beta"]),
            _optional(values.get("residual_bits")),
        )
    five = {key: number(values[key + DB]) for key in FIVE if key + DB in values}
    mse, psnr, psnr_y = number(values["mse-rgb"]), values["psnr-rgb"], values.get("psnr-y")
    return Point(
        quality=number(values["quality"]),
        file_bytes=whole(values["bytes"], at_least=1),
        pixels=pixels,
        mse=mse,
        psnr=math.inf if psnr is None and mse == 0 else number(psnr),
        ms_ssim=_optional(values["ms-ssim-rgb"]),
        encoding_s=number(values["encoding_time"]),
        decoding_s=number(values["decoding_time"]),
        account=account,
        decoded=_agreement(values.get("decoded")),
        decoded_fresh=_agreement(values.get("decoded_fresh")),
        psnr_y=math.inf if psnr_y is None and "psnr-y" in values else _optional(psnr_y),
        ssimulacra2=_optional(values.get("ssimulacra2")),
        five=five or None,
    )


def decibels(similarity: float) -> float:
    """-10 log10(1 - similarity), in which equal steps are seen as such near 1; infinite at 1."""
    return -10 * math.log10(1 - similarity) if similarity < 1 else math.inf


def rounded(value: Any) -> Any:
    """Nine significant digits keep result files readable; JSON has no infinity."""
    if isinstance(value, float):
        return float(f"{value:.9g}") if math.isfinite(value) else None
    return value


def number(value: object) -> float:
    """A finite number out of a JSON file; TypeError or ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"found {type(value).__name__}, expected a number")
    if not math.isfinite(value):
        raise ValueError(f"found {value}, expected a finite number")
    return float(value)


def whole(value: object, at_least: int = 0) -> int:
    """A whole number out of a JSON file; TypeError or ValueError if it is none or too small."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"found {type(value).__name__}, expected a whole number")
    if value < at_least:
        raise ValueError(f"found {value}, expected at least {at_least}")
    return value


def _optional(value: object) -> float | None:
    return None if value is None else number(value)


def _agreement(values: Mapping[str, Any] | None) -> Agreement | None:
    if values is None:
        return None
    differing, largest = whole(values["differing_pixels"]), whole(values["max_difference"])
    return Agreement(differing, largest, latents_equal=values["latents_equal"] is True)
