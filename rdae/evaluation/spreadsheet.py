"""All points of evaluations as one table of comma-separated values, a line for each file that was measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

from rdae.evaluation.five_measures import DB, FIVE
from rdae.evaluation.points import rounded
from rdae.evaluation.results import Evaluation
from rdae.storage.files import encoded

COLUMNS = (
    "codec",
    "picture",
    "width",
    "height",
    "quality",
    "bytes",
    "bpp",
    "psnr-rgb",
    "psnr-y",
    "ms-ssim-rgb",
    "ms-ssim-rgb-db",
    "ssimulacra2",
    *(key + DB for key in FIVE),
    "mse-rgb",
    "encoding_time",
    "decoding_time",
    "estimated_bits",
    "overhead_bits",
    "gap_percent",
    "beta",
    "loss",
    "residual_bits",
    "sha256",
)


def is_table_of(path: Path, points: Iterable[tuple[str, str, float]]) -> bool:
    """Whether a file is a table that `to_csv` made, of no other points than these: codec, picture and quality."""
    if not path.is_file():  # a pipe would be read for ever
        return False
    known = {
        (encoded(codec).decode(), encoded(picture).decode(), quality) for codec, picture, quality in points
    }
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return tuple(rows.fieldnames or ()) == COLUMNS and all(
                (row["codec"], row["picture"], float(row["quality"])) in known for row in rows
            )
    except (OSError, ValueError, TypeError, csv.Error):
        return False


def to_csv(results: Iterable[Evaluation]) -> str:
    """CSV with a heading; a field is empty where a value does not apply or is infinite."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for result in results:
        for picture in result.pictures:
            facts = {"codec": result.name, "picture": picture.name, "sha256": picture.sha256}
            for point in picture.points:
                row = {**facts, "width": picture.width, "height": picture.height, **point.as_json()}
                writer.writerow({**row, "ms-ssim-rgb-db": rounded(point.ms_ssim_db)})
    return text.getvalue()
