"""Picture <-> .rdae bytes: the one place where transforms, latents and container meet.

picture -> analysis -> y, z -> latents (prior and range coder) -> payload -> container -> bytes
        <- synthesis <- ŷ   <-                                 <-         <-           <-
alpha, profile, EXIF, XMP   -> auxiliary data                  -> sections -^

The names below are loaded when they are first asked for: who reads only a header wants no network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rdae.codec.decoder import SCALES
    from rdae.codec.decoding import Decoded, decode, unfold, verify
    from rdae.codec.encoder import KEEP_PIXELS
    from rdae.codec.encoding import Encoded, Trials, check, compress, encode, quantise
    from rdae.codec.stations import efforts

__all__ = [
    "KEEP_PIXELS",
    "SCALES",
    "Decoded",
    "Encoded",
    "Trials",
    "check",
    "compress",
    "decode",
    "efforts",
    "encode",
    "quantise",
    "unfold",
    "verify",
]

_FROM = {
    "decoder": ("SCALES",),
    "decoding": ("Decoded", "decode", "unfold", "verify"),
    "encoder": ("KEEP_PIXELS",),
    "encoding": ("Encoded", "Trials", "check", "compress", "encode", "quantise"),
    "stations": ("efforts",),
}


def __getattr__(name: str) -> Any:
    """Load what a name is in when it is first asked for (PEP 562)."""
    for module, names in _FROM.items():
        if name in names:
            import importlib

            value = getattr(importlib.import_module(f"rdae.codec.{module}"), name)
            globals()[name] = value  # from now on a plain attribute
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
