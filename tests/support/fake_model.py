"""A model for tests of the evaluation: real containers, but JPEG inside, so that no weights are needed.

Run as a program it is the fresh process that decodes with this model.
"""

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rdae import quality
from rdae.codec import container
from rdae.evaluation import fresh
from rdae.evaluation.peers import PEERS
from rdae.metrics import Picture

JPEG = PEERS["jpeg"]


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

    def encode(self, picture: Picture, at: float, *, effort: int = 1) -> FakeEncoded:
        del effort
        payload = JPEG.encode(picture, at)
        header = container.Header(picture.shape[1], picture.shape[0], self.model_id, quality.to_index(at))
        section = container.Section(container.SectionType.LATENTS, payload)
        data = container.pack(container.Container(header, (section,)))
        return FakeEncoded(data, JPEG.decode(payload), 8 * len(payload) * 0.998, sha256(payload))

    def compress(self, picture: Picture, at: float) -> bytes:
        return self.encode(picture, at).data

    def decode(self, data: bytes) -> FakeDecoded:
        (payload,) = container.parse(data).payloads(container.SectionType.LATENTS)
        picture = JPEG.decode(payload)
        if self.offset:
            picture = (picture // 2 + self.offset).astype(np.uint8)
        return FakeDecoded(picture, sha256(payload))

    def kmac_per_pixel(self) -> dict[str, float]:
        return {"analysis": 12.0, "synthesis": 15.0}


if __name__ == "__main__":
    sys.exit(fresh.serve(lambda _model: FakeModel(offset=int(sys.argv[1]))))
