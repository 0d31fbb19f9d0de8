"""How much memory decoding takes over what the process had after loading a model: peak resident size, on Linux.

    python tools/memory.py                with the installed weights; --model PATH for others
    python tools/memory.py --sizes 1 4    megapixels to try
    python tools/memory.py --large        instead: the commands, on pictures of 25 and 100 megapixels

Each decode happens in a process of its own. Prints the peak for pictures of several sizes, the line a + b * pixels that
bounds them, the peak for hostile files of a kilobyte, and what refusing a header that claims too much takes.

With --large `rdae compress` and `rdae decompress` run as users run them, and the peak is that of the whole process; it
takes some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image

from rdae import limits
from rdae.codec import container, decode, encode, latents
from rdae.codec.container import Container, Header, Section, SectionType, least_payload
from rdae.errors import RdaeError
from rdae.networks import registry, weights
from rdae.networks.architecture import HYPER_STRIDE, PATCH
from rdae.networks.layers import Z_MAX
from rdae.networks.prior import SYMBOL_MAX

ROOT = Path(__file__).resolve().parent.parent
KILOBYTE = 1024
WARM_UP = (64, 64)
MEGA = 1_000_000


def resident_bytes(field: str) -> int:
    """VmRSS (now) or VmHWM (the peak) of this process."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Let VmHWM start again from VmRSS."""
    Path("/proc/self/clear_refs").write_text("5")


def decode_here(weights_path: Path, file: str, *, unfold: bool = False) -> dict[str, float | str]:
    """Decode a file once and say how far memory rose above what it was before, and what came of it.

    unfold: a band at a time, as the command does, not to a whole picture.
    """
    model = weights.load(weights_path)
    rng = np.random.default_rng(0)
    decode.decode(encode.compress(rng.integers(0, 256, (*WARM_UP, 3), dtype=np.uint8), model, 400), model)
    before = resident_bytes("VmRSS")
    forget_peak()
    began = time.perf_counter()
    outcome = "decoded"
    try:
        if unfold:
            for _ in decode.unfold(Path(file).read_bytes(), model).rows:
                pass
        else:
            decode.decode(Path(file).read_bytes(), model)
    except RdaeError as error:
        outcome = type(error).__name__
    spent_s = time.perf_counter() - began
    return {
        "bytes": resident_bytes("VmHWM") - before,
        "start": before,
        "outcome": outcome,
        "seconds": spent_s,
    }


def peak(weights_path: Path, data: bytes, *, unfold: bool = False) -> dict[str, float | str]:
    """What decode_here() says in a process of its own."""
    with tempfile.NamedTemporaryFile(suffix=".rdae") as file:
        file.write(data)
        file.flush()
        command = [sys.executable, __file__, "--model", str(weights_path), "--decode", file.name]
        command += ["--unfold"] if unfold else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, float | str] = json.loads(done.stdout)
    return found


COMMAND = """
import sys
from pathlib import Path
from rdae.cli.main import main
try:
    main(sys.argv[1:], prog_name="rdae")
except SystemExit as end:
    if end.code:
        raise
(line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print("PEAK", line.split()[1])
"""


