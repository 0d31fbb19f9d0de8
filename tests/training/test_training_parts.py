"""The parts of training one by one: objective, schedule, relaxed layers, checkpoints, log, settings."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
from hypothesis import given
from hypothesis import strategies as st

from rdae import quality
from rdae.errors import TrainingError
from rdae.networks.architecture import TINY
from rdae.networks.layers import UNIT, LayerSpec
from rdae.training import checkpoint
from rdae.training.config import TrainingConfig
from rdae.training.log import Log
from rdae.training.modules.layers import RelaxedLayer, convolve
from rdae.training.numbers import three_digits
from rdae.training.optimisation.schedule import rate_factor

CONFIG = TrainingConfig(data=("pictures",), steps=1000, warmup_steps=100, decay=0.25)


# -- objective ---------------------------------------------------------------------------------------------------


def test_betas_of_a_tensor_are_those_of_the_quality_scale() -> None:
    from rdae.training.objective import betas

    index = torch.tensor([0, 1, 399, 400, 800])
    assert betas(index).tolist() == pytest.approx([quality.beta(int(i)) for i in index], rel=1e-5)


def test_the_loss_is_rate_plus_beta_times_distortion_weighted_by_quality() -> None:
    from rdae.training.autoencoder import Output
    from rdae.training.objective import terms

    x = torch.zeros(3, 3, 64, 128)
    # 2 levels off in all pixels; 6,144 and 2,048 bits on 8,192 pixels: MSE 4, 1 bpp
    output = Output(x + 2 / 255, torch.full((3,), 6144.0), torch.full((3,), 2048.0))
    found = terms(x, output, torch.tensor([0, 400, 800]), loss_power=0.5)
    assert found.bpp.tolist() == [1.0] * 3
    assert found.mse.tolist() == pytest.approx([4.0] * 3, rel=1e-5)
    # At the middle quality the weight is 1; three half-decades of beta above and below it is 10^∓0.75.
    middle = 0.0004 * 10**1.5
    expected = [10**0.75 * (1 + 4 * 0.0004), 1 + 4 * middle, 10**-0.75 * (1 + 4 * 0.4)]
    assert found.loss.tolist() == pytest.approx(expected, rel=1e-5)


# -- schedule ----------------------------------------------------------------------------------------------------


def test_the_rate_rises_stays_and_falls() -> None:
    factors = [rate_factor(step / 1000, step, CONFIG) for step in range(1001)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[49] == pytest.approx(0.5)
    assert set(factors[99:751]) == {1.0}
    assert factors[875] == pytest.approx(0.5)
    assert factors[1000] == 0.0
    assert factors[:100] == sorted(factors[:100])
    assert factors[750:] == sorted(factors[750:], reverse=True)


def test_a_longer_budget_puts_the_fall_off() -> None:
    assert rate_factor(900 / 1000, 900, CONFIG) < 0.5
    assert rate_factor(900 / 2000, 900, CONFIG) == 1.0


@given(st.floats(0, 1), st.integers(0, 10**6), st.floats(0, 1), st.integers(0, 500))
def test_the_factor_is_between_0_and_1(progress: float, step: int, decay: float, warmup: int) -> None:
    config = dataclasses.replace(CONFIG, decay=decay, warmup_steps=warmup)
    assert 0 <= rate_factor(progress, step, config) <= 1


# -- relaxed layers ----------------------------------------------------------------------------------------------


SPECS = [
    LayerSpec(name="hidden", channels_in=24, channels_out=16),
    LayerSpec(name="depthwise", channels_in=16, channels_out=16, kernel=3),
    LayerSpec(name="mean", channels_in=16, channels_out=8, unit_out=2048, low=-32767, high=32767),
    LayerSpec(name="index", channels_in=16, channels_out=8, unit_out=1, low=-127, high=127),
    LayerSpec(name="first", channels_in=4, channels_out=12, unit_in=1, max_in=127),
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_an_exported_layer_is_the_relaxed_one_within_one_step(spec: LayerSpec) -> None:
    from rdae.training.export.freeze import quantise_layer

    torch.manual_seed(1)
    relaxed = RelaxedLayer(spec)
    torch.nn.init.normal_(relaxed.bias, std=0.3)
    relaxed.exact_steps = True
    exact = quantise_layer(relaxed)
    spec.check(*(exact[part].numpy() for part in ("weight", "bias", "shift")))
    low = -spec.max_in if spec.unit_in == 1 else 0
    integers = torch.randint(low, spec.max_in + 1, (2, spec.channels_in, 9, 7)).float()
    with torch.no_grad():
        expected = relaxed(integers / spec.unit_in) * spec.unit_out
    # Sums in float64, so that this asks nothing of the layer's own bound.
    shift = exact["shift"].double()[:, None, None]
    total = convolve(spec, integers.double(), exact["weight"].double(), exact["bias"].double())
    found = ((total + 2 ** (shift - 1)) * 2.0**-shift).floor().clamp(spec.low, spec.high)
    assert bool((expected == expected.round()).all())
    assert float((found - expected).abs().max()) <= 1
    assert spec.low <= float(found.min()) < float(found.max()) <= spec.high
    inside = found[(found > spec.low) & (found < spec.high)]
    assert len(inside.unique()) > 20  # not all at the ends of the range


def test_a_layer_too_large_for_exact_arithmetic_is_refused() -> None:
    from rdae.training.export.freeze import quantise_layer

    layer = RelaxedLayer(SPECS[0])
    torch.nn.init.constant_(layer.weight, 1e4)
    with pytest.raises(TrainingError, match="hidden: channel 0 is too large"):
        quantise_layer(layer)


def test_gradients_pass_the_rounding() -> None:
    layer = RelaxedLayer(SPECS[0])
    layer.exact_steps = True
    layer(torch.rand(1, 24, 2, 2)).sum().backward()
    assert layer.weight.grad is not None
    assert float(layer.weight.grad.abs().sum()) > 0


def test_exact_steps_hold_under_bf16() -> None:
    torch.manual_seed(0)
    layer = RelaxedLayer(SPECS[0])
    layer.exact_steps = True
    x = torch.randint(0, 1024, (1, 24, 4, 4)) / UNIT
    with torch.autocast("cpu", torch.bfloat16):
        under = layer(x)
    assert under.dtype == torch.float32
    assert torch.equal(under, layer(x))


# -- checkpoints and log -----------------------------------------------------------------------------------------


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    state = {"model": {"w": torch.arange(5.0)}, "step": 7, "elapsed_s": 1.5, "config": "{}"}
    checkpoint.save(tmp_path, state)
    found = checkpoint.load(tmp_path)
    assert torch.equal(found["model"].pop("w"), state["model"].pop("w"))  # type: ignore[attr-defined]
    assert found == state


@pytest.mark.parametrize("hidden", [False, True])
def test_a_failed_save_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    checkpoint.save(tmp_path, {"step": 1})
    before = (tmp_path / checkpoint.NAME).read_bytes()

    def half(_state: object, stream: Any) -> None:
        stream.write(b"PK half a checkpoint")
        try:
            raise OSError(28, "No space left on device")
        finally:
            if hidden:  # as torch does
                raise RuntimeError("[enforce fail at inline_container.cc:672] .\nunexpected pos 704 vs 598")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: No space left on device$"):
        checkpoint.save(tmp_path, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.NAME]
    assert (tmp_path / checkpoint.NAME).read_bytes() == before
    assert checkpoint.load(tmp_path) == {"step": 1}


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_a_broken_checkpoint_is_one_line(tmp_path: Path, keep: int) -> None:
    checkpoint.save(tmp_path, {"w": torch.arange(1000)})
    path = tmp_path / checkpoint.NAME
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: not a sound checkpoint") as caught:
        checkpoint.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_runs_no_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    torch.save({"step": Evil()}, tmp_path / checkpoint.NAME)
    with pytest.raises(TrainingError, match="not a sound checkpoint"):
        checkpoint.load(tmp_path)
    assert not (tmp_path / "touched").exists()


def test_cutting_the_log_keeps_each_step_once(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.cut(3)  # there is none yet
    for step in (2, 4, 6):
        log.write({"kind": "train", "step": step, "loss": 1 / step})
    log.write({"kind": "validation", "step": 4})
    with log.path.open("a") as stream:
        stream.write('{"kind": "train", "st')
    log.cut(4)
    lines = log.path.read_text().splitlines()
    assert [(row["kind"], row["step"]) for row in map(json.loads, lines)] == [
        ("train", 2),
        ("train", 4),
        ("validation", 4),
    ]
    assert json.loads(lines[0])["loss"] == 0.5
    assert log.has("validation", 4)
    assert not log.has("validation", 2)


def test_a_log_has_null_for_what_is_not_finite(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write({"kind": "validation", "step": 1, "rows": [{"psnr": math.nan, "bpp": 1.0}], "loss": math.inf})
    assert log.rows() == [
        {"kind": "validation", "step": 1, "rows": [{"psnr": None, "bpp": 1.0}], "loss": None}
    ]
    assert "NaN" not in log.path.read_text()


def test_numbers_have_three_digits() -> None:
    shown = [three_digits(number) for number in (0, 0.00412, 0.5, 2.1, 12.34, 99.97, 123.4, 4567.0)]
    assert shown == ["0.00", "0.00412", "0.500", "2.10", "12.3", "100", "123", "4567"]


# -- settings ----------------------------------------------------------------------------------------------------


def test_settings_come_back_from_json() -> None:
    config = TrainingConfig(data=("a", "b"), validation=("c",), hours=0.5, architecture=TINY, quality_low=8)
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": None},
        {"hours": 1.0},
        {"data": ()},
        {"crop": 96},
        {"crop": 0},
        {"batch": 0},
        {"quality_low": 500, "quality_high": 400},
        {"quality_high": 801},
        {"precision": "fp16"},
        {"decay": 1.5},
        {"average": 1.0},
        {"average": math.nan},
        {"exact_phase": math.nan},
        {"reduce": math.nan},
        {"steps": None, "hours": math.nan},
        {"steps": None, "hours": math.inf},
        {"stream": math.inf},
        {"reuse": math.nan},
        {"matrix_rate": math.nan},
        {"matrix_decay": -0.1},
        {"rate": -1.0},
        {"rate": 0.0},
        {"projection_rate": math.inf},
        {"clip": 0.0},
        {"loss_power": math.nan},
        {"warmup_steps": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(CONFIG, **wrong)


def test_gains_of_the_anchors_are_the_range_of_beta() -> None:
    from rdae.training.autoencoder import Autoencoder
    from rdae.training.export.freeze import gain_tables

    tables = gain_tables(Autoencoder(TINY))
    assert tables["quantise"].shape == (801, TINY.latents)
    assert tables["quantise"][:, 0].tolist() == pytest.approx(
        [255 * math.sqrt(quality.beta(i) * math.log(2) / 18) for i in range(801)], rel=1e-4
    )
    assert torch.allclose(tables["restore"] * tables["quantise"], torch.ones(1))
