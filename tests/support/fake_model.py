"""A model for tests of the evaluation: real containers, but JPEG inside, so that no weights are needed.

Run as a program it is the fresh process that decodes with this model.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

from rdae import quality
from rdae.clock import Clock
from rdae.codec import container
from rdae.evaluation import fresh
from rdae.evaluation.another_process import answer
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.metrics import Picture
from rdae.objective import Objective

JPEG = PILLOW_CODECS["jpeg"]


def sha256(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()


@dataclass(frozen=True)
class FakeEncoded:
    data: bytes
    reconstruction: Picture
    rate_bits: float
    latents_sha256: str
    seconds: Mapping[str, float] = field(default_factory=lambda: {"analysis": 1e-4, "coding": 2e-4})


@dataclass(frozen=True)
class FakeDecoded:
    picture: Picture
    latents_sha256: str
    seconds: Mapping[str, float] = field(default_factory=lambda: {"coding": 1e-4, "synthesis": 1e-4})


@dataclass(frozen=True)
class FakeModel:
    """offset: levels that a decoder adds, as one that does not agree with its encoder would."""

    offset: int = 0
    name: str = "fake"
    model_id: bytes = b"fake"
    loaded: SimpleNamespace = field(
        default_factory=lambda: SimpleNamespace(
            device="cpu", objective=Objective(), source=SimpleNamespace(threads=1)
        )
    )

    def encode(self, picture: Picture, at: float, *, effort: int = 1, exact: bool = True) -> FakeEncoded:
        del effort, exact
        payload = JPEG.encode(picture, at)
        header = container.Header(picture.shape[1], picture.shape[0], self.model_id, quality.to_index(at))
        section = container.Section(container.SectionType.LATENTS, payload)
        data = container.pack(container.Container(header, (section,)))
        return FakeEncoded(data, JPEG.decode(payload), 8 * len(payload) * 0.998, sha256(payload))

    def compress(self, picture: Picture, at: float, *, effort: int = 1, clock: Clock | None = None) -> bytes:
        encoded = self.encode(picture, at, effort=effort)
        if clock is not None:
            for stage, seconds in encoded.seconds.items():
                clock.seconds[stage] = clock.seconds.get(stage, 0.0) + seconds
        return encoded.data

    def decode(self, data: bytes) -> FakeDecoded:
        (payload,) = container.parse(data).payloads(container.SectionType.LATENTS)
        picture = JPEG.decode(payload)
        if self.offset:
            picture = (picture // 2 + self.offset).astype(np.uint8)
        return FakeDecoded(picture, sha256(payload))

    def kmac_per_pixel(self) -> dict[str, float]:
        return {"analysis": 12.0, "synthesis": 15.0}


if __name__ == "__main__":
    sys.exit(answer(lambda job: fresh.decode_all(FakeModel(offset=int(sys.argv[1])), job["files"])))
