"""Settings of a run as people write them, read as what TrainingConfig holds; ValueError for what makes no sense."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from rdae.networks.architecture import Architecture
from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX, from_index, to_index
from rdae.training.config import TrainingConfig


def quality_range(quality: tuple[float, float] | None, beta: float | None) -> tuple[int, int]:
    """The quality indices to train for, both ends included."""
    if beta is not None:
        if not (math.isfinite(beta) and beta > 0):
            raise ValueError(f"{beta}, expected 0.0004 to 0.4")
        index = round(MAX_INDEX * math.log10(beta / BETA_MIN) / BETA_DECADES)
        if not 0 <= index <= MAX_INDEX:
            raise ValueError(f"{beta}, expected 0.0004 to 0.4")
        return index, index
    low, high = (to_index(value) for value in quality or (0.0, 100.0))
    if low > high:
        raise ValueError(f"{from_index(low)} is above {from_index(high)}")
    return low, high


def sizes(text: str | None, base: Architecture) -> dict[str, int]:
    """The sizes of `base` with those in their place that `text`, NAME=NUMBER,…, names."""
    found: dict[str, int] = base.to_dict()
    for part in (text or "").replace(" ", "").split(","):
        name, _, value = part.partition("=")
        if part and (name not in found or not value.isdecimal()):
            raise ValueError(f"{part!r}, expected NAME=NUMBER with a name of {', '.join(found)}")
        if part:
            found[name] = int(value)
    return found


def crops(text: str) -> dict[str, Any]:
    """The sides of the crops: SIDE:SHARE,…,SIDE as the settings `crop` and `crops`."""
    *earlier, last = text.replace(" ", "").split(",")
    try:
        pairs = [part.split(":") for part in earlier]
        return {"crop": int(last), "crops": tuple((int(side), float(share)) for side, share in pairs)}
    except ValueError as error:
        raise ValueError(f"{text!r}, expected SIDE, or SIDE:SHARE,…,SIDE") from error


def weights(texts: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """The weights of pictures: PATTERN=NUMBER each."""
    found = []
    for text in texts:
        pattern, _, number = text.rpartition("=")
        try:
            found.append((pattern, float(number)))
        except ValueError as error:
            raise ValueError(f"{text!r}, expected PATTERN=NUMBER") from error
        if not pattern:
            raise ValueError(f"{text!r}, expected PATTERN=NUMBER")
    return tuple(found)


def parts(text: str | None) -> tuple[str, ...]:
    """The parts that are trained alone: NAME,…"""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def check_warm_up(config: TrainingConfig) -> None:
    """ValueError if the learning rates would never be reached in a run with a budget of steps."""
    if config.steps is not None and config.warmup_steps > config.steps:
        raise ValueError(
            f"a warm-up of {config.warmup_steps} steps is longer than the run of {config.steps}; "
            "--warmup-steps shortens it"
        )


def check_same(given: TrainingConfig, saved: TrainingConfig) -> None:
    """ValueError if the settings of a command that was given again are not those of the run that it goes on with."""
    may_differ = {"data", "validation", "steps", "hours"}
    if not saved.init:  # a run that did not record it yet
        may_differ.add("init")
    for field in dataclasses.fields(TrainingConfig):
        now, before = getattr(given, field.name), getattr(saved, field.name)
        if field.name not in may_differ and now != before:
            raise ValueError(f"The run goes on with {field.name} {before}, not {now}")
