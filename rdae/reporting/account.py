"""The whole account of the autoencoder: bits of the latents, H(z), and of exact recovery from there on, H(x|z)."""

from __future__ import annotations

from rdae.errors import ResultsError
from rdae.evaluation.results import Evaluation
from rdae.reporting.figures import COLOURS, GREY, canvas, grid, plain_log_ticks, to_bytes

HEIGHT_INCHES = 5.0


def draw(result: Evaluation, *, file_format: str, title: str = "", exact_bpp: float | None = None) -> bytes:
    """The bytes of a figure, in one of FORMATS: bits per pixel over β, means over the pictures.

    exact_bpp: what lossless files of these pictures take, for a line beside.
    ResultsError if the result file has no residuals: it is of another codec, or of an older version.
    MissingExtraError without matplotlib.
    """
    means = result.means()
    rate, residual, beta = (means.get(key) or [] for key in ("estimated_bpp", "residual_bpp", "beta"))
    rows = [
        (b, z, x)
        for b, z, x in zip(beta, rate, residual, strict=False)
        if b is not None and z is not None and x is not None
    ]
    if not rows:
        raise ResultsError(f"{result.name}: no residual was measured, so there is no account to draw")
    betas, latents, residuals = ([row[i] for row in rows] for i in range(3))
    total = [z + x for _, z, x in rows]
    with canvas(HEIGHT_INCHES) as figure:
        axes = figure.add_subplot()
        axes.fill_between(betas, 0, latents, color=COLOURS[0], alpha=0.25, linewidth=0)
        axes.fill_between(betas, latents, total, color=COLOURS[1], alpha=0.18, linewidth=0)
        axes.plot(betas, latents, color=COLOURS[0], marker="o", linewidth=2.4, label="H(z), the latents")
        axes.plot(
            betas,
            residuals,
            color=COLOURS[1],
            marker="s",
            linewidth=2.0,
            label="H(x|z), the rest of the picture",
        )
        axes.plot(betas, total, color=GREY, marker="^", linewidth=2.0, label="their sum: all of the picture")
        if exact_bpp is not None:
            axes.axhline(
                exact_bpp, color="black", linewidth=1.4, dashes=(5, 3), label="a lossless file of pixels"
            )
        low, high = 0.9 * min(betas), 1.12 * max(betas)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        plain_log_ticks(axes, "x", low, high)
        axes.set_ylim(0, 1.08 * max(total))
        axes.set_xlabel("β, the weight of distortion")
        axes.set_ylabel("bits per pixel")
        if title:
            axes.set_title(title)
        grid(axes)
        axes.legend(frameon=False, loc="best")
        return to_bytes(figure, file_format)
