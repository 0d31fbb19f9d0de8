"""rdae.networks.weights: a weights file is read as stored or refused with a line that says why."""

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.numpy
import slow_transforms
import tiny_model
from tiny_model import metadata, model_tensors, photo, write_bytes

from rdae.codec import decode, encode
from rdae.errors import WeightsError
from rdae.networks import registry, weights
from rdae.networks.architecture import TINY
from rdae.networks.layers import prior_layers
from rdae.networks.model import Model
from rdae.training.export import graphs as graph_maker

Array = npt.NDArray[Any]
Tensors = dict[str, Array]


def refused(path: Path) -> str:
    """The one line that loading the file ends in."""
    with pytest.raises(WeightsError) as caught:
        weights.load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert path.stem in line
    return line


@pytest.fixture
def path(tiny_path: Path, tmp_path: Path) -> Path:
    """A weights file that a test may break."""
    for each in tiny_path.parent.glob(f"{tiny_path.stem}.*"):
        shutil.copy(each, tmp_path)
    return tmp_path / tiny_path.name


def test_a_model_is_named_by_its_file_and_its_hash(tiny_path: Path, tiny: Model) -> None:
    manifest = json.loads(tiny_path.with_suffix(".json").read_text())
    assert tiny.name == "tiny"
    assert tiny.sha256 == manifest["sha256"]
    assert tiny.model_id == bytes.fromhex(manifest["sha256"])[:4]
    assert tiny.architecture == TINY
    assert (tiny.source.path, tiny.source.device) == (tiny_path, "cpu")


@pytest.mark.parametrize(
    ("training", "objective"),
    [({"objective": "ssimulacra2", "mse_share": [0.8, 0.3]}, "ssimulacra2"), ([1], "mse"), (None, "mse")],
)
def test_the_manifest_says_what_a_model_was_trained_for(path: Path, training: object, objective: str) -> None:
    manifest = path.with_suffix(".json")
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"training": training}))
    assert weights.load(path).objective.name == objective


def test_tensors_are_read_as_stored(tiny: Model) -> None:
    stored = model_tensors()
    assert stored["analysis.to_coarse.weight"].dtype == np.float16
    assert dict.fromkeys(tiny.tensors) == dict.fromkeys(sorted(stored))
    for name, tensor in stored.items():
        assert tiny.tensors[name].dtype == tensor.dtype, name
        assert np.array_equal(tiny.tensors[name], tensor), name
    for name in ("quantise", "restore", "analysis", "synthesis"):
        assert np.array_equal(getattr(tiny.transforms.gains, name), stored[f"gains.{name}"])
    for name in ("to_context", "from_mean", "index_offset"):
        assert np.array_equal(getattr(tiny.prior.tables, name), stored[f"prior.{name}"])
    for name, tables in (("y", tiny.prior.y_tables), ("z", tiny.prior.z_tables)):
        assert np.array_equal(tables.counts, stored[f"tables.{name}.counts"])
        assert np.array_equal(tables.limits, stored[f"tables.{name}.limits"])
    assert tiny.prior.skip_below == 2


def close_to_slow(model: Model) -> bool:
    """Whether a model's transforms are those that its tensors say."""
    picture, gains = photo(40, 50), model.transforms.gains
    (features,) = model.transforms.features(picture)
    (y,) = model.transforms.latents([features], 300)
    expected = slow_transforms.analysis(picture, model.tensors, gains.analysis[300], gains.quantise[300])
    return bool(np.allclose(y, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max()))


def test_float32_transforms_are_read_too(path: Path, tiny: Model) -> None:
    tensors = {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in model_tensors().items()}
    data = safetensors.numpy.save(tensors, metadata())
    loaded = weights.load(write_bytes(path, data, graphs=True), threads=1)
    assert loaded.sha256 != tiny.sha256
    assert loaded.tensors["analysis.to_coarse.weight"].dtype == np.float32
    assert close_to_slow(loaded)
    assert close_to_slow(tiny)
    file = encode.compress(photo(40, 50), tiny, 300)
    assert (
        encode.compress(photo(40, 50), loaded, 300)[10:-8] == file[10:-8]
    )  # but for the model's id and the CRC


