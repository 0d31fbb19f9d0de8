"""Muon and Adam are torch's own, but for what they are there for: stacks of matrices, and a device that decides."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import training_kit
from torch import nn

from rdae.networks.architecture import TINY
from rdae.training.optimisation.adam import Adam
from rdae.training.optimisation.muon import Muon, orthogonalised

YES, NO = torch.tensor([True, False]).unbind()
SHAPES = [(6, 4), (4, 6), (6, 4), (5, 5), (4, 6), (6, 4)]


def parameters(shapes: Sequence[tuple[int, ...]]) -> list[nn.Parameter]:
    torch.manual_seed(1)
    return [nn.Parameter(torch.randn(shape)) for shape in shapes]


def give_gradients(mine: list[nn.Parameter], other: list[nn.Parameter], seed: int) -> None:
    torch.manual_seed(seed)
    for a, b in zip(mine, other, strict=True):
        a.grad = torch.randn(a.shape)
        b.grad = a.grad.clone()


def test_a_stack_is_orthogonalised_as_its_matrices_are_one_by_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 8, 5), (2, 5, 8)):
        stack = torch.randn(shape, dtype=torch.float64)
        found = orthogonalised(stack, torch.float64)
        for matrix, result in zip(stack, found, strict=True):
            # Newton and Schulz as Jordan wrote it: the same odd polynomial of the singular values, five times.
            u, s, v = torch.linalg.svd(matrix / matrix.norm(), full_matrices=False)
            for _ in range(5):
                s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
            assert torch.allclose(result, u @ s.diag() @ v, atol=1e-10)


def test_muon_makes_the_steps_of_torchs_muon() -> None:
    mine, other = parameters(SHAPES), parameters(SHAPES)
    muon = Muon(mine, weight_decay=0.2)
    torchs = torch.optim.Muon(other, lr=0.01, weight_decay=0.2, momentum=0.95, adjust_lr_fn="match_rms_adamw")
    for seed in range(4):
        give_gradients(mine, other, seed)
        muon.step(0.01, YES)
        torchs.step()
        for a, b in zip(mine, other, strict=True):
            # An update is 0.002 in the mean; it is computed in bf16, which keeps 8 bits.
            assert torch.allclose(a, b, atol=1e-4)


def test_adam_makes_the_steps_of_torchs_adam() -> None:
    shapes: list[tuple[int, ...]] = [(3, 1, 3, 3), (7,), (2, 5)]
    mine, other = parameters(shapes), parameters(shapes)
    adam = Adam(mine)
    torchs = torch.optim.Adam(other, lr=0.01, betas=(0.9, 0.99), eps=1e-10)
    for seed in range(5):
        give_gradients(mine, other, seed)
        adam.step(0.01, YES)
        torchs.step()
        for a, b in zip(mine, other, strict=True):
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_step_that_does_not_count_changes_nothing_whatever_its_gradient() -> None:
    for make in (lambda p: Muon(p, weight_decay=0.2), Adam):
        mine = parameters(SHAPES)
        optimiser: Any = make(mine)
        give_gradients(mine, mine, 0)
        optimiser.step(0.01, YES)
        before = copy.deepcopy((mine, optimiser.state()))
        for parameter in mine:
            parameter.grad = torch.full(parameter.shape, torch.nan)
        optimiser.step(0.01, NO)
        after = (mine, optimiser.state())
        for old, new in zip(before[0], after[0], strict=True):
            assert torch.equal(old, new)
        for old_state, new_state in zip(before[1], after[1], strict=True):
            assert all(torch.equal(old_state[name], new_state[name]) for name in old_state)


def test_checkpoints_with_the_states_of_torchs_optimisers_go_on() -> None:
    """Runs from before rdae had its own optimisers: the states are numbered and named as torch does."""
    training_kit.need_compressai()
    from rdae.training.autoencoder import Autoencoder
    from rdae.training.config import TrainingConfig
    from rdae.training.optimisation.optimiser import Optimiser, matrices, projections

    config = TrainingConfig(data=("x",), steps=1, architecture=TINY)
    models = [Autoencoder(TINY) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    mine, other = models
    large, linear = matrices(other), projections(other)
    taken = {id(p) for p in large + linear}
    rest = [p for p in other.parameters() if p.requires_grad and id(p) not in taken]
    muon = torch.optim.Muon(
        large, lr=config.matrix_rate, weight_decay=0.2, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    groups: list[Any] = [{"params": rest}, {"params": linear, "lr": config.projection_rate}]
    adam = torch.optim.Adam(groups, lr=config.rate, betas=(0.9, 0.99), eps=1e-10)
    optimiser = Optimiser(mine, config)
    for seed in range(2):
        pairs = [
            (a, b) for a, b in zip(mine.parameters(), other.parameters(), strict=True) if a.requires_grad
        ]
        give_gradients([a for a, _ in pairs], [b for _, b in pairs], seed)
        if seed == 1:
            mine.load_state_dict(other.state_dict())
            optimiser.load_state_dict([muon.state_dict(), adam.state_dict()])
            optimiser.step(1.0, YES)
        muon.step()
        adam.step()
    for name, value in mine.state_dict().items():
        assert torch.allclose(value, other.state_dict()[name], atol=1e-4), name


@pytest.mark.parametrize("part", ["analysis", "synthesis", "prior"])
def test_the_parts_are_all_of_a_model_and_share_nothing(part: str) -> None:
    training_kit.need_compressai()
    from rdae.training.autoencoder import Autoencoder
    from rdae.training.config import PARTS
    from rdae.training.optimisation.optimiser import freeze

    model = Autoencoder(TINY)
    names = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    for name in names:
        assert sum(name.startswith(beginnings) for beginnings in PARTS.values()) == 1, name
    freeze(model, (part,))
    free = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert free == {name for name in names if name.startswith(PARTS[part])}
