"""CompressAI's architectures, trained by whoever has a checkpoint, as codecs to measure beside rdae.

Its zoo has a network for each quality, so a codec is several files: compressai:NAME:QUALITY=FILE for each. A file is
a state dict as its training and its zoo write it, read without running anything in it, or a .safetensors of one. Files
of a network here are what its `compress` returns with lengths before it, as no format of its own exists.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rdae.errors import ResultsError
from rdae.evaluation.peers import OtherCodec, find_peers
from rdae.metrics import Picture
from rdae.training.compressai.importing import import_part

PREFIX = "compressai:"
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


def find_codecs(names: Iterable[str]) -> list[OtherCodec]:
    """Codecs by name, in order: those of peers.PEERS, and compressai:NAME:QUALITY=FILE, of which one NAME is one codec.

    ResultsError for what is unknown or cannot be read, MissingExtraError for what is not installed.
    """
    found: list[OtherCodec] = []
    files: dict[str, dict[int, Path]] = {}
    for name in dict.fromkeys(names):
        if not name.startswith(PREFIX):
            found += find_peers([name])
            continue
        architecture, quality, path = _parse(name)
        if architecture not in files:
            files[architecture] = {}
            found.append(Network(architecture, files[architecture]))
        if quality in files[architecture]:
            raise ResultsError(f"{name}: a second checkpoint for this quality")
        files[architecture][quality] = path
    for codec in found:
        if isinstance(codec, Network):
            codec.open_all()
    return found


@dataclass(frozen=True)
class Network:
    """An architecture with a checkpoint file for each of its qualities."""

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
        return tuple(f"{PREFIX}{self.name}:{q}={path.resolve()}" for q, path in sorted(self.files.items()))

    @property
    def qualities(self) -> tuple[int, ...]:
        """Those that have a file."""
        return tuple(sorted(self.files))

    @property
    def description(self) -> str:
        """Library and files, in a line."""
        names = ", ".join(f"{quality}: {self.files[quality].name}" for quality in self.qualities)
        return f"{self.architecture} by {self._library}; checkpoints {names}"

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """The library and the SHA-256 of each checkpoint."""
        hashes = {str(q): hashlib.sha256(self.files[q].read_bytes()).hexdigest() for q in self.qualities}
        return {"name": self.title, "library": self._library, "checkpoints": hashes}

    @property
    def _library(self) -> str:
        versions = (importlib.metadata.version(package) for package in ("compressai", "torch"))
        return "compressai {}, torch {}".format(*versions)

    def open_all(self) -> None:
        """Read all checkpoints; the errors of `find_codecs`."""
        for quality in self.qualities:
            self._network(quality)

    def encode(self, picture: Picture, quality: float) -> bytes:
        """The bytes of a file; quality is one of `qualities`."""
        import torch
        from torch.nn import functional

        height, width = picture.shape[:2]
        # A copy: the picture may be one that its owner forbids to write to, of which torch would warn.
        x = torch.tensor(picture).permute(2, 0, 1)[None].float().div_(255)
        x = functional.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        with torch.inference_mode():
            coded = self._network(round(quality)).compress(x)
        strings = [group[0] for group in coded["strings"]]
        head = HEAD.pack(height, width, *coded["shape"], len(strings) | round(quality) << 4)
        return head + b"".join(LENGTH.pack(len(string)) + string for string in strings)

    def decode(self, data: bytes) -> Picture:
        """The picture of a file that `encode` wrote: its files are read nowhere else, so they are trusted."""
        import torch

        height, width, *shape, last = HEAD.unpack_from(data)
        strings, place = [], HEAD.size
        for _ in range(last & 15):
            (length,) = LENGTH.unpack_from(data, place)
            place += LENGTH.size
            strings.append([data[place : place + length]])
            place += length
        with torch.inference_mode():
            x_hat = self._network(last >> 4).decompress(strings, tuple(shape))["x_hat"][0, :, :height, :width]
            levels: Picture = (
                x_hat.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
            )
        return levels

    def _network(self, quality: int) -> Any:
        if quality not in self._opened:
            path = self.files[quality]
            state = _state(path)
            module, class_name = ARCHITECTURES[self.architecture]
            kind = getattr(import_part(f"compressai.models.{module}", f"measuring {self.title}"), class_name)
            try:
                network = kind.from_state_dict(state)
            except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError) as error:
                what = str(error).splitlines()[0]
                raise ResultsError(f"{path}: no checkpoint of {self.architecture}: {what}") from error
            network.eval()
            network.update()  # tables for the range coder, where training left them out
            self._opened[quality] = network
        return self._opened[quality]


def _parse(text: str) -> tuple[str, int, Path]:
    """Architecture, quality and file of compressai:NAME:QUALITY=FILE."""
    head, _, file = text.removeprefix(PREFIX).partition("=")
    name, _, quality = head.partition(":")
    if not (file and quality.isascii() and quality.isdigit() and 1 <= int(quality) <= 15):
        raise ResultsError(f"{text!r}, expected {PREFIX}NAME:QUALITY=CHECKPOINT with a quality from 1 to 15")
    if name not in ARCHITECTURES:
        raise ResultsError(f"unknown architecture {name!r}, expected one of {', '.join(ARCHITECTURES)}")
    return name, int(quality), Path(file)


def _state(path: Path) -> dict[str, Any]:
    """The state dict in a file; ResultsError if there is none. No code in the file is run."""
    import torch

    try:
        if path.suffix == ".safetensors":
            import safetensors.torch

            content: Any = safetensors.torch.load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror or error}") from error
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
