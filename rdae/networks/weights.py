"""Weights files: finding them, checking them against their hash, loading them into a `Model`.

A model is one safetensors file, with a manifest beside it (same name, .json) that states its SHA-256, so that a
damaged file is refused before anything is read from it, and with its graphs.  safetensors holds numbers only, graphs
say which known operations to make on them: loading runs no code.
"""

from __future__ import annotations

import functools
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors

from rdae.errors import WeightsError
from rdae.networks import devices, graphs, runtime
from rdae.networks.architecture import Architecture
from rdae.networks.layers import prior_layers
from rdae.networks.model import Model, Source
from rdae.networks.normaliser import ROWS, SCALES, TABLE_MAX
from rdae.networks.prior import NormaliserTables, Prior
from rdae.networks.registry import damage, find, manifest_of, not_weights, sha256_of, tuned_path
from rdae.networks.runtime import Graph
from rdae.networks.tables import Tables
from rdae.networks.transforms import Gains, Transforms
from rdae.objective import Objective
from rdae.processors import MAX_THREADS, available_processors
from rdae.quality import MAX_INDEX

FORMAT = "rdae-model-1"

Array = npt.NDArray[Any]

_DTYPES = {f"{kind.upper()}{8 * size}": f"<{kind}{size}" for kind in "fiu" for size in (1, 2, 4, 8)}
_LONE_TRUNK = re.compile(r"^prior\.context\.(?=spread|mix|deeper_)")


