"""A file means the same on any CPU, with any number of threads and however the runtime computes (DESIGN, section 4).

Here with a few settings; all of them, with models of full size, are
`pytest -m slow tests/codec/test_exactness.py`, or as a table `python tools/exactness_matrix.py`.
"""

import base64
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tiny_model
from exactness_matrix import (
    CASES,
    LEVELS,
    Case,
    Report,
    Setting,
    elsewhere,
    matrix,
    model_of,
    sha256,
    spread_of,
    unpack_picture,
    values_of,
)
from float_prior import with_float_prior

from rdae.codec import decode, encode
from rdae.networks.registry import TUNES

FEW = [Setting(LEVELS[0], 1), Setting(LEVELS[2], 2), Setting(LEVELS[3], 1, "Haswell"), Setting(LEVELS[3], 2)]


def check(case: Case, report: Report, levels: int = 1) -> None:
    """What the writer said of its files holds for a reader, and the other way round."""
    written = {file: latents for file, latents in case.latents.items() if "/" not in file}
    exact = {file: sha256(decode.decode(data, case.model, exact=True).picture) for file, data in files(case)}
    assert report["latents"] == written
    assert report["exact_pixels"] == exact
    for file, picture in case.pictures.items():
        difference = unpack_picture(report["pixels"][file]).astype(int) - picture
        assert np.abs(difference).max() <= levels
    data, latents = report["written"]
    assert decode.decode(base64.b64decode(data), case.model).latents_sha256 == latents


def files(case: Case) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(case.folder.glob("*.rdae"))]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return CASES["small"](tmp_path_factory.mktemp("exactness") / "small")


@pytest.fixture(scope="module")
def few(small: Case) -> list[Report]:
    return [elsewhere(small.folder, setting) for setting in FEW]


@pytest.mark.parametrize("which", range(len(FEW)), ids=map(str, FEW))
def test_latents_do_not_depend_on_how_the_runtime_computes(
    small: Case, few: list[Report], which: int
) -> None:
    assert (few[which]["level"], few[which]["threads"]) == (FEW[which].level, FEW[which].threads)
    check(small, few[which])


def test_the_comparison_can_fail(small: Case, few: list[Report]) -> None:
    """With float networks in place of the exact ones, the same files are something else to other kernels."""
    assert len(values_of(few, "float")["float/photo.rdae"]) > 1
    # Not for want of a working codec: who wrote the file reads it.
    data = (small.folder / "float" / "photo.rdae").read_bytes()
    decoded = decode.decode(data, with_float_prior(small.model))
    assert decoded.latents_sha256 == small.latents["float/photo.rdae"]


@pytest.fixture(scope="module", params=CASES)
def everything(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, list[Report]]:
    """All settings, once for each model."""
    case = CASES[request.param](tmp_path_factory.mktemp("exactness") / "case")
    return case, [elsewhere(case.folder, setting) for setting in matrix()]


@pytest.mark.slow
def test_latents_and_exact_pixels_are_one_value_in_the_whole_matrix(
    everything: tuple[Case, list[Report]],
) -> None:
    case, reports = everything
    for report in reports:
        check(case, report)
    for kind in ("latents", "exact_pixels"):
        values = values_of(reports, kind)
        assert set(values) == set(case.pictures)
        assert {len(found) for found in values.values()} == {1}


@pytest.mark.slow
def test_pixels_differ_by_at_most_a_level_in_the_whole_matrix(
    everything: tuple[Case, list[Report]],
) -> None:
    assert max(spread_of(everything[1]).values()) <= 1


@pytest.mark.slow
def test_float_networks_give_more_than_one_value_in_the_whole_matrix(
    everything: tuple[Case, list[Report]],
) -> None:
    assert max(map(len, values_of(everything[1], "float").values())) > 1


@pytest.mark.skipif(
    "CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="needs a GPU and its runtime"
)
@pytest.mark.parametrize(
    "name", ["small", *(pytest.param(name, marks=pytest.mark.slow) for name in TUNES.values())]
)
def test_latents_and_exact_pixels_do_not_depend_on_the_device(name: str, tmp_path: Path) -> None:
    case = CASES[name](tmp_path / "case")
    there = model_of(case.folder, "cuda")
    for file, data in files(case):
        decoded = decode.decode(data, there)
        assert decoded.latents_sha256 == case.latents[file]
        assert np.abs(decoded.picture.astype(int) - case.pictures[file]).max() <= 1
        exact = decode.decode(data, there, exact=True)
        assert np.array_equal(exact.picture, decode.decode(data, case.model, exact=True).picture)
    for index in (0, 400, 800):
        written = encode.encode(tiny_model.photo(70, 90), there, index)
        decoded = decode.decode(written.data, case.model, exact=True)
        assert decoded.latents_sha256 == written.latents_sha256
        again = decode.decode(written.data, there, exact=True)
        assert np.array_equal(decoded.picture, again.picture)
