"""Which of two models and AVIF do people prefer at equal bytes?  Crops to judge blind, and the tally of the verdicts.

    python tools/blind.py sheets kodim01.png:300,200 kodim04.png:180,180 -o blind    # sheets, and a key to be hidden
    python tools/blind.py tally blind/key.json mine.json hers.json -o weights/rdae-visual.blind.json

A sheet shows at 200 % a crop of the original and three decoded ones, A, B and C: of --tune visual, of --tune psnr and
of AVIF (4:4:4, speed 6), in an order drawn for each sheet; with --model new=weights/new.safetensors, given twice, of
two other models.  AVIF has the file nearest above a rate, the others one of as many bytes or less.  Verdicts are a JSON
object with a ranking for each sheet, the best first, ties side by side: {"0.0": "C,AB"}.
"""

from __future__ import annotations

import argparse
import bisect
import io
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

import rdae
from rdae.errors import ResultsError
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.pictures import read_picture

TUNES = ("visual", "psnr")
AVIF = "avif"
LETTERS = "ABC"
RATES = (0.15, 0.4, 0.9)
"""Bits per pixel."""
SIDE = 192
SEED = 25


def sheets(
    crops: Sequence[tuple[Path, int, int]],
    models: Mapping[str, rdae.Model],
    folder: Path,
    rates: Sequence[float],
    seed: int,
) -> dict[str, Any]:
    """Write sheets of crops, (picture, left, top) each, to a folder; return the key: what the letters stand for."""
    source = random.Random(seed)
    key = {}
    for (number, (path, left, top)), (row, rate) in itertools.product(enumerate(crops), enumerate(rates)):
        original = Image.fromarray(read_picture(path))
        avif = _avif(original, rate)
        shown: dict[str, Image.Image] = {}
        for title, model in models.items():
            shown[title] = model.decompress(model.compress(original, target=rdae.Target("size", len(avif))))
        shown[AVIF] = Image.open(io.BytesIO(avif))
        order = source.sample(list(shown), len(shown))
        name = f"{number}.{row}"
        _sheet([original, *(shown[codec] for codec in order)], left, top).save(folder / f"{name}.png")
        bpp = 8 * len(avif) / (original.width * original.height)
        key[name] = {
            "picture": path.name,
            "left": left,
            "top": top,
            "rate": rate,
            "bpp": round(bpp, 4),
            "order": order,
        }
    return key


def _avif(image: Image.Image, rate: float) -> bytes:
    """The smallest AVIF file of at least a rate, in bits per pixel."""
    codec, picture = PILLOW_CODECS["avif-speed6"], np.asarray(image)
    size = rate * image.width * image.height / 8
    quality = bisect.bisect_left(range(100), size, key=lambda each: len(codec.encode(picture, each)))
    return codec.encode(picture, quality)


def _sheet(images: Sequence[Image.Image], left: int, top: int) -> Image.Image:
    """A row of crops at 200 %, with letters above all but the first."""
    sheet = Image.new("RGB", (len(images) * (2 * SIDE + 4), 2 * SIDE + 20), "white")
    draw = ImageDraw.Draw(sheet)
    for place, (image, label) in enumerate(zip(images, ("original", *LETTERS), strict=True)):
        part = image.convert("RGB").crop((left, top, left + SIDE, top + SIDE))
        sheet.paste(part.resize((2 * SIDE, 2 * SIDE), Image.Resampling.NEAREST), (place * (2 * SIDE + 4), 20))
        draw.text((place * (2 * SIDE + 4) + 4, 4), label, fill="black")
    return sheet


def ranks(verdict: str, order: Sequence[str]) -> dict[str, int]:
    """What "C,AB" says: codecs and their ranks, 0 for the best; ResultsError unless it ranks A, B and C, each once."""
    groups = verdict.replace(" ", "").split(",")
    if sorted("".join(groups)) != list(LETTERS):
        raise ResultsError(f"{verdict!r} ranks not A, B and C, each once")
    return {order[LETTERS.index(letter)]: rank for rank, group in enumerate(groups) for letter in group}


