"""From a trained autoencoder to a weights file: float16 transforms, gain tables, the prior in integers."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rdae import __version__
from rdae.codec import encode
from rdae.errors import TrainingError
from rdae.networks import graphs as graph_files
from rdae.networks import weights
from rdae.networks.layers import EXACT_BOUND, Z_MAX
from rdae.networks.model import Model
from rdae.networks.normaliser import integer_tables
from rdae.networks.tables import Tables
from rdae.quality import MAX_INDEX, from_index
from rdae.storage.files import check_output
from rdae.storage.together import write_together
from rdae.training import checkpoint, weight_averaging
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import TrainingConfig
from rdae.training.data.pool import Pictures, Pool
from rdae.training.data.stream import Stream
from rdae.training.export import graphs, tables
from rdae.training.modules.layers import RelaxedLayer
from rdae.training.warm_start import training_tensors

SKIP_BELOW = 2
"""Latents of scale index 0 and 1 (at most 0.122 steps: nonzero once in 24,000) are not coded."""

_CALIBRATION_CROPS = 128
_CALIBRATION_SIDE = 256
_CALIBRATION_MEGAPIXELS = 100

_INT16 = 2**15 - 1
_MAX_SHIFT = 23


def quantise_layer(layer: RelaxedLayer) -> dict[str, Tensor]:
    """Return weight, bias and shift of the exact layer nearest to a relaxed one: int16, int32 and uint8.

    Each output channel gets the largest shift at which L1(w) * max_in + |b| + 2^(shift-1) < 2^24 and weights fit
    16 bits.  TrainingError if there is none.
    """
    spec = layer.spec
    real_weight, real_bias = layer.real_weight()
    weight = torch.zeros_like(real_weight)
    bias, shift = torch.zeros_like(real_bias), torch.zeros_like(real_bias)
    for channel in range(spec.channels_out):
        row = real_weight[channel] * (spec.unit_out / spec.unit_in)
        offset = real_bias[channel] * spec.unit_out
        for bits in range(_MAX_SHIFT, 0, -1):
            w, b = (row * 2.0**bits).round(), (offset * 2.0**bits).round()
            reach = float(w.abs().sum()) * spec.max_in + abs(float(b)) + 2.0 ** (bits - 1)
            if reach < EXACT_BOUND and float(w.abs().max()) <= _INT16:
                weight[channel], bias[channel], shift[channel] = w, b, bits
                break
        else:
            raise TrainingError(f"{spec.name}: channel {channel} is too large for exact arithmetic")
    return {"weight": weight.to(torch.int16), "bias": bias.to(torch.int32), "shift": shift.to(torch.uint8)}


def prior_tensors(model: Autoencoder) -> dict[str, Tensor]:
    """Return the prior's layers and tables as small integers."""
    tensors: dict[str, Tensor] = {}
    for prefix, network in (("hyper", model.hyper_synthesis), ("context", model.context)):
        for name, module in network.named_modules():
            if isinstance(module, RelaxedLayer):
                for key, tensor in quantise_layer(module).items():
                    tensors[f"{prefix}.{name}.{key}"] = tensor
    made = integer_tables(model.spread.double().cpu().numpy())
    return tensors | {name: torch.from_numpy(table) for name, table in made.items()}


def gain_tables(model: Autoencoder) -> dict[str, Tensor]:
    """Return the gains at every quality index, float32 (801, C)."""
    index, gains = torch.arange(MAX_INDEX + 1), model.gains
    logs = {
        "quantise": gains.log_quantise,
        "restore": gains.log_restore - gains.log_quantise,
        "analysis": gains.log_analysis,
        "synthesis": gains.log_synthesis,
    }
    return {name: gains.at(log.detach().cpu(), index)[:, :, 0, 0].contiguous() for name, log in logs.items()}


def file_tensors(model: Autoencoder, y_tables: Tables) -> dict[str, Tensor]:
    """Return all tensors of a weights file."""
    tensors: dict[str, Tensor] = {}
    for prefix in ("analysis", "synthesis", "hyper_analysis"):
        for name, value in getattr(model, prefix).state_dict().items():
            # Scales divide and multiply weights: they keep their 24 bits.
            kept = value.float() if name.endswith("scale") else value.half()
            tensors[f"{prefix}.{name}"] = kept.cpu().contiguous()
    tensors |= {f"prior.{k}": v.cpu().contiguous() for k, v in prior_tensors(model).items()}
    tensors |= {f"gains.{k}": v for k, v in gain_tables(model).items()}
    z_tables = tables.join(tables.hyper_latent_rows(_hyper_latent_likelihood(model)))
    for name, made in (("y", y_tables), ("z", z_tables)):
        tensors[f"tables.{name}.counts"] = torch.from_numpy(made.counts)
        tensors[f"tables.{name}.limits"] = torch.from_numpy(made.limits)
    tensors |= training_tensors(model)
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise TrainingError(f"{name} has values that are not finite, or beyond float16's range")
    return tensors


@torch.no_grad()
def _hyper_latent_likelihood(model: Autoencoder) -> npt.NDArray[np.float64]:
    """The probability of each channel's integers -Z_MAX..Z_MAX, (channels, 2 * Z_MAX + 1)."""
    symbols = torch.arange(-Z_MAX, Z_MAX + 1, dtype=torch.float32)
    inputs = symbols.expand(1, model.architecture.hyper_latents, 1, -1)
    likelihood = model.bottleneck.cpu()(inputs, None)
    found: npt.NDArray[np.float64] = likelihood[0, :, 0].double().numpy()
    return found


