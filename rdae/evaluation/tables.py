"""An evaluation in words and a table, as `rdae eval` prints it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_psnr, bd_rate
from rdae.evaluation.curves import KODAK, Curve
from rdae.evaluation.results import Agreement, Evaluation

# Key of the means, heading, format.
COLUMNS = (
    ("quality", "quality", "7g"),
    ("bpp", "bpp", "8.4f"),
    ("psnr-rgb", "PSNR dB", "8.3f"),
    ("ms-ssim-rgb", "MS-SSIM", "8.5f"),
    ("encoding_time", "encode s", "8.3f"),
    ("decoding_time", "decode s", "8.3f"),
    ("estimated_bpp", "est. bpp", "8.4f"),
    ("overhead_bpp", "overhead", "8.4f"),
    ("gap_percent", "gap %", "7.3f"),
    ("mse-rgb", "MSE", "8.3f"),
    ("beta", "beta", "8.5f"),
    ("loss", "loss", "8.4f"),
)


def table(result: Evaluation) -> list[str]:
    """The means over the pictures, a line a quality."""
    means = result.means()
    columns = [(key, heading, form) for key, heading, form in COLUMNS if key in means]
    count = len(result.pictures)
    lines = [f"{result.name}: mean of {count} picture{'s' if count > 1 else ''}"]
    lines.append("  ".join(heading.rjust(max(len(heading), _width(form))) for _, heading, form in columns))
    for i in range(len(result.qualities)):
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
    lines += [f"failed: {name}: {message}" for name, message in result.failures]
    return lines


def deltas(test: Curve, anchors: Iterable[Curve]) -> list[str]:
    """A line an anchor: BD-rate and BD-PSNR with the range they stand for, or why there is none."""
    lines = []
    for anchor in anchors:
        head = f"{test.name} against {anchor.name}:"
        try:
            rate = bd_rate(anchor.bpp, anchor.psnr, test.bpp, test.psnr)
            gain = bd_psnr(anchor.bpp, anchor.psnr, test.bpp, test.psnr)
        except ResultsError as error:
            lines.append(f"{head} no BD-rate: {error}")
            continue
        lines.append(
            f"{head} BD-rate {rate.value:+.2f} %, BD-PSNR {gain.value:+.2f} dB "
            f"({rate.low:.1f} to {rate.high:.1f} dB, {rate.share:.0%} of its range)"
        )
    return lines


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
