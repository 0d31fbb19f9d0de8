"""A loaded model: transforms and prior under one name and hash, on graphs that open when they are first needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rdae.networks import runtime
from rdae.networks.architecture import Architecture
from rdae.networks.prior import Prior
from rdae.networks.runtime import Graph
from rdae.networks.transforms import Transforms
from rdae.objective import Objective

if TYPE_CHECKING:
    from rdae.networks.exact_synthesis import ExactSynthesis


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a model came from: what opens it again, here or in another process."""

    path: Path
    device: str
    threads: int


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """Everything that turns pictures into latents and back.

    name: what people call it; sha256: of its weights file, whose first four bytes a file carries.  objective: what it
    was trained for, which an encoder's search goes by.
    tensors: the weights file's, by name.  graphs: by name, `rdae.networks.graphs`.  reopen: opens the model of a source
    again, if it still has that hash.
    """

    name: str
    sha256: str
    objective: Objective
    architecture: Architecture
    transforms: Transforms
    prior: Prior
    tensors: Mapping[str, npt.NDArray[Any]]
    graphs: Mapping[str, Graph]
    source: Source
    reopen: Callable[[Source, str], Model]

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process, or into a copy, as the path and hash: graphs and threads cannot travel."""
        return self.reopen, (self.source, self.sha256)

    @property
    def device(self) -> str:
        """Where its networks run, but for the prior, which is on the CPU: "cpu", "cuda:0" and so on."""
        return self.source.device

    @property
    def model_id(self) -> bytes:
        """The four bytes by which a file names its model."""
        return bytes.fromhex(self.sha256[:8])

    @cached_property
    def exact_synthesis(self) -> ExactSynthesis:
        """The synthesis in integers, loaded and prepared when it is first asked for."""
        from rdae.networks.exact_synthesis import ExactSynthesis

        return ExactSynthesis(self.tensors, self.source.threads)

    @property
    def reach(self) -> int:
        """How many latents beside it a pixel depends on."""
        return self.transforms.reach

    def open_ahead(self, names: Sequence[str]) -> None:
        """Begin to open graphs that will be run soon, unless work is to be done by one thread.

        Opening those of a decode takes longer than a small picture's decode, and keeps a single processor busy.
        """
        if self.source.threads > 1:
            runtime.open_ahead([self.graphs[name] for name in names])

    def hyper_analyse(self, y: npt.NDArray[np.float32], index: int) -> npt.NDArray[np.int32]:
        """Return z rounded, int32 (hyper_latents, ceil(h/4), ceil(w/4)), of y in steps (latents, h, w)."""
        return self.transforms.hyper_analyse(y, self.prior.to_context(index))
