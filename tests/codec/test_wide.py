"""However a picture is cut into bands, along its rows or its columns, it is the same picture."""

from typing import Any

import numpy as np
import pytest
from tiny_model import photo

from rdae.codec import decode, encode
from rdae.networks import exact_synthesis, prior, transforms
from rdae.networks.model import Model
from rdae.networks.runtime import Graph


@pytest.mark.parametrize("size", [(40, 700), (700, 40), (16, 300), (300, 17), (1, 200), (130, 200)])
def test_bands_change_nothing_in_wide_and_in_high_pictures(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    data = encode.compress(photo(*size), tiny, 500)
    whole = decode.decode(data, tiny)
    exact = decode.decode(data, tiny, exact=True)
    for module in (transforms, exact_synthesis):
        monkeypatch.setattr(module, "BAND_BYTES", 1)  # of as few rows as there can be
        monkeypatch.setattr(module, "COLUMN", 3)
    monkeypatch.setattr(exact_synthesis, "CHUNK_ROWS", 2)
    monkeypatch.setattr(prior, "WINDOW", 1)
    cut = decode.decode(data, tiny)
    assert cut.latents_sha256 == whole.latents_sha256
    assert np.abs(cut.picture.astype(int) - whole.picture).max() <= 1
    assert np.array_equal(decode.decode(data, tiny, exact=True).picture, exact.picture)
    # Nor does it to what is encoded, but that a latent just between two steps may go to either.
    again = decode.decode(encode.compress(photo(*size), tiny, 500), tiny)
    assert np.abs(again.picture.astype(int) - whole.picture).mean() < 0.1


@pytest.mark.parametrize("size", [(1, 6000), (6000, 1), (2, 6000), (6000, 17)])
@pytest.mark.parametrize("effort", [0, 1, 2])
def test_thin_pictures_cost_the_work_of_others_with_as_many_latents(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], effort: int
) -> None:
    """What networks are given is counted: seconds would be those of a machine."""
    given = 0
    run = Graph.run

    def counted(graph: Graph, **inputs: Any) -> Any:
        nonlocal given
        given += sum(each.size for each in inputs.values())
        return run(graph, **inputs)

    monkeypatch.setattr(Graph, "run", counted)

    def work(height: int, width: int) -> int:
        nonlocal given
        given = 0
        decode.decode(encode.compress(photo(height, width), tiny, 400, effort=effort), tiny)
        return given

    latents = -(-size[0] // 16) * -(-size[1] // 16)
    side = 16 * round(latents**0.5)
    # Where latents are in blocks of 4 a row of them counts as four to the hyperprior.
    assert work(*size) < 2.0 * work(side, side)