def test_weights_from_when_all_steps_shared_one_trunk_are_read(path: Path, tiny: Model) -> None:
    tensors = {name.replace("context.trunks.0.", "context."): t for name, t in model_tensors().items()}
    assert "prior.context.spread_more.weight" in tensors
    architecture = TINY.to_dict()
    del architecture["context_trunks"], architecture["context_deeper"]
    older = metadata() | {"architecture": json.dumps(architecture)}
    loaded = weights.load(write_bytes(path, safetensors.numpy.save(tensors, older), graphs=True), threads=1)
    assert loaded.architecture == tiny.architecture
    assert set(loaded.tensors) == set(tiny.tensors)
    y64 = encode.quantise(photo(40, 50), loaded, 300).latents.y64
    assert np.array_equal(y64, encode.quantise(photo(40, 50), tiny, 300).latents.y64)


def test_a_model_is_opened_with_the_threads_that_are_asked_for(tiny_path: Path) -> None:
    assert weights.load(tiny_path, threads=3).source.threads == 3
    for threads in (0, -1):
        with pytest.raises(ValueError, match=f"threads is {threads}, expected 1 to 256"):
            weights.load(tiny_path, threads=threads)


def test_weights_without_graphs_say_which_command_makes_them(path: Path) -> None:
    manifest = json.loads(path.with_suffix(".json").read_text())
    del manifest["graphs"]
    path.with_suffix(".json").write_text(json.dumps(manifest))
    assert (
        refused(path) == f"{path}: has no graphs for this version of rdae: make them with rdae export {path}"
    )
    assert graph_maker.add(path) == len(list(path.parent.glob("tiny.*.onnx")))
    assert decode.decode(encode.compress(photo(9, 9), weights.load(path), 100), weights.load(path))


USED = ("features", "latents", "hyper_analysis", "hyper_synthesis", "context.2", "synthesis", "levels.1")
"""Graphs without which no picture goes through a file."""


def through_a_file(path: Path) -> Array:
    model = weights.load(path, threads=1)
    return decode.decode(encode.compress(photo(20, 30), model, 300), model).picture


@pytest.mark.parametrize("name", USED)
def test_a_missing_graph_is_named_with_the_command_that_makes_it(path: Path, name: str) -> None:
    through_a_file(path)
    gone = path.with_name(f"tiny.{name}.onnx")
    gone.unlink()
    expected = f"{gone}: No such file or directory: make it with rdae export {path}"
    with pytest.raises(WeightsError, match=f"^{re.escape(expected)}$"):
        through_a_file(path)


