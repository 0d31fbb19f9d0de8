"""SSIMULACRA2, a measure of how alike two pictures look: its error, its score and the gradient of the error.

Both pictures are taken to linear light, halved five times, and compared at each scale in XYB, colours that are even
for the eye: by the error of SSIM, by edges that only the second has (artefacts) and by those that it lost (blur).  The
weighted sum of these maps' means and 4-norms is the error; a curve makes the score of it.

Weights, constants and borders are those of libjxl's program, as the package `ssimulacra2` has them. There are no matrix
products here, for which numpy would start threads: on a busy machine they wait for each other, in four times the time.
https://github.com/cloudinary/ssimulacra2
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rdae.metrics import STRIP, WINDOW, blur

Floats = npt.NDArray[np.float32]
Levels = npt.NDArray[np.uint8]

MIN_SIDE = 8
"""Pixels of the shorter side of what is compared, at the coarsest scale."""

Weights = tuple[float, float, float, float, float, float]
"""Of the means of SSIM's error, of artefacts and of blur, and of the 4-norms of the same three."""

X, Y, B = range(3)

WEIGHTS: tuple[dict[int, Weights], ...] = (
    {Y: (0, 0, 0, 7.466890328078848, 0, 17.445833984131262)},
    {
        X: (0, 0, 0, 1.1041726426657346, 0, 0),
        Y: (0, 0, 0, 6.683678146179332, 0, 1.027889937768264),
    },
    {
        X: (0, 0, 0, 1.8422455520539298, 11.441172603757666, 0),
        Y: (225.20515300849274, 0, 0, 19.213238186143016, 0, 0),
    },
    {
        X: (0, 0, 0, 1.8787594979546387, 10.94906990605142, 0),
        Y: (176.39317598450694, 0, 0, 24.43300999870476, 0.28520802612117757, 0),
        B: (0, 0, 0, 8.826982764996862, 23.19243343998926, 0),
    },
    {
        X: (0, 0.9677937080626833, 0, 0, 0.9981766977854967, 0),
        Y: (0, 0, 0, 34.77906344483772, 44.835625328877896, 0),
        B: (
            95.1080498811086,
            0.9863978034400682,
            0.9834382792465353,
            0,
            171.2667255897307,
            0.9807858872435379,
        ),
    },
)
"""By scale and channel, finest first.  Those below 0.01 are left out: all of them together are 0.02."""

SCALES = 6
"""How many scales the program looks at.  At the last nothing counts, but it takes part where weights are shifted."""

TOTAL = 0.9562382616834844
"""What the weighted sum is multiplied by, before the curve."""

C2 = 0.0009

OPSIN = (
    (0.30, 0.622, 0.078),
    (0.23, 0.692, 0.078),
    (0.24342268924547819, 0.20476744424496821, 0.55180986650955360),
)
"""Linear red, green and blue -> what the eye's three kinds of cones get."""

BIAS = 0.0037930732552754493

LEAST = 1e-28
"""Added to means of fourth powers, whose root has no slope at 0: equal pictures get a gradient of 0."""


def score(error: float) -> float:
    """SSIMULACRA2 of an error: 100 if there is none, 90 hardly seen, 70 good, 30 bad, below 0 worse."""
    bent = error * (2.326765642916932 + error * (-0.020884521182843837 + error * 6.248496625763138e-05))
    return 100.0 - 10.0 * float(max(0.0, bent) ** 0.6276336467831387)


def ssimulacra2(first: Levels, second: Levels) -> float | None:
    """SSIMULACRA2 of two pictures as libjxl's program has it, None where a side is below 8 pixels.

    first: the original; both uint8 (h, w, 3), sRGB.  ValueError if their shapes differ.
    """
    if min(first.shape[:2]) < MIN_SIDE:
        return None
    return score(Original(first, _shifted(first.shape)).error(second))


def xyb(levels: Levels) -> Floats:
    """X, Y and B of a picture, uint8 (h, w, 3), sRGB, as they are compared here: (3, h, w).

    Distances in it are about as large as they look.
    """
    channels = (X, Y, B)
    colours = _Colours(_linear(levels), channels)
    return np.stack([colours.channel(channel) for channel in channels])


