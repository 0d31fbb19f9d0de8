"""Small untrained models with everything random that training would have found, written as real weights files.

They need no PyTorch, so tests of the codec run wherever the codec does.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from rdae.networks import weights
from rdae.networks.architecture import GROUPS, TINY, Architecture
from rdae.networks.layers import EXACT_BOUND, LayerSpec, prior_layers
from rdae.networks.model import Model
from rdae.networks.normaliser import integer_tables
from rdae.quality import MAX_INDEX, high_rate_gain
from rdae.training.export import graphs as graph_maker
from rdae.training.export import tables
from rdae.training.modules.dct import haar, patch_dct

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
"""Wide enough that the runtime chooses the kernels that it chooses for a real model."""

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
Array = npt.NDArray[Any]


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


def _transforms(architecture: Architecture, rng: np.random.Generator) -> dict[str, Array]:
    """The transforms with residual branches that do something, in the precisions of a weights file."""
    fine, latents = architecture.fine, architecture.latents
    tensors: dict[str, Array] = {}

    def pointwise(name: str, weight: Numbers) -> None:
        # In order: of a transposed array safetensors would write the bytes as they lie in memory.
        tensors[f"{name}.weight"] = weight.astype(np.float16, order="C")
        tensors[f"{name}.bias"] = np.zeros(len(weight), np.float16)

    def block(name: str, channels: int, *, expand: float = 1.0, project: float = 0.3) -> None:
        spread = channels**-0.5
        depthwise = rng.normal(0, 0.2, (2 * channels, 1, 3, 3))
        depthwise[:, :, 1, 1] += 1.0
        made = {
            "expand.weight": rng.normal(0, expand * spread, (2 * channels, channels)),
            "expand.bias": rng.normal(0, 0.3, 2 * channels),
            "depthwise": depthwise,
            "depthwise_bias": rng.normal(0, 0.3, 2 * channels),
            "project.weight": rng.normal(0, project * spread, (channels, channels)),
            "project.bias": rng.normal(0, 0.05, channels),
        }
        tensors.update({f"{name}.{part}": value.astype(np.float16) for part, value in made.items()})
        tensors[f"{name}.scale"] = np.exp(rng.uniform(-1, 1, channels)).astype(np.float32)

    dct, haar_step = (each.astype(np.float64) for each in (patch_dct(fine), haar(fine, latents, GROUPS)))
    pointwise("analysis.from_pixels", dct)
    pointwise("analysis.to_coarse", haar_step)
    pointwise("synthesis.to_fine", haar_step.T)
    pointwise("synthesis.to_pixels", dct.T)
    for prefix, name, channels, count in (
        ("analysis", "fine", fine, architecture.analysis_fine),
        ("analysis", "coarse", latents, architecture.analysis_coarse),
        ("synthesis", "coarse", latents, architecture.synthesis_coarse),
        ("synthesis", "fine", fine, architecture.synthesis_fine),
    ):
        for number in range(count):
            block(f"{prefix}.{name}.{number}", channels)
    width = max(1, architecture.hyper_width * 3 // 4)
    for name, channels_in, channels_out in (
        ("enter", latents, width),
        ("to_32", 4 * width, width),
        ("to_64", 4 * width, architecture.hyper_latents),
    ):
        pointwise(
            f"hyper_analysis.{name}", rng.normal(0, 1.5 * channels_in**-0.5, (channels_out, channels_in))
        )
    for name in ("coarse", "coarser"):
        block(f"hyper_analysis.{name}", width, expand=1.5, project=1.5)
    return tensors


def _gains(architecture: Architecture, rng: np.random.Generator) -> dict[str, Array]:
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
    return {name: gain.astype(np.float32) for name, gain in made.items()}


def z_rows(channels: int) -> list[Numbers]:
    """A bump with an escape, wider from channel to channel: hyper-latents beyond 4 to 12 are escapes."""
    rows = []
    for channel in range(channels):
        limit = 4 + channel % 9
        row = np.append(np.exp(-np.abs(np.arange(-limit, limit + 1)) / (1.0 + channel % 3)), 0.02)
        rows.append(row / row.sum())
    return rows


def model_tensors(architecture: Architecture = TINY, seed: int = 1) -> dict[str, Array]:
    """All tensors of a weights file."""
    rng = np.random.default_rng(seed)
    tensors = _transforms(architecture, rng)
    for name, spec in prior_layers(architecture).items():
        weight, bias, shift = random_layer(spec, rng)
        tensors[f"prior.{name}.weight"] = weight.astype(np.int16)
        tensors[f"prior.{name}.bias"] = bias.astype(np.int32)
        tensors[f"prior.{name}.shift"] = shift.astype(np.uint8)
    spread = np.exp(rng.uniform(-2.5, 1.5, architecture.latents))
    tensors |= {f"prior.{name}": table for name, table in integer_tables(spread).items()}
    tensors |= {f"gains.{name}": gain for name, gain in _gains(architecture, rng).items()}
    for name, rows in (("y", tables.gaussian_rows()), ("z", z_rows(architecture.hyper_latents))):
        made = tables.join(rows)
        tensors[f"tables.{name}.counts"] = made.counts
        tensors[f"tables.{name}.limits"] = made.limits
    return tensors


def metadata(architecture: Architecture = TINY) -> dict[str, str]:
    """What a weights file says about itself beside its tensors."""
    return {
        "format": weights.FORMAT,
        "architecture": json.dumps(architecture.to_dict()),
        "skip_below": str(SKIP_BELOW),
    }


def write_bytes(path: Path, data: bytes, *, graphs: bool = False, **facts: Any) -> Path:
    """Write a weights file and a manifest that names its hash, or states other `facts`; graphs: with its graphs."""
    path.write_bytes(data)
    manifest = {"name": path.stem, "sha256": hashlib.sha256(data).hexdigest(), **facts}
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=1) + "\n")
    if graphs:
        graph_maker.add(path)
    return path


def write(path: Path, architecture: Architecture = TINY, seed: int = 1) -> Path:
    """Write the weights file, manifest and graphs of a small random model."""
    data = safetensors.numpy.save(model_tensors(architecture, seed), metadata(architecture))
    return write_bytes(path, data, graphs=True)


def opened(folder: Path, architecture: Architecture = TINY, seed: int = 1, *, threads: int = 1) -> Model:
    """A small random model, written to a folder and opened."""
    return weights.load(write(folder / "random.safetensors", architecture, seed), threads=threads)
