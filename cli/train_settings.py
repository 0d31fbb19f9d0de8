"""What the options of `rdae train` say, as settings of a run; what makes no sense is wrong usage."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import click

from rdae.networks.architecture import Architecture
from rdae.quality import BETA_DECADES, BETA_MIN, MAX_INDEX, from_index, to_index
from rdae.training.config import TrainingConfig


def quality_range(quality: tuple[float, float] | None, beta: float | None) -> tuple[int, int]:
    """The quality indices to train for, both ends included."""
    if beta is not None:
        if not (math.isfinite(beta) and beta > 0):
            raise click.BadParameter(f"{beta}, expected 0.0004 to 0.4", param_hint="--beta")
        index = round(MAX_INDEX * math.log10(beta / BETA_MIN) / BETA_DECADES)
        if not 0 <= index <= MAX_INDEX:
            raise click.BadParameter(f"{beta}, expected 0.0004 to 0.4", param_hint="--beta")
        return index, index
    try:
        low, high = (to_index(value) for value in quality or (0.0, 100.0))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--quality") from error
    if low > high:
        raise click.BadParameter(f"{from_index(low)} is above {from_index(high)}", param_hint="--quality")
    return low, high


def architecture(text: str | None, base: Architecture) -> Architecture:
    """`base` with the sizes that `text`, NAME=NUMBER,…, names."""
    sizes = base.to_dict()
    for part in (text or "").replace(" ", "").split(","):
        name, _, value = part.partition("=")
        if part and (name not in sizes or not value.isdecimal()):
            raise click.BadParameter(
                f"{part!r}, expected NAME=NUMBER with a name of {', '.join(sizes)}",
                param_hint="--architecture",
            )
        if part:
            sizes[name] = int(value)
    made: Architecture = checked(Architecture, **sizes)
    return made


def crops(text: str) -> dict[str, Any]:
    """The sides of the crops: SIDE:SHARE,…,SIDE as the settings `crop` and `crops`."""
    *earlier, last = text.replace(" ", "").split(",")
    try:
        pairs = [part.split(":") for part in earlier]
        return {"crop": int(last), "crops": tuple((int(side), float(share)) for side, share in pairs)}
    except ValueError as error:
        message = f"{text!r}, expected SIDE, or SIDE:SHARE,…,SIDE"
        raise click.BadParameter(message, param_hint="--crop") from error


def weights(texts: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """The weights of pictures: PATTERN=NUMBER each."""
    found = []
    for text in texts:
        pattern, _, number = text.rpartition("=")
        try:
            found.append((pattern, float(number)))
        except ValueError as error:
            raise click.BadParameter(f"{text!r}, expected PATTERN=NUMBER", param_hint="--weight") from error
        if not pattern:
            raise click.BadParameter(f"{text!r}, expected PATTERN=NUMBER", param_hint="--weight")
    return tuple(found)


def same(given: TrainingConfig, saved: TrainingConfig) -> None:
    """Wrong usage if the settings of a command that was given again are not those of the run that it goes on with."""
    may_differ = {"data", "validation", "steps", "hours"}
    for field in dataclasses.fields(TrainingConfig):
        now, before = getattr(given, field.name), getattr(saved, field.name)
        if field.name not in may_differ and now != before:
            raise click.UsageError(f"The run goes on with {field.name} {before}, not {now}.")


def checked(make: Any, *positional: Any, **values: Any) -> Any:
    """Build a dataclass that checks its fields; what it finds wrong is wrong usage."""
    try:
        return make(*positional, **values)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
