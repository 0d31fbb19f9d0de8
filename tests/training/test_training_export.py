"""From a run to a weights file and back: the file codes as the trained network says, and training can go on from it."""

import dataclasses
import errno
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import safetensors.torch
import tiny_model
import torch
import training_kit

from rdae.codec import decode, encode
from rdae.errors import OutputExistsError, TrainingError, WeightsError
from rdae.networks import weights
from rdae.networks.architecture import TINY, Architecture
from rdae.networks.model import Model
from rdae.storage.files import write_atomically
from rdae.training import checkpoint, warm_start, weight_averaging
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import TrainingConfig
from rdae.training.export import freeze, tables
from rdae.training.trainer import Trainer

QUALITIES = (0, 160, 320, 480, 640, 800)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return training_kit.make_pictures(tmp_path_factory.mktemp("data") / "pictures", height=130)


@pytest.fixture(scope="module")
def run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run trained long enough that its prior is no longer what it was at the start."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    config = training_kit.config(pictures, steps=150, average=0.9, validate_every=1000)
    Trainer(config, folder, report=lambda _line, _passing: None).train()
    return folder


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "made" / "small.safetensors"
    freeze.export(run, path)
    return path


def trained_by(run: Path) -> Autoencoder:
    """The averaged weights of a run, rounding as files do."""
    model = Autoencoder(TINY)
    model.load_state_dict(checkpoint.load(run)["average"])
    return model.eval()


def psnr(mse: float) -> float:
    return 10 * math.log10(255**2 / mse)


def test_the_exported_model_loads_and_names_how_it_was_trained(run: Path, exported: Path) -> None:
    model = weights.load(exported)
    assert model.architecture == TINY
    manifest = json.loads(exported.with_suffix(".json").read_text())
    assert manifest["sha256"] == model.sha256
    assert manifest["steps"] == 150
    assert manifest["pixels"] == 150 * 4 * 64 * 64
    assert manifest["quality"] == [0.0, 100.0]
    assert manifest["training"]["data"] == ["pictures"]  # a name, not a path of this machine
    assert str(run.parent) not in exported.with_suffix(".json").read_text()


def test_a_file_of_the_exported_model_decodes_to_the_encoders_reconstruction(exported: Path) -> None:
    model = weights.load(exported)
    encoded = encode.encode(tiny_model.photo(70, 51), model, 400)
    assert np.array_equal(decode.decode(encoded.data, model).picture, encoded.reconstruction)


@pytest.mark.parametrize("index", QUALITIES)
def test_the_trained_networks_rate_and_distortion_are_those_of_files(
    run: Path, index: int, tmp_path: Path
) -> None:
    # The same Gaussian tables on both sides: fitted ones are another model of the residuals.
    trained = trained_by(run)
    path = tmp_path / "plain.safetensors"
    freeze.write(trained_by(run), tables.join(tables.gaussian_rows()), path, {}, force=False)
    picture = tiny_model.photo(256, 320)
    encoded = encode.encode(picture, weights.load(path), index)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        output = trained(x, torch.tensor([index]))
    bits = float(output.bits_y + output.bits_z)
    assert encoded.rate_bits == pytest.approx(bits, rel=0.01)
    assert 8 * len(encoded.data) == pytest.approx(encoded.rate_bits, rel=0.01, abs=8 * 40)
    levels = (output.x_hat[0].permute(1, 2, 0) * 255).round().clamp(0, 255).numpy()
    found, expected = (
        psnr(float(np.mean((p.astype(float) - picture) ** 2))) for p in (encoded.reconstruction, levels)
    )
    assert found == pytest.approx(expected, abs=0.05)


def total_bits(model: Model) -> float:
    return sum(encode.encode(tiny_model.photo(130, 130), model, index).rate_bits for index in QUALITIES)