def table(content: Mapping[str, Any]) -> list[str]:
    """A Markdown table of a tally's file: how often each was preferred to another, by rate."""
    # Those of the published models, or whatever the sheets were made of, and AVIF last.
    shown = set(next(iter(content["sheets"].values()))["order"])
    codecs = [*(tune for tune in TUNES if tune in shown), *sorted(shown - {*TUNES, AVIF}), AVIF]
    pairs = list(itertools.combinations(codecs, 2))
    titles = {AVIF: "AVIF"}
    lines = [
        f"| bits per pixel | {' | '.join(' : '.join(titles.get(each, each) for each in pair) for pair in pairs)} |",
        "|---:" * (1 + len(pairs)) + "|",
    ]
    rates = sorted({each["rate"] for each in content["sheets"].values()})
    for rate in [*rates, None]:
        counts: Counter[tuple[str, str]] = Counter()
        for verdicts, (name, sheet) in itertools.product(content["judges"], content["sheets"].items()):
            if rate in (sheet["rate"], None):
                found = ranks(verdicts[name], sheet["order"])
                for a, b in pairs:
                    counts[a, b] += found[a] < found[b]
                    counts[b, a] += found[b] < found[a]
        cells = [f"{counts[a, b]} : {counts[b, a]}" for a, b in pairs]
        lines.append(f"| {'all' if rate is None else f'{rate:g}'} | {' | '.join(cells)} |")
    return lines


def _crop(text: str) -> tuple[Path, int, int]:
    name, _, corner = text.rpartition(":")
    left, top = (int(part) for part in corner.split(","))
    return Path(name), left, top


def _models(given: Sequence[str]) -> dict[str, rdae.Model]:
    """The published models by their tunes, or two others, each given as TITLE=WEIGHTS; ResultsError if they are not."""
    if not given:
        return {tune: rdae.open_model(tune=tune) for tune in TUNES}
    named = dict(each.partition("=")[::2] for each in given)
    if len(named) != 2 or len(given) != 2 or AVIF in named or not all(named.values()):
        raise ResultsError(
            f"models {', '.join(given)}, expected two of different titles, as in new=new.safetensors"
        )
    return {title: rdae.open_model(path) for title, path in named.items()}


def main() -> int:
    """Make sheets, or count verdicts; exit status 1 for what cannot be read."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("sheets", help="make sheets")
    making.add_argument("crops", nargs="+", type=_crop, metavar="PICTURE:LEFT,TOP")
    making.add_argument("-o", "--output", type=Path, required=True, help="folder for the sheets and the key")
    making.add_argument(
        "--model",
        action="append",
        default=[],
        metavar="TITLE=WEIGHTS",
        help="a model in the place of the published ones; given twice",
    )
    making.add_argument("--seed", type=int, default=SEED, help="of the orders")
    counting = commands.add_parser("tally", help="count verdicts")
    counting.add_argument("key", type=Path)
    counting.add_argument("verdicts", type=Path, nargs="+")
    counting.add_argument(
        "-o", "--output", type=Path, required=True, help="file for the key and all verdicts"
    )
    arguments = parser.parse_args()
    try:
        if arguments.command == "sheets":
            models = _models(arguments.model)
            arguments.output.mkdir(parents=True, exist_ok=True)
            key = sheets(arguments.crops, models, arguments.output, RATES, arguments.seed)
            (arguments.output / "key.json").write_text(json.dumps(key, indent=1) + "\n")
            return 0
        judges = [json.loads(path.read_text()) for path in arguments.verdicts]
        content = {"kind": "rdae blind", "sheets": json.loads(arguments.key.read_text()), "judges": judges}
        sys.stdout.write("\n".join([*table(content), ""]))
        arguments.output.write_text(json.dumps(content, indent=1) + "\n")
    except (rdae.RdaeError, OSError, KeyError, ValueError) as error:
        sys.stderr.write(f"blind: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
