"""CompressAI's hyperprior models as codecs to time, with random weights.

How long they take depends on the shapes of their layers and on how many latents they code, not on what was learnt: all
latents are coded, whatever their values.  Their files are another matter, so no size is reported.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F

from rdae.evaluation.speed.codecs import Codec
from rdae.metrics import Picture
from rdae.training.compressai.importing import import_part

STRIDE = 64
"""Their pictures have sides that are multiples of this."""


@dataclasses.dataclass(frozen=True)
class Learned:
    """A model of CompressAI's zoo: the class that builds it, and up to which quality it is of the narrower width."""

    class_name: str
    last_narrow: int


NARROW, WIDE = (128, 192), (192, 320)  # channels of the transforms, of the latents
QUALITIES = (1, 8)

# After compressai.zoo.image, `cfgs`.
LEARNED = {
    "mbt2018-mean": Learned("MeanScaleHyperprior", last_narrow=4),
    "bmshj2018-hyperprior": Learned("ScaleHyperprior", last_narrow=5),
}


@dataclasses.dataclass(frozen=True)
class Strings:
    """What their `compress` returns, and the picture's (height, width)."""

    coded: dict[str, Any]
    size: tuple[int, int]


def of_compressai(name: str, quality: int) -> Codec:
    """Build a model of LEARNED at a quality of CompressAI's, 1 to 8; MissingExtraError without compressai."""
    google = import_part("compressai.models.google", f"timing {name}")
    known = LEARNED[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = getattr(google, known.class_name)(*(NARROW if quality <= known.last_narrow else WIDE))
    network.eval()
    network.update()  # its tables for the range coder

    @torch.inference_mode()
    def encode(picture: Picture) -> Strings:
        height, width = picture.shape[:2]
        # A copy: the picture may be one that its owner forbids to write to, of which torch would warn.
        x = torch.tensor(picture).permute(2, 0, 1)[None].float().div_(255)
        x = F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        return Strings(network.compress(x), (height, width))

    @torch.inference_mode()
    def decode(strings: Strings) -> Picture:
        height, width = strings.size
        x_hat = network.decompress(**strings.coded)["x_hat"][0, :, :height, :width]
        levels: Picture = x_hat.mul(255).round_().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        return levels

    return Codec(f"CompressAI {name}", quality, encode, decode, lambda _strings: None)
