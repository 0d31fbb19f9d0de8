"""Small untrained models with everything random that training would have found, written as real weights files.

They need no compressai, so tests of the codec run wherever the codec does.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor

from rdae import weights
from rdae.networks.architecture import TINY, Architecture
from rdae.prior.exact import ExactPrior
from rdae.quality import MAX_INDEX, high_rate_gain
from rdae.training.export import tables
from rdae.training.modules import normaliser
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block, Pointwise
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.layers import EXACT_BOUND, ExactLayer, LayerSpec
from rdae.training.modules.synthesis import Synthesis

GOLDEN = Path(__file__).parents[1] / "golden"

SMALL = Architecture(
    fine=32,
    latents=64,
    hyper_latents=16,
    analysis_fine=1,
    analysis_coarse=1,
    synthesis_coarse=1,
    synthesis_fine=1,
    hyper_width=48,
    context_width=64,
)
"""Wide enough that torch chooses the kernels that it chooses for a real model."""

MINI = Architecture(
    fine=6,
    latents=8,
    hyper_latents=2,
    analysis_fine=1,
    analysis_coarse=1,
    synthesis_coarse=1,
    synthesis_fine=1,
    hyper_width=6,
    context_width=6,
)
"""As small as can be, for the weights file that is kept in tests/golden."""

SKIP_BELOW = 2

Numbers = npt.NDArray[np.float64]


def noise(seed: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture of seeded noise: uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def photo(height: int, width: int) -> npt.NDArray[np.uint8]:
    """A picture with smooth parts, an edge and some noise: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    waves = [np.sin(x / (9 + 5 * c)) + np.cos((x + y) / (23 - 4 * c)) + (x > y) for c in range(3)]
    grain = np.random.default_rng(7).normal(0, 3, (height, width, 3))
    levels = 100 + 35 * np.stack(waves, axis=2) + grain
    return np.clip(levels, 0, 255).astype(np.uint8)


def integer_layer(spec: LayerSpec, weight: Numbers, bias: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Weight, bias and shift of an exact layer like a real one, with the most bits its bound allows, up to 14."""
    fan = weight.reshape(len(weight), -1)
    kept = np.zeros(len(weight))
    for shift in range(1, 15):
        w, b = np.round(fan * 2.0**shift), np.round(bias * 2.0**shift)
        reach = np.abs(w).sum(axis=1) * spec.max_in + np.abs(b) + 2.0 ** (shift - 1)
        kept[(reach < EXACT_BOUND) & (np.abs(w).max(axis=1) < 2**15)] = shift
    assert kept.min() >= 1, spec.name
    scaled = np.round(fan * 2.0 ** kept[:, None]).reshape(weight.shape)
    return scaled, np.round(bias * 2.0**kept), kept


def random_layer(spec: LayerSpec, rng: np.random.Generator) -> tuple[Numbers, Numbers, Numbers]:
    """Weight, bias and shift of an exact layer whose outputs are lively: few are zero, few are at an end."""
    ratio = spec.unit_out / spec.unit_in
    if spec.kernel:
        weight = rng.normal(0, 0.2, spec.weight_shape)
        weight[:, :, spec.kernel // 2, spec.kernel // 2] += 1.0
    else:
        std = {0: 1.6, -127: 8.0}.get(spec.low, 0.25)  # hidden layers, scale indices, means
        weight = rng.normal(0, std * spec.channels_in**-0.5, spec.weight_shape)
    bias = rng.normal(0.1, 0.2, spec.channels_out) * spec.unit_out
    if spec.unit_out == 1:
        bias += 15.0  # half the reference scale, about
    return integer_layer(spec, weight * ratio, bias)


def _transform(network: torch.nn.Module, rng: np.random.Generator) -> dict[str, Tensor]:
    """The network's state with residual branches that do something, in the precisions of a weights file."""

    def normal(like: Tensor, std: float) -> Tensor:
        return torch.from_numpy(rng.normal(0, std, like.shape)).to(like.dtype)

    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, Block):
                channels = len(module.scale)
                module.expand.weight.copy_(normal(module.expand.weight, channels**-0.5))
                module.expand.bias.copy_(normal(module.expand.bias, 0.3))
                module.depthwise.copy_(normal(module.depthwise, 0.2))
                module.depthwise[:, :, 1, 1] += 1.0
                module.depthwise_bias.copy_(normal(module.depthwise_bias, 0.3))
                module.project.weight.copy_(normal(module.project.weight, 0.3 * channels**-0.5))
                module.project.bias.copy_(normal(module.project.bias, 0.05))
                module.scale.copy_(torch.from_numpy(np.exp(rng.uniform(-1, 1, channels))))
            elif isinstance(module, Pointwise) and isinstance(network, HyperAnalysis):
                # Branches of blocks, which come after their block here, keep this start too.
                module.weight.copy_(normal(module.weight, 1.5 * module.weight.shape[1] ** -0.5))
    return {
        name: value.float() if name.endswith("scale") else value.half()
        for name, value in network.state_dict().items()
    }


