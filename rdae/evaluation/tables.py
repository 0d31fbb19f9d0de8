"""An evaluation in words and a table, as `rdae eval` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_psnr, bd_rate
from rdae.evaluation.curves import KODAK, Curve
from rdae.evaluation.points import decibels
from rdae.evaluation.results import Agreement, Evaluation

# Key of the means, heading, format.
COLUMNS = (
    ("quality", "quality", "7g"),
    ("bpp", "bpp", "8.4f"),
    ("psnr-rgb", "PSNR dB", "8.3f"),
    ("psnr-rgb-of-mean-mse", "of mean MSE", "8.3f"),
    ("psnr-y", "PSNR-Y", "8.3f"),
    ("ms-ssim-rgb", "MS-SSIM", "8.5f"),
    ("ms-ssim-rgb-db", "in dB", "7.3f"),
    ("ssimulacra2", "SSIMULACRA2", "7.2f"),
    ("encoding_time", "encode s", "8.3f"),
    ("decoding_time", "decode s", "8.3f"),
)
ACCOUNT = (
    ("quality", "quality", "7g"),
    ("bpp", "bpp", "8.4f"),
    ("estimated_bpp", "estimated", "8.4f"),
    ("overhead_bpp", "overhead", "8.4f"),
    ("gap_percent", "gap %", "7.3f"),
    ("mse-rgb", "MSE", "8.3f"),
    ("beta", "beta", "8.5f"),
    ("loss", "loss", "8.4f"),
)
# What BD-rates can be of: name of a curve's values, what it is called.
BD_METRICS = {
    "psnr": "PSNR",
    "psnr-rgb-of-mean-mse": "PSNR of the mean MSE",
    "psnr-y": "PSNR-Y",
    "ms-ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
}


def table(result: Evaluation) -> list[str]:
    """The means over the pictures, a line a quality; of a model also the account of its loss, bpp + beta * MSE."""
    count = len(result.pictures)
    means = result.means()
    lines = [f"{result.name}: mean of {count} picture{'s' if count > 1 else ''}", *_table(means, COLUMNS)]
    if "estimated_bpp" in means:
        lines += ["the account of its loss:", *_table(means, ACCOUNT)]
    return lines


def _table(means: Mapping[str, Sequence[float | None]], wanted: Iterable[tuple[str, str, str]]) -> list[str]:
    columns = [(key, heading, form) for key, heading, form in wanted if key in means]
    lines = ["  ".join(heading.rjust(max(len(heading), _width(form))) for _, heading, form in columns)]
    for i in range(len(means["quality"])):
        cells = []
        for key, heading, form in columns:
            value = means[key][i]
            text = "-" if value is None else format(value, form)
            cells.append(text.rjust(max(len(heading), _width(form))))
        lines.append("  ".join(cells))
    return lines


def checks(result: Evaluation) -> list[str]:
    """Whether the promises hold: size near the estimate, decoding alike, rising with quality."""
    points = [point for picture in result.pictures for point in picture.points]
    lines: list[str] = []
    gaps = [point.gap_percent for point in points if point.gap_percent is not None]
    if gaps:
        worst = max(gaps, key=abs)
        lines.append(
            f"file size against estimated rate and container: worst {worst:+.3f} % of {len(gaps)} files"
        )
    for title, agreements in (
        ("decoded against the encoder's reconstruction", [point.decoded for point in points]),
        ("decoded in a fresh process", [point.decoded_fresh for point in points]),
    ):
        known = [agreement for agreement in agreements if agreement is not None]
        if known:
            lines.append(f"{title}: {_agreement(known)}")
    falls = [line for picture in result.pictures for line in picture.falls()]
    if len(result.qualities) > 1:
        rising = sum(not picture.falls() for picture in result.pictures)
        lines.append(f"bpp and PSNR rise with quality on {rising} of {len(result.pictures)} pictures")
        lines += [f"  not so: {line}" for line in falls]
    if result.memory is not None:
        memory = result.memory
        lines.append(
            f"peak memory over the loaded program: encoding {memory.encoding_bytes / 1e6:.0f} MB, decoding "
            f"{memory.decoding_bytes / 1e6:.0f} MB ({memory.picture}, {memory.width}x{memory.height}, "
            f"quality {memory.quality:g})"
        )
    lines += [f"failed: {name}: {message}" for name, message in result.failures]
    return lines


def deltas(
    test: Curve, anchors: Iterable[Curve], *, metric: str = "psnr", method: str = "pchip"
) -> list[str]:
    """A line an anchor: BD-rate and BD-PSNR with the range they stand for, or why there is none.

    metric: one of BD_METRICS; MS-SSIM is taken in dB, where its curves are as straight as those of PSNR.
    """
    lines = []
    unit = "" if metric == "ssimulacra2" else " dB"
    for anchor in anchors:
        head = f"{test.name} against {anchor.name}:"
        try:
            curves = *_points(anchor, metric), *_points(test, metric)
            rate = bd_rate(*curves, method=method)
            gain = bd_psnr(*curves, method=method)
        except ResultsError as error:
            lines.append(f"{head} no BD-rate: {error}")
            continue
        lines.append(
            f"{head} BD-rate {rate.value:+.2f} %, BD-{BD_METRICS[metric]} {gain.value:+.2f}{unit} "
            f"({rate.low:.1f} to {rate.high:.1f}{unit}, {rate.share:.0%} of its range)"
        )
    return lines


def _points(curve: Curve, metric: str) -> tuple[Sequence[float], Sequence[float]]:
    """(bpp, values) of a curve; ResultsError if it has none of this metric."""
    values = curve.values(metric)
    if not values:
        raise ResultsError(f"{curve.name} has no {BD_METRICS[metric]}")
    return curve.bpp, [decibels(value) for value in values] if metric == "ms-ssim" else values


def is_kodak(result: Evaluation) -> bool:
    """Whether the pictures are the 24 of Kodak, by name and size: published curves are only of these."""
    names = {picture.name.rsplit(".", 1)[0].rsplit("/", 1)[-1].lower() for picture in result.pictures}
    sizes = {(picture.width, picture.height) for picture in result.pictures}
    return names == KODAK and len(result.pictures) == len(KODAK) and sizes <= {(768, 512), (512, 768)}


def _agreement(agreements: Sequence[Agreement]) -> str:
    equal = sum(agreement.differing_pixels == 0 for agreement in agreements)
    worst = max(agreement.max_difference for agreement in agreements)
    text = f"{equal} of {len(agreements)} pictures identical, largest difference {worst} of 255"
    latents = sum(agreement.latents_equal for agreement in agreements)
    return f"latents identical in {latents} of {len(agreements)} files, {text}"


def _width(form: str) -> int:
    return int(form.split(".", maxsplit=1)[0].rstrip("g"))
