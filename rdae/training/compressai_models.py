"""The two training likelihoods, from compressai; the one place where it is imported."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
import types
from typing import Any

import torch
from torch import Tensor, nn

from rdae.errors import MissingExtraError


def likelihood_models(hyper_latents: int, scale_min: float) -> tuple[nn.Module, nn.Module]:
    """Return compressai's EntropyBottleneck for z and GaussianConditional for y.

    Called in training mode, each returns (noisy values, likelihoods).  The bottleneck's medians stay at 0, so that
    its likelihoods at integers are those of round(z).  MissingExtraError without compressai.
    """
    models = entropy_models()
    bottleneck = models.EntropyBottleneck(hyper_latents, init_scale=8)
    bottleneck.quantiles.requires_grad_(requires_grad=False)
    return bottleneck, models.GaussianConditional(None, scale_bound=scale_min)


def bottleneck_likelihood(bottleneck: Any, z: Tensor, *, noisy: bool) -> Tensor:
    """Likelihoods of z (B, C, h, w) with noise, or of z rounded, under an EntropyBottleneck: (B, C, h, w).

    What its forward computes, without two things: that one permutes by tensors whose elements a GPU must hand over
    one by one, eight waits a step; and under autocast it multiplies in bf16, where neighbouring integers of a wide
    density differ by less than the last bit.
    """
    with torch.autocast(z.device.type, enabled=False):
        values = z.float().transpose(0, 1)  # (C, B, h, w)
        flat = values.reshape(z.shape[1], 1, -1)
        flat = bottleneck.quantize(flat, "noise" if noisy else "dequantize", bottleneck.quantiles[:, :, 1:2])
        likelihood, _, _ = bottleneck._likelihood(flat)  # noqa: SLF001 - its forward is the only public way
        likelihood = bottleneck.likelihood_lower_bound(likelihood)
    result: Tensor = likelihood.reshape(values.shape).transpose(0, 1)
    return result


def entropy_models() -> Any:
    """Import and return `compressai.entropy_models`; MissingExtraError without compressai.

    The package's own __init__ imports all it has, with torchvision, torch_geometric, pandas and more.  Where one of
    these is missing or broken (PyPI's torchvision does not load beside a CPU build of torch), only the part needed
    here is imported: it wants nothing but torch, numpy and scipy.
    """
    try:
        return importlib.import_module("compressai.entropy_models")
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        try:
            return _import_part()
        except ImportError as second:
            raise MissingExtraError(f"training needs compressai ({second}): pip install 'rdae[train]'") from error


def _import_part() -> Any:
    """Import `compressai.entropy_models` below a stand-in for the package compressai."""
    for name in [name for name in sys.modules if name.split(".")[0] == "compressai"]:
        del sys.modules[name]
    spec = importlib.machinery.PathFinder.find_spec("compressai")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("No module named 'compressai'", name="compressai")
    package: Any = types.ModuleType("compressai")
    package.__spec__ = spec
    package.__path__ = list(spec.submodule_search_locations)
    # What an entropy model asks of its package when it is built; it codes nothing here.
    package.get_entropy_coder = lambda: "ans"
    package.available_entropy_coders = lambda: ["ans"]
    sys.modules["compressai"] = package
    try:
        return importlib.import_module("compressai.entropy_models")
    except ImportError:
        del sys.modules["compressai"]
        raise
