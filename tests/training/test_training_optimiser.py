"""The optimiser is torch's Muon and Adam, of which a step that does not count leaves no trace."""

import copy
import math

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
from torch import Tensor

from rdae.networks.architecture import TINY
from rdae.training.autoencoder import Autoencoder
from rdae.training.config import PARTS, TrainingConfig
from rdae.training.optimisation import muon
from rdae.training.optimisation.optimiser import Optimiser, freeze, matrices, projections

YES, NO = torch.tensor([True, False]).unbind()
CONFIG = TrainingConfig(data=("x",), steps=1, warmup_steps=1, architecture=TINY)


def give_gradients(model: Autoencoder, seed: int) -> None:
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn(parameter.shape)


def orthogonalised(matrix: Tensor) -> Tensor:
    """Newton and Schulz as Jordan wrote it: the same odd polynomial of the singular values, five times."""
    u, s, v = torch.linalg.svd(matrix.double() / matrix.norm(), full_matrices=False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    found: Tensor = u @ s.diag() @ v
    return found


@pytest.mark.parametrize("quick", [True, False])
def test_steps_are_those_of_muon_and_adam(monkeypatch: pytest.MonkeyPatch, quick: bool) -> None:
    """Also where bfloat16 is slow, and Muon computes in float32."""
    monkeypatch.setattr(muon, "quick_bfloat16", lambda _device: quick)
    model = Autoencoder(TINY)
    optimiser = Optimiser(model, CONFIG)
    large, linear = matrices(model), projections(model)
    taken = {id(parameter) for parameter in large + linear}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    rates = {id(p): CONFIG.rate for p in rest} | {id(p): CONFIG.projection_rate for p in linear}
    wanted = {id(p): p.detach().double() for p in large + linear + rest}
    means = {key: torch.zeros_like(value) for key, value in wanted.items()}
    squares = copy.deepcopy(means)
    for step in range(3):
        give_gradients(model, step)
        gradients = {id(p): p.grad.double() for p in large + linear + rest if p.grad is not None}
        optimiser.step(0.5, YES)
        for parameter in large:
            key = id(parameter)
            means[key] = 0.95 * means[key] + 0.05 * gradients[key]
            update = orthogonalised(0.05 * gradients[key] + 0.95 * means[key])
            rate = 0.5 * CONFIG.matrix_rate
            wanted[key] *= 1 - rate * CONFIG.matrix_decay
            wanted[key] -= rate * 0.2 * math.sqrt(max(parameter.shape)) * update
            # bfloat16 keeps 8 bits of an update, float32 24, of parameters that are themselves float32.
            error = 0.05 * rate if quick else 2e-5 * rate + 1e-7
            assert torch.allclose(parameter.double(), wanted[key], rtol=1e-4 if quick else 2e-7, atol=error)
        for parameter in linear + rest:
            key = id(parameter)
            means[key] = 0.9 * means[key] + 0.1 * gradients[key]
            squares[key] = 0.99 * squares[key] + 0.01 * gradients[key] ** 2
            mean, square = means[key] / (1 - 0.9 ** (step + 1)), squares[key] / (1 - 0.99 ** (step + 1))
            wanted[key] -= 0.5 * rates[key] * mean / (square.sqrt() + 1e-10)
            assert torch.allclose(parameter.double(), wanted[key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("quick", [True, False])
def test_a_step_that_does_not_count_changes_nothing_whatever_its_gradient(
    monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(muon, "quick_bfloat16", lambda _device: quick)
    model = Autoencoder(TINY)
    optimiser = Optimiser(model, CONFIG)
    for counted in (0, 1):  # before the first step too
        before = copy.deepcopy((model.state_dict(), optimiser.state_dict()))
        for parameter in model.parameters():
            parameter.grad = torch.full(parameter.shape, torch.nan)
        optimiser.step(1.0, NO)
        for name, value in model.state_dict().items():
            assert torch.equal(value, before[0][name]), name
        for old, new in zip(before[1], optimiser.state_dict(), strict=True):
            for number, state in old["state"].items():
                for name, value in state.items():
                    assert torch.equal(value, new["state"][number][name]), (counted, number, name)
        give_gradients(model, counted)
        optimiser.step(1.0, YES)


@pytest.mark.parametrize("settings", [False, True])
def test_what_an_optimiser_remembers_can_be_saved_and_loaded(settings: bool) -> None:
    """Also by checkpoints from when Muon and Adam were rdae's own, which had no settings, and older ones that had."""
    models = [Autoencoder(TINY) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    one, other = (Optimiser(model, CONFIG) for model in models)
    for seed in range(2):
        give_gradients(models[0], seed)
        one.step(1.0, YES)
    saved = copy.deepcopy(one.state_dict())
    if settings:
        for part, of in zip(saved, (one.muon, one.adam), strict=True):
            part["param_groups"] = of.state_dict()["param_groups"]
            part["param_groups"][0]["lr"] = 123.0
    models[1].load_state_dict(models[0].state_dict())
    other.load_state_dict(saved)
    for model, optimiser in zip(models, (one, other), strict=True):
        give_gradients(model, 7)
        optimiser.step(0.5, YES)
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name]), name
    assert len(one.tensors()) == len(other.tensors()) > 0
    del saved[1]["state"][0]
    with pytest.raises(ValueError, match="optimiser states for"):
        other.load_state_dict(saved)


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_are_all_of_a_model_and_share_nothing(part: str) -> None:
    model = Autoencoder(TINY)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name in names:
        assert sum(name.startswith(beginnings) for beginnings in PARTS.values()) == 1, name
    freeze(model, (part,))
    free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert free == {name for name in names if name.startswith(PARTS[part])}
    Optimiser(model, CONFIG)