@pytest.mark.parametrize("name", USED)
def test_a_changed_graph_is_refused_by_name(path: Path, name: str) -> None:
    changed = path.with_name(f"tiny.{name}.onnx")
    data = bytearray(changed.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    expected = (
        rf"^{re.escape(str(changed))}: SHA-256 is [0-9a-f]{{64}}, but the manifest of tiny\.safetensors says "
    )
    with pytest.raises(
        WeightsError, match=expected + "[0-9a-f]{64}: the graph is damaged, or of another model$"
    ):
        through_a_file(path)


def test_a_graph_of_another_model_is_refused_by_name(path: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = tiny_model.write(tmp_path / "other" / "tiny.safetensors", tiny_model.SMALL)
    shutil.copy(other.with_name("tiny.synthesis.onnx"), path.with_name("tiny.synthesis.onnx"))
    with pytest.raises(WeightsError, match=r"tiny\.synthesis\.onnx: .*of another model$"):
        through_a_file(path)


def test_the_check_s_graph_is_looked_at_before_a_model_is_used(path: Path) -> None:
    changed = path.with_name("tiny.check.onnx")
    changed.write_bytes(changed.read_bytes() + b"\0")
    assert "tiny.check.onnx: SHA-256 is " in refused(path)


def test_any_flipped_byte_of_the_weights_is_refused_by_the_hash(path: Path) -> None:
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")
    sampled = random.Random(0).sample(range(header, len(data)), 150)
    for place in [*range(0, header, 41), *range(8), header - 1, *sampled, len(data) - 1]:
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert "the file is damaged" in refused(path)
    for other in (data[:-1], data + b"\0", b""):
        path.write_bytes(other)
        assert "the file is damaged" in refused(path)


def test_a_flipped_byte_of_the_manifest_is_refused_or_changes_nothing(path: Path, tiny: Model) -> None:
    """The hash is what names a model; what else it says is for people, but for the graphs' hashes."""
    manifest = path.with_suffix(".json")
    data = manifest.read_bytes()
    stated = range(data.index(b"sha256") - 1, data.index(tiny.sha256.encode()) + len(tiny.sha256) + 1)
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        manifest.write_bytes(changed)
        try:
            sha256 = registry.manifest_of(path)["sha256"]
        except WeightsError:
            continue
        assert (sha256 == tiny.sha256) is (place not in stated)
        if sha256 != tiny.sha256:
            assert "the file is damaged" in refused(path)


def test_a_flipped_byte_in_the_graphs_hashes_is_refused_or_changes_nothing(path: Path) -> None:
    manifest = path.with_suffix(".json")
    data = manifest.read_bytes()
    expected = through_a_file(path)
    refusals = 0
    for place in random.Random(0).sample(range(data.index(b"graphs"), len(data)), 40):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        manifest.write_bytes(changed)
        try:
            assert np.array_equal(through_a_file(path), expected)
        except WeightsError:
            refusals += 1
    assert refusals > 20


def test_a_missing_file_is_named(path: Path) -> None:
    path.with_suffix(".json").unlink()
    assert refused(path) == f"{path.with_suffix('.json')}: No such file or directory"
    path.unlink()
    assert refused(path) == f"{path}: No such file or directory"


def test_what_is_no_weights_file_is_said_of_the_file_that_was_named(path: Path) -> None:
    manifest, picture = path.with_suffix(".json"), path.with_name("p0.png")
    assert refused(manifest) == f"{manifest}: a manifest, expected the weights, {path}"
    picture.write_bytes(b"pixels")
    words = "not a weights file, expected NAME.safetensors with its manifest NAME.json beside it"
    assert refused(picture) == f"{picture}: {words}"
    for content in ('{"results": {}}', manifest.read_text()):  # of something else, of other weights
        picture.with_suffix(".json").write_text(content)
        assert refused(picture) == f"{picture}: {words}"
    assert refused(picture.with_suffix(".json")) == f"{picture.with_suffix('.json')}: {words}"
    renamed = path.rename(path.with_suffix(".weights"))  # a name like no other's, with its manifest
    assert weights.load(renamed).name == "tiny"


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        (b"", "not a manifest"),
        (b"\xff\xfe", "not a manifest"),
        (b"{", "not a manifest"),
        (b"[" * 100_000, "not a manifest"),
        (b" " * 2**20 + b"{}", "more than 1048576 bytes"),
        (b"[]", "does not state a SHA-256"),
        (b"{}", "does not state a SHA-256"),
        (b'{"sha256": 3}', "does not state a SHA-256"),
        (b'{"sha256": "12ab"}', "its SHA-256 is damaged"),
        (b'{"sha256": "' + b"0" * 64 + b'"}', "the file is damaged"),
    ],
)
def test_a_manifest_that_is_none_is_refused(path: Path, manifest: bytes, words: str) -> None:
    path.with_suffix(".json").write_bytes(manifest)
    assert words in refused(path)


def without(name: str) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.pop(name)


