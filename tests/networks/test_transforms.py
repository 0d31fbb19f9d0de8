"""rdae.networks.transforms: what slow_transforms makes of a whole picture, however it is cut into bands and columns."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slow_transforms
import tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import noise, photo

from rdae.networks import transforms, weights
from rdae.networks.architecture import TINY
from rdae.networks.model import Model

DEEP = dataclasses.replace(
    TINY, analysis_fine=3, analysis_coarse=2, synthesis_coarse=2, synthesis_fine=3, hyper_width=12
)
"""Blocks enough that a band has to wait for several rows below, an odd number at 1/8 among them."""

SHALLOW = dataclasses.replace(TINY, analysis_fine=0, analysis_coarse=2, synthesis_coarse=0, synthesis_fine=1)

SIZES = [(1, 1), (16, 16), (17, 33), (130, 90), (40, 400), (400, 40), (1, 300), (290, 1)]

CUTS = {
    "whole": (1 << 40, 1 << 20),
    "bands": (1, 1 << 20),
    "columns": (1 << 40, 2),
    "bands and columns": (1, 3),
}
"""Bytes of a band, and latents of a column: a band has as few rows as it may, then."""


@pytest.fixture(scope="module", params=[TINY, DEEP, SHALLOW], ids=["tiny", "deep", "shallow"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("transforms") / "model.safetensors"
    return weights.load(tiny_model.write(path, request.param, seed=3), threads=1)


@pytest.fixture(params=CUTS)
def cut(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    band_bytes, column = CUTS[request.param]
    monkeypatch.setattr(transforms, "BAND_BYTES", band_bytes)
    monkeypatch.setattr(transforms, "COLUMN", column)
    return str(request.param)


def draw_y64(model: Model, height: int, width: int, index: int) -> npt.NDArray[np.int32]:
    """Latents of which a synthesis makes pixels that are neither all grey nor all black and white."""
    steps = np.random.default_rng(height * width).normal(0, 0.6, (model.architecture.latents, height, width))
    restored = model.transforms.gains.restore[index][:, None, None]
    y64: npt.NDArray[np.int32] = np.rint(64 * steps / restored).astype(np.int32)
    return y64


def assert_close(found: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    """Within what float32 loses in a dozen layers, of numbers as large as these."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


def assert_levels(found: npt.NDArray[np.uint8], expected: npt.NDArray[np.float64]) -> None:
    """A level is the nearest: a value just between two may go to either."""
    assert found.shape == expected.shape
    assert np.abs(found - expected.clip(0, 255)).max() < 0.502


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("index", [0, 411])
def test_the_analysis_is_that_of_the_whole_picture(
    model: Model, cut: str, size: tuple[int, int], index: int
) -> None:
    picture, gains = photo(*size), model.transforms.gains
    bands = list(model.transforms.features(picture))
    features = np.concatenate(bands, axis=2)[0]
    assert_close(features, slow_transforms.features(picture, model.tensors))
    rows = list(model.transforms.latents(bands, index))
    expected = slow_transforms.analysis(picture, model.tensors, gains.analysis[index], gains.quantise[index])
    assert_close(np.concatenate(rows, axis=1), expected)
    if "bands" in cut and size[0] > 200:
        assert len(bands) > 3
        assert len(rows) > 1
    if cut == "whole":
        assert len(bands) == len(rows) == 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (9, 6), (3, 25), (26, 2)])
@pytest.mark.parametrize("index", [0, 411])
def test_the_synthesis_is_that_of_the_whole_picture(
    model: Model, cut: str, size: tuple[int, int], index: int
) -> None:
    y64, gains = draw_y64(model, *size, index), model.transforms.gains
    bands = list(model.transforms.synthesise([y64], index))
    expected = slow_transforms.synthesis(y64, model.tensors, gains.restore[index], gains.synthesis[index])
    assert expected.std() > 10
    assert_levels(np.concatenate(bands), expected)
    assert len(bands) > 1 or "bands" not in cut or size[0] < 20


def split(x: npt.NDArray[Any], axis: int, lengths: Sequence[int]) -> Iterator[npt.NDArray[Any]]:
    """Cut an array into parts of such lengths; the last length again and again."""
    start, number = 0, 0
    while start < x.shape[axis]:
        length = lengths[min(number, len(lengths) - 1)]
        yield x.take(range(start, min(start + length, x.shape[axis])), axis)
        start, number = start + length, number + 1


