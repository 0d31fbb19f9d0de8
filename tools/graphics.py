"""Measure graphics, with and without stored pixels, beside others of equal bytes: python tools/graphics.py [FILE ...]

Without files it measures twenty drawings that it makes: plots, terminals, icons, maps and screenshots with text in
subpixels. For each at qualities 20, 50 and 80: bytes and PSNR as latents alone, and as rdae writes it; and the best of
JPEG, WebP (lossy and lossless) and AVIF in at most as many bytes. It prints a table, and where rdae is behind.
"""

from __future__ import annotations

import argparse
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import tests_on_path  # noqa: F401 - tools are run from anywhere
from PIL import Image, ImageDraw, ImageFont

import rdae
from rdae import metrics
from rdae.codec.container import parse
from rdae.codec.sections.pixels import stored_shares
from rdae.pictures import read_picture

Levels = npt.NDArray[np.uint8]
QUALITIES = (20, 50, 80)
TEXT = """The quick brown fox jumps over the lazy dog while autoencoders count bits and levels of error
def encode(picture, model, quality): return pack(header, sections) 0123456789 {}[]();:,.<>"""
WORDS = TEXT.split()


def plot(seed: int) -> Image.Image:
    """Axes, a grid, curves and words, antialiased."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (1280, 960), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(26)
    for x in range(120, 1240, 160):
        draw.line((x, 60, x, 860), (221, 221, 221), 2)
        draw.text((x - 18, 872), f"{x / 80:.1f}", (40, 40, 40), font)
    for y in range(60, 861, 100):
        draw.line((120, y, 1240, y), (221, 221, 221), 2)
        draw.text((40, y - 14), f"{9 - y // 100}.0", (40, 40, 40), font)
    for colour in ((213, 94, 0), (0, 114, 178), (0, 158, 115))[: 1 + seed % 3]:
        ys = np.cumsum(rng.normal(0, 14, 560)) + 460
        draw.line([(120 + 2 * i, float(np.clip(y, 60, 860))) for i, y in enumerate(ys)], colour, 5)
    draw.rectangle((120, 60, 1240, 860), outline=(60, 60, 60), width=3)
    draw.text((480, 12), " ".join(rng.choice(WORDS, 4)), (0, 0, 0), font)
    return image.resize((640, 480), Image.Resampling.BOX)


def terminal(seed: int) -> Image.Image:
    """Coloured words on a dark ground."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (720, 432), (30, 30, 46))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(13)
    colours = [(205, 214, 244), (166, 227, 161), (249, 226, 175), (137, 180, 250), (243, 139, 168)]
    for y in range(6, 420, 18):
        x = 8 + 24 * int(rng.integers(0, 4))
        while x < 620:
            word = str(rng.choice(WORDS))
            draw.text((x, y), word, colours[int(rng.integers(0, 5))], font)
            x += int(draw.textlength(word + " ", font))
    return image


