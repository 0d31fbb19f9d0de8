"""Weights files: finding them, checking them against their hash, loading them into a `Model`.

A model is one safetensors file, with a manifest beside it (same name, .json) that states its SHA-256, so that a
damaged file is refused before anything is read from it.  safetensors holds numbers only: loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from torch import Tensor

from rdae.errors import WeightsError
from rdae.model import GainTables, Model
from rdae.networks.architecture import Architecture
from rdae.networks.registry import (
    DEFAULT,
    Installed,
    damage,
    default_path,
    find,
    find_by_id,
    installed,
    manifest_of,
)
from rdae.networks.tables import Tables
from rdae.prior.exact import ExactPrior
from rdae.quality import MAX_INDEX
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.layers import check_arithmetic
from rdae.training.modules.normaliser import SCALES
from rdae.training.modules.synthesis import Synthesis

__all__ = ["DEFAULT", "FORMAT", "Installed", "default_path", "find", "find_by_id", "installed", "load"]

FORMAT = "rdae-model-1"

_LONE_TRUNK = re.compile(r"^prior\.context\.(?=spread|mix|deeper_)")


def load(name_or_path: str | Path | None = None, device: str | torch.device = "cpu") -> Model:
    """Read a weights file (default: that of the package) and its manifest into a model.

    name_or_path: as for `find`.
    WeightsError if a file is missing, is not what its manifest says, or breaks the exact prior's bounds.
    """
    path = default_path() if name_or_path is None else find(name_or_path)
    try:
        data = path.read_bytes()
        stated = manifest_of(path)["sha256"]
    except OSError as error:
        raise WeightsError(f"{error.filename}: {error.strerror or error}") from error
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != stated:
        raise WeightsError(f"{path}: {damage(sha256, stated)}")
    try:
        check_arithmetic(torch.device(device))
        return _build(path.stem, sha256, data, device)
    except ArithmeticError as error:
        raise WeightsError(str(error)) from error
    except (KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
        # torch lists all tensors that do not fit, a line each.
        reason, *_ = str(error).split("\n")
        raise WeightsError(f"{path}: not weights of this version: {reason}") from error


def _build(name: str, sha256: str, data: bytes, device: str | torch.device) -> Model:
    tensors, meta = _read(data)
    if meta.get("format") != FORMAT:
        raise ValueError(f"format is {meta.get('format')!r}, expected {FORMAT!r}")
    architecture = Architecture.from_dict(json.loads(meta["architecture"]))
    # (The device "meta" would spare making up numbers, but torch takes a second to load what it needs for that.)
    analysis, synthesis = Analysis(architecture, start=False), Synthesis(architecture, start=False)
    hyper = HyperAnalysis(architecture)
    for prefix, network in (("analysis", analysis), ("synthesis", synthesis), ("hyper_analysis", hyper)):
        # Copies: folding changes them, and the exact synthesis wants them as they are in the file.
        state = {k: v.to(torch.float32, copy=True) for k, v in _below(tensors, prefix).items()}
        network.load_state_dict(state, assign=True)
        network.requires_grad_(requires_grad=False)
        for block in network.modules():
            if isinstance(block, Block):
                block.fold()
    prior = ExactPrior(
        architecture,
        y_tables=Tables(*_arrays(tensors, "tables.y.counts", "tables.y.limits")),
        z_tables=Tables(*_arrays(tensors, "tables.z.counts", "tables.z.limits")),
        skip_below=int(meta["skip_below"]),
    )
    prior.load_state_dict(
        {
            k: v.long() if v.dtype == torch.int32 and "." not in k else v.float()
            for k, v in _below(tensors, "prior").items()
        },
        assign=True,
    )
    prior.check()
    _check_rows(prior)
    gains = GainTables(**{k: v.to(device) for k, v in _below(tensors, "gains").items()})
    _check_gains(gains, architecture)
    return Model(
        name=name,
        sha256=sha256,
        architecture=architecture,
        analysis=analysis.to(device, torch.float32).eval(),
        synthesis=synthesis.to(device, torch.float32).eval(),
        synthesis_state=_below(tensors, "synthesis"),
        hyper_analysis=hyper.to(device, torch.float32).eval(),
        prior=prior.to(device).eval(),
        gains=gains,
    )


def _check_rows(prior: ExactPrior) -> None:
    """ValueError unless there is a table row for all that a decoder may meet."""
    found = (len(prior.y_tables.limits), len(prior.z_tables.limits))
    expected = (SCALES, prior.architecture.hyper_latents)
    if found != expected:
        raise ValueError(f"tables of {found} rows for y and z, expected {expected}")
    if not 0 <= prior.skip_below <= SCALES:
        raise ValueError(f"skip_below is {prior.skip_below}, expected 0 to {SCALES}")


def _check_gains(gains: GainTables, architecture: Architecture) -> None:
    for name, channels in (
        ("quantise", architecture.latents),
        ("restore", architecture.latents),
        ("analysis", architecture.fine),
        ("synthesis", architecture.fine),
    ):
        gain: Tensor = getattr(gains, name)
        if gain.dtype != torch.float32 or gain.shape != (MAX_INDEX + 1, channels):
            raise ValueError(
                f"gains.{name} is {gain.dtype} {tuple(gain.shape)}, expected 801 x {channels} float32"
            )


def _read(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Parse the bytes that were hashed, not the file again."""
    import safetensors.torch

    tensors = {current_name(name): tensor for name, tensor in safetensors.torch.load(data).items()}
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return tensors, header.get("__metadata__", {})


def current_name(name: str) -> str:
    """Return what a tensor of a weights file is called today: a context model's only trunk once had no number."""
    return _LONE_TRUNK.sub("prior.context.trunks.0.", name)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = prefix + "."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


def _arrays(tensors: dict[str, Tensor], *names: str) -> list[np.ndarray]:
    return [tensors[name].numpy() for name in names]
