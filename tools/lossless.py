"""Measure exact copies of pictures by several formats: python tools/lossless.py FOLDER [-o FILE.json]

Each picture is stored by rdae --lossless, and as PNG (optimised), WebP (lossless, method 6, quality 100) and JPEG XL
(lossless, effort 7), read again, and compared. It prints a table; seconds are a processor's, the mean of a picture.
Needs the extra peers.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import tests_on_path  # noqa: F401 - tools are run from anywhere
from PIL import Image

import rdae
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.run import collect_pictures
from rdae.pictures import read_picture

Levels = npt.NDArray[np.uint8]


def by_pillow(form: str, **options: Any) -> Callable[[Levels], bytes]:
    """A file of Pillow's."""

    def encode(levels: Levels) -> bytes:
        with io.BytesIO() as file:
            Image.fromarray(levels).save(file, form, **options)
            return file.getvalue()

    return encode


def read_by_pillow(data: bytes) -> Levels:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


FORMATS: dict[str, tuple[Callable[[Levels], bytes], Callable[[bytes], Levels]]] = {
    "rdae --lossless": (
        lambda levels: rdae.compress(levels, lossless=True),
        lambda data: np.asarray(rdae.decompress(data)),
    ),
    "PNG, optimised": (by_pillow("PNG", optimize=True), read_by_pillow),
    "WebP, method 6, quality 100": (by_pillow("WEBP", lossless=True, method=6, quality=100), read_by_pillow),
    "JPEG XL, effort 7": (by_pillow("JXL", lossless=True, effort=7, num_threads=1), read_by_pillow),
}


def measure(pictures: list[Path]) -> dict[str, Any]:
    """Bits per pixel, bytes in all and mean seconds of each format."""
    PILLOW_CODECS["jxl"].prepare()
    found: dict[str, Any] = {"pictures": [path.name for path in pictures], "formats": {}}
    for name, (encode, decode) in FORMATS.items():
        total, pixels, encoding_s, decoding_s, each = 0, 0, 0.0, 0.0, []
        for path in pictures:
            levels = read_picture(path)
            began = time.process_time()
            data = encode(levels)
            encoding_s += time.process_time() - began
            began = time.process_time()
            back = decode(data)
            decoding_s += time.process_time() - began
            if not np.array_equal(back, levels):
                raise SystemExit(f"{path}: {name} did not give the picture back")
            total += len(data)
            pixels += levels.shape[0] * levels.shape[1]
            each.append(len(data))
        count = len(pictures)
        found["formats"][name] = {
            "bytes": total,
            "bpp": 8 * total / pixels,
            "encoding_s": encoding_s / count,
            "decoding_s": decoding_s / count,
            "each": each,
        }
    return found


def table(found: dict[str, Any]) -> list[str]:
    """The table, in Markdown."""
    lines = ["| | bytes | bpp | encode, s | decode, s |", "|---|---:|---:|---:|---:|"]
    for name, each in found["formats"].items():
        lines.append(
            f"| {name} | {each['bytes']:,} | {each['bpp']:.3f} | {each['encoding_s']:.2f} | {each['decoding_s']:.3f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, help="JSON file of the numbers")
    options = parser.parse_args()
    found = measure(collect_pictures(options.pictures))
    if options.output is not None:
        options.output.write_text(json.dumps(found, indent=1) + "\n")
    click.echo("\n".join(table(found)))


if __name__ == "__main__":
    main()
