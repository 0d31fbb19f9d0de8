"""Files of the published models go on meaning what they meant: those of tests/golden/models, by their SHA-256.

If this fails for a provisional model whose weights were replaced on purpose, enter the new ones in
rdae/networks/known_models.py and run tools/write_golden_models.py.  For a released model nothing but the code may be
mended.
"""

import dataclasses
import hashlib
import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
import write_golden_models
from write_golden_models import CROPS, FOLDER, TOLD, picture_of

from rdae.codec import decode
from rdae.codec.container import parse
from rdae.errors import RdaeError
from rdae.networks import registry, weights
from rdae.networks.known_models import HISTORY, KNOWN, KnownModel
from rdae.networks.model import Model

MODELS: dict[str, Any] = json.loads((FOLDER / TOLD).read_text())
FILES = [
    pytest.param(name, file, facts, id=f"{name}.{file}")
    for name, told in MODELS.items()
    for file, facts in told["files"].items()
]


@cache
def model_of(sha256: str) -> Model:
    try:
        path = registry.find_by_id(bytes.fromhex(sha256)[: registry.ID_BYTES])
    except RdaeError as error:
        home = next(model.home for model in KNOWN if model.sha256 == sha256)
        if home == "rdae":
            raise
        pytest.skip(f"{home} is not installed: {error}")
    return weights.load(path, threads=1)


def test_each_model_that_a_package_brings_has_golden_files() -> None:
    brought = {model.name: model.sha256 for model in KNOWN if model.home != HISTORY}
    assert {name: told["sha256"] for name, told in MODELS.items()} == brought
    assert all(told["files"].keys() == CROPS.keys() for told in MODELS.values())
    stems = {path.stem for path in FOLDER.glob("*.rdae")}
    assert stems == {f"{name}.{file}" for name, told in MODELS.items() for file in told["files"]}


@pytest.mark.parametrize(("name", "file", "facts"), FILES)
def test_files_of_published_models_keep_their_latents_and_pixels(
    name: str, file: str, facts: dict[str, Any]
) -> None:
    data = (FOLDER / f"{name}.{file}.rdae").read_bytes()
    header = parse(data).header
    sha256 = MODELS[name]["sha256"]
    assert sha256.startswith(header.model.hex())
    exact = decode.decode(data, model_of(sha256), exact=True)
    assert write_golden_models.facts_of(data, model_of(sha256), CROPS[file]) == facts
    assert exact.picture.shape == (facts["height"], facts["width"], 3)
    assert hashlib.sha256(exact.picture.tobytes()).hexdigest() == facts["pixels_sha256"]
    plain = decode.decode(data, model_of(sha256))
    assert np.abs(exact.picture.astype(int) - plain.picture).max() <= 1


@pytest.mark.parametrize(("name", "file", "facts"), FILES)
def test_what_they_show_is_the_crop(name: str, file: str, facts: dict[str, Any]) -> None:
    """Golden files that showed anything else would hold a mistake for ever."""
    data = (FOLDER / f"{name}.{file}.rdae").read_bytes()
    shown = decode.decode(data, model_of(MODELS[name]["sha256"])).picture
    error = (shown.astype(float) - picture_of(CROPS[file])) ** 2
    assert 10 * np.log10(255**2 / error.mean()) > {0: 20, 240: 30, 400: 26, 800: 32}[facts["quality_index"]]


def named(path: Path, name: str) -> KnownModel:
    return KnownModel(name, hashlib.sha256(path.read_bytes()).hexdigest(), "rdae")


def test_a_released_models_files_are_written_once_and_a_provisional_ones_anew(
    tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_path = tiny_model.write(tmp_path / "other.safetensors", seed=2)
    monkeypatch.setenv(registry.PATH_VARIABLE, f"{tmp_path}{os.pathsep}{tiny_path.parent}")
    folder = tmp_path / "golden"
    for name in ("rdae-1", "rdae-new"):
        assert write_golden_models.write(folder, (named(tiny_path, name),)) == [name]
        before = {path.name: path.read_bytes() for path in folder.glob("*.rdae")}
        assert len(before) == len(CROPS)
        assert write_golden_models.write(folder, (named(tiny_path, name),)) == []
        if name == "rdae-1":
            with pytest.raises(RdaeError, match="rdae-1 is released: it must stay "):
                write_golden_models.write(folder, (named(other_path, name),))
            assert {path.name: path.read_bytes() for path in folder.glob("*.rdae")} == before
        else:
            assert write_golden_models.write(folder, (named(other_path, name),)) == [name]
            assert {path.name: path.read_bytes() for path in folder.glob("*.rdae")} != before
    gone = dataclasses.replace(named(other_path, "rdae-new"), home=HISTORY)
    assert write_golden_models.write(folder, (gone,)) == []
    assert json.loads((folder / TOLD).read_text()) == {}
    assert not list(folder.glob("*.rdae"))
