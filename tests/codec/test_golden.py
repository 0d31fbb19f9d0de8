"""Weights and files of tests/golden, written once, must go on meaning what they meant: files outlive code.

Each format version has a folder there, and its files are never edited: a new version adds a folder.  If this fails,
either something broke, or files changed their meaning on purpose; then that needs a new version, and a word in the
changelog under Bitstream.  How the files were made: tools/write_golden.py.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import slow_prior
import spec_decoder
import spec_extras
import spec_reader
import tiny_model
import write_golden

import rdae
from rdae.codec import decode, encode
from rdae.codec.container import NO_MODEL, parse
from rdae.errors import StreamError, VersionError, WeightsError
from rdae.networks import weights
from rdae.networks.model import Model

GOLDEN = Path(__file__).parents[1] / "golden"
VERSIONS = sorted(GOLDEN.glob("v*"))


def told(name: str) -> Iterator[Any]:
    """What the versions' JSON files say, as parameters of a test: (path, facts)."""
    for version in VERSIONS:
        folder = version / "errors" if name == "errors" else version
        for stem, facts in json.loads((version / f"{name}.json").read_text()).items():
            yield pytest.param(folder / f"{stem}.rdae", facts, id=f"{version.name}-{stem}")


FILES, ERRORS = list(told("files")), list(told("errors"))


@cache
def model_of(path: Path) -> Model:
    return weights.load(path, threads=1)


@cache
def weights_by_id() -> dict[bytes, Path]:
    found = sorted(GOLDEN.rglob("*.safetensors"))
    return {hashlib.sha256(path.read_bytes()).digest()[:4]: path for path in found}


def model_named(model_id: bytes) -> Model | None:
    """The model that a file names; None if it names none."""
    return None if model_id == NO_MODEL else model_of(weights_by_id()[model_id])


def mini() -> Model:
    return model_of(write_golden.FIRST / "mini.safetensors")


@pytest.mark.parametrize(("path", "facts"), FILES)
def test_old_files_decode_to_their_latents_and_pixels(path: Path, facts: dict[str, Any]) -> None:
    data = path.read_bytes()
    header = parse(data).header
    assert [header.width, header.height, header.quality_index] == [
        facts[key] for key in ("width", "height", "quality_index")
    ]
    model = model_named(header.model)
    decoded = decode.decode(data, model)
    assert decoded.latents_sha256 == facts["latents_sha256"]
    exact = decode.decode(data, model, exact=True)
    assert exact.latents_sha256 == facts["latents_sha256"]
    assert hashlib.sha256(exact.picture.tobytes()).hexdigest() == facts["pixels_sha256"]
    assert exact.raster.mode == facts["mode"]
    for part in ("alpha", "icc", "exif", "xmp"):
        found = getattr(exact.raster, part)
        assert (None if found is None else hashlib.sha256(bytes(found)).hexdigest()) == facts.get(
            f"{part}_sha256"
        )
    assert np.abs(exact.picture.astype(int) - decoded.picture).max() <= 1


@pytest.mark.parametrize(("path", "facts"), ERRORS)
def test_old_bad_files_are_refused_as_they_were(path: Path, facts: dict[str, Any]) -> None:
    with pytest.raises(getattr(rdae, facts["error"])) as caught:
        decode.decode(path.read_bytes(), mini())
    assert str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("path", "facts"), [*FILES, *ERRORS])
def test_the_reader_written_from_the_page_agrees(path: Path, facts: dict[str, Any]) -> None:
    data = path.read_bytes()
    try:
        ours = parse(data)
    except StreamError as error:
        unsupported = isinstance(error, VersionError)
        with pytest.raises(spec_reader.Unsupported if unsupported else spec_reader.Refused):
            spec_reader.read(data)
        assert "error" in facts
        return
    theirs = spec_reader.read(data)
    assert [(part.kind, part.payload) for part in theirs.sections] == [
        (s.type, s.payload) for s in ours.sections
    ]
    assert (theirs.width, theirs.height, theirs.model) == (
        ours.header.width,
        ours.header.height,
        ours.header.model,
    )


@pytest.mark.parametrize(("path", "facts"), FILES)
def test_what_is_beside_latents_is_read_from_the_page_alike(path: Path, facts: dict[str, Any]) -> None:
    found = spec_extras.read(spec_reader.read(path.read_bytes()))
    for part, data in found._asdict().items():
        assert (None if data is None else hashlib.sha256(data).hexdigest()) == facts.get(f"{part}_sha256")


@pytest.mark.parametrize(("path", "facts"), FILES)
def test_pixels_are_read_from_the_page_alike(path: Path, facts: dict[str, Any]) -> None:
    file = spec_reader.read(path.read_bytes())
    model = model_named(file.model)
    ours = decode.decode(path.read_bytes(), model)
    seen = np.zeros((file.height, file.width, 3), np.uint8)
    for (left, top, width, height), levels in spec_extras.stored(file):
        part = np.frombuffer(levels, np.uint8).reshape(height, width, -1)[:, :, :3]
        np.testing.assert_array_equal(ours.picture[top : top + height, left : left + width], part)
        seen[top : top + height, left : left + width] = part
    if model is None:  # nothing but pixels
        assert hashlib.sha256(seen.tobytes()).hexdigest() == facts["pixels_sha256"]


