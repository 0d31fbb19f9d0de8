"""Graphs of a model for the runtime: what its networks compute, written down as ONNX with the weights left outside."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rdae.errors import WeightsError
from rdae.networks import graphs, registry, weights
from rdae.networks.architecture import Architecture
from rdae.storage.together import write_together
from rdae.training.export.graphs import prior, prior_gradient, transform_gradient, transforms
from rdae.training.export.graphs.draft import Draft, Stored


def all_graphs(architecture: Architecture, stored: Mapping[str, Stored]) -> dict[str, bytes]:
    """Return every graph of a model by name."""
    makers: dict[str, Callable[[Draft], None]] = {graphs.CHECK: prior.check}
    makers["features"] = lambda draft: transforms.features(draft, architecture)
    makers["latents"] = lambda draft: transforms.latents(draft, architecture)
    makers["hyper_analysis"] = lambda draft: transforms.hyper_analysis(draft, architecture)
    makers["hyper_synthesis"] = lambda draft: prior.hyper_synthesis(draft, architecture)
    for step in graphs.STEPS:
        makers[f"context.{step}"] = lambda draft, step=step: prior.context(draft, architecture, step)  # type: ignore[misc]
    makers["synthesis"] = lambda draft: transforms.synthesis(draft, architecture)
    makers[graphs.LEVELS] = lambda draft: transforms.levels(draft, architecture)
    makers["gradient.synthesis"] = lambda draft: transform_gradient.synthesis_gradient(draft, architecture)
    for step in graphs.STEPS:
        makers[f"gradient.context.{step}"] = lambda draft, step=step: prior_gradient.context(
            draft, architecture, step
        )  # type: ignore[misc]
    for step in graphs.STEPS[1:]:  # what the first step says depends on no latent
        makers[f"gradient.context.{step}.back"] = lambda draft, step=step: prior_gradient.context_back(
            draft, architecture, step
        )  # type: ignore[misc]
    made = {}
    for name, make in makers.items():
        draft = Draft(name, stored)
        make(draft)
        made[name] = draft.finish()
    return made


def of_weights(data: bytes) -> dict[str, bytes]:
    """Return every graph of a weights file's bytes by name; ValueError if they are not of this version."""
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    meta = header.pop("__metadata__")
    stored = {}
    for name, entry in header.items():
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        stored[weights.current_name(name)] = Stored(entry["dtype"], tuple(entry["shape"]), start, end)
    return all_graphs(Architecture.from_dict(json.loads(meta["architecture"])), stored)


def digests(made: Mapping[str, bytes]) -> dict[str, str]:
    """Return what a manifest states of graphs: the SHA-256 of each."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in sorted(made.items())}


def add(path: Path) -> int:
    """Make the graphs of a weights file that has none, or others; return how many there are.

    Its manifest is written anew, with what it says of graphs.  WeightsError if the weights are not what the manifest
    says, or not of this version; nothing is written then.
    """
    try:
        data = path.read_bytes()
        manifest = registry.manifest_of(path)
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror or error}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != manifest["sha256"]:
        raise WeightsError(f"{path}: {registry.damage(sha256, manifest['sha256'])}")
    try:
        made = of_weights(data)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: not weights of this version: {error}") from error
    outputs = {graphs.path_of(path, name): graph for name, graph in made.items()}
    stated = json.dumps({**manifest, "graphs": digests(made)}, indent=1) + "\n"
    write_together({**outputs, path.with_suffix(".json"): stated.encode()}, force=True)
    return len(made)