def icon(seed: int) -> Image.Image:
    """Shapes with soft edges on one ground."""
    rng = np.random.default_rng(seed)
    side = (32, 64, 128, 256)[seed % 4]
    image = Image.new("RGB", (side * 4, side * 4), tuple(int(v) for v in rng.integers(200, 256, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        x, y = (int(v) for v in rng.integers(0, side * 2, 2))
        size = int(rng.integers(side, side * 2))
        shape = (draw.ellipse, draw.rectangle)[int(rng.integers(0, 2))]
        shape((x, y, x + size, y + size), fill=colour)
    return image.resize((side, side), Image.Resampling.BOX)


def city(seed: int) -> Image.Image:
    """A map: areas of flat colours, streets with edges, names."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (40, 2)) * (1200, 900)
    y, x = np.mgrid[:900, :1200]
    nearest = np.argmin([(x - px) ** 2 + (y - py) ** 2 for px, py in points], axis=0)
    colours = np.array([(242, 239, 233), (200, 230, 190), (170, 211, 223), (225, 225, 215), (247, 235, 205)])
    image = Image.fromarray(colours[rng.integers(0, 5, 40)][nearest].astype(np.uint8))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(22)
    for _ in range(26):
        line = [tuple(float(v) for v in points[i]) for i in rng.integers(0, 40, 2)]
        draw.line(line, (200, 180, 150), 12)
        draw.line(line, (255, 255, 255), 8)
    for px, py in points[:18]:
        draw.text((px, py), str(rng.choice(WORDS)), (60, 60, 60), font)
    return image.resize((600, 450), Image.Resampling.BOX)


def screenshot(seed: int) -> Image.Image:
    """Windows, buttons and text whose letters use the three colours of a pixel as three places."""
    rng = np.random.default_rng(seed)
    page = Image.new("RGB", (800, 500), (246, 246, 248))
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 800, 34), (52, 58, 70))
    draw.rectangle((0, 35, 190, 500), (232, 234, 240))
    for top in range(60, 480, 44):
        draw.rounded_rectangle((12, top, 178, top + 32), 6, tuple(int(v) for v in rng.integers(150, 255, 3)))
    # Text three times as wide: a column each for red, green and blue.
    ink = Image.new("L", (800 * 3, 500), 0)
    pen = ImageDraw.Draw(ink)
    font = ImageFont.load_default(13)
    for top in range(52, 480, 19):
        line = " ".join(str(word) for word in rng.choice(WORDS, 14))
        strip = Image.new("L", (620, 19), 0)
        ImageDraw.Draw(strip).text((0, 2), line, 255, font)
        ink.paste(strip.resize((620 * 3, 19), Image.Resampling.BICUBIC), (210 * 3, top))
    del pen
    cover = np.asarray(ink, np.float32).reshape(500, 800, 3) / 255
    levels = np.asarray(page, np.float32)
    shown = np.rint(levels * (1 - cover) + np.array((30, 30, 34), np.float32) * cover)
    return Image.fromarray(shown.astype(np.uint8))


DRAWINGS = {"plot": plot, "terminal": terminal, "icon": icon, "map": city, "screenshot": screenshot}


def made() -> Iterator[tuple[str, Levels]]:
    """Twenty drawings, the same ones each time."""
    for name, draw in DRAWINGS.items():
        for seed in range(4):
            yield f"{name} {seed}", np.asarray(draw(seed))


def saved(levels: Levels, form: str, **options: Any) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(levels).save(file, form, **options)
        return file.getvalue()


PEERS: dict[str, dict[str, Any]] = {
    "JPEG": {"subsampling": 0, "optimize": True, "progressive": True},
    "WEBP": {"method": 6},
    "AVIF": {"subsampling": "4:4:4", "speed": 6},
}


def best_peer(levels: Levels, most: int) -> tuple[str, float]:
    """Which of the others has the least error in so many bytes, and its PSNR."""
    found: list[tuple[float, str]] = []
    for form, options in PEERS.items():
        low, high, best = 0, 100, None
        while low <= high:  # sizes rise with quality
            middle = (low + high) // 2
            data = saved(levels, form, quality=middle, **options)
            if len(data) <= most:
                best, low = data, middle + 1
            else:
                high = middle - 1
        if best is not None:
            with Image.open(io.BytesIO(best)) as image:
                found.append((metrics.psnr(levels, np.asarray(image.convert("RGB"))), form))
    if len(saved(levels, "WEBP", lossless=True, method=6, quality=100)) <= most:
        found.append((math.inf, "WebP, lossless"))
    psnr, name = max(found, default=(-math.inf, "none fits"))
    return name, psnr


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--tune", default="visual")
    parser.add_argument("--effort", type=int, default=1)
    options = parser.parse_args()
    pictures = [(path.name, read_picture(path)) for path in options.files] if options.files else list(made())
    model = rdae.open_model(tune=options.tune)
    click.echo(
        "| picture | quality | latents: bytes | PSNR, dB | rdae: bytes | PSNR, dB | stored | best other | PSNR, dB |"
    )
    click.echo("|---|---:|---:|---:|---:|---:|---|---|---:|")
    behind: list[tuple[float, str]] = []
    for name, levels in pictures:
        for quality in QUALITIES:
            plain = model.compress(levels, quality, effort=options.effort, exact=False)
            data = model.compress(levels, quality, effort=options.effort)
            seen = [metrics.psnr(levels, model.decode(each).picture) for each in (plain, data)]
            stored, exact = stored_shares(parse(data))
            kind = (
                "exactly" if exact == 1 else "all" if stored == 1 else f"{stored:.0%}" if stored else "none"
            )
            peer, psnr = best_peer(levels, len(data))
            click.echo(
                f"| {name} | {quality} | {len(plain):,} | {seen[0]:.1f} | {len(data):,} | {seen[1]:.1f} | {kind} "
                f"| {peer} | {psnr:.1f} |"
            )
            if psnr > seen[1]:
                behind.append(
                    (psnr - seen[1], f"{name} at quality {quality}: {peer} has {psnr - seen[1]:.1f} dB more")
                )
    click.echo()
    for _, line in sorted(behind, reverse=True):
        click.echo(line)
    click.echo(f"{len(pictures) * len(QUALITIES)} files; others are ahead in {len(behind)}")


if __name__ == "__main__":
    main()
