"""The graphs that a model's runtime executes: their names, their files, and which of the model's tensors each needs.

Graphs are written once, by `rdae export`, and lie beside the weights: `mine.safetensors` has `mine.synthesis.onnx` and
so on.  They hold structure, no weights: their tensors are external data that point into the weights file.  A manifest
states the SHA-256 of each.
"""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from rdae.errors import WeightsError
from rdae.networks.architecture import GROUPS, Architecture

SUFFIX = ".onnx"

STEPS = range(GROUPS)
"""The steps of the context model."""

LEVELS = "levels.1"
"""Features to levels; older models have others of this kind, for reduced decodes, which nothing reads any more."""

CHECK = "check"
"""Sums of known integers, by which a runtime shows that it is exact."""


EXACT = frozenset({CHECK, "hyper_synthesis", *(f"context.{step}" for step in STEPS)})
"""Those whose integers every decoder must arrive at: they run where that is sure."""


_CONTEXTS = tuple(f"context.{step}" for step in STEPS)

DECODING = ("hyper_synthesis", *_CONTEXTS, "synthesis", LEVELS)
VERIFYING = ("hyper_synthesis", *_CONTEXTS)
ENCODING = ("features", "latents", "hyper_analysis", *VERIFYING)
SEARCHING = (
    *ENCODING,
    "synthesis",
    LEVELS,
    *(f"gradient.{context}" for context in _CONTEXTS),
    "gradient.synthesis",
    *(f"gradient.{context}.back" for context in reversed(_CONTEXTS[1:])),
)
"""What each kind of work runs, in the order in which it first does."""


def names(architecture: Architecture) -> dict[str, re.Pattern[str]]:
    """Return each graph's name, and a pattern of the names of the tensors that it needs."""
    prior = {
        step: rf"prior\.context\.(entries\.{step}|trunks\.{step % architecture.context_trunks}"
        rf"|(means|indices)\.({'|'.join(str(step * GROUPS + group) for group in range(GROUPS))}))\."
        for step in STEPS
    }
    synthesis = r"synthesis\.(coarse|to_fine|fine)\."
    patterns = {
        CHECK: r"(?!)",
        "features": r"analysis\.(from_pixels|fine)\.",
        "latents": r"analysis\.(to_coarse|coarse)\.",
        "hyper_analysis": r"hyper_analysis\.",
        "hyper_synthesis": r"prior\.hyper\.",
        **{f"context.{step}": prior[step] for step in STEPS},
        "synthesis": synthesis,
        LEVELS: r"synthesis\.to_pixels\.",
        "gradient.synthesis": r"synthesis\.",
        **{f"gradient.context.{step}": prior[step] for step in STEPS},
        # What the first step knows has no gradient: nothing is known yet.
        **{f"gradient.context.{step}.back": prior[step] for step in STEPS if step},
    }
    return {name: re.compile(pattern) for name, pattern in patterns.items()}


def given_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in which graphs have a tensor of the weights file: matrices are 1x1 convolutions."""
    return (*shape, 1, 1) if name.endswith(".weight") and len(shape) == 2 else shape


def path_of(weights: Path, name: str) -> Path:
    """Return the file of a weights file's graph."""
    return weights.with_name(f"{weights.stem}.{name}{SUFFIX}")


def beside(weights: Path) -> list[Path]:
    """Return the files of all graphs that lie beside weights, of these or of older ones of that name."""
    return sorted(weights.parent.glob(f"{glob.escape(weights.stem)}.*{SUFFIX}"))


def read(weights: Path, name: str, stated: str | None) -> bytes:
    """Return a graph's bytes; WeightsError if it is not there, or not what the manifest states."""
    path = path_of(weights, name)
    if stated is None:
        raise WeightsError(
            f"{weights}: has no graphs for this version of rdae: make them with rdae export {weights}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"{path}: {error.strerror or error}: make it with rdae export {weights}"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != stated:
        raise WeightsError(
            f"{path}: SHA-256 is {found}, but the manifest of {weights.name} says {stated}: the graph is damaged, or "
            "of another model"
        )
    return data


def needed(pattern: re.Pattern[str], tensors: Iterable[str]) -> list[str]:
    """Return those tensors of a weights file that a graph needs."""
    return [name for name in tensors if pattern.match(name)]
