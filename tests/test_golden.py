"""Weights and files of tests/golden, written once, must go on meaning what they meant: files outlive code.

If this fails, either something broke, or weights and files changed their meaning on purpose.  Only then write the
golden files anew, by `python tests/tiny_model.py`, and say so in the changelog under Bitstream.
"""

import json

import numpy as np
import pytest
from PIL import Image
from tiny_model import GOLDEN

from rdae import codec, weights
from rdae.container import parse
from rdae.model import Model


@pytest.fixture(scope="module")
def mini() -> Model:
    return weights.load(GOLDEN / "mini.safetensors")


@pytest.mark.parametrize(("name", "size", "index"), [("photo", (83, 61), 345), ("noise", (40, 5), 800)])
def test_old_files_decode_to_their_pictures(
    mini: Model, name: str, size: tuple[int, int], index: int
) -> None:
    data = (GOLDEN / f"{name}.rdae").read_bytes()
    header = parse(data).header
    assert (header.width, header.height) == size
    assert header.quality_index == index
    decoded = codec.decode(data, mini)
    assert decoded.latents_sha256 == json.loads((GOLDEN / "latents.json").read_text())[name]
    with Image.open(GOLDEN / f"{name}.png") as image:
        assert np.abs(np.asarray(image).astype(int) - decoded.picture).max() <= 1


def test_the_golden_weights_do_something(mini: Model) -> None:
    """A golden file of nothing but zeros would hold whatever changes."""
    with Image.open(GOLDEN / "photo.png") as image:
        assert np.asarray(image).std() > 10
    assert len((GOLDEN / "photo.rdae").read_bytes()) > 150
    assert mini.architecture.analysis_fine > 0
