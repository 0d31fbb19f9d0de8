"""rdae.weights: a weights file is read as stored or refused with a line that says why."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import torch
from tiny_model import metadata, model_tensors, write_bytes
from torch import Tensor

from rdae import weights
from rdae.errors import WeightsError
from rdae.model import Model
from rdae.networks import registry
from rdae.networks.architecture import TINY
from rdae.training.modules.analysis import Analysis
from rdae.training.modules.blocks import Block
from rdae.training.modules.hyper_analysis import HyperAnalysis
from rdae.training.modules.synthesis import Synthesis

Tensors = dict[str, Tensor]


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
    for suffix in (".safetensors", ".json"):
        shutil.copy(tiny_path.with_suffix(suffix), tmp_path)
    return tmp_path / tiny_path.name


def test_a_model_is_named_by_its_file_and_its_hash(tiny_path: Path, tiny: Model) -> None:
    manifest = json.loads(tiny_path.with_suffix(".json").read_text())
    assert tiny.name == "tiny"
    assert tiny.sha256 == manifest["sha256"]
    assert tiny.model_id == bytes.fromhex(manifest["sha256"])[:4]
    assert tiny.architecture == TINY
    assert tiny.device == torch.device("cpu")


def test_tensors_are_read_as_stored(tiny: Model) -> None:
    stored = model_tensors()
    assert stored["analysis.to_coarse.weight"].dtype == torch.float16
    assert torch.equal(tiny.analysis.to_coarse.weight, stored["analysis.to_coarse.weight"].float())
    for name, tensor in tiny.prior.state_dict().items():
        assert torch.equal(tensor.double(), stored[f"prior.{name}"].double()), name
        assert tensor.dtype == (torch.float32 if "." in name else torch.int64)
    for name in ("quantise", "restore", "analysis", "synthesis"):
        assert torch.equal(getattr(tiny.gains, name), stored[f"gains.{name}"])
    for name, tables in (("y", tiny.prior.y_tables), ("z", tiny.prior.z_tables)):
        assert torch.equal(torch.from_numpy(tables.counts), stored[f"tables.{name}.counts"])
        assert torch.equal(torch.from_numpy(tables.limits), stored[f"tables.{name}.limits"])
    assert tiny.prior.skip_below == 2


def test_a_model_is_ready_for_inference(tiny: Model) -> None:
    for network in (tiny.analysis, tiny.synthesis, tiny.hyper_analysis):
        assert not network.training
        assert not any(parameter.requires_grad for parameter in network.parameters())
        assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_float32_transforms_are_read_too(path: Path, tiny: Model) -> None:
    tensors = {k: v.float() if v.dtype == torch.float16 else v for k, v in model_tensors().items()}
    loaded = weights.load(write_bytes(path, safetensors.torch.save(tensors, metadata())))
    assert loaded.sha256 != tiny.sha256
    for before, after in zip(tiny.analysis.parameters(), loaded.analysis.parameters(), strict=True):
        assert torch.equal(before, after)


@torch.no_grad()
def test_weights_from_when_all_steps_shared_one_trunk_are_read(path: Path, tiny: Model) -> None:
    tensors = {name.replace("context.trunks.0.", "context."): t for name, t in model_tensors().items()}
    assert "prior.context.spread_more.weight" in tensors
    architecture = TINY.to_dict()
    del architecture["context_trunks"], architecture["context_deeper"]
    older = metadata() | {"architecture": json.dumps(architecture)}
    loaded = weights.load(write_bytes(path, safetensors.torch.save(tensors, older)))
    for name, tensor in tiny.prior.state_dict().items():
        assert torch.equal(loaded.prior.state_dict()[name], tensor), name


def test_the_scales_are_folded_into_the_blocks(tiny: Model) -> None:
    stored = {name: value.float() for name, value in model_tensors().items()}
    generator = torch.Generator().manual_seed(0)

    def unfolded(network: torch.nn.Module, prefix: str) -> torch.nn.Module:
        start = f"{prefix}."
        state = {k.removeprefix(start): v for k, v in stored.items() if k.startswith(start)}
        network.load_state_dict(state)
        return network

    gain = torch.rand(1, TINY.fine, 1, 1, generator=generator) + 0.5
    x = torch.rand(1, 3, 48, 32, generator=generator)
    y = torch.randn(1, TINY.latents, 3, 2, generator=generator)
    pairs = (
        (tiny.analysis(x, gain), unfolded(Analysis(TINY), "analysis")(x, gain)),
        (tiny.synthesis(y, gain), unfolded(Synthesis(TINY), "synthesis")(y, gain)),
        (tiny.hyper_analysis(y), unfolded(HyperAnalysis(TINY), "hyper_analysis")(y)),
    )
    for folded, plain in pairs:
        assert torch.allclose(folded, plain, rtol=1e-4, atol=1e-4)
    blocks = [block for block in tiny.analysis.modules() if isinstance(block, Block)]
    assert blocks
    assert all(bool((block.scale == 1).all()) for block in blocks)


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
    """The hash is its only word that counts; what else it says is for people."""
    manifest = path.with_suffix(".json")
    data = manifest.read_bytes()
    stated = range(data.index(b"sha256") - 1, data.rindex(b'"') + 1)
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


def test_a_missing_file_is_named(path: Path) -> None:
    path.with_suffix(".json").unlink()
    assert refused(path) == f"{path.with_suffix('.json')}: No such file or directory"
    path.unlink()
    assert refused(path) == f"{path}: No such file or directory"


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


def replaced(name: str, make: Callable[[Tensor], Tensor]) -> Callable[[Tensors], object]:
    return lambda tensors: tensors.update({name: make(tensors[name])})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("analysis.coarse.0.expand.weight"), "loading state_dict for Analysis"),
        (without("prior.context.means.3.bias"), "loading state_dict for ExactPrior"),
        (without("gains.restore"), "restore"),
        (without("tables.z.limits"), "tables.z.limits"),
        (replaced("gains.analysis", lambda gain: gain[:100].clone()), r"gains\.analysis is .*\(100, 16\)"),
        (replaced("gains.quantise", lambda gain: gain.half()), r"gains\.quantise is torch\.float16"),
        (replaced("tables.y.counts", lambda counts: counts + 1), "sums to"),
        (replaced("tables.y.counts", lambda counts: counts.float()), "float32"),
        (replaced("prior.hyper.mix.weight", lambda weight: weight[:4].clone()), "ExactPrior"),
        (
            replaced("prior.hyper.mix.weight", lambda weight: weight * 0 + 4000),
            r"hyper\.mix: .* beyond 2\^24",
        ),
        (replaced("prior.hyper.mix.weight", lambda weight: weight + 0.5), r"hyper\.mix\.weight is not made"),
        (replaced("prior.hyper.mix.bias", lambda bias: bias.float() + torch.inf), r"hyper\.mix: .* beyond"),
        (replaced("prior.hyper.mix.shift", lambda shift: shift * 0), r"hyper\.mix\.shift is outside"),
    ],
)
def test_tensors_that_make_no_model_are_refused(
    path: Path, change: Callable[[Tensors], object], words: str
) -> None:
    tensors = model_tensors()
    change(tensors)
    write_bytes(path, safetensors.torch.save(tensors, metadata()))
    line = refused(path)
    assert "not weights of this version: " in line
    with pytest.raises(WeightsError, match=words):
        weights.load(path)


@pytest.mark.parametrize("name", ["y", "z"])
def test_tables_with_a_row_too_few_are_refused(path: Path, name: str) -> None:
    tensors = model_tensors()
    limits = tensors[f"tables.{name}.limits"]
    tensors[f"tables.{name}.counts"] = tensors[f"tables.{name}.counts"][: -2 * int(limits[-1]) - 2].clone()
    tensors[f"tables.{name}.limits"] = limits[:-1].clone()
    write_bytes(path, safetensors.torch.save(tensors, metadata()))
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
    write_bytes(path, safetensors.torch.save(model_tensors(), metadata() | changes))
    assert words in refused(path)


def test_a_file_without_metadata_is_refused(path: Path) -> None:
    write_bytes(path, safetensors.torch.save(model_tensors()))
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