def test_fitted_tables_make_smaller_files_than_gaussian_ones(
    run: Path, exported: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plain.safetensors"
    freeze.write(trained_by(run), tables.join(tables.gaussian_rows()), path, {}, force=False)
    assert total_bits(weights.load(exported)) < total_bits(weights.load(path))


def test_exporting_twice_gives_the_same_bytes(run: Path, exported: Path, tmp_path: Path) -> None:
    freeze.export(run, tmp_path / "small.safetensors")
    for suffix in (".safetensors", ".json"):
        assert (tmp_path / f"small{suffix}").read_bytes() == exported.with_suffix(suffix).read_bytes()


def test_training_goes_on_from_exported_weights_where_it_was(
    run: Path, exported: Path, pictures: Path, tmp_path: Path
) -> None:
    before = Trainer(training_kit.config(pictures), tmp_path / "a")
    before.average = checkpoint.load(run)["average"]
    start = warm_start.read(exported)
    assert start.pixels == 150 * 4 * 64 * 64
    after = Trainer(training_kit.config(pictures), tmp_path / "b")
    after.start_from(start.state, start.pixels)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    for old, new in zip(before.validate(), after.validate(), strict=True):
        assert new["bpp"] == pytest.approx(old["bpp"], rel=0.005)
        assert new["psnr"] == pytest.approx(old["psnr"], abs=0.02)
        assert new["loss"] == pytest.approx(old["loss"], rel=0.005)


def test_what_came_back_is_what_went_in(run: Path, exported: Path) -> None:
    expected, found = checkpoint.load(run)["average"], warm_start.read(exported).state
    assert set(found) == set(expected)
    for name, value in expected.items():
        scale = float(value.abs().max()) if value.numel() else 0.0
        assert torch.allclose(found[name].float(), value.float(), rtol=1e-3, atol=1e-3 * scale), name
    # What is kept as it is.
    for name in ("spread", "bottleneck.matrices.0", "analysis.fine.0.scale"):
        assert torch.equal(found[name], expected[name])


def test_new_blocks_change_nothing_at_first(exported: Path, pictures: Path, tmp_path: Path) -> None:
    start = warm_start.read(exported)
    larger = dataclasses.replace(
        TINY, analysis_fine=2, synthesis_coarse=3, context_deeper=2, context_trunks=4
    )
    x, index = torch.rand(1, 3, 64, 64), torch.tensor([300])
    outputs = []
    for architecture in (TINY, larger):
        trainer = Trainer(training_kit.config(pictures, architecture=architecture), tmp_path)
        trainer.start_from(start.state, start.pixels)
        with torch.no_grad():
            outputs.append(trainer.model.eval()(x, index))
    assert torch.equal(outputs[0].x_hat, outputs[1].x_hat)
    assert torch.equal(outputs[0].bits_y, outputs[1].bits_y)


def test_the_mean_of_files_lies_between_them(run: Path, exported: Path, tmp_path: Path) -> None:
    other = trained_by(run)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    path = tmp_path / "other.safetensors"
    freeze.write(other, tables.join(tables.gaussian_rows()), path, {"pixels": 7}, force=False)
    one, two, mean = warm_start.read(exported), warm_start.read(path), weight_averaging.read([exported, path])
    assert mean.architecture == one.architecture
    assert mean.pixels == one.pixels > 7
    assert set(mean.state) == set(one.state)
    for name, value in mean.state.items():
        between = (one.state[name].double() + two.state[name].double()) / 2
        assert torch.allclose(value.double(), between, atol=1e-6), name
    alone = weight_averaging.read([exported]).state["analysis.to_coarse.weight"]
    assert torch.equal(alone, one.state["analysis.to_coarse.weight"])


def test_a_block_that_one_file_lacks_works_by_half_in_their_mean(
    exported: Path, pictures: Path, tmp_path: Path
) -> None:
    start = warm_start.read(exported)
    larger = dataclasses.replace(TINY, analysis_fine=2, context_deeper=2, context_trunks=4)
    trainer = Trainer(training_kit.config(pictures, architecture=larger), tmp_path)
    trainer.start_from(start.state, start.pixels)
    added = trainer.model.state_dict()  # the tensors themselves
    with torch.no_grad():
        added["analysis.fine.1.project.weight"].fill_(0.25)
    path = tmp_path / "larger.safetensors"
    freeze.write(trainer.model, tables.join(tables.gaussian_rows()), path, {}, force=False)
    for files in ([exported, path], [path, exported]):
        mean = weight_averaging.read(files)
        assert mean.architecture == larger
        assert bool((mean.state["analysis.fine.1.project.weight"] == 0.125).all())
        inside = "analysis.fine.1.expand.weight"
        assert torch.equal(mean.state[inside], added[inside].half().float())
        trunk = mean.state["context.trunks.3.spread.weight"]
        assert torch.allclose(trunk, start.state["context.trunks.0.spread.weight"], atol=1e-6)
        Trainer(training_kit.config(pictures, architecture=larger), tmp_path).start_from(
            mean.state, mean.pixels
        )


def test_a_run_is_exported_as_a_mean_with_other_weights(run: Path, exported: Path, tmp_path: Path) -> None:
    other = trained_by(run)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.9)
    path, mixed = tmp_path / "other.safetensors", tmp_path / "mixed.safetensors"
    freeze.write(other, tables.join(tables.gaussian_rows()), path, {}, force=False)
    freeze.export(run, mixed, mean=(path, 0.75))
    name = "analysis.to_coarse.weight"
    one, two, mean = (safetensors.torch.load_file(each)[name].float() for each in (exported, path, mixed))
    assert not torch.equal(one, two)
    assert torch.allclose(mean, 0.75 * one + 0.25 * two, atol=float(one.abs().max()) / 500)
    manifest = json.loads(mixed.with_suffix(".json").read_text())
    assert manifest["mean"] == {"with": [f"other {weights.load(path).model_id.hex()}"], "share": 0.75}
    assert manifest["steps"] == 150
    picture = tiny_model.photo(70, 51)
    encoded = encode.encode(picture, weights.load(mixed), 400)
    assert np.array_equal(decode.decode(encoded.data, weights.load(mixed)).picture, encoded.reconstruction)


