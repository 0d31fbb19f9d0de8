"""Pictures to the bytes of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch

from rdae.clock import Clock
from rdae.codec.bands import Picture, gathered
from rdae.codec.decoder import Decoder, View
from rdae.codec.encoder import Encoder, Subject, Tile
from rdae.errors import StreamError, VerifyError
from rdae.latents import Coded
from rdae.model import Model
from rdae.pictures.raster import Raster
from rdae.refinement import Listener, plans
from rdae.training.modules.layers import exact_float32


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A compressed picture, with what the encoder knows about it.

    data: the whole file. reconstruction: what it decodes to, uint8 (h, w, 3), without alpha.
    rate_bits: the ideal code length -log2 P(ẑ, ŷ) of its integers under the model's tables.
    latents_sha256: of ẑ and ŷ as integers. seconds: by stage.
    """

    data: bytes
    reconstruction: Picture
    rate_bits: float
    latents_sha256: str
    seconds: dict[str, float]


@torch.inference_mode()
def quantise(picture: Picture | Raster, model: Model, quality_index: int) -> Coded:
    """Analyse and round a picture at a quality index 0..800, as one tile."""
    subject = Subject(picture, model, tile=None)
    ((_, _, coded),) = Encoder(subject, quality_index, Clock()).tiles()
    return coded


@torch.inference_mode()
@exact_float32()
def compress(
    picture: Picture | Raster,
    model: Model,
    quality_index: int,
    *,
    verify: bool = False,
    tile: Tile = "auto",
    effort: int = 0,
    listener: Listener | None = None,
    clock: Clock | None = None,
) -> bytes:
    """Compress a picture at a quality index 0..800 to a file's bytes.

    picture: a raster, or uint8 (h, w, 3), of any size from 1x1.
    verify: decode all but the pixels again and compare; VerifyError if it differs, which only a machine that computes
    wrongly can bring about.
    tile: log2 of the tiles' side in latents, 4..16; None: one tile; "auto": as `rdae.codec.tiles.automatic` says.
    effort: 0..9, how long to look for better latents (`rdae.refinement`); listener: is told of each step of that.
    clock: gets the seconds by stage.
    """
    clock = clock or Clock()
    subject = Subject(picture, model, tile, plans=plans(effort), listener=listener)
    data = subject.compress(quality_index, clock)
    if verify:
        check(data, subject.raster, model, clock)
    return data


@torch.inference_mode()
@exact_float32()
def check(data: bytes, raster: Raster, model: Model, clock: Clock | None = None) -> None:
    """Decode all but the pixels of what was just encoded of `raster`, and compare; VerifyError if it differs.

    clock: gets the seconds, as one stage "verify".
    """
    try:
        with (clock or Clock()).stage("verify"):
            decoder = Decoder(data, model, None, Clock())
            decoder.skim()
            decoder.compare(raster)
    except StreamError as error:
        raise VerifyError(f"what was encoded does not decode here to what was meant: {error}") from error


@torch.inference_mode()
@exact_float32()
def encode(
    picture: Picture | Raster, model: Model, quality_index: int, *, tile: Tile = "auto", effort: int = 0
) -> Encoded:
    """Compress like `compress`, and say all that the encoder knows: its reconstruction, ideal rate and times."""
    clock = Clock()
    subject = Subject(picture, model, tile, plans=plans(effort))
    with subject.memory():
        encoder, reconstruction = _reconstructed(subject, quality_index, clock, account=True)
        data = encoder.file()
    return Encoded(data, reconstruction, encoder.rate_bits, encoder.digest.sha256, clock.seconds)


def _reconstructed(
    subject: Subject, quality_index: int, clock: Clock, *, account: bool = False, later: bool = False
) -> tuple[Encoder, Picture]:
    """Encode, and decode as a decoder would: uint8 (h, w, 3), without alpha.

    later: hold back what is to be coded until the file is asked for, if that is known before.
    """
    if len(subject.plans) > 1:
        encoder = subject.encoded(quality_index, clock, account=account)
        view = View(Decoder(encoder.file(), subject.model, None, Clock()), None, 1)
        return encoder, gathered(view.levels(exact=False), (view.height, view.width), clock)
    encoder = subject.encoder(quality_index, clock, account=account, later=later)
    return encoder, encoder.reconstruct()


class Trials:
    """Encodings of one picture at several qualities, for which what no quality enters is computed once.

    That is the analysis up to its first gain, what alpha and metadata become, and the colours under alpha 0.
    """

    def __init__(
        self, picture: Picture | Raster, model: Model, *, tile: Tile = "auto", clock: Clock | None = None
    ) -> None:
        """Take a picture; picture, model and tile as in `compress`, clock: gets the seconds of all trials by stage."""
        self._clock = clock or Clock()
        self._subject = Subject(picture, model, tile, keep=True)

    def exert(self, effort: int, listener: Listener | None = None) -> None:
        """Make all further encodings with an effort 0..9; at first it is 0."""
        self._subject.plans, self._subject.listener = plans(effort), listener

    @property
    def wanted(self) -> Picture:
        """What is encoded, uint8 (h, w, 3): the picture, with other colours under alpha 0."""
        return self._subject.picture

    @torch.inference_mode()
    @exact_float32()
    def compress(self, quality_index: int) -> bytes:
        """Return the file's bytes, those of `compress`."""
        return self._subject.compress(quality_index, self._clock)

    @torch.inference_mode()
    @exact_float32()
    def reconstruct(self, quality_index: int) -> tuple[Picture, Callable[[], bytes]]:
        """Return what such a file would decode to, uint8 (h, w, 3), without alpha, and what makes the file of it.

        The range coder works only when the file is made, unless the picture is large.
        """
        with self._subject.memory():
            encoder, levels = _reconstructed(
                self._subject, quality_index, self._clock, later=self._subject.small
            )
            return levels, encoder.file