def small(parameters: list[Any]) -> list[Any]:
    """Python's integers are slow."""
    most = 200 * 200
    return [
        one for one in parameters if one.values[1].get("width", 1) * one.values[1].get("height", 1) <= most
    ]


@pytest.mark.parametrize(("path", "facts"), small(FILES))
def test_the_decoder_written_from_the_page_reads_the_same_latents(path: Path, facts: dict[str, Any]) -> None:
    """From bytes to ẑ and ŷ without rdae, its runtime, numpy or constriction."""
    file = spec_reader.read(path.read_bytes())
    has_latents = any(part.kind == spec_reader.LATENTS for part in file.sections)
    read = spec_decoder.decode(file, spec_weights(file.model)) if has_latents else b""
    assert hashlib.sha256(read).hexdigest() == facts["latents_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "facts"), [one for one in FILES if one not in small(FILES)])
def test_the_decoder_written_from_the_page_reads_large_files_too(path: Path, facts: dict[str, Any]) -> None:
    test_the_decoder_written_from_the_page_reads_the_same_latents(path, facts)


@cache
def spec_weights(model_id: bytes) -> spec_decoder.Weights:
    return spec_decoder.read_weights(weights_by_id()[model_id])


@pytest.mark.parametrize(("path", "facts"), ERRORS)
def test_the_decoder_written_from_the_page_refuses_what_rdae_refuses(
    path: Path, facts: dict[str, Any]
) -> None:
    def read() -> None:
        file = spec_reader.read(path.read_bytes())
        spec_extras.read(file)
        spec_extras.stored(file)
        if any(part.kind == spec_reader.LATENTS for part in file.sections):
            spec_reader.demand(file.model in weights_by_id(), "model")
            spec_decoder.decode(file, spec_weights(file.model))

    with pytest.raises(spec_reader.Refused):
        read()
    assert facts["because"]


def test_no_golden_file_changed() -> None:
    assert (GOLDEN / "SHA256SUMS").read_text() == write_golden.sums()


@pytest.mark.parametrize("version", VERSIONS, ids=lambda path: path.name)
def test_every_golden_file_is_told_of(version: Path) -> None:
    for name, folder in (("files", version), ("errors", version / "errors")):
        stems = {path.stem for path in folder.glob("*.rdae")}
        assert stems == set(json.loads((version / f"{name}.json").read_text()))
        assert stems


def test_this_version_has_golden_files() -> None:
    assert write_golden.FOLDER in VERSIONS


def test_golden_files_are_few_and_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.rglob("*") if path.is_file()) < 700_000 * len(VERSIONS)


def test_an_existing_version_is_not_written_anew_unless_forced(tmp_path: Path) -> None:
    folder = tmp_path / "v9.9"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(SystemExit, match="must never change"):
        write_golden.main([], folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["v9.9", "old"]
    write_golden.main(["--force"], folder)
    assert not (folder / "old").exists()
    assert "v9.9/photo.rdae\n" in (tmp_path / "SHA256SUMS").read_text()


@pytest.mark.parametrize(
    ("name", "z", "residual"), [("z-out-of-range", 128, 0), ("k-out-of-range", 0, -(2**20) - 1)]
)
def test_files_of_chosen_integers_are_written_anew_alike(name: str, z: int, residual: int) -> None:
    folder = GOLDEN / "v1.0"
    written = write_golden.out_of_range(mini(), z, residual)
    assert written == (folder / "errors" / f"{name}.rdae").read_bytes()


def test_the_golden_files_try_what_they_should() -> None:
    """A golden file of nothing but zeros would hold whatever changes."""
    folder = GOLDEN / "v1.0"
    model = mini()
    assert decode.decode((folder / "photo.rdae").read_bytes(), model).picture.std() > 10
    assert model.architecture.analysis_fine > 0
    coded = encode.quantise(write_golden.FILES["escapes"].picture, model, 800)
    escapes = [np.abs(part.symbols) > part.tables.limits[part.rows] for part in coded.symbols]
    assert escapes[0].any()
    assert sum(part.sum() for part in escapes[1:]) > 20
    padded = spec_reader.read((folder / "black.rdae").read_bytes())
    (payload,) = (part.payload for part in padded.sections)
    assert len(payload) == 11 * 16
    assert payload.count(0) > 150


def test_a_golden_file_is_refused_with_other_weights() -> None:
    folder = GOLDEN / "v1.0"
    with pytest.raises(WeightsError, match=r"needs model .*, but calm is "):
        decode.decode((folder / "photo.rdae").read_bytes(), model_of(folder / "calm.safetensors"))


def test_the_slow_prior_says_what_the_page_says_about_order() -> None:
    """Step i codes group j at cell (i + j) mod 4, by channel, row and column."""
    for step in range(4):
        found = list(slow_prior.positions(step, 8, 3, 5))
        wanted = [
            (c, i, j)
            for c in range(8)
            for i in range(3)
            for j in range(5)
            if 2 * (i % 2) + j % 2 == (step + 4 * c // 8) % 4
        ]
        assert found == wanted


def test_the_tiny_models_are_those_of_the_golden_weights() -> None:
    assert mini().architecture == tiny_model.MINI
