"""From a weights file back to an autoencoder that can be trained on: the way back from `rdae.training.export.freeze`.

The transforms come back from float16, the gains from the tables' anchor rows, the prior's layers from their integers.
What only training needs, the density of ẑ and the spread of the latents, is in the file under "train.".
"""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import safetensors
import torch
from torch import Tensor, nn

from rdae.errors import TrainingError
from rdae.networks import weights
from rdae.networks.architecture import Architecture
from rdae.quality import ANCHOR_SPACING
from rdae.training.autoencoder import Autoencoder
from rdae.training.modules.layers import RelaxedLayer

PREFIX = "train."


@dataclasses.dataclass(frozen=True)
class Start:
    """A trained start: `state`, of an autoencoder of that architecture, and the pixels that went into it.

    names: of the weights files, each with its id.
    """

    architecture: Architecture
    state: dict[str, Tensor]
    pixels: int
    names: tuple[str, ...] = ()


def read(path: Path) -> Start:
    """Read a weights file and its manifest.

    WeightsError if they are damaged or missing, TrainingError if the file has nothing to train on with.
    """
    loaded = weights.load(path)  # checks the hash and all that a codec relies on
    manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    with safetensors.safe_open(path, framework="pt") as opened:
        architecture = Architecture.from_dict(json.loads(opened.metadata()["architecture"]))
        tensors = {weights.current_name(name): opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if f"{PREFIX}spread" not in tensors:
        raise TrainingError(f"{path}: has no tensors under {PREFIX!r}, without which training cannot go on")
    model = Autoencoder(architecture)
    state = model.state_dict()
    for prefix in ("analysis", "synthesis", "hyper_analysis", "train"):
        for name, value in tensors.items():
            if name.startswith(prefix + "."):
                state[name.removeprefix(PREFIX)] = value.float()
    state |= _gains(tensors)
    for prefix, network in (("hyper_synthesis", model.hyper_synthesis), ("context", model.context)):
        source = {"hyper_synthesis": "prior.hyper"}.get(prefix, f"prior.{prefix}")
        for name, layer in network.named_modules():
            if isinstance(layer, RelaxedLayer):
                weight, bias = _layer(
                    layer, *(tensors[f"{source}.{name}.{k}"] for k in ("weight", "bias", "shift"))
                )
                state[f"{prefix}.{name}.weight"], state[f"{prefix}.{name}.bias"] = weight, bias
    names = (f"{loaded.name} {loaded.model_id.hex()}",)
    return Start(architecture, state, int(manifest.get("pixels", 0)), names)


def grown(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Return weights of one trunk as those of a model that has one for each step, all the same at first."""
    found = dict(weights)
    for name in model.state_dict():
        first = re.sub(r"^(context\.trunks)\.\d+\.", r"\1.0.", name)
        if name not in weights and first in weights:
            found[name] = weights[first]
    return found


def _layer(layer: RelaxedLayer, weight: Tensor, bias: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Undo `rdae.training.export.freeze.quantise_layer`: integers of 2^-shift steps -> real weight and bias."""
    spec = layer.spec
    step = torch.exp2(-shift.double()) / layer.multiplier
    rows = step.reshape(-1, *[1] * (weight.ndim - 1))
    real = weight.double() * rows * (spec.unit_in / spec.unit_out)
    return real.float(), (bias.double() * step / spec.unit_out).float()


def _gains(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the logarithms of the gains at the anchors: (ANCHORS, C) each."""
    logs = {
        name: tensors[f"gains.{name}"][::ANCHOR_SPACING].log()
        for name in ("quantise", "restore", "analysis", "synthesis")
    }
    logs["restore"] = logs["restore"] + logs["quantise"]  # the table's entries are divided by it
    return {f"gains.log_{name}": log for name, log in logs.items()}


def training_tensors(model: Autoencoder) -> dict[str, Tensor]:
    """Return what a codec does without and `read` needs, as float32: some 30 KB for the default architecture."""
    tensors = {f"{PREFIX}spread": model.spread}
    for name, parameter in model.bottleneck.named_parameters():
        tensors[f"{PREFIX}bottleneck.{name}"] = parameter
    return {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}
