"""Which models there are: where weights files lie, what their manifests say, which one a name or a file means.

Several models live side by side, so that files of old models can still be read.  Only manifests are read here, which is
quick; that the weights are what a manifest says is found out when they are loaded (`rdae.networks.weights`).

Other packages bring models as files of the folder rdae_models in site-packages: weights, manifest and graphs, as
`rdae export` writes them.  rdae_models is a namespace package (no __init__.py), so that several such packages can be
installed, and nothing of theirs is run.  tools/models_package.py makes one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import importlib.util
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rdae import __version__
from rdae.errors import WeightsError
from rdae.networks import graphs
from rdae.networks.known_models import known

TUNES = {"psnr": "rdae-base", "visual": "rdae-visual"}
"""Names of the published weights by what they are best at: PSNR, or what people see."""

DEFAULT_TUNE = "visual"
"""Whose weights compress unless others are asked for."""

PATH_VARIABLE = "RDAE_MODEL_PATH"
"""Environment variable with folders that are searched first, written like PATH."""

MODELS_PACKAGE = "rdae_models"
"""The folder by which other packages bring models."""

SUFFIX = ".safetensors"
MANIFEST_SUFFIX = ".json"
ID_BYTES = 4
MAX_MANIFEST = 1 << 20  # bytes; what is longer is none


@dataclass(frozen=True)
class Installed:
    """A weights file in a folder of the search path.

    sha256: as its manifest says, or "" if that cannot be read. problem: what is seen to be wrong with it without
    reading the weights, or "".
    """

    name: str
    path: Path
    sha256: str
    size_bytes: int
    problem: str = ""

    @property
    def short_id(self) -> str:
        """What a file names the model by, in hexadecimal."""
        return self.sha256[: 2 * ID_BYTES]

    def check(self) -> str:
        """Hash the weights and the graphs; return what is wrong, or ""."""
        if self.problem:
            return self.problem
        try:
            found = sha256_of(self.path)
            if found != self.sha256:
                return damage(found, self.sha256)
            stated = manifest_of(self.path).get("graphs")
            digests = stated if isinstance(stated, dict) else {}
            needed = dict.fromkeys((graphs.CHECK, *graphs.ENCODING, *graphs.DECODING))
            # Those of a search an older model may lack.
            for name in (
                *needed,
                *(name for name in graphs.SEARCHING if name in digests and name not in needed),
            ):
                graphs.read(self.path, name, digests.get(name))
        except OSError as error:
            return error.strerror or str(error)
        except WeightsError as error:
            return str(error)
        return ""


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal; OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def damage(found: str, stated: object) -> str:
    """Say that weights are not what their manifest promises."""
    return f"SHA-256 is {found}, but its manifest says {stated}: the file is damaged"


def not_weights(path: Path) -> str:
    """Say what a file is instead, if its name is not that of weights; else "".

    To be asked of a file that does not fit the manifest beside it: weights that do may be called anything.
    """
    if path.suffix == SUFFIX:
        return ""
    weights = path.with_suffix(SUFFIX)
    if path.suffix == MANIFEST_SUFFIX and weights.is_file():
        return f"a manifest, expected the weights, {weights}"
    return f"not a weights file, expected NAME{SUFFIX} with its manifest NAME{MANIFEST_SUFFIX} beside it"


def packaged() -> Path:
    """Return the folder of the weights that are installed with the package."""
    try:
        return Path(str(importlib.resources.files("rdae.weights_data")))
    except ModuleNotFoundError as error:
        raise WeightsError("no weights are installed with this copy of rdae: pip install it") from error


def companions() -> list[Path]:
    """Return the folders of other packages that bring models; they are found, not imported."""
    try:
        found = importlib.util.find_spec(MODELS_PACKAGE)
    except (ImportError, ValueError):  # of a module by this name that somebody has made
        return []
    return [Path(folder) for folder in (found and found.submodule_search_locations) or ()]


def tuned_path(tune: str | None = None) -> Path:
    """Return the published weights of a tune: the package's, or the first of their name in the search path.

    tune: one of TUNES; None: DEFAULT_TUNE.  ValueError for another, WeightsError if its weights are not installed.
    """
    wanted = DEFAULT_TUNE if tune is None else tune
    if wanted not in TUNES:
        raise ValueError(f"tune {tune!r}, expected one of {', '.join(TUNES)}")
    name = TUNES[wanted]
    with contextlib.suppress(WeightsError):
        path = packaged() / f"{name}{SUFFIX}"
        if path.is_file():
            return path
    try:
        return find(name)
    except WeightsError as error:
        raise WeightsError(f"the weights of the tune {wanted} are missing: {error}") from error


def folders() -> list[Path]:
    """Return the folders that are searched, in order: the environment's, the user's, rdae's, other packages'."""
    listed = os.environ.get(PATH_VARIABLE, "").split(os.pathsep)
    found = [Path(entry) for entry in listed if entry]
    with contextlib.suppress(RuntimeError):  # of a user without a home
        found.append(_data_folder() / "rdae" / "models")
    with contextlib.suppress(WeightsError):
        found.append(packaged())
    found.extend(companions())
    return list(dict.fromkeys(found))


def installed() -> list[Installed]:
    """Return all models of the search path, in its order; a folder that is not there or not readable holds none."""
    return [entry for folder in folders() for entry in _in_folder(folder)]


def find(name_or_path: str | Path) -> Path:
    """Return the weights file that is meant.

    A name has no slash and no dot: the first model of the search path that is called so, WeightsError if none is.
    Anything else is a path, and is returned as it is.
    """
    text = str(name_or_path)
    if not re.fullmatch(r"[^./\\]+", text):
        return Path(name_or_path)
    for entry in installed():
        if entry.name == text:
            return entry.path
    raise WeightsError(f"no model is called {text}: {_account()}")


def find_by_id(model_id: bytes) -> Path:
    """Return the weights file that a file with this model id needs.

    WeightsError if no installed model has it, or if several do that are not the same.
    """
    fitting = [entry for entry in installed() if entry.sha256.startswith(model_id.hex())]
    fitting.sort(key=lambda entry: bool(entry.problem))  # stable: of copies the first that looks sound
    different = {entry.sha256: entry for entry in fitting}
    if len(different) > 1:
        listed = ", ".join(f"{entry.path} ({sha256})" for sha256, entry in different.items())
        raise WeightsError(
            f"needs model {model_id.hex()}, but several different models begin so: {listed}; say which with --model"
        )
    if not fitting:
        raise WeightsError(
            f"needs model {model_id.hex()}{_advice(model_id)}; {_account()}; "
            f"where its weights are, --model FILE says, or their folder in {PATH_VARIABLE}"
        )
    return fitting[0].path


def name_of(model_id: bytes) -> str | None:
    """Return the name of an installed model with this id, or None."""
    try:
        return find_by_id(model_id).stem
    except WeightsError:
        return None


def manifest_of(path: Path) -> dict[str, object]:
    """Read the manifest beside a weights file; OSError if it cannot be read, WeightsError if it is none."""
    beside = path.with_suffix(MANIFEST_SUFFIX)
    with beside.open("rb") as file:
        data = file.read(MAX_MANIFEST + 1)
    if len(data) > MAX_MANIFEST:
        raise WeightsError(f"{beside}: not a manifest (more than {MAX_MANIFEST} bytes)")
    try:
        manifest = json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{beside}: not a manifest ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("sha256"), str):
        raise WeightsError(f"{beside}: not a manifest (it does not state a SHA-256)")
    if not re.fullmatch(r"[0-9a-f]{64}", manifest["sha256"]):
        raise WeightsError(f"{beside}: not a manifest (its SHA-256 is damaged: {manifest['sha256']!r})")
    return manifest


def _in_folder(folder: Path) -> Iterator[Installed]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and path.is_file())
    except OSError:
        return
    for path in paths:
        size = -1
        try:
            size = path.stat().st_size
            manifest = manifest_of(path)
        except (OSError, WeightsError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            yield Installed(path.stem, path, "", size, f"no manifest: {reason}")
            continue
        stated = manifest.get("bytes", size)
        problem = (
            "" if stated == size else f"{size} bytes, but its manifest says {stated}: the file is damaged"
        )
        yield Installed(path.stem, path, str(manifest["sha256"]), size, problem)


def _data_folder() -> Path:
    """Return where this platform keeps what programs install for one user; RuntimeError if that is nowhere."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    shared = Path(os.environ.get("XDG_DATA_HOME", ""))
    return shared if shared.is_absolute() else Path.home() / ".local" / "share"


def _advice(model_id: bytes) -> str:
    """Say what an absent model is, and what to do about it."""
    model = known(model_id)
    if model is None:
        return (
            f", which is not installed, and which rdae {__version__} does not know: "
            "install a newer rdae, or ask whoever wrote the file for its weights"
        )
    return f" ({model.name}), which is not installed: {model.advice}"


def _account() -> str:
    """Say, on one line, what there is and where it was looked for."""
    there = ", ".join(f"{entry.name} ({entry.short_id or 'damaged'})" for entry in installed()) or "nothing"
    return f"installed are {there}; searched {', '.join(map(str, folders()))}"
