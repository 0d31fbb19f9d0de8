"""A file means the same on any CPU, with any number of threads and any settings of torch (DESIGN, section 4).

Here with a few settings; all of them, with models of full size, are
`pytest -m slow tests/codec/test_exactness.py`, or as a table `python tools/exactness_matrix.py`.  On processors other
than x86 the settings choose nothing, and the tests say only that processes agree.
"""

import base64
import platform
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import torch
from exactness_matrix import (
    MATRIX,
    PLAIN,
    Case,
    Report,
    Setting,
    elsewhere,
    model_of,
    published_case,
    sha256,
    small_case,
    spread_of,
    unpack_picture,
    values_of,
    wide_case,
)
from float_prior import with_float_prior

from rdae import codec, weights
from rdae.errors import WeightsError
from rdae.training.modules import layers

FEW = [Setting("SSE41", "default", 1), Setting("AVX2", "avx2", 2), Setting(None, None, 2)]
DURING = (PLAIN, "autocast", "matmul", "float64")

on_x86 = pytest.mark.skipif(
    platform.machine().lower() not in {"x86_64", "amd64"}, reason="instruction sets can be chosen on x86 only"
)


def check(case: Case, report: Report, levels: int = 1) -> None:
    """What the writer said of its files holds for a reader, under each setting of torch, and the other way round."""
    written = {file: latents for file, latents in case.latents.items() if "/" not in file}
    exact = {file: sha256(codec.decode(data, case.model, exact=True).picture) for file, data in files(case)}
    assert {PLAIN} <= set(report["latents"])
    for name in report["latents"]:
        assert report["latents"][name] == written, name
        assert report["exact_pixels"][name] == exact, name
    for file, picture in case.pictures.items():
        difference = unpack_picture(report["pixels"][file]).astype(int) - picture
        assert np.abs(difference).max() <= levels
    data, latents = report["written"]
    assert codec.decode(base64.b64decode(data), case.model).latents_sha256 == latents


def files(case: Case) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(case.folder.glob("*.rdae"))]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return small_case(tmp_path_factory.mktemp("exactness") / "small")


@pytest.fixture(scope="module")
def few(small: Case) -> list[Report]:
    plain = [elsewhere(small.folder, setting) for setting in FEW[:-1]]
    return [*plain, elsewhere(small.folder, FEW[-1], names=DURING)]


@pytest.mark.parametrize("which", range(len(FEW)), ids=map(str, FEW))
def test_latents_do_not_depend_on_the_instruction_set(small: Case, few: list[Report], which: int) -> None:
    assert few[which]["threads"] == FEW[which].threads
    check(small, few[which])


@on_x86
def test_the_comparison_can_fail(small: Case, few: list[Report]) -> None:
    """With float networks in place of the exact ones, the same files are something else under each instruction set."""
    assert len(values_of(few, "float")["float/photo.rdae"]) > 1
    # Not for want of a working codec: who wrote the file reads it.
    data = (small.folder / "float" / "photo.rdae").read_bytes()
    decoded = codec.decode(data, with_float_prior(small.model))
    assert decoded.latents_sha256 == small.latents["float/photo.rdae"]


@pytest.mark.parametrize("start", ["float64", "bf16"])
def test_latents_do_not_depend_on_settings_made_before_loading(small: Case, start: str) -> None:
    # Pixels may follow the settings: who asks for bf16 gets bf16's error.
    check(small, elsewhere(small.folder, Setting(None, None, 1), start=start), levels=8)


@pytest.fixture(
    scope="module", params=[small_case, wide_case, published_case], ids=lambda make: make.__name__
)
def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Case, list[Report]]:
    """All settings, once for each model."""
    case: Case = request.param(tmp_path_factory.mktemp("exactness") / "case")
    return case, [elsewhere(case.folder, setting) for setting in MATRIX]


@pytest.mark.slow
def test_latents_and_exact_pixels_are_one_value_in_the_whole_matrix(
    matrix: tuple[Case, list[Report]],
) -> None:
    case, reports = matrix
    for report in reports:
        check(case, report)
    for kind in ("latents", "exact_pixels"):
        values = values_of(reports, kind)
        assert set(values) == set(case.pictures)
        assert {len(found) for found in values.values()} == {1}


@pytest.mark.slow
def test_pixels_differ_by_at_most_a_level_in_the_whole_matrix(matrix: tuple[Case, list[Report]]) -> None:
    assert max(spread_of(matrix[1]).values()) <= 1


@pytest.mark.slow
@on_x86
def test_float_networks_give_more_than_one_value_in_the_whole_matrix(
    matrix: tuple[Case, list[Report]],
) -> None:
    assert max(map(len, values_of(matrix[1], "float").values())) > 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("precision", ["highest", "high"])
@pytest.mark.parametrize("make", [small_case, pytest.param(published_case, marks=pytest.mark.slow)])
def test_latents_and_exact_pixels_do_not_depend_on_the_device(
    make: Any, precision: str, tmp_path: Path
) -> None:
    case: Case = make(tmp_path / "case")
    there = model_of(case.folder, "cuda")
    torch.set_float32_matmul_precision(precision)
    try:
        for file, data in files(case):
            decoded = codec.decode(data, there)
            assert decoded.latents_sha256 == case.latents[file]
            if precision == "highest":
                assert np.abs(decoded.picture.astype(int) - case.pictures[file]).max() <= 1
            exact = codec.decode(data, there, exact=True)
            assert np.array_equal(exact.picture, codec.decode(data, case.model, exact=True).picture)
        for index in (0, 400, 800):
            written = codec.encode(tiny_model.photo(70, 90), there, index)
            decoded = codec.decode(written.data, case.model, exact=True)
            assert decoded.latents_sha256 == written.latents_sha256
            again = codec.decode(written.data, there, exact=True)
            assert np.array_equal(decoded.picture, again.picture)
    finally:
        torch.set_float32_matmul_precision("highest")


def test_a_machine_whose_float32_products_are_not_exact_is_refused(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = torch.nn.functional.conv2d

    def inexact(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, **options: Any) -> torch.Tensor:
        return exact(x.bfloat16(), weight.bfloat16(), bias.bfloat16(), **options).float()

    layers.check_arithmetic(torch.device("cpu"))
    monkeypatch.setattr("rdae.training.modules.layers.F.conv2d", inexact)
    with pytest.raises(WeightsError, match="computed at lower precision"):
        weights.load(tiny_path)