def test_a_share_of_nothing_and_a_deeper_file_are_refused(run: Path, tmp_path: Path) -> None:
    deeper = tmp_path / "deeper.safetensors"
    model = Autoencoder(dataclasses.replace(TINY, analysis_fine=2))
    freeze.write(model, tables.join(tables.gaussian_rows()), deeper, {}, force=False)
    output = tmp_path / "mean.safetensors"
    with pytest.raises(TrainingError, match=r"deeper\.safetensors: it has more blocks"):
        freeze.export(run, output, mean=(deeper, 0.5))
    for share in (0, 1.5, math.nan):
        with pytest.raises(ValueError, match="expected one above 0"):
            freeze.export(run, output, mean=(deeper, share))
    assert not output.exists()


def test_no_mean_is_taken_of_other_widths(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "wider.safetensors"
    wider = Autoencoder(dataclasses.replace(TINY, hyper_width=12))
    freeze.write(wider, tables.join(tables.gaussian_rows()), path, {}, force=False)
    with pytest.raises(TrainingError, match=r"wider\.safetensors: its widths are others"):
        weight_averaging.read([exported, path])


@pytest.mark.parametrize("change", [{"synthesis_fine": 0}, {"hyper_width": 12}, {"latents": 20}])
def test_weights_of_another_architecture_are_refused(
    exported: Path, pictures: Path, tmp_path: Path, change: dict[str, int]
) -> None:
    architecture = dataclasses.replace(TINY, **change)
    trainer = Trainer(training_kit.config(pictures, architecture=architecture), tmp_path)
    with pytest.raises(TrainingError, match="another architecture") as caught:
        trainer.start_from(warm_start.read(exported).state, 0)
    assert "\n" not in str(caught.value)


def test_weights_that_hold_nothing_to_train_on_with_are_refused(tiny_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no tensors under 'train\.'"):
        warm_start.read(tiny_path)


def test_damaged_weights_are_refused(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / exported.name
    shutil.copy(exported.with_suffix(".json"), path.with_suffix(".json"))
    data = bytearray(exported.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        warm_start.read(path)


def test_what_only_training_needs_is_small() -> None:
    tensors = warm_start.training_tensors(Autoencoder(Architecture()))
    assert sum(tensor.numel() * 4 for tensor in tensors.values()) < 200_000


def test_a_codec_does_without_what_only_training_needs(exported: Path, tmp_path: Path) -> None:
    tensors = safetensors.torch.load_file(exported)
    with safetensors.safe_open(exported, framework="pt") as opened:
        metadata = opened.metadata()
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("train.")}
    assert len(kept) < len(tensors)
    path = tiny_model.write_bytes(
        tmp_path / "lean.safetensors", safetensors.torch.save(kept, metadata), graphs=True
    )
    picture = tiny_model.photo(40, 50)
    first, second = (encode.encode(picture, weights.load(p), 300) for p in (exported, path))
    assert np.array_equal(first.reconstruction, second.reconstruction)
    assert first.latents_sha256 == second.latents_sha256


def test_weights_that_are_not_finite_are_refused(run: Path, tmp_path: Path) -> None:
    for value in (math.nan, 1e6):  # float16 ends at 65504
        state = checkpoint.load(run)
        state["average"]["analysis.to_coarse.weight"][0, 0] = value
        (tmp_path / "run").mkdir(exist_ok=True)
        checkpoint.save(tmp_path / "run", state)
        with pytest.raises(
            TrainingError, match=r"analysis\.to_coarse\.weight has values that are not finite"
        ):
            freeze.export(tmp_path / "run", tmp_path / "x.safetensors")
    assert not list(tmp_path.glob("x.*"))


def test_existing_weights_are_kept_without_force(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(OutputExistsError):
        freeze.export(run, path)
    assert not path.exists()
    freeze.export(run, path, force=True)
    weights.load(path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("older", [True, False])
def test_a_disk_that_fills_up_leaves_the_older_model_or_nothing(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    for path in exported.parent.iterdir() if older else ():
        shutil.copy(path, tmp_path)
    before = contents(tmp_path)
    parts = len(list(exported.parent.iterdir()))

    def write(path: Path, data: bytes, **options: Any) -> None:
        if len(list(tmp_path.glob(".rdae-*.part"))) == parts - 1:  # all but the manifest
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_atomically(path, data, **options)

    monkeypatch.setattr("rdae.storage.together.write_atomically", write)
    other = Autoencoder(dataclasses.replace(TINY, hyper_width=12))  # whose graphs are others
    path = tmp_path / exported.name
    with pytest.raises(OSError, match="No space left") as caught:
        freeze.write(other, tables.join(tables.gaussian_rows()), path, {}, force=True)
    assert caught.value.filename == str(path.with_suffix(".json"))
    assert contents(tmp_path) == before
    monkeypatch.undo()
    freeze.write(other, tables.join(tables.gaussian_rows()), path, {}, force=older)
    assert contents(tmp_path).keys() == contents(exported.parent).keys()
    assert weights.load(path).architecture == other.architecture


def test_data_that_was_moved_can_be_named(run: Path, pictures: Path, tmp_path: Path) -> None:
    state = checkpoint.load(run)
    config = TrainingConfig.from_dict(json.loads(state["config"]))
    gone = dataclasses.replace(config, data=(str(tmp_path / "gone"),))
    checkpoint.save(tmp_path, state | {"config": json.dumps(gone.to_dict())})
    with pytest.raises(TrainingError, match="gone: no such folder"):
        freeze.export(tmp_path, tmp_path / "x.safetensors")
    freeze.export(tmp_path, tmp_path / "x.safetensors", data=(str(pictures),))
    weights.load(tmp_path / "x.safetensors")


def test_a_run_without_a_checkpoint_and_a_wrong_name_are_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no checkpoint"):
        freeze.export(tmp_path, tmp_path / "x.safetensors")
    with pytest.raises(TrainingError, match=r"ends with \.safetensors"):
        freeze.export(run, tmp_path / "x.json")


def test_a_checkpoint_of_other_settings_is_one_line(run: Path, tmp_path: Path) -> None:
    state = checkpoint.load(run)
    for change, message in (
        ({"config": "{}"}, "settings of another version"),
        ({"average": {}}, "not a checkpoint of this version"),
    ):
        checkpoint.save(tmp_path, state | change)
        with pytest.raises(TrainingError, match=message) as caught:
            freeze.export(tmp_path, tmp_path / "x.safetensors")
        assert "\n" not in str(caught.value)
