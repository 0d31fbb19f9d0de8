"""Bjøntegaard deltas: one number for the distance between two rate-distortion curves.

Log-rate over PSNR (BD-rate) or PSNR over log-rate (BD-PSNR) is interpolated by PCHIP, which keeps a rising
curve rising, and the difference is averaged over the range that both curves cover. The classic way, one cubic
polynomial through all points of a curve, is there for comparison with older numbers: between points far apart it
swings. Any metric that rises with the rate may stand in PSNR's place.
Sources: G. Bjøntegaard, VCEG-M33, 2001; F. N. Fritsch and R. E. Carlson, SIAM J. Numer. Anal. 17, 1980.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdae.errors import ResultsError

# Of the shorter of two ranges: below it the number would tell of the ends of the curves, not of the curves.
MIN_OVERLAP = 0.25
METHODS = ("pchip", "cubic")
MIN_POINTS = 3
CUBIC_POINTS = 4

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class BDelta:
    """A Bjøntegaard delta and the range it was averaged over.

    value: percent of rate (BD-rate; negative: fewer bits for the same PSNR) or dB (BD-PSNR; positive: a
        better picture for the same bits).
    low, high: the overlap, in dB for BD-rate and in bpp for BD-PSNR.
    share: the overlap as a share of the test curve's own range, 0 to 1.
    """

    value: float
    low: float
    high: float
    share: float


def bd_rate(
    anchor_bpp: Sequence[float],
    anchor_psnr: Sequence[float],
    bpp: Sequence[float],
    psnr: Sequence[float],
    method: str = "pchip",
) -> BDelta:
    """BD-rate of (bpp, psnr) against the anchor, in percent.

    Points may come in any order. method: one of METHODS. ResultsError for fewer than 3 points (cubic: 4), for a
    PSNR that does not rise with the rate, and for an overlap below MIN_OVERLAP of the shorter PSNR range.
    """
    anchor, test = _curve(anchor_bpp, anchor_psnr, method), _curve(bpp, psnr, method)
    low, high, share = _overlap(anchor[1], test[1], "")
    mean = _MEANS[method]
    difference = mean(test[1], test[0], low, high) - mean(anchor[1], anchor[0], low, high)
    return BDelta(float(100 * np.expm1(difference)), low, high, share)


def bd_psnr(
    anchor_bpp: Sequence[float],
    anchor_psnr: Sequence[float],
    bpp: Sequence[float],
    psnr: Sequence[float],
    method: str = "pchip",
) -> BDelta:
    """BD-PSNR of (bpp, psnr) against the anchor, in dB, averaged over log-rate. Errors as for bd_rate."""
    anchor, test = _curve(anchor_bpp, anchor_psnr, method), _curve(bpp, psnr, method)
    low, high, share = _overlap(anchor[0], test[0], " log bpp")
    mean = _MEANS[method]
    difference = mean(test[0], test[1], low, high) - mean(anchor[0], anchor[1], low, high)
    return BDelta(float(difference), float(np.exp(low)), float(np.exp(high)), share)


def pchip_slopes(x: Floats, y: Floats) -> Floats:
    """Slopes at the knots that make the cubic Hermite interpolant monotone where the data are.

    Inside: the weighted harmonic mean of the neighbouring secants, 0 at a turning point. Ends: the
    three-point formula, held to the sign and three times the size of the end secant. As scipy's pchip.
    x: strictly rising, (n >= 3,).
    """
    step = np.diff(x)
    secant = np.diff(y) / step
    slopes = np.zeros_like(y)
    w1, w2 = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    same_sign = secant[:-1] * secant[1:] > 0
    left, right = (np.where(same_sign, part, 1.0) for part in (secant[:-1], secant[1:]))
    slopes[1:-1] = np.where(same_sign, (w1 + w2) / (w1 / left + w2 / right), 0.0)
    slopes[0] = _end_slope(step[0], step[1], secant[0], secant[1])
    slopes[-1] = _end_slope(step[-1], step[-2], secant[-1], secant[-2])
    return slopes


def pchip_integral(x: Floats, y: Floats, low: float, high: float) -> float:
    """Integral of the PCHIP interpolant of (x, y) from low to high, both within x, in closed form."""
    slopes = pchip_slopes(x, y)
    start, end = x[:-1], x[1:]
    a, b = np.clip(low, start, end), np.clip(high, start, end)
    step = end - start
    total = 0.0
    for bound, sign in ((b, 1.0), (a, -1.0)):
        t = (bound - start) / step
        # Antiderivatives of the four Hermite basis polynomials.
        parts = (
            y[:-1] * (t**4 / 2 - t**3 + t)
            + y[1:] * (t**3 - t**4 / 2)
            + step * slopes[:-1] * (t**4 / 4 - 2 * t**3 / 3 + t**2 / 2)
            + step * slopes[1:] * (t**4 / 4 - t**3 / 3)
        )
        total += sign * float(np.sum(step * parts))
    return total


def cubic_integral(x: Floats, y: Floats, low: float, high: float) -> float:
    """Integral from low to high of the cubic polynomial that fits (x, y) best in squares."""
    # Centred and scaled, or powers of 30 to 40 dB would cost digits.
    centre, scale = float(x.mean()), float(x.std())
    antiderivative = np.polynomial.Polynomial.fit(x, y, 3, domain=[centre - scale, centre + scale]).integ()
    return float(antiderivative(high) - antiderivative(low))


def _pchip_mean(x: Floats, y: Floats, low: float, high: float) -> float:
    return pchip_integral(x, y, low, high) / (high - low)


def _cubic_mean(x: Floats, y: Floats, low: float, high: float) -> float:
    return cubic_integral(x, y, low, high) / (high - low)


_MEANS = {"pchip": _pchip_mean, "cubic": _cubic_mean}


def _end_slope(step: float, next_step: float, secant: float, next_secant: float) -> float:
    slope = ((2 * step + next_step) * secant - step * next_secant) / (step + next_step)
    if slope * secant <= 0:
        return 0.0
    if secant * next_secant < 0 and abs(slope) > 3 * abs(secant):
        return 3 * secant
    return slope


def _curve(bpp: Sequence[float], psnr: Sequence[float], method: str) -> tuple[Floats, Floats]:
    """(log bpp, psnr) by rising rate, checked."""
    least = CUBIC_POINTS if method == "cubic" else MIN_POINTS
    if len(bpp) != len(psnr) or len(bpp) < least:
        found = f"{len(bpp)} and {len(psnr)}"
        raise ResultsError(f"a curve needs at least {least} points of bpp and PSNR, got {found}")
    rate, distortion = np.asarray(bpp, dtype=np.float64), np.asarray(psnr, dtype=np.float64)
    if not (np.isfinite(rate).all() and np.isfinite(distortion).all() and (rate > 0).all()):
        raise ResultsError("a curve holds a rate or a PSNR that is not a positive finite number")
    order = np.argsort(rate)
    rate, distortion = rate[order], distortion[order]
    if not ((np.diff(rate) > 0).all() and (np.diff(distortion) > 0).all()):
        raise ResultsError("a curve's PSNR does not rise with its rate, so it has no BD-rate")
    return np.log(rate), distortion


def _overlap(anchor: Floats, test: Floats, unit: str) -> tuple[float, float, float]:
    low, high = float(max(anchor[0], test[0])), float(min(anchor[-1], test[-1]))
    spans = [float(values[-1] - values[0]) for values in (anchor, test)]
    if high - low < MIN_OVERLAP * min(spans):
        raise ResultsError(
            f"the curves overlap too little: {anchor[0]:.2f} to {anchor[-1]:.2f} and "
            f"{test[0]:.2f} to {test[-1]:.2f}{unit}, expected at least {MIN_OVERLAP:.0%} of the shorter"
        )
    return low, high, (high - low) / spans[1]
