"""An evaluation in words and a table, as `rdae eval` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_psnr, bd_rate
from rdae.evaluation.curves import KODAK, Curve
from rdae.evaluation.five_measures import DB, FIVE
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
    ("residual_bpp", "residual", "8.4f"),
    ("exact_bpp", "exact file", "8.4f"),
)
FIVE_COLUMNS = (
    ("quality", "quality", "7g"),
    ("bpp", "bpp", "8.4f"),
    *((key + DB, title, "7.3f") for key, title in FIVE.items()),
)
# What BD-rates can be of: name of a curve's values, what it is called.
BD_METRICS = {
    "psnr": "PSNR",
    "psnr-rgb-of-mean-mse": "PSNR of the mean MSE",
    "psnr-y": "PSNR-Y",
    "ms-ssim": "MS-SSIM",
    "ssimulacra2": "SSIMULACRA2",
    **FIVE,
}


def metrics_of(objective: str, *, ssimulacra2: bool) -> list[str]:
    """What BD-rates are of unless told otherwise, of BD_METRICS: what the model was trained for comes first.

    That is PSNR, and SSIMULACRA2 if it was measured (`ssimulacra2`), in this order or, for that objective, the other.
    """
    if not ssimulacra2:
        return ["psnr"]
    return ["ssimulacra2", "psnr"] if objective == "ssimulacra2" else ["psnr", "ssimulacra2"]


def table(result: Evaluation, lead: str = "psnr") -> list[str]:
    """The means over the pictures, a line a quality, and where they were measured of the five measures.

    Of a model also the account of its loss, bpp + beta * MSE. lead: the measure that comes first after the rate, "psnr"
    or "ssimulacra2".
    """
    count = len(result.pictures)
    means = result.means()
    # Stable, so that all but this one column keep their order.
    columns = (
        COLUMNS if lead == "psnr" else sorted(COLUMNS, key=lambda c: c[0] not in ("quality", "bpp", lead))
    )
    lines = [f"{result.name}: mean of {count} picture{'s' if count > 1 else ''}", *_table(means, columns)]
    if any(key + DB in means for key in FIVE):
        lines += ["five measures that no model was trained for, in dB:", *_table(means, FIVE_COLUMNS)]
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
    """Whether the promises hold: size near the estimate, decoding alike, rising with quality.

    Failures are for whoever measures to tell, as soon as they are known.
    """
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


def summary(
    test: Curve, others: Sequence[Curve], *, metrics: Sequence[str], method: str = "pchip"
) -> list[str]:
    """A table of BD-rates in percent, a line for each other curve and a column for each of `metrics` and of the five.

    The last column is the mean of the five, if there are all. What two curves have no BD-rate by is a dash, and a
    curve without any of the five measures, as published ones are, has no line. Empty if none has a line.
    """
    lines = []
    for other in others:
        by_five = [bd_rate_by(test, other, key, method) for key in FIVE]
        if all(value is None for value in by_five):
            continue
        known = [value for value in by_five if value is not None]
        mean = sum(known) / len(known) if len(known) == len(FIVE) else None
        lines.append(
            (other.name, [*(bd_rate_by(test, other, key, method) for key in metrics), *by_five, mean])
        )
    if not lines:
        return []
    titles = [*(BD_METRICS[key] for key in metrics), *FIVE.values(), "mean of five"]
    head = f"{test.name} against, BD-rate %"
    first = max(map(len, [head, *(name for name, _ in lines)]))
    widths = [max(8, len(title)) for title in titles]

    def line(name: str, cells: Sequence[str]) -> str:
        parts = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        return "  ".join([name.ljust(first), *parts])

    shown = [line(name, ["-" if v is None else f"{v:+.2f}" for v in values]) for name, values in lines]
    return [line(head, titles), *shown]


def bd_rate_by(test: Curve, anchor: Curve, metric: str, method: str = "pchip") -> float | None:
    """The BD-rate by one of BD_METRICS, in percent; None where there is none."""
    try:
        return bd_rate(*_points(anchor, metric), *_points(test, metric), method=method).value
    except ResultsError:
        return None


def _points(curve: Curve, metric: str) -> tuple[Sequence[float], Sequence[float]]:
    """(bpp, values) of a curve; ResultsError if it has none of this metric."""
    rates, values = curve.points(metric + DB if metric in FIVE else metric)
    if curve.is_infinite(metric):
        raise ResultsError(
            f"{curve.name} has infinite {BD_METRICS[metric]}: every quality has a picture that is exact"
        )
    if not values:
        raise ResultsError(f"{curve.name} has no {BD_METRICS[metric]}")
    return rates, [decibels(value) for value in values] if metric == "ms-ssim" else values


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
