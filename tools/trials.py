"""What did a training gain?  Weights against the first of them, on held-out pictures, in half a minute each.

    python tools/trials.py pictures/ weights/rdae-visual.safetensors runs/one runs/one@0.6 runs/two
    python tools/trials.py pictures/ weights/rdae-visual.safetensors runs/one --texture 0.9

Weights are weights files and runs, of which the averaged ones of the last checkpoint are taken; runs/one@0.6 is the
mean of these, by 0.6, and of the first weights, by the rest, as `rdae export --mean` takes it; runs/one@-0.1 lies on
the same line, beyond the first weights.

Prints a Markdown table of the change of bits (BD-rate), by SSIMULACRA2, PSNR, PSNR of luma, the five measures that
nothing is trained for, and the mean of these five.  The middles of the pictures are measured, without a search, at six
qualities, with rounded latents and estimated rates: they rank weights, but `rdae eval` measures files.  A dash is for a
measure by which curves cannot be compared.  This needs pip install 'rdae[train,perceptual]'.

--texture prints another table, of luma's energy after decoding, relative to the original's, at such a rate: by bands of
8x8 DCT coefficients, in blocks that have faint texture.  AVIF (4:4:4, speed 6) stands there too.
"""

from __future__ import annotations

import argparse
import bisect
import functools
import json
import math
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdae.errors import RdaeError, ResultsError
from rdae.evaluation import five_measures as five
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.five_measures import FIVE
from rdae.metrics import LUMA, psnr, psnr_y
from rdae.pictures import read_picture
from rdae.pictures.formats import SUFFIXES
from rdae.quality import MAX_INDEX
from rdae.ssimulacra2 import ssimulacra2
from rdae.training import need_packages

Picture = NDArray[np.uint8]
Made = TypeVar("Made")

QUALITIES = 6
SIDE = 384
"""Pixels of a picture's middle, each way; less where it is smaller, a multiple of 64."""
UNIT = 64

MEASURES = {"ssimulacra2": "SSIMULACRA2", "psnr": "PSNR", "psnr-y": "PSNR of luma", **FIVE}

AVIF = "avif"
"""What stands for AVIF among the names of weights."""

BANDS = {"2-3": (2, 3), "4-5": (4, 5), "6-7": (6, 7)}
"""Of 8x8 DCT coefficients, by the larger of their two frequencies."""
FAINT = {"0.7-2": (0.7, 2.0), "2-4": (2.0, 4.0)}
"""Classes of blocks, by the root mean square of their coefficients without DC, in levels."""