@settings(max_examples=40)
@given(
    size=st.tuples(st.integers(1, 24), st.integers(1, 9)),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    band_bytes=st.sampled_from([1, 20_000, 1 << 40]),
    column=st.sampled_from([1, 3, 1 << 20]),
)
def test_bands_of_latents_of_any_height_make_the_same_picture(
    model: Model, size: tuple[int, int], lengths: list[int], band_bytes: int, column: int
) -> None:
    index, y64, gains = 300, draw_y64(model, *size, 300), model.transforms.gains
    expected = slow_transforms.synthesis(y64, model.tensors, gains.restore[index], gains.synthesis[index])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, "BAND_BYTES", band_bytes)
        patch.setattr(transforms, "COLUMN", column)
        found = np.concatenate(list(model.transforms.synthesise(split(y64, 1, lengths), index)))
    assert_levels(found, expected)


@settings(max_examples=40)
@given(
    height=st.integers(1, 24),
    width=st.integers(1, 9),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    column=st.sampled_from([1, 3, 1 << 20]),
)
def test_bands_of_features_of_any_height_make_the_same_latents(
    model: Model, height: int, width: int, lengths: list[int], column: int
) -> None:
    index, fine = 300, model.architecture.fine
    features = np.random.default_rng(height).normal(0, 0.3, (1, fine, 2 * height, 2 * width))
    features = features.astype(np.float32)
    whole = list(model.transforms.latents([features], index))
    assert len(whole) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transforms, "COLUMN", column)
        rows = list(model.transforms.latents(split(features, 2, lengths), index))
    assert_close(np.concatenate(rows, axis=1), whole[0])


@pytest.mark.parametrize("size", [(4, 8), (1, 1), (5, 3), (2, 9)])
@pytest.mark.parametrize("index", [0, 411, 800])
def test_the_hyper_analysis_sees_the_edge_repeated(model: Model, size: tuple[int, int], index: int) -> None:
    gain = 10 ** (1.5 * index / 800)
    shape = (model.architecture.latents, *size)
    y = np.random.default_rng(index).normal(0, 3 * gain, shape).astype(np.float32)
    to_context = model.prior.to_context(index)
    # Integers of 2^-14, of 1/64 step and 1/128: 1/(reference scale) is half of it.
    scale = to_context * 0.5 / 2**14
    expected = slow_transforms.hyper_analysis(y.astype(float), model.tensors, scale)
    found = model.hyper_analyse(y, index)
    assert found.dtype == np.int32
    assert found.shape == expected.shape == model.prior.z_shape(size)
    assert np.abs(found - expected.clip(-127, 127)).max() < 0.502
    assert len(np.unique(found)) > 3


def test_hyper_latents_stop_at_their_bound(model: Model) -> None:
    y = np.full((model.architecture.latents, 4, 4), 1e6, np.float32)
    assert set(np.abs(model.hyper_analyse(y, 0)).ravel()) == {127}


def test_a_picture_stays_as_it_is_given(model: Model) -> None:
    """A transposed one too, whose rows do not lie one after the other, and one that must not be written to."""
    picture = noise(0, 50, 70)
    picture.flags.writeable = False
    plain = list(model.transforms.features(picture))
    turned = np.asfortranarray(picture)
    for one, other in zip(plain, model.transforms.features(turned), strict=True):
        np.testing.assert_array_equal(one, other)
    flipped = list(model.transforms.features(picture[::-1]))
    again = list(model.transforms.features(np.ascontiguousarray(picture[::-1])))
    np.testing.assert_array_equal(flipped[0], again[0])


def test_features_serve_for_several_qualities(model: Model) -> None:
    """They stay as they are: the second half of the analysis writes nothing into them."""
    picture = photo(100, 60)
    features = list(model.transforms.features(picture))
    before = [band.copy() for band in features]
    first = np.concatenate(list(model.transforms.latents(features, 100)), axis=1)
    list(model.transforms.latents(features, 700))
    for band, copy in zip(features, before, strict=True):
        np.testing.assert_array_equal(band, copy)
    np.testing.assert_array_equal(
        first, np.concatenate(list(model.transforms.latents(features, 100)), axis=1)
    )


@pytest.mark.parametrize("height", [7, 300])
def test_no_more_is_read_than_a_band_needs(
    model: Model, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a large picture's latents never have to be there all at once."""
    monkeypatch.setattr(transforms, "BAND_BYTES", 1)
    y64 = draw_y64(model, height, 2, 300)
    taken = []

    def rows() -> Iterator[npt.NDArray[np.int32]]:
        for top in range(height):
            taken.append(top)
            yield y64[:, top : top + 1]

    made, most = 0, 0
    for band in model.transforms.synthesise(rows(), 300):
        most = max(most, len(taken) - made // 16)
        made += len(band)
    assert made == 16 * height
    # Those that wait in the blocks, and two bands of as few rows as there can be.
    assert most <= 3 * model.reach + 6