def _shifted(shape: tuple[int, ...]) -> Sequence[Mapping[int, Weights]]:
    """Return the weights that the program has for pictures of a shape (h, w, 3).

    They stand in one list, by channel and scale, of which it takes the next each time.  Where a picture is too small
    for the coarsest scales, below 225 pixels, all but the first ones are therefore those of another scale or channel.
    """
    side, count = min(shape[:2]), 0
    while count < SCALES and side >= MIN_SIDE:
        side, count = -(-side // 2), count + 1
    if count == SCALES:
        return WEIGHTS
    nothing: Weights = (0, 0, 0, 0, 0, 0)
    listed = [weights.get(channel, nothing) for channel in (X, Y, B) for weights in (*WEIGHTS, {})]
    return [
        {
            channel: listed[channel * count + scale]
            for channel in (X, Y, B)
            if any(listed[channel * count + scale])
        }
        for scale in range(count)
    ]


class _Channel(NamedTuple):
    """What the original says of a channel at a scale, (h, w) each: values, local means and variances, edges.

    edges: 1 + |values - means|.
    """

    values: Floats
    means: Floats
    variances: Floats
    edges: Floats


class Original:
    """A picture that others are compared with; what of it does not depend on them is computed once."""

    def __init__(self, levels: Levels, weights: Sequence[Mapping[int, Weights]] = WEIGHTS) -> None:
        """Take uint8 (h, w, 3), sRGB, and weights by scale and channel; ValueError if a side is below 8 pixels.

        Scales at which a side is below 8 pixels are left out.
        """
        if min(levels.shape[:2]) < MIN_SIDE:
            raise ValueError(
                f"a picture of {levels.shape[1]} x {levels.shape[0]} pixels, expected sides of {MIN_SIDE} or more"
            )
        self._shape = levels.shape
        self._weights = weights
        self._scales: list[dict[int, _Channel]] = []
        linear = _linear(levels)
        for scale, channels in enumerate(weights):
            if scale:
                linear = _halved(linear)
            if min(linear.shape[1:]) < MIN_SIDE:
                break
            colours = _Colours(linear, channels)
            self._scales.append({channel: _of_original(colours.channel(channel)) for channel in channels})

    def error(self, second: Levels) -> float:
        """Error of a picture of the same size, before the curve: 0 if equal, 1.3 at a score of 80, 10.6 at 30."""
        return self._compare(second, None)

    def gradient(self, second: Levels) -> tuple[float, Floats]:
        """Return the error, and its gradient for the second's levels, (h, w, 3)."""
        backwards: list[Floats] = []
        found = self._compare(second, backwards)
        gradient = backwards.pop()
        while backwards:
            gradient = _unhalved(gradient, backwards[-1].shape)
            gradient += backwards.pop()
        gradient *= SLOPES[second].transpose(2, 0, 1)
        return found, np.ascontiguousarray(gradient.transpose(1, 2, 0))

    def _compare(self, second: Levels, backwards: list[Floats] | None) -> float:
        """Return the error; append its gradient for linear light at each scale, (3, h, w), if asked for."""
        if second.shape != self._shape:
            raise ValueError(f"pictures of different size: {self._shape} and {second.shape}")
        total = 0.0
        linear = _linear(second)
        for scale, channels in enumerate(self._scales):
            if scale:
                linear = _halved(linear)
            colours = _Colours(linear, channels)
            gradients = {}
            for channel, original in channels.items():
                comparison = _Comparison(original, colours.channel(channel))
                found, slopes = comparison.weighed(self._weights[scale][channel])
                total += found
                if backwards is not None:
                    gradients[channel] = comparison.back(slopes)
            if backwards is not None:
                backwards.append(colours.back(gradients))
        return TOTAL * total


class _Colours:
    """XYB of a picture in linear light: each channel as it is asked for."""

    def __init__(self, linear: Floats, channels: Collection[int]) -> None:
        """Take (3, h, w) in 0..1, and what will be asked for: only B needs the third cones, and roots take long."""
        cones = _mixed(OPSIN if B in channels else OPSIN[:2], linear)
        cones += np.float32(BIAS)
        self._roots: Floats = np.cbrt(cones, out=cones)

    def channel(self, channel: int) -> Floats:
        """Return X, Y or B, made positive: (h, w)."""
        first, second = self._roots[:2]
        least = np.float32(BIAS ** (1 / 3))
        found: Floats
        if channel == X:
            found = first - second
            found *= 7
            found += np.float32(0.42)
            return found
        found = first + second
        found *= np.float32(0.5)
        found -= least
        if channel == Y:
            found += np.float32(0.01)
        else:
            np.subtract(self._roots[2], found, out=found)
            found += np.float32(0.55) - least
        return found

    def back(self, gradients: dict[int, Floats]) -> Floats:
        """Turn the gradients of channels into that of linear light, (3, h, w)."""
        of_roots = np.zeros_like(self._roots)
        for channel, gradient in gradients.items():
            if channel == X:
                of_roots[0] += 7 * gradient
                of_roots[1] -= 7 * gradient
                continue
            half = gradient * np.float32(0.5 if channel == Y else -0.5)
            of_roots[:2] += half
            if channel == B:
                of_roots[2] += gradient
        of_roots *= np.float32(TOTAL / 3)
        of_roots /= np.square(self._roots)
        return _mixed(tuple(zip(*OPSIN[: len(of_roots)], strict=True)), of_roots)


def _of_original(values: Floats) -> _Channel:
    means = _blurred(values)
    variances = _blurred(np.square(values))
    variances -= np.square(means)
    edges = np.abs(values - means)
    edges += 1
    return _Channel(values, means, variances, edges)


class _Comparison:
    """A channel of the second picture beside the original's, at one scale."""

    def __init__(self, original: _Channel, values: Floats) -> None:
        """Take (h, w)."""
        self._original, self._values = original, values
        self._means = _blurred(values)
        self._contrast = _blurred(np.square(values))
        self._contrast -= np.square(self._means)
        self._contrast += original.variances
        self._contrast += np.float32(C2)
        # By the difference, whose variance is that of both without twice their covariance: in float32 little would be
        # left of 1 - similarity where pictures are much alike.
        apart = np.square(original.means - self._means)
        varied = _blurred(np.square(original.values - values))
        varied -= apart
        self._luminance = 1 - apart
        self._structure = self._contrast - varied
        varied /= self._contrast
        # One minus the product of 1 - apart and 1 - varied.
        self._dissimilarity = apart + varied
        self._dissimilarity -= apart * varied

    def weighed(self, weights: Weights) -> tuple[float, tuple[Floats | None, Floats | None]]:
        """Return the weighted sum of means and 4-norms, and its slopes for similarity and edges, None for none."""
        total = 0.0
        slopes: list[Floats | None] = [None, None]
        edges: Floats | None = None
        for place, (of_mean, of_norm) in enumerate(zip(weights[:3], weights[3:], strict=True)):
            if not (of_mean or of_norm):
                continue
            seen = self._dissimilarity
            if place:
                edges = self._relative_edges() if edges is None else edges
                seen = edges if place == 1 else -edges
            found, slope = _norms(np.maximum(seen, 0), of_mean, of_norm)
            if place != 1:  # similarity, and edges that were lost
                np.negative(slope, out=slope)
            total += found
            before = slopes[place > 0]
            slopes[place > 0] = slope if before is None else before + slope
        return total, (slopes[0], slopes[1])

    def _relative_edges(self) -> Floats:
        """How much stronger edges are than the original's, (h, w): above 0 artefacts, below 0 blur."""
        edges: Floats = np.abs(self._values - self._means)
        edges += 1
        edges /= self._original.edges
        edges -= 1
        return edges

    def back(self, slopes: tuple[Floats | None, Floats | None]) -> Floats:
        """Turn the slopes for similarity and edges into the gradient for the values, (h, w)."""
        of_similarity, of_edges = slopes
        original, values, means = self._original, self._values, self._means
        gradient = np.zeros_like(values)
        of_means = np.zeros_like(values)
        if of_similarity is not None:
            share = of_similarity / self._contrast
            of_structure = share * self._luminance
            of_structure *= 2  # the structure has twice the covariance
            of_contrast = share * (1 - self._dissimilarity)
            share *= self._structure
            share *= original.means - means
            of_means += share
            of_means += of_contrast * means
            of_means *= 2
            of_means -= of_structure * original.means
            gradient += original.values * _blurred(of_structure)
            gradient -= 2 * values * _blurred(of_contrast)
        if of_edges is not None:
            of_edges = of_edges / original.edges
            of_edges *= np.sign(values - means)
            gradient += of_edges
            of_means -= of_edges
        gradient += _blurred(of_means)
        return gradient


def _norms(seen: Floats, of_mean: float, of_norm: float) -> tuple[float, Floats]:
    """Return the weighted sum of mean and 4-norm of a map (h, w), 0 or more, and its slope for each place."""
    total = of_mean * float(seen.mean(dtype=np.float64)) if of_mean else 0.0
    # Where a map is 0, nothing changes when what it was cut from does.
    slope = np.zeros_like(seen)
    if of_mean:
        slope += (seen > 0) * np.float32(of_mean / seen.size)
    if of_norm:
        cubes = np.square(seen)
        cubes *= seen
        power = float(np.einsum("ij,ij->", cubes, seen, dtype=np.float64)) / seen.size
        total += of_norm * power**0.25
        cubes *= np.float32(of_norm / (seen.size * (power + LEAST) ** 0.75))
        slope += cubes
    return total, slope


_LEVELS = np.arange(256) / 255.0

LIGHT = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
"""Linear light of each level of sRGB, 0..1."""

SLOPES = (
    np.where(_LEVELS <= 0.04045, 1 / 12.92, 2.4 / 1.055 * ((_LEVELS + 0.055) / 1.055) ** 1.4) / 255
).astype(np.float32)
"""How much linear light changes with each level."""


def _linear(levels: Levels) -> Floats:
    """uint8 (h, w, 3), sRGB -> linear light, (3, h, w)."""
    return LIGHT[np.ascontiguousarray(levels.transpose(2, 0, 1))]


def _halved(planes: Floats) -> Floats:
    """Means of 2x2 pixels, (3, h, w) -> (3, ceil(h/2), ceil(w/2)); at odd edges, of those that there are."""
    for axis in (1, 2):
        if planes.shape[axis] % 2:
            widths = [(0, 0), (0, 0), (0, 0)]
            widths[axis] = (0, 1)
            planes = np.pad(planes, widths, mode="edge")
    rows = planes[:, ::2] + planes[:, 1::2]
    found: Floats = rows[:, :, ::2] + rows[:, :, 1::2]
    found *= 0.25
    return found


def _unhalved(gradient: Floats, shape: tuple[int, ...]) -> Floats:
    """Gradient for planes of a shape (3, h, w) of that for their halved ones."""
    height, width = shape[1:]
    found = (gradient * np.float32(0.25)).repeat(2, axis=1).repeat(2, axis=2)
    if height % 2:
        found[:, height - 1] *= 2
    if width % 2:
        found[:, :, width - 1] *= 2
    return np.ascontiguousarray(found[:, :height, :width])


def _mixed(matrix: Sequence[Sequence[float]], planes: Floats) -> Floats:
    """Sums of planes (n, h, w), one for each row of a matrix (m, n)."""
    found = np.empty((len(matrix), *planes.shape[1:]), planes.dtype)
    for place, row in enumerate(matrix):
        np.multiply(planes[0], row[0], out=found[place])
        for plane, factor in zip(planes[1:], row[1:], strict=True):
            found[place] += factor * plane
    return found


def _blurred(plane: Floats) -> Floats:
    """Take the Gaussian window over (h, w), which goes on mirrored above and below and with zeros on both sides.

    That is a symmetric matrix, so it is its own way back.
    """
    margin = WINDOW // 2
    wide = np.pad(np.pad(plane, ((margin, margin), (0, 0)), mode="symmetric"), ((0, 0), (margin, margin)))
    found = np.empty_like(plane)
    for top in range(0, len(plane), STRIP):
        found[top : top + STRIP] = blur(wide[top : top + STRIP + 2 * margin])
    return found
