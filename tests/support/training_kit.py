"""What the tests of training share: made pictures, a tiny configuration, and runs that take seconds."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from PIL import Image

from rdae.networks.architecture import TINY
from rdae.training.config import TrainingConfig

ARCHITECTURE_OPTION = ",".join(f"{name}={value}" for name, value in TINY.to_dict().items())


def need_compressai() -> None:
    """Skip where compressai truly is absent, as on Python 3.13; anything else that is wrong with it shows."""
    if importlib.util.find_spec("compressai") is None:
        reason = "compressai is not installed: pip install -e '.[compressai]', on Python 3.12 or older"
        pytest.skip(reason, allow_module_level=True)


def make_pictures(folder: Path, count: int = 4, height: int = 100, width: int = 130) -> Path:
    """A folder of small pictures with smooth parts, edges and grain."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        picture = tiny_model.photo(height + 9 * number, width + 5 * number)
        Image.fromarray(picture if number % 2 else picture[:, :, ::-1].copy()).save(folder / f"{number}.png")
    return folder


def config(pictures: Path, **changes: Any) -> TrainingConfig:
    """Settings of a tiny run on one thread."""
    import torch

    torch.set_num_threads(1)
    values: dict[str, Any] = {
        "data": (str(pictures),),
        "validation": (str(pictures),),
        "architecture": TINY,
        "batch": 4,
        "crop": 64,
        "warmup_steps": 5,
        "log_every": 4,
        "checkpoint_every": 7,
        "validate_every": 14,
    }
    if "hours" not in changes:
        values["steps"] = 20
    values |= changes
    if values.get("steps"):
        values["warmup_steps"] = min(values["warmup_steps"], values["steps"])
    return TrainingConfig(**values)


def options(pictures: Path, run: Path) -> list[str]:
    """The command line of the same settings, without a budget."""
    return [
        *("train", str(pictures), "--run", str(run), "--validation", str(pictures)),
        *("--architecture", ARCHITECTURE_OPTION, "--batch", "4", "--crop", "64", "--warmup-steps", "5"),
        *("--log-every", "4", "--checkpoint-every", "7", "--validate-every", "14", "--threads", "1"),
    ]