def replaced(name: str, make: Callable[[Array], Array]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({name: make(tensors[name])})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("prior.context.means.3.bias"), r"prior\.context\.means\.3\.bias"),
        (without("prior.to_context"), r"prior\.to_context"),
        (without("gains.restore"), "restore"),
        (without("tables.z.limits"), "tables.z.limits"),
        (replaced("gains.analysis", lambda gain: gain[:100]), r"gains\.analysis is .*\(100, 16\)"),
        (replaced("gains.quantise", lambda gain: gain.astype(np.float16)), r"gains\.quantise is float16"),
        (replaced("tables.y.counts", lambda counts: counts + 1), "sums to"),
        (replaced("tables.y.counts", lambda counts: counts.astype(np.float32)), "float32"),
        (
            replaced("prior.hyper.mix.weight", lambda weight: weight[:4]),
            r"hyper\.mix\.weight is \(4, 17\), expected \(8, 17\)",
        ),
        (
            replaced("prior.hyper.mix.weight", lambda weight: weight * 0 + 4000),
            r"hyper\.mix: .* beyond 2\^24",
        ),
        (
            replaced("prior.context.means.7.weight", lambda weight: weight * 0 + 2**14),
            r"context\.means\.7: .* beyond 2\^24",
        ),
        (replaced("prior.hyper.mix.weight", lambda weight: weight + 0.5), r"hyper\.mix\.weight is not made"),
        (
            replaced("prior.hyper.mix.bias", lambda bias: bias.astype(float) + np.inf),
            r"hyper\.mix\.bias is not",
        ),
        (replaced("prior.hyper.mix.shift", lambda shift: shift * 0), r"hyper\.mix\.shift is outside"),
        (replaced("prior.from_mean", lambda table: table[:, :3]), r"from_mean is int32 \(101, 3\), expected"),
        (replaced("prior.from_mean", lambda table: table.astype(np.int16)), "from_mean is int16"),
    ],
)
def test_tensors_that_make_no_model_are_refused(
    path: Path, change: Callable[[Tensors], object], words: str
) -> None:
    tensors = model_tensors()
    change(tensors)
    write_bytes(path, safetensors.numpy.save(tensors, metadata()))
    line = refused(path)
    assert "not weights of this version: " in line
    with pytest.raises(WeightsError, match=words):
        weights.load(path)


@pytest.mark.parametrize("name", ["to_context", "from_mean", "index_offset"])
def test_tables_with_which_latents_would_overflow_are_refused(path: Path, name: str) -> None:
    tensors = model_tensors()
    tensors[f"prior.{name}"][-1, -1] = -(2**29)
    weights.load(write_bytes(path, safetensors.numpy.save(tensors, metadata()), graphs=True))  # at the bound
    tensors[f"prior.{name}"][-1, -1] -= 1
    write_bytes(path, safetensors.numpy.save(tensors, metadata()))
    assert refused(path).endswith(f": {name} has entries beyond 2^29")


def test_every_layer_of_the_prior_is_checked(path: Path) -> None:
    for name in prior_layers(TINY):
        tensors = model_tensors()
        tensors[f"prior.{name}.bias"][-1] = 2**24
        write_bytes(path, safetensors.numpy.save(tensors, metadata()))
        assert f"{name}: a sum may reach" in refused(path)


@pytest.mark.parametrize("name", ["y", "z"])
def test_tables_with_a_row_too_few_are_refused(path: Path, name: str) -> None:
    tensors = model_tensors()
    limits = tensors[f"tables.{name}.limits"]
    tensors[f"tables.{name}.counts"] = tensors[f"tables.{name}.counts"][: -2 * int(limits[-1]) - 2]
    tensors[f"tables.{name}.limits"] = limits[:-1]
    write_bytes(path, safetensors.numpy.save(tensors, metadata()))
    assert "rows for y and z, expected (64, 4)" in refused(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "rdae-model-2"}, "format is 'rdae-model-2', expected 'rdae-model-1'"),
        ({"architecture": "{}"}, "architecture has fields"),
        ({"architecture": "[[]]"}, "not weights"),
        ({"architecture": "no"}, "not weights"),
        ({"skip_below": "few"}, "few"),
        ({"skip_below": "65"}, "skip_below is 65"),
    ],
)
def test_a_file_that_says_something_else_is_refused(path: Path, changes: dict[str, str], words: str) -> None:
    write_bytes(path, safetensors.numpy.save(model_tensors(), metadata() | changes))
    assert words in refused(path)


def test_a_file_without_metadata_is_refused(path: Path) -> None:
    write_bytes(path, safetensors.numpy.save(model_tensors()))
    assert "format is None" in refused(path)


@pytest.mark.parametrize("data", [b"", b"x", b"not weights at all, but a note", bytes(100)])
def test_what_is_no_safetensors_file_is_refused(path: Path, data: bytes) -> None:
    write_bytes(path, data)
    assert "not weights of this version" in refused(path)


def test_a_cut_file_is_refused_although_its_manifest_fits(path: Path) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), len(data) // 20):
        write_bytes(path, data[:length])
        assert "not weights of this version" in refused(path)
