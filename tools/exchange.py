"""Files for other versions of Python and of the libraries to read: what the nox sessions `lowest` and `newest` run.

python tools/exchange.py write FOLDER      # files, and what they are to this installation
python tools/exchange.py read FOLDER...    # they must be the same to this one
"""

# ruff: noqa: T201 - a program that prints

import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.codec import decode, encode
from rdae.networks import registry, weights
from rdae.networks.model import Model

ROOT = Path(__file__).resolve().parents[1]
MODELS = {
    "mini": ROOT / "tests" / "golden" / "v1.0" / "mini.safetensors",
    **{name: registry.tuned_path(tune) for tune, name in registry.TUNES.items()},
}
EXPECTED = "expected.json"

Picture = npt.NDArray[np.uint8]


def versions() -> str:
    """What this installation consists of."""
    libraries = ("onnxruntime", "numpy", "pillow", "click", "constriction", "safetensors")
    return ", ".join(
        [
            f"Python {platform.python_version()}",
            *(f"{it} {importlib.metadata.version(it)}" for it in libraries),
        ]
    )


def pictures() -> dict[str, tuple[Picture, int]]:
    """By name: a picture and a quality index, from one pixel to a whole photograph, at both ends and between."""
    with Image.open(ROOT / "data" / "example.png") as image:
        photo = np.asarray(image.convert("RGB"))
    noise = np.random.default_rng(1).integers(0, 256, (45, 70, 3), dtype=np.uint8)
    return {
        "pixel": (photo[:1, :1], 400),
        "strip": (photo[:3, :131], 0),
        "noise": (noise, 800),
        "low": (photo[:201, :323], 0),
        "middle": (photo[:256, :384], 404),
        "high": (photo[40:217, 10:301], 800),
    }


def facts(data: bytes, model: Model) -> dict[str, str]:
    """What must be the same for all: the latents, and the pixels in exact arithmetic."""
    decoded = decode.decode(data, model, exact=True)
    return {
        "latents": decoded.latents_sha256,
        "pixels": hashlib.sha256(np.ascontiguousarray(decoded.picture).tobytes()).hexdigest(),
    }


def write(folder: Path) -> None:
    """Write files of each model, one of them by the command line, and what they are."""
    folder.mkdir(parents=True, exist_ok=True)
    expected: dict[str, dict[str, str]] = {}
    for name, path in MODELS.items():
        model = weights.load(path)
        written = {
            f"{name}-{label}.rdae": encode.compress(picture, model, index)
            for label, (picture, index) in pictures().items()
        }
        by_command = folder / f"{name}-command.rdae"
        rdae("compress", ROOT / "data" / "example.png", "-o", by_command, "--force", "--model", path)
        written[by_command.name] = by_command.read_bytes()
        for file, data in written.items():
            (folder / file).write_bytes(data)
            expected[file] = facts(data, model)
    described = {"written by": versions(), "files": expected}
    (folder / EXPECTED).write_text(json.dumps(described, indent=1) + "\n")
    print(f"{folder.name}: {len(expected)} files written by {versions()}")


def read(folder: Path) -> bool:
    """Whether all files of a folder are here what they were where they were written."""
    described = json.loads((folder / EXPECTED).read_text())
    models = {name: weights.load(path) for name, path in MODELS.items()}
    wrong = []
    for file, expected in described["files"].items():
        name = next(name for name in MODELS if file.startswith(f"{name}-"))
        found = facts((folder / file).read_bytes(), models[name])
        if file == f"{name}-command.rdae" and by_command(folder / file, MODELS[name]) != expected["pixels"]:
            found["pixels"] = "others by the command line"
        if found != expected:
            wrong.append(f"{file}: {found}, expected {expected}")
    print(f"{folder.name}: {len(described['files'])} files written by {described['written by']}")
    print(f"  read by {versions()}: {wrong or 'all the same'}")
    return not wrong


def by_command(file: Path, model: Path) -> str:
    """The hash of the pixels that `rdae decompress --exact` makes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "picture.png"
        rdae("decompress", file, "-o", picture, "--exact", "--model", model)
        with Image.open(picture) as image:
            return hashlib.sha256(np.asarray(image.convert("RGB")).tobytes()).hexdigest()


def rdae(*arguments: str | Path) -> None:
    """Run the installed command, away from the checkout, whose packages Python would otherwise find first."""
    command = [sys.executable, "-m", "rdae.cli", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tempfile.gettempdir())
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")


def main() -> int:
    verb, *folders = sys.argv[1:] or [""]
    if verb == "write" and len(folders) == 1:
        write(Path(folders[0]).resolve())
        return 0
    if verb == "read" and folders:
        same = [read(Path(folder).resolve()) for folder in folders]  # all of them, whatever the first was
        return 0 if all(same) else 1
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