def load(
    name_or_path: str | Path | None = None, device: str | None = None, threads: int | None = None
) -> Model:
    """Open a weights file (default: that of the package) with its manifest; its graphs open when they are needed.

    name_or_path: as for `find`.  device: as for `rdae.networks.devices.find`.  threads: that share the work of one
    network; default: as many processors as this process may use.
    WeightsError if a file is missing, is not what its manifest says, or breaks the exact prior's bounds.
    """
    path = tuned_path() if name_or_path is None else find(name_or_path)
    on = devices.find(device)
    count = min(available_processors(), MAX_THREADS) if threads is None else threads
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"threads is {count}, expected 1 to {MAX_THREADS}")
    sha256, manifest = _checked(path)
    try:
        model = _build(path, sha256, manifest, on, count)
    except (KeyError, TypeError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        reason, *_ = str(error).split("\n")
        raise WeightsError(f"{path}: not weights of this version: {reason}") from error
    try:
        runtime.check(model.graphs[graphs.CHECK])
    except ArithmeticError as error:
        raise WeightsError(str(error)) from error
    return model


def _checked(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the SHA-256 of weights and the manifest that states it; WeightsError if there is none that does."""
    try:
        sha256 = sha256_of(path)  # first: of a path that is wrong, the file that was asked for is named
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from error
    try:
        manifest = manifest_of(path)
    except OSError as error:
        problem = f"{error.filename}: {error.strerror or error}"
    except WeightsError as error:
        problem = str(error)
    else:
        if sha256 == manifest["sha256"]:
            return sha256, manifest
        problem = f"{path}: {damage(sha256, manifest['sha256'])}"
    # Whoever gives a picture, or the manifest itself, has named no manifest beside it.
    other = not_weights(path)
    raise WeightsError(f"{path}: {other}" if other else problem)


class Tensors(Mapping[str, Array]):
    """The tensors of a weights file by their names of today: views of the file, of which nothing is copied.

    The package safetensors says whether a file is sound, but would copy each tensor, or keep the pages that were read:
    25 MB of a program that shows one picture.
    """

    def __init__(self, path: Path) -> None:
        """Open a safetensors file; SafetensorError if it is none."""
        with safetensors.safe_open(path, framework="np") as opened:
            self.metadata: dict[str, str] = opened.metadata() or {}
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._start = 8 + int.from_bytes(self._data[:8], "little")
        header: dict[str, Any] = json.loads(self._data[8 : self._start])
        header.pop("__metadata__", None)
        self._entries = {current_name(name): entry for name, entry in header.items()}

    def __getitem__(self, name: str) -> Array:
        entry = self._entries[name]
        start, end = (self._start + offset for offset in entry["data_offsets"])
        dtype = np.dtype(_DTYPES[entry["dtype"]])
        array = np.frombuffer(self._data, dtype, (end - start) // dtype.itemsize, start)
        return array.reshape(entry["shape"])

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def release(self) -> None:
        """Give back the memory that reading has taken; what is read again comes from the file again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)


def _build(
    path: Path, sha256: str, manifest: Mapping[str, Any], device: devices.Device, threads: int
) -> Model:
    tensors = Tensors(path)
    meta = tensors.metadata
    if meta.get("format") != FORMAT:
        raise ValueError(f"format is {meta.get('format')!r}, expected {FORMAT!r}")
    architecture = Architecture.from_dict(json.loads(meta["architecture"]))
    for name, spec in prior_layers(architecture).items():
        spec.check(*(tensors[f"prior.{name}.{part}"] for part in ("weight", "bias", "shift")))
    opened = _graphs(path, architecture, tensors, manifest, device, threads)
    prior = Prior(
        architecture,
        opened,
        _normaliser_tables(architecture, tensors),
        y_tables=Tables(*(tensors[f"tables.y.{part}"] for part in ("counts", "limits"))),
        z_tables=Tables(*(tensors[f"tables.z.{part}"] for part in ("counts", "limits"))),
        skip_below=int(meta["skip_below"]),
    )
    _check_rows(prior)
    tensors.release()
    return Model(
        name=path.stem,
        sha256=sha256,
        objective=Objective.of_manifest(manifest),
        architecture=architecture,
        transforms=Transforms(architecture, opened, _gains(architecture, tensors)),
        prior=prior,
        tensors=tensors,
        graphs=opened,
        source=Source(path.absolute(), device.name, threads),
        reopen=open_again,
    )


def _graphs(
    path: Path,
    architecture: Architecture,
    tensors: Tensors,
    manifest: Mapping[str, Any],
    device: devices.Device,
    threads: int,
) -> dict[str, Graph]:
    """The graphs of a model, not yet opened.  The prior's are always on the CPU, where its integers are exact."""
    stated = manifest.get("graphs")
    digests = stated if isinstance(stated, dict) else {}

    def read(name: str, pattern: re.Pattern[str]) -> tuple[bytes, dict[str, Array]]:
        given = {each: as_given(each, tensors[each]) for each in graphs.needed(pattern, tensors)}
        return graphs.read(path, name, digests.get(name)), given

    return {
        name: Graph(
            functools.partial(read, name, pattern),
            threads,
            devices.CPU if name in graphs.EXACT else device,
            tensors.release,
        )
        for name, pattern in graphs.names(architecture).items()
    }


def as_given(name: str, tensor: Array) -> Array:
    """Return a tensor as graphs are given it: matrices as 1x1 convolutions, (out, in, 1, 1)."""
    return tensor.reshape(graphs.given_shape(name, tensor.shape))


def _normaliser_tables(architecture: Architecture, tensors: Tensors) -> NormaliserTables:
    found = {}
    for name in ("to_context", "from_mean", "index_offset"):
        table = tensors[f"prior.{name}"]
        if table.dtype != np.int32 or table.shape != (ROWS, architecture.latents):
            raise ValueError(
                f"{name} is {table.dtype} {table.shape}, expected int32 {ROWS} x {architecture.latents}"
            )
        found[name] = table.astype(np.int64)
        # Means reach 2^15 * 2^29 / 2^14, and ŷ·64 at most 2^20 * 64 more.
        if (np.abs(found[name]) > TABLE_MAX).any():
            raise ValueError(f"{name} has entries beyond 2^29")
    return NormaliserTables(**found)


def _check_rows(prior: Prior) -> None:
    """ValueError unless there is a table row for all that a decoder may meet."""
    found = (len(prior.y_tables.limits), len(prior.z_tables.limits))
    expected = (SCALES, prior.architecture.hyper_latents)
    if found != expected:
        raise ValueError(f"tables of {found} rows for y and z, expected {expected}")
    if not 0 <= prior.skip_below <= SCALES:
        raise ValueError(f"skip_below is {prior.skip_below}, expected 0 to {SCALES}")


def _gains(architecture: Architecture, tensors: Tensors) -> Gains:
    channels = {
        "quantise": architecture.latents,
        "restore": architecture.latents,
        "analysis": architecture.fine,
        "synthesis": architecture.fine,
    }
    for name, count in channels.items():
        gain = tensors[f"gains.{name}"]
        if gain.dtype != np.float32 or gain.shape != (MAX_INDEX + 1, count):
            raise ValueError(f"gains.{name} is {gain.dtype} {gain.shape}, expected 801 x {count} float32")
    return Gains(**{name: tensors[f"gains.{name}"] for name in channels})


def current_name(name: str) -> str:
    """Return what a tensor of a weights file is called today: a context model's only trunk once had no number."""
    return _LONE_TRUNK.sub("prior.context.trunks.0.", name)


def open_again(source: Source, sha256: str) -> Model:
    """Open the model that lies there; WeightsError if it is another by now."""
    model = load(source.path, source.device, source.threads)
    if model.sha256 != sha256:
        raise WeightsError(f"{source.path}: is {model.sha256[:8]} now, and was {sha256[:8]}")
    return model
