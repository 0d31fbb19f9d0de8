"""Write the golden files of the published models into tests/golden/models: python tools/write_golden_models.py

Small files of each model in rdae/networks/known_models.py that a package brings, and the latents and exact pixels that
they must go on meaning.  A released model's files are written once; those of a provisional model are written anew when
its weights were replaced, and taken away when no package brings it any more.
"""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import tests_on_path  # noqa: F401 - before what it makes importable
from PIL import Image
from tiny_model import GOLDEN
from write_golden import sums

from rdae.codec import decode, encode
from rdae.errors import RdaeError
from rdae.networks import registry, weights
from rdae.networks.known_models import HISTORY, KNOWN, KnownModel
from rdae.networks.model import Model

FOLDER = GOLDEN / "models"
TOLD = "models.json"
EXAMPLE = Path(__file__).resolve().parents[1] / "data" / "example.png"


class Crop(NamedTuple):
    """A part of data/example.png, and how it is compressed."""

    left: int
    top: int
    width: int
    height: int
    quality_index: int
    tile: int | None = None


CROPS = {
    "low": Crop(240, 160, 64, 48, 0),
    "photo": Crop(230, 160, 83, 61, 400),
    "high": Crop(240, 160, 48, 32, 800),
    "tiles": Crop(50, 30, 290, 200, 240, tile=4),
}


def picture_of(crop: Crop) -> npt.NDArray[np.uint8]:
    """The pixels of a crop: uint8 (height, width, 3)."""
    with Image.open(EXAMPLE) as image:
        box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
        return np.asarray(image.convert("RGB").crop(box))


def facts_of(data: bytes, model: Model, crop: Crop) -> dict[str, Any]:
    """What a file is and means."""
    exact = decode.decode(data, model, exact=True)
    return {
        "width": crop.width,
        "height": crop.height,
        "quality_index": crop.quality_index,
        "latents_sha256": exact.latents_sha256,
        "pixels_sha256": hashlib.sha256(exact.picture.tobytes()).hexdigest(),
    }


def write_model(known: KnownModel, folder: Path) -> dict[str, Any]:
    """Write one model's files; return what models.json says of them."""
    model = weights.load(registry.find_by_id(bytes.fromhex(known.sha256)[: registry.ID_BYTES]))
    if model.sha256 != known.sha256:
        raise RdaeError(f"{known.name}: its weights are {model.sha256}, expected {known.sha256}")
    files = {}
    for name, crop in CROPS.items():
        data = encode.compress(picture_of(crop), model, crop.quality_index, verify=True, tile=crop.tile)
        (folder / f"{known.name}.{name}.rdae").write_bytes(data)
        files[name] = facts_of(data, model, crop)
    return {"sha256": known.sha256, "files": files}


def write(folder: Path = FOLDER, models: tuple[KnownModel, ...] = KNOWN) -> list[str]:
    """Bring the folder up to date; return the names of the models whose files were written.

    RdaeError if a released model's weights are others than its files were made with, or a model is not installed.
    """
    folder.mkdir(exist_ok=True)
    path = folder / TOLD
    told: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    brought = {model.name: model for model in models if model.home != HISTORY}
    written = []
    for name, known in brought.items():
        if name in told and told[name]["sha256"] == known.sha256:
            continue
        if name in told and known.released:
            raise RdaeError(f"{name} is released: it must stay {told[name]['sha256']}, not {known.sha256}")
        told[name] = write_model(known, folder)
        written.append(name)
    for name in told.keys() - brought.keys():
        del told[name]
        for old in folder.glob(f"{name}.*.rdae"):
            old.unlink()
    path.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")
    return written


def main() -> None:
    try:
        written = write()
    except RdaeError as error:
        sys.exit(str(error))
    (GOLDEN / "SHA256SUMS").write_text(sums())
    print(f"{FOLDER}: {', '.join(written) or 'nothing'} written")  # noqa: T201 - a program that prints


if __name__ == "__main__":
    main()
