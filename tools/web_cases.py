"""Writes what the browser's decoder is tested with: files, models, and what rdae in Python makes of them.

    python tools/web_cases.py FOLDER [--mutants N] [--pictures FOLDER] [--large]
    python tools/web_cases.py --time FILE

FOLDER then has models/ (slices), files/, pixels/ (raw red, green, blue, alpha as Python decodes) and cases.json.
--pictures: photographs that are compressed with both published models, instead of data/example.png alone.
--large: a picture of 12 megapixels too, the first photograph over and over.
--time: prints seconds of decoding FILE here, with one thread and with two, as JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import fuzzing
import numpy as np
import numpy.typing as npt
from PIL import Image

import rdae
from rdae.codec import decode
from rdae.codec.container import NO_MODEL, Container, parse
from rdae.codec.tiles import Region
from rdae.errors import RdaeError
from rdae.networks import registry, weights
from rdae.networks.model import Model
from rdae.networks.slices import name_of, slice_of
from rdae.pictures import profiles
from rdae.pictures.colours import Colours, of_cicp
from rdae.pictures.raster import Raster

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
LARGE = 1 << 20
"""Pixels beyond which a file is decoded whole only."""

LARGE_SIZE = (4000, 3000)
WIDE_SIZE = (40_000, 20)
DISPLAY_P3 = (12, 13)
"""Primaries and transfer by ITU-T H.273."""

LARGE_FILE = "files/large.rdae"
ROUNDS = 5
SEED = 28


class Cases:
    """What is written, as it comes about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("models", "files", "pixels"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self._models: dict[bytes, Model] = {}
        self.good: list[dict[str, Any]] = []
        self.bad: list[dict[str, Any]] = []
        self.profiles: list[dict[str, Any]] = []
        self.mutants: list[dict[str, Any]] = []

    def add_models(self, paths: list[Path]) -> None:
        """Write slices of models."""
        for path in paths:
            model = weights.load(path, threads=1)
            self._models[model.model_id] = model
            (self.folder / "models" / name_of(model.sha256)).write_bytes(slice_of(path))

    def model_of(self, parsed: Container) -> Model | None:
        """The model that a file names, if it was added; None if it names none."""
        return self._models.get(parsed.header.model) if parsed.header.model != NO_MODEL else None

    def add_file(self, name: str, data: bytes) -> None:
        """Write a sound file, and what it decodes to, whole and in parts."""
        (self.folder / "files" / f"{name}.rdae").write_bytes(data)
        parsed = parse(data)
        for view in _views(parsed):
            decoded = decode.decode(data, self.model_of(parsed), **view)
            number = f"{name}.{len(self.good)}"
            pixels = _rgba(decoded.raster)
            (self.folder / "pixels" / number).write_bytes(pixels.tobytes())
            region = view.get("region")
            self.good.append(
                {
                    "file": f"files/{name}.rdae",
                    "pixels": f"pixels/{number}",
                    "width": pixels.shape[1],
                    "height": pixels.shape[0],
                    "scale": view.get("scale", 1),
                    "region": None if region is None else list(region),
                    "checksum": parsed.latent_checksum,
                    "grey": parsed.header.grey,
                }
            )

    def add_profile(self, name: str, picture: Image.Image) -> None:
        """Write a picture whose profile is not sRGB, and its pixels in sRGB as LittleCMS has them."""
        data = rdae.compress(picture, quality=80, effort=0)
        (self.folder / "files" / f"{name}.rdae").write_bytes(data)
        decoded = rdae.decompress(data)
        shown = np.asarray(profiles.to_srgb(decoded, decoded.info["icc_profile"]))
        opaque = np.full(shown.shape[:2], 255, np.uint8)
        (self.folder / "pixels" / name).write_bytes(np.dstack([shown, opaque]).tobytes())
        self.profiles.append({"file": f"files/{name}.rdae", "pixels": f"pixels/{name}"})

    def add_bad(self, name: str, data: bytes, error: str) -> None:
        """Write a file that is to be refused."""
        (self.folder / "files" / f"{name}.rdae").write_bytes(data)
        self.bad.append({"file": f"files/{name}.rdae", "error": error})

    def add_mutants(self, count: int) -> None:
        """Write mutants, and what Python says of each: a picture, or the name of its error."""
        mutants = fuzzing.Mutants(fuzzing.frozen_model())
        whole, place = [], 0
        for index in range(count):
            mutant = mutants.mutant(SEED, index)
            self.mutants.append(
                {
                    "place": [place, place + len(mutant.data)],
                    "maxPixels": mutant.max_pixels,
                    "recipe": mutant.recipe,
                    "verdict": self._verdict(mutant),
                }
            )
            whole.append(mutant.data)
            place += len(mutant.data)
        (self.folder / "mutants").write_bytes(b"".join(whole))

    def _verdict(self, mutant: fuzzing.Mutant) -> str:
        try:
            parsed = parse(mutant.data, mutant.max_pixels)
            decode.decode(parsed, self.model_of(parsed))
        except RdaeError as error:
            return type(error).__name__
        return "picture"

    def add_large(self, picture: Image.Image) -> None:
        """Write a picture of LARGE_SIZE that is made of copies of a smaller one."""
        whole = Image.new("RGB", LARGE_SIZE)
        for top in range(0, whole.height, picture.height):
            for left in range(0, whole.width, picture.width):
                whole.paste(picture, (left, top))
        (self.folder / LARGE_FILE).write_bytes(rdae.compress(whole, quality=50, effort=0))

    def save(self) -> None:
        """Write what there is."""
        told = {"good": self.good, "bad": self.bad, "profiles": self.profiles, "mutants": self.mutants}
        (self.folder / "cases.json").write_text(json.dumps(told))


def _views(parsed: Container) -> Iterator[dict[str, Any]]:
    """All of a picture, and of smaller ones also parts and reduced ones."""
    yield {}
    width, height = parsed.header.width, parsed.header.height
    if width * height > LARGE:
        return
    for scale in (2, 8):
        yield {"scale": scale}
    left, top = width // 3, height // 4
    region = Region(left, top, max(1, width // 2), max(1, height // 2))
    yield {"region": region}
    yield {"region": region, "scale": 4}


def _rgba(raster: Raster) -> npt.NDArray[np.uint8]:
    """(h, w, 4); opaque where there is no alpha."""
    alpha = np.full(raster.levels.shape[:2], 255, np.uint8) if raster.alpha is None else raster.alpha
    return np.concatenate([raster.levels, alpha[:, :, None]], axis=2)


def golden(name: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """What the golden files' JSON says of each."""
    for version in sorted(path for path in GOLDEN.iterdir() if path.is_dir()):
        folder = version / "errors" if name == "errors" else version
        told = version / f"{name}.json"
        for stem, facts in json.loads(told.read_text()).items() if told.exists() else ():
            yield folder / f"{stem}.rdae", facts


def wide() -> Image.Image:
    """A picture that is so wide that decoders take it in parts: slopes, and noise that is the same each time."""
    columns, rows = np.meshgrid(np.arange(WIDE_SIZE[0]), np.arange(WIDE_SIZE[1]))
    slopes = np.stack([columns // 160 % 256, 12 * rows, columns // 7 % 256], axis=2)
    noise = np.random.default_rng(SEED).integers(-20, 20, slopes.shape)
    return Image.fromarray((slopes + noise).clip(0, 255).astype(np.uint8))


def seconds(path: Path) -> dict[str, float]:
    """The median time of a decode, by number of threads."""
    data, found = path.read_bytes(), {}
    named = parse(data).header.model.hex()
    (weights_path,) = (entry.path for entry in registry.installed() if entry.short_id == named)
    for threads in (1, 2):
        model = rdae.open_model(weights_path, threads=threads)
        model.decompress(data)
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            model.decompress(data)
            times.append(time.perf_counter() - start)
        found[str(threads)] = statistics.median(times)
    return found


def main() -> None:
    """Read the arguments; write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--time", type=Path)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--mutants", type=int, default=2000)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    if arguments.time:
        click.echo(json.dumps(seconds(arguments.time)))
        return
    if not arguments.folder:
        parser.error("FOLDER is missing")
    cases = Cases(arguments.folder)
    published = [registry.tuned_path(tune) for tune in registry.TUNES]
    cases.add_models([*sorted(GOLDEN.rglob("*.safetensors")), *published])
    for path, _ in golden("files"):
        cases.add_file(f"{path.parent.name}-{path.stem}", path.read_bytes())
    for path, facts in golden("errors"):
        cases.add_bad(f"{path.parents[1].name}-bad-{path.stem}", path.read_bytes(), facts["error"])
    pictures = (
        sorted(arguments.pictures.glob("*.png")) if arguments.pictures else [ROOT / "data" / "example.png"]
    )
    for path in pictures:
        with Image.open(path) as image:
            for tune in registry.TUNES:
                data = rdae.compress(image.convert("RGB"), quality=50, effort=0, tune=tune)
                cases.add_file(f"{path.stem}-{tune}", data)
    with Image.open(ROOT / "data" / "example.png") as image:
        part = image.convert("RGB").crop((0, 0, 128, 96))
    colours = of_cicp(*DISPLAY_P3)
    assert isinstance(colours, Colours)
    part.info["icc_profile"] = colours.profile("RGB")
    cases.add_profile("display-p3", part)
    cases.add_file("wide", rdae.compress(wide(), quality=50, effort=0))
    if arguments.large:
        with Image.open(pictures[0]) as image:
            cases.add_large(image.convert("RGB"))
    cases.add_mutants(arguments.mutants)
    cases.save()
    click.echo(
        f"{len(cases.good)} pictures of good files, {len(cases.bad)} bad files, {len(cases.mutants)} mutants in "
        f"{arguments.folder}"
    )


if __name__ == "__main__":
    main()
