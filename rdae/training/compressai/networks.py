"""CompressAI's networks as codecs to measure beside rdae (rdae.evaluation.codecs).

Its zoo has a network for each quality, so a codec is several checkpoints: a state dict as its training and its zoo
write it, read without running anything in it, or a .safetensors of one. With random weights two of them can be timed:
how long they take depends on the shapes of their layers and on how many latents they code, not on what was learnt.
Files of a network here are what its `compress` returns with lengths before it, as no format of its own exists.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rdae.clock import Clock
from rdae.errors import ResultsError
from rdae.metrics import Picture
from rdae.training.compressai.importing import import_part

STRIDE = 64  # sides that all of them take are multiples of this
HEAD = struct.Struct("<HHHHB")  # height, width, and of the outermost latents; how many strings
LENGTH = struct.Struct("<I")

# Name in CompressAI's zoo: (module of compressai.models, class).
ARCHITECTURES: Mapping[str, tuple[str, str]] = {
    "bmshj2018-factorized": ("google", "FactorizedPrior"),
    "bmshj2018-factorized-relu": ("google", "FactorizedPriorReLU"),
    "bmshj2018-hyperprior": ("google", "ScaleHyperprior"),
    "mbt2018-mean": ("google", "MeanScaleHyperprior"),
    "mbt2018": ("google", "JointAutoregressiveHierarchicalPriors"),
    "cheng2020-anchor": ("waseda", "Cheng2020Anchor"),
    "cheng2020-attn": ("waseda", "Cheng2020Attention"),
}

# Channels of the transforms, of the latents. After compressai.zoo.image, `cfgs`: up to this quality of a network's it
# is of the narrower width.
NARROW, WIDE = (128, 192), (192, 320)
LAST_NARROW = {"mbt2018-mean": 4, "bmshj2018-hyperprior": 5}


@dataclass(frozen=True)
class Network:
    """An architecture with a checkpoint file for each of its qualities; without any, with random weights."""

    architecture: str
    files: Mapping[int, Path]
    _opened: dict[int, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short, for file names."""
        return self.architecture

    @property
    def title(self) -> str:
        """For tables and legends."""
        return f"CompressAI {self.architecture}"

    @property
    def suffix(self) -> str:
        """The end of the names of its files and results."""
        return "." + self.architecture

    @property
    def arguments(self) -> tuple[str, ...]:
        """What find_codecs makes it from, wherever it is called."""
        return tuple(f"compressai:{self.name}:{q}={path.resolve()}" for q, path in sorted(self.files.items()))

    @property
    def untrained(self) -> bool:
        """Whether its weights are random."""
        return not self.files

    @property
    def qualities(self) -> tuple[int, ...]:
        """Those that have a file; with random weights those of the zoo."""
        return tuple(sorted(self.files)) or tuple(range(1, 9))

    @property
    def all_qualities(self) -> tuple[int, ...]:
        """The same: between them there is none."""
        return self.qualities

    @property
    def description(self) -> str:
        """Library and files, in a line."""
        names = ", ".join(f"{quality}: {path.name}" for quality, path in sorted(self.files.items()))
        return f"{self.architecture} by {self._library}; checkpoints {names or 'none, random weights'}"

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """The library and the SHA-256 of each checkpoint."""
        hashes = {str(q): hashlib.sha256(self.files[q].read_bytes()).hexdigest() for q in sorted(self.files)}
        return {"name": self.title, "library": self._library, "checkpoints": hashes}

    @property
    def _library(self) -> str:
        versions = (importlib.metadata.version(package) for package in ("compressai", "torch"))
        return "compressai {}, torch {}".format(*versions)

    def prepare(self) -> None:
        """Read all checkpoints; ResultsError if one cannot be used, MissingExtraError without compressai."""
        try:
            for path in self.files.values():
                path.open("rb").close()
        except OSError as error:
            raise ResultsError(f"{error.filename}: {error.strerror}") from error
        self._class()
        for quality in sorted(self.files):
            self._network(quality)

    def encode(self, picture: Picture, quality: float, /, clock: Clock | None = None) -> bytes:
        """The bytes of a file; quality is one of `qualities`."""
        import torch
        from torch.nn import functional

        del clock
        height, width = picture.shape[:2]
        # A copy: the picture may be one that its owner forbids to write to, of which torch would warn.
        x = torch.tensor(picture).permute(2, 0, 1)[None].float().div_(255)
        x = functional.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        with torch.inference_mode():
            coded = self._network(round(quality)).compress(x)
        strings = [group[0] for group in coded["strings"]]
        head = HEAD.pack(height, width, *coded["shape"], len(strings) | round(quality) << 4)
        return head + b"".join(LENGTH.pack(len(string)) + string for string in strings)

    def decode(self, data: bytes, /, clock: Clock | None = None) -> Picture:
        """The picture of a file that `encode` wrote: its files are read nowhere else, so they are trusted."""
        import torch

        del clock
        height, width, *shape, last = HEAD.unpack_from(data)
        strings, start = [], HEAD.size
        for _ in range(last & 15):
            (length,) = LENGTH.unpack_from(data, start)
            start += LENGTH.size
            strings.append([data[start : start + length]])
            start += length
        with torch.inference_mode():
            x_hat = self._network(last >> 4).decompress(strings, tuple(shape))["x_hat"][0, :, :height, :width]
            levels: Picture = (
                x_hat.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            )
        return levels

    def _network(self, quality: int) -> Any:
        if quality not in self._opened:
            network = self._random(quality) if self.untrained else self._trained(self.files[quality])
            network.eval()
            network.update()  # tables for the range coder, where training left them out
            self._opened[quality] = network
        return self._opened[quality]

    def _class(self) -> Any:
        module, class_name = ARCHITECTURES[self.architecture]
        return getattr(import_part(f"compressai.models.{module}", f"measuring {self.title}"), class_name)

    def _random(self, quality: int) -> Any:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self._class()(*(NARROW if quality <= LAST_NARROW[self.architecture] else WIDE))

    def _trained(self, path: Path) -> Any:
        state = _state(path)
        try:
            return self._class().from_state_dict(state)
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
            what = str(error).splitlines()[0]
            raise ResultsError(f"{path}: no checkpoint of {self.architecture}: {what}") from error


def parse(text: str) -> tuple[str, int, Path]:
    """Architecture, quality and file of NAME:QUALITY=FILE; ResultsError for anything else."""
    head, _, file = text.partition("=")
    name, _, quality = head.partition(":")
    if not (file and quality.isascii() and quality.isdigit() and 1 <= int(quality) <= 15):
        expected = "compressai:NAME:QUALITY=CHECKPOINT with a quality from 1 to 15"
        raise ResultsError(f"'compressai:{text}', expected {expected}")
    if name not in ARCHITECTURES:
        raise ResultsError(f"unknown architecture {name!r}, expected one of {', '.join(ARCHITECTURES)}")
    return name, int(quality), Path(file)


def _state(path: Path) -> dict[str, Any]:
    """The state dict in a file; ResultsError if there is none. No code in the file is run."""
    import safetensors.torch
    import torch

    try:
        if path.suffix == ".safetensors":
            content: Any = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling errors of many kinds
        raise ResultsError(f"{path}: no checkpoint that can be read without running code") from error
    for key in ("state_dict", "model", "network"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(
        isinstance(value, torch.Tensor) for value in content.values()
    ):
        raise ResultsError(f"{path}: expected a state dict, names and tensors")
    # Training on several GPUs puts this before each name.
    return {str(name).removeprefix("module."): value for name, value in content.items()}