def middle(picture: Picture) -> Picture:
    """The middle of a picture (h, w, 3), of sides that are multiples of UNIT; ResultsError if it is smaller."""
    sides = [min(SIDE, side // UNIT * UNIT) for side in picture.shape[:2]]
    if not all(sides):
        raise ResultsError(
            f"a picture of {picture.shape[1]}x{picture.shape[0]} pixels, expected {UNIT} each way"
        )
    top, left = ((whole - side) // 2 for whole, side in zip(picture.shape[:2], sides, strict=True))
    return np.ascontiguousarray(picture[top : top + sides[0], left : left + sides[1]])


def parsed(name: str) -> tuple[str, float]:
    """The path and the share of RUN@SHARE, or any other path and 1; ResultsError for a share that there is not."""
    if Path(name).exists() or "@" not in name:
        return name, 1.0
    path, _, text = name.rpartition("@")
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if share == 0 or not -1 <= share <= 1:
        raise ResultsError(f"{name}: a share of {text}, expected -1 to 1, and not 0")
    return path, share


def weights_of(name: str, first: str) -> Any:
    """The network of a weights file, a run, or a mean of a run and the first weights file, RUN@SHARE."""
    from rdae.training import checkpoint, warm_start, weight_averaging
    from rdae.training.autoencoder import Autoencoder
    from rdae.training.export.freeze import averaged

    path, share = parsed(name)
    if Path(path).is_dir():
        model = averaged(Path(path), checkpoint.load(Path(path)))
    else:
        start = warm_start.read(Path(path))
        model = Autoencoder(start.architecture)
        model.load_state_dict(start.state)
    if share < 1:
        weight_averaging.mix(model, Path(first), share)
    return model.eval()


def decoded(model: Any, picture: Picture, index: int) -> tuple[float, Picture]:
    """Bits per pixel, estimated, and what comes back, (h, w, 3), at a quality index."""
    import torch

    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        output = model(x.contiguous(memory_format=torch.channels_last), torch.tensor([index]))
    levels = (output.x_hat[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    bits = float((output.bits_y + output.bits_z)[0])
    return bits / (picture.shape[0] * picture.shape[1]), np.ascontiguousarray(levels)


def measured(name: str, first: str, path: Path) -> list[dict[str, float]]:
    """A row for each quality: bpp, and the measures by their names in MEASURES."""
    picture = middle(read_picture(path))
    model = _opened(name, first)
    rows = []
    for i in range(QUALITIES):
        bpp, levels = decoded(model, picture, round(MAX_INDEX * i / (QUALITIES - 1)))
        others = five.five_measures(picture, levels) or {}
        seen = ssimulacra2(picture, levels)
        rows.append(
            {
                "bpp": bpp,
                "ssimulacra2": math.nan if seen is None else seen,
                "psnr": psnr(picture, levels),
                "psnr-y": psnr_y(picture, levels),
                **{key: others.get(key, math.nan) for key in FIVE},
            }
        )
    return rows


def texture(name: str, first: str, rate: float, path: Path) -> dict[str, list[float]]:
    """Luma's energy before and after, by class of blocks and band, at about a rate in bits per pixel."""
    picture = middle(read_picture(path))
    if name == AVIF:
        codec = PILLOW_CODECS["avif-speed6"]
        levels = at_rate(lambda quality: _avif(codec, picture, quality), 100, rate)
    else:
        model = _opened(name, first)
        levels = at_rate(lambda index: decoded(model, picture, index), MAX_INDEX, rate)
    before, after = (_coefficients(each) for each in (picture, levels))
    rms = np.sqrt((before**2).sum(axis=(1, 2)) / 63)
    found = {}
    for kind, (low, high) in FAINT.items():
        here = (rms >= low) & (rms < high)
        for band in BANDS:
            inside = _frequencies(band)
            found[f"{kind}: {band}"] = [float((each[here][:, inside] ** 2).sum()) for each in (before, after)]
    return found


def at_rate(encode: Callable[[int], tuple[float, Made]], most: int, rate: float) -> Made:
    """What is made at the quality, a whole number up to `most`, whose rate is the lowest of at least `rate`."""
    quality = bisect.bisect_left(range(most), rate, key=lambda index: encode(index)[0])
    return encode(quality)[1]


def bd_table(found: Mapping[str, Sequence[Sequence[Mapping[str, float]]]]) -> list[str]:
    """A Markdown table of changes of bits against the first; found: by name of weights, pictures' rows."""
    curves = {name: _means(pictures) for name, pictures in found.items()}
    anchor = next(iter(curves.values()))
    lines = [
        f"| | {' | '.join(MEASURES.values())} | mean of five |",
        f"|---|{'---:|' * (len(MEASURES) + 1)}",
    ]
    for name, curve in list(curves.items())[1:]:
        changes = [_change(anchor, curve, key) for key in MEASURES]
        of_five = [
            each for each, key in zip(changes, MEASURES, strict=True) if key in FIVE and each is not None
        ]
        mean = sum(of_five) / len(FIVE) if len(of_five) == len(FIVE) else None
        cells = ["-" if each is None else f"{each:+.1f} %" for each in (*changes, mean)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _change(
    anchor: Mapping[str, Sequence[float]], curve: Mapping[str, Sequence[float]], key: str
) -> float | None:
    """The BD-rate by a measure, in percent; None where these curves have none."""
    try:
        return bd_rate(anchor["bpp"], anchor[key], curve["bpp"], curve[key]).value
    except ResultsError:
        return None


def texture_table(found: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> list[str]:
    """A Markdown table of energies in dB; found: by name, what `texture` gives of each picture."""
    cells = [f"{kind}: {band}" for kind in FAINT for band in BANDS]
    lines = [f"| | {' | '.join(cells)} |", f"|---|{'---:|' * len(cells)}"]
    for name, pictures in found.items():
        sums = {cell: np.sum([each[cell] for each in pictures], axis=0) for cell in cells}
        shown = [
            f"{10 * math.log10(after / before):+.1f} dB" if before > 0 and after > 0 else "-"
            for before, after in sums.values()
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines


def _means(pictures: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, list[float]]:
    """Columns of means over the pictures; not a number where one of them lacks a measure."""
    return {
        key: [float(np.mean([rows[i][key] for rows in pictures])) for i in range(QUALITIES)]
        for key in ("bpp", *MEASURES)
    }


def _avif(codec: Any, picture: Picture, quality: int) -> tuple[float, Picture]:
    data = codec.encode(picture, quality)
    return 8 * len(data) / (picture.shape[0] * picture.shape[1]), codec.decode(data)


@functools.cache
def _dct() -> NDArray[np.float64]:
    """The orthonormal DCT-II of eight samples, (8, 8)."""
    k, n = np.mgrid[:8, :8]
    matrix: NDArray[np.float64] = np.cos(math.pi * (2 * n + 1) * k / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def _coefficients(picture: NDArray[Any]) -> NDArray[np.float64]:
    """Luma's 8x8 DCT coefficients, in levels, with DC left out: (blocks, 8, 8)."""
    luma = picture.astype(np.float64) @ np.array(LUMA, dtype=np.float64) / sum(LUMA)
    height, width = luma.shape
    blocks = luma.reshape(height // 8, 8, width // 8, 8).swapaxes(1, 2).reshape(-1, 8, 8)
    found: NDArray[np.float64] = _dct() @ blocks @ _dct().T
    found[:, 0, 0] = 0
    return found


def _frequencies(band: str) -> NDArray[np.bool_]:
    low, high = BANDS[band]
    larger = np.maximum(*np.mgrid[:8, :8])
    inside: NDArray[np.bool_] = (larger >= low) & (larger <= high)
    return inside


@functools.lru_cache(maxsize=1)
def _opened(name: str, first: str) -> Any:
    """The weights that this process measures with; one picture after the other has the same."""
    return weights_of(name, first)


def _begin() -> None:
    """One thread a process: more would wait for each other."""
    import torch

    torch.set_num_threads(1)


def main() -> int:
    """Print the table of the weights on the command line; exit status 1 if there is none."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path, help="folder of held-out pictures")
    parser.add_argument("weights", nargs="+", metavar="WEIGHTS", help="weights files, runs, and RUN@SHARE")
    parser.add_argument("--texture", type=float, metavar="BPP", help="count texture at such a rate instead")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="that measure pictures")
    parser.add_argument("-o", "--output", type=Path, help="JSON file for all that was measured")
    arguments = parser.parse_args()
    os.environ["GOMP_SPINCOUNT"] = "0"  # threads that spin take time from the other process
    try:
        need_packages("tools/trials.py")
        five.load()
        paths = sorted(each for each in arguments.pictures.iterdir() if each.suffix.lower() in SUFFIXES)
        if not paths:
            raise ResultsError(f"{arguments.pictures}: no picture in it")
        for name in arguments.weights:
            parsed(name)
        first = arguments.weights[0]
        rate = arguments.texture
        names = arguments.weights if rate is None else [AVIF, *arguments.weights]
        works: list[Callable[[Path], Any]] = [
            functools.partial(measured, name, first)
            if rate is None
            else functools.partial(texture, name, first, rate)
            for name in names
        ]
        # Processes are started and not forked: torch's threads do not survive a fork.
        spawn = multiprocessing.get_context("spawn")
        found: dict[str, list[Any]] = {}
        with ProcessPoolExecutor(arguments.processes, mp_context=spawn, initializer=_begin) as pool:
            for name, work in zip(names, works, strict=True):
                found[name] = list(pool.map(work, paths))
        if arguments.output is not None:
            arguments.output.write_text(json.dumps(found) + "\n")
    except (RdaeError, OSError, ValueError, BrokenProcessPool) as error:
        sys.stderr.write(f"trials: {error}\n")
        return 1
    table = bd_table(found) if arguments.texture is None else texture_table(found)
    sys.stdout.write("\n".join([*table, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
