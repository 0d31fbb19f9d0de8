"""What is shown: files as they are now, each known to be one that the viewer shows, and their models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import rdae
from rdae.codec.container import MAGIC, parse
from rdae.errors import MissingExtraError, NotRdaeError, StreamError, WeightsError
from rdae.networks import registry
from rdae.storage.files import MAX_FILE_BYTES, read_bounded
from rdae.storage.locations import locate

RDAE_TYPE = "image/x-rdae"
START_BYTES = 16  # enough to know a picture by


@dataclass(frozen=True)
class ShownFile:
    """A file to look at.

    name: its last part, for people. data: all of it. model: the eight hexadecimal digits of the model that it needs, or
    "". weights: that model's weights file.
    """

    name: str
    media_type: str
    data: bytes
    model: str = ""
    weights: Path | None = None


def read_shown(location: str, weights: Path | None = None) -> ShownFile:
    """Read a file to look at: an .rdae file, or a picture that browsers open.

    location: as `rdae.storage.locations.locate` takes it.  weights: of the model that it needs; default: those that are
    installed.  Raises OSError if it cannot be read, a StreamError if it is damaged or neither of these, WeightsError if
    it needs a model that is not installed, or another than that of the weights.
    """
    place = locate(location)
    with place.open(NotRdaeError, StreamError) as file:
        start = file.read(START_BYTES)
        kind = _media_type(start)
        # What may become the magic is cut short perhaps: parse says so.
        if not kind and not MAGIC.startswith(start):
            raise NotRdaeError("neither an .rdae file nor a picture that browsers open")
        data = start + read_bounded(file, StreamError, MAX_FILE_BYTES - len(start))
    if kind and kind != RDAE_TYPE:
        return ShownFile(place.name, kind, data)
    container = parse(data)
    if not container.needs_model:
        return ShownFile(place.name, RDAE_TYPE, data)
    model = container.header.model
    return ShownFile(place.name, RDAE_TYPE, data, model.hex(), _weights_of(model, weights))


def _weights_of(model: bytes, given: Path | None) -> Path:
    if given is None:
        return registry.find_by_id(model)
    path = registry.find(given)
    found = str(registry.manifest_of(path)["sha256"])[: 2 * len(model)]
    if found != model.hex():
        raise WeightsError(f"needs model {model.hex()}, but {path.stem} is {found}")
    return path


def viewer_folder() -> Path:
    """Return the folder of the built viewer: the package's or the checkout's; MissingExtraError if neither has it."""
    package = Path(rdae.__file__).resolve().parent
    for folder in (package / "web_data", package.parent / "web" / "dist"):
        if (folder / "viewer" / "index.html").is_file():
            return folder
    raise MissingExtraError(
        "the viewer is not built: cd web && npm ci && npm run build (with Node.js 20 or newer)"
    )


def _media_type(start: bytes) -> str:
    """What browsers call a file that begins so, or "" if they do not open it."""
    if start.startswith(MAGIC):
        return RDAE_TYPE
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "image/webp"
    if start[4:8] == b"ftyp" and start[8:12] in {b"avif", b"avis"}:
        return "image/avif"
    for magic, kind in (
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff", "image/jpeg"),
        (b"GIF8", "image/gif"),
        (b"BM", "image/bmp"),
    ):
        if start.startswith(magic):
            return kind
    return ""
