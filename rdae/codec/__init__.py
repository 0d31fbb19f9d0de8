"""Picture <-> .rdae bytes: the one place where transforms, latents and container meet.

picture -> analysis -> y, z -> latents (prior and range coder) -> payload -> container -> bytes
        <- synthesis <- ŷ   <-                                 <-         <-           <-
alpha, profile, EXIF, XMP   -> extras                          -> sections -^
"""

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