def _gains(architecture: Architecture, rng: np.random.Generator) -> dict[str, Tensor]:
    index = np.arange(MAX_INDEX + 1)[:, None]
    base = np.array([high_rate_gain(i) for i in range(MAX_INDEX + 1)])[:, None]

    def vector(channels: int) -> Numbers:
        tilt = rng.normal(0, 0.1, (2, channels))
        return np.exp(tilt[:1] + tilt[1:] * index / MAX_INDEX)

    quantise = base * vector(architecture.latents)
    made = {
        "quantise": quantise,
        "restore": vector(architecture.latents) / quantise,
        "analysis": vector(architecture.fine),
        "synthesis": vector(architecture.fine),
    }
    return {name: torch.from_numpy(gain).float().contiguous() for name, gain in made.items()}


def z_rows(channels: int) -> list[Numbers]:
    """A bump with an escape, wider from channel to channel: hyper-latents beyond 4 to 12 are escapes."""
    rows = []
    for channel in range(channels):
        limit = 4 + channel % 9
        row = np.append(np.exp(-np.abs(np.arange(-limit, limit + 1)) / (1.0 + channel % 3)), 0.02)
        rows.append(row / row.sum())
    return rows


def blank_prior(architecture: Architecture) -> ExactPrior:
    """The prior's networks without weights, with the tables of a tiny model."""
    return ExactPrior(
        architecture,
        tables.join(tables.gaussian_rows()),
        tables.join(z_rows(architecture.hyper_latents)),
        SKIP_BELOW,
    )


def model_tensors(architecture: Architecture = TINY, seed: int = 1) -> dict[str, Tensor]:
    """All tensors of a weights file."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    for prefix, network in (
        ("analysis", Analysis(architecture)),
        ("synthesis", Synthesis(architecture)),
        ("hyper_analysis", HyperAnalysis(architecture)),
    ):
        tensors |= {f"{prefix}.{name}": value for name, value in _transform(network, rng).items()}
    prior = blank_prior(architecture)
    for name, layer in prior.named_modules():
        if isinstance(layer, ExactLayer):
            weight, bias, shift = random_layer(layer.spec, rng)
            tensors[f"prior.{name}.weight"] = torch.from_numpy(weight).to(torch.int16)
            tensors[f"prior.{name}.bias"] = torch.from_numpy(bias).to(torch.int32)
            tensors[f"prior.{name}.shift"] = torch.from_numpy(shift).to(torch.uint8)
    spread = torch.from_numpy(np.exp(rng.uniform(-2.5, 1.5, architecture.latents)))
    for name, table in zip(
        ("to_context", "from_mean", "index_offset"), normaliser.integer_tables(spread), strict=True
    ):
        tensors[f"prior.{name}"] = table
    tensors |= {f"gains.{name}": gain for name, gain in _gains(architecture, rng).items()}
    for name, made in (("y", prior.y_tables), ("z", prior.z_tables)):
        tensors[f"tables.{name}.counts"] = torch.from_numpy(made.counts)
        tensors[f"tables.{name}.limits"] = torch.from_numpy(made.limits)
    return tensors


def metadata(architecture: Architecture = TINY) -> dict[str, str]:
    """What a weights file says about itself beside its tensors."""
    return {
        "format": weights.FORMAT,
        "architecture": json.dumps(architecture.to_dict()),
        "skip_below": str(SKIP_BELOW),
    }


def write_bytes(path: Path, data: bytes, **facts: Any) -> Path:
    """Write a weights file and a manifest that names its hash, or states other `facts`."""
    path.write_bytes(data)
    manifest = {"name": path.stem, "sha256": hashlib.sha256(data).hexdigest(), **facts}
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=1) + "\n")
    return path


def write(path: Path, architecture: Architecture = TINY, seed: int = 1) -> Path:
    """Write the weights file and manifest of a small random model."""
    data = safetensors.torch.save(model_tensors(architecture, seed), metadata(architecture))
    return write_bytes(path, data)
