"""However a picture is cut into bands, along its rows or its columns, it is the same picture."""

import numpy as np
import pytest
from tiny_model import photo

from rdae import codec, rows
from rdae.model import Model


@pytest.mark.parametrize("size", [(40, 700), (700, 40), (16, 300), (300, 17), (1, 200), (130, 200)])
def test_bands_change_nothing_in_wide_and_in_high_pictures(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    data = codec.compress(photo(*size), tiny, 500)
    whole = codec.decode(data, tiny)
    exact = codec.decode(data, tiny, exact=True)
    monkeypatch.setitem(rows._BYTES, "cpu", 1)  # bands of two rows
    monkeypatch.setattr(rows, "_LEAST", 2)
    narrow = codec.decode(data, tiny)
    assert narrow.latents_sha256 == whole.latents_sha256
    assert np.abs(narrow.picture.astype(int) - whole.picture).max() <= 1
    assert np.array_equal(codec.decode(data, tiny, exact=True).picture, exact.picture)
