"""rdae: a learned image codec. Pictures in, small files out, and back.

    data = rdae.compress(image, quality=50)      # PIL.Image, uint8 array (h, w, 3), or a picture file -> bytes
    image = rdae.decompress(data)                # bytes, or a file -> PIL.Image.Image
    model = rdae.open_model()                    # for many pictures: weights are read once

Importing this package is cheap on purpose: numpy and the runtime are loaded with the first of the three names above,
so that `rdae --help` and `rdae info` answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rdae.errors import (
    CorruptError,
    DeviceError,
    MissingExtraError,
    NotRdaeError,
    OutputExistsError,
    PictureError,
    RdaeError,
    ResultsError,
    StreamError,
    TargetError,
    TrainingError,
    TruncatedError,
    VerifyError,
    VersionError,
    WeightsError,
)

if TYPE_CHECKING:
    from rdae.api import Model, compress, decompress, open_model
    from rdae.targets import Target

__version__ = "0.1.0.dev0"

__all__ = [
    "CorruptError",
    "DeviceError",
    "MissingExtraError",
    "Model",
    "NotRdaeError",
    "OutputExistsError",
    "PictureError",
    "RdaeError",
    "ResultsError",
    "StreamError",
    "Target",
    "TargetError",
    "TrainingError",
    "TruncatedError",
    "VerifyError",
    "VersionError",
    "WeightsError",
    "__version__",
    "compress",
    "decompress",
    "open_model",
]

_FROM = {"Model": "api", "compress": "api", "decompress": "api", "open_model": "api", "Target": "targets"}


def __getattr__(name: str) -> Any:
    """Load what a name is in, `rdae.api` and with it numpy, when it is first asked for (PEP 562)."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"rdae.{_FROM[name]}"), name)
    globals()[name] = value  # from now on a plain attribute
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
