"""The two training likelihoods, from compressai; the one place where it is imported."""

from __future__ import annotations

import sys

import torch
from torch import nn

from rdae.errors import MissingExtraError

_operators: list[torch.library.Library] = []


def _mend_torchvision() -> None:
    """Make `import torchvision`, which compressai does, work beside a CPU build of torch.

    PyPI's torchvision is built for CUDA.  Beside another torch its extension does not load, and its import fails on
    registering shapes for two operators that nobody declared.  Declaring them is enough: picture compression never
    calls them.  Where the extension loads, nothing is touched.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.append(library)  # an operator lives as long as its library


def likelihood_models(hyper_latents: int, scale_min: float) -> tuple[nn.Module, nn.Module]:
    """Return compressai's EntropyBottleneck for z and GaussianConditional for y.

    Called in training mode, each returns (noisy values, likelihoods).  The bottleneck's medians stay at 0, so that
    its likelihoods at integers are those of round(z).  MissingExtraError without compressai.
    """
    try:
        _mend_torchvision()
        import compressai.entropy_models as models
    except ImportError as error:
        message = f"training needs compressai ({error}): pip install 'rdae[train]'"
        raise MissingExtraError(message) from error
    bottleneck = models.EntropyBottleneck(hyper_latents, init_scale=8)
    bottleneck.quantiles.requires_grad_(requires_grad=False)
    return bottleneck, models.GaussianConditional(None, scale_bound=scale_min)