def command_peak(*arguments: str | Path) -> int:
    """The most bytes that were resident at once while a process did an `rdae` command, from its start to its end."""
    command = [sys.executable, "-c", COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return int(done.stdout.split("PEAK ")[1]) * 1024


def large_picture(folder: Path, megapixels: int, suffix: str) -> Path:
    """A square picture of photographs: the one for examples, over and over, each a little brighter or darker."""
    with Image.open(ROOT / "data" / "example.png") as image:
        example = image.convert("RGB")
    side = round(math.sqrt(megapixels * MEGA))
    canvas = Image.new("RGB", (side, side))
    for top in range(0, side, example.height):
        for left in range(0, side, example.width):
            light = 1 + (top * 7 + left * 3) % 11 / 20
            canvas.paste(example.point(lambda level, light=light: round(level / light)), (left, top))
    path = folder / f"{megapixels}{suffix}"
    canvas.save(path, compress_level=1)  # of PNG; others know no such option
    return path


def large_peaks(
    folder: Path, megapixels: int, suffix: str, back: str, model: Path | None = None
) -> tuple[int, int]:
    """Peaks of compressing a picture in one format, and of decompressing it to another."""
    picture = large_picture(folder, megapixels, suffix)
    with_model: list[str | Path] = [] if model is None else ["--model", model]
    file = folder / f"{megapixels}.rdae"
    compressing = command_peak("compress", picture, "-o", file, "--force", *with_model)
    decompressing = command_peak(
        "decompress", file, "-o", folder / f"back{megapixels}{back}", "--force", *with_model
    )
    return compressing, decompressing


def noisy_file(weights_path: Path, megapixels: float) -> tuple[bytes, int]:
    """A file in which everything is coded, noise at the best quality, and how many pixels it has."""
    side = round(math.sqrt(megapixels * MEGA))
    picture = np.random.default_rng(1).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return encode.compress(picture, weights.load(weights_path), container.MAX_QUALITY_INDEX), side * side


def stormy_file(weights_path: Path, megapixels: float) -> tuple[bytes, int]:
    """A sound file that no picture gives: each of its latents is as far from what was expected as can be said."""
    side = round(math.sqrt(megapixels * MEGA))
    model = weights.load(weights_path)
    size = (-(-side // PATCH),) * 2
    z_size = (-(-size[0] // HYPER_STRIDE),) * 2
    signs = np.random.default_rng(1).integers(0, 2, (model.architecture.latents, *size))
    y = ((signs * 4.0 - 2) * SYMBOL_MAX).astype(np.float32)
    z = np.full((model.architecture.hyper_latents, *z_size), Z_MAX, np.int32)
    coded = latents.quantise(y, z, model.prior, container.MAX_QUALITY_INDEX)
    header = Header(side, side, model.model_id, container.MAX_QUALITY_INDEX)
    section = Section(SectionType.LATENTS, coded.payload())
    return container.pack(Container(header, (section,), coded.latents.checksum)), side * side


def widest(ratio: float) -> tuple[int, int]:
    """Width and height of the largest picture that a file of a kilobyte may claim, of about that ratio."""
    blocks = KILOBYTE - 40
    rows = max(1, round(math.sqrt(blocks / ratio)))
    return blocks // rows * limits.BLOCK, rows * limits.BLOCK


def kilobyte_files(model_id: bytes) -> dict[str, bytes]:
    """Files of at most a kilobyte that claim as much as they may, in several shapes and of several payloads."""
    made = {}
    shapes = [widest(ratio) for ratio in (1, 8, 1000)]
    shapes += [(height, width) for width, height in shapes[1:]]
    shapes += [(1, shapes[2][0]), (shapes[2][0], 1)]
    for width, height in shapes:
        for name, byte in (("00", 0), ("ff", 255), ("55", 0x55)):
            payload = bytes([byte]) * least_payload(width, height)
            header = Header(width, height, model_id, container.MAX_QUALITY_INDEX)
            data = container.pack(Container(header, (Section(SectionType.LATENTS, payload),)))
            assert len(data) <= KILOBYTE, len(data)
            made[f"{width} x {height} of {name}"] = data
    return made


def too_large() -> bytes:
    """A sound container of 2**30 - 1 square, whose payload is as short as its limit lets it be for 100 megapixels."""
    payload = bytes(least_payload(10_000, 10_001))
    header = Header(10_000, 10_001, bytes(4), 0)
    return container.pack(Container(header, (Section(SectionType.LATENTS, payload),)))


def main() -> int:
    """The command line of this program."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--sizes", type=float, nargs="+", default=[1, 4, 16], help="megapixels")
    parser.add_argument("--large", action="store_true", help="the commands, on large pictures")
    parser.add_argument("--decode", help=argparse.SUPPRESS)
    parser.add_argument("--unfold", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = options.model or registry.tuned_path()
    if options.decode:
        click.echo(json.dumps(decode_here(path, options.decode, unfold=options.unfold)))
        return 0
    if options.large:
        _report_large(options.model)
        return 0
    _report_sizes(path, options.sizes)
    _report_hostile(path)
    _report_refusal()
    return 0


def _report_large(model: Path | None) -> None:
    for suffix, back in ((".png", ".png"), (".jpg", ".ppm")):
        with tempfile.TemporaryDirectory() as folder:
            small, large = (large_peaks(Path(folder), size, suffix, back, model) for size in (25, 100))
        for name, one, other in zip((f"compress {suffix}", f"decompress {back}"), small, large, strict=True):
            click.echo(
                f"{name:16} 25 megapixels: {one / MEGA:5.0f} MB, 100 megapixels: {other / MEGA:5.0f} MB, "
                f"{other / one:.2f} times as much"
            )


def _report_sizes(path: Path, sizes: list[float]) -> None:
    points = []
    for size in sizes:
        data, pixels = noisy_file(path, size)
        found = peak(path, data)
        points.append((pixels, float(found["bytes"])))
        click.echo(
            f"{pixels / MEGA:6.2f} megapixels, {len(data):>10,} bytes: {points[-1][1] / MEGA:7.1f} MB over "
            f"{float(found['start']) / MEGA:.0f} MB, {found['outcome']} in {found['seconds']:.1f} s"
        )
    if len(points) > 1:
        pixels_of, taken_by = np.array(points).T
        slope, start = (float(number) for number in np.polyfit(pixels_of, taken_by, 1))
        above = max(taken - slope * pixels for pixels, taken in points)
        click.echo(
            f"fit: {start / MEGA:.1f} MB + {slope:.1f} bytes a pixel; all lie below {above / MEGA:.1f} MB + that"
        )


def _report_hostile(path: Path) -> None:
    data, pixels = stormy_file(path, 1)
    found = peak(path, data)
    click.echo(
        f"{pixels / MEGA:6.2f} megapixels of nothing but escapes, {len(data):,} bytes: "
        f"{float(found['bytes']) / MEGA:.1f} MB, {found['outcome']} in {found['seconds']:.1f} s"
    )
    model_id = weights.load(path).model_id
    for name, data in kilobyte_files(model_id).items():
        found = peak(path, data)
        click.echo(
            f"{len(data):>5} bytes, {name:22}: {float(found['bytes']) / MEGA:7.1f} MB, {found['outcome']} "
            f"in {found['seconds']:.1f} s"
        )


def _report_refusal() -> None:
    data = too_large()
    seconds = []
    for _ in range(101):
        began = time.perf_counter()
        try:
            container.parse(data)
        except RdaeError as error:
            said = str(error)
        seconds.append(time.perf_counter() - began)
    click.echo(f"refused in {1000 * statistics.median(seconds):.3f} ms (median of 101): {said}")


if __name__ == "__main__":
    sys.exit(main())