def write(model: Autoencoder, y_tables: Tables, path: Path, facts: dict[str, Any], *, force: bool) -> str:
    """Write weights file, graphs and manifest, all or, on failure, none; return the weights' SHA-256.

    facts: what the manifest shall say of the training.
    """
    import safetensors.torch

    metadata = {
        "format": weights.FORMAT,
        "architecture": json.dumps(model.architecture.to_dict()),
        "skip_below": str(SKIP_BELOW),
    }
    data = _ordered(safetensors.torch.save(file_tensors(model, y_tables), metadata=metadata))
    sha256 = hashlib.sha256(data).hexdigest()
    manifest = {
        "name": path.stem,
        "sha256": sha256,
        "bytes": len(data),
        "format": weights.FORMAT,
        "rdae": __version__,
        "architecture": model.architecture.to_dict(),
        **facts,
    }
    made = graphs.of_weights(data)
    manifest["graphs"] = graphs.digests(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = (json.dumps(manifest, indent=1) + "\n").encode()
    beside = {graph_files.path_of(path, name): graph for name, graph in made.items()}
    write_together({path: data, **beside, path.with_suffix(".json"): stated}, force=force)
    return sha256


def _ordered(data: bytes) -> bytes:
    """Write the header of a safetensors file in a fixed order; its library's differs from process to process."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the tensors stay aligned
    return len(text).to_bytes(8, "little") + text + data[end:]


def count_residuals(model: Model, pictures: list[Tensor], indices: list[int]) -> list[npt.NDArray[np.int64]]:
    """Quantise pictures, uint8 (3, H, W), the i-th at quality index indices[i], and count residuals by scale index."""
    lengths = [len(row) for row in tables.gaussian_rows()]
    histogram = [np.zeros(length, dtype=np.int64) for length in lengths]
    for picture, index in zip(pictures, indices, strict=True):
        _, *steps = encode.quantise(picture.permute(1, 2, 0).numpy(), model, index).symbols
        for step in steps:
            for scale in np.unique(step.rows):
                limit = (lengths[scale] - 2) // 2
                here = step.symbols[step.rows == scale]
                columns = np.where(np.abs(here) <= limit, here + limit, 2 * limit + 1)
                histogram[scale] += np.bincount(columns, minlength=lengths[scale])
    return histogram


def export(
    run: Path,
    path: Path,
    *,
    data: tuple[str, ...] = (),
    mean: tuple[Path, float] | None = None,
    force: bool = False,
) -> str:
    """Freeze the averaged weights of a run's checkpoint into a weights file; return its SHA-256.

    mean: a weights file to take the mean with, and the share, above 0 and at most 1, by which the run counts in it.
    data: where the training pictures are, if not where they were.  The tables of the residuals are fitted to crops of
    them, coded with the frozen model itself.
    TrainingError if the checkpoint or the data cannot be used, that or WeightsError if the other weights cannot,
    OutputExistsError without `force`, ValueError if there is no such share.
    """
    if mean is not None and not 0 < mean[1] <= 1:
        raise ValueError(f"share is {mean[1]}, expected one above 0 and at most 1")
    if path.suffix != ".safetensors":
        raise TrainingError(f"{path}: a weights file's name ends with .safetensors")
    for output in (path, path.with_suffix(".json")):
        check_output(output, force=force)
    state = checkpoint.load(run)
    config = checkpoint.config(run, state)
    model = averaged(run, state)
    facts = {
        "steps": state["step"],
        "pixels": state["pixels"],
        "training_hours": round(state["elapsed_s"] / 3600, 3),
        "quality": [from_index(config.quality_low), from_index(config.quality_high)],
        "training": config.to_dict()
        | {name: [Path(each).name for each in getattr(config, name)] for name in ("data", "validation")},
    }
    if mean is not None:
        facts["mean"] = {"with": list(weight_averaging.mix(model, *mean)), "share": mean[1]}
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        write(model, tables.join(tables.gaussian_rows()), draft, facts, force=False)
        crops = _calibration_crops(data or config.data, config)
        span = config.quality_high - config.quality_low
        indices = [config.quality_low + round(span * i / (len(crops) - 1)) for i in range(len(crops))]
        histogram = count_residuals(weights.load(draft), crops, indices)
    return write(model, tables.join(tables.fitted_rows(histogram)), path, facts, force=force)


def averaged(run: Path, state: dict[str, Any]) -> Autoencoder:
    """Return the network with the averaged weights of a run's checkpoint; TrainingError if it does not fit."""
    model = Autoencoder(checkpoint.config(run, state).architecture)
    try:
        model.load_state_dict(state["average"])
    except (KeyError, RuntimeError) as error:
        message = f"{run / checkpoint.NAME}: not a checkpoint of this version ({error})"
        raise TrainingError(message.splitlines()[0]) from error
    return model


def _calibration_crops(data: tuple[str, ...], config: TrainingConfig) -> list[Tensor]:
    """Draw training crops, uint8 (3, H, W), larger than in training where the pictures are: files have few borders."""
    generator = torch.Generator().manual_seed(config.seed)
    side = max(_CALIBRATION_SIDE, config.crop)
    try:
        pictures = _pictures(data, side, config)
    except TrainingError:
        side = config.crop
        pictures = _pictures(data, side, config)
    return list(pictures.crops(_CALIBRATION_CROPS, side, generator))


def _pictures(data: tuple[str, ...], side: int, config: TrainingConfig) -> Pool:
    """Hold the training pictures that the tables are fitted to: of a corpus that is streamed, a part."""
    cpu = torch.device("cpu")
    if config.stream is None:
        return Pictures(data, cpu, side, weights=config.weights)
    hold = round(min(config.stream, _CALIBRATION_MEGAPIXELS) * 1e6)
    stream = Stream(data, cpu, side, hold=hold, reuse=1.0, seed=config.seed, weights=config.weights)
    try:
        stream.fill()
    finally:
        stream.close()
    return stream
