"""rdae.networks.exact_synthesis against slow_synthesis: the same pixels, also at the ends of the numbers' ranges."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import slow_synthesis
from hypothesis import given, settings
from hypothesis import strategies as st

from rdae.networks import exact_synthesis as exact
from rdae.networks.exact_synthesis import ExactSynthesis

Array = npt.NDArray[Any]
Inputs = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[np.float32]]

LATENTS, FINE = 8, 6


def tensors(seed: int, *, loud: float = 1.0, blocks: int = 1) -> dict[str, Array]:
    """A random synthesis' tensors as a weights file holds them.  loud: multiplies all weights."""
    rng = np.random.default_rng(seed)
    made: dict[str, Array] = {}

    def normal(name: str, std: float, *shape: int) -> Array:
        values = loud * rng.normal(0, std, shape)
        made[f"synthesis.{name}"] = values.astype(np.float16)
        return made[f"synthesis.{name}"]

    for name, channels in [(f"coarse.{n}", LATENTS) for n in range(blocks)] + [
        (f"fine.{n}", FINE) for n in range(blocks)
    ]:
        normal(f"{name}.expand.weight", channels**-0.5, 2 * channels, channels)
        normal(f"{name}.expand.bias", 0.3, 2 * channels)
        normal(f"{name}.depthwise", 0.2, 2 * channels, 1, 3, 3)[:, :, 1, 1] += np.float16(loud)
        normal(f"{name}.depthwise_bias", 0.3, 2 * channels)
        normal(f"{name}.project.weight", 0.3 * channels**-0.5, channels, channels)
        normal(f"{name}.project.bias", 0.05, channels)
        made[f"synthesis.{name}.scale"] = np.exp(rng.uniform(-1, 1, channels)).astype(np.float32)
    normal("to_fine.weight", LATENTS**-0.5, 4 * FINE, LATENTS)
    normal("to_fine.bias", 0.1, 4 * FINE)
    normal("to_pixels.weight", 0.3 * FINE**-0.5, 192, FINE)
    normal("to_pixels.bias", 0.1, 192)
    return made


def draw(seed: int, height: int, width: int, size: float) -> Inputs:
    rng = np.random.default_rng(seed)
    y64 = np.round(rng.normal(0, 64 * 20 * size, (LATENTS, height, width)))
    ends = rng.choice([-(2**26), 2**26], y64.shape)
    y64 = np.where(rng.random(y64.shape) < 0.1, ends, y64) if size >= 1 else y64
    restore = np.exp(rng.normal(-3, 0.5, LATENTS)).astype(np.float32)
    return y64.astype(np.int32), restore, np.exp(rng.normal(0, 0.2, FINE)).astype(np.float32)


def fast(given: dict[str, Array], inputs: Inputs, *, rows: int | None = None, threads: int = 1) -> Array:
    """The picture, of latents that come so many rows at a time."""
    y64, restore, fine_gain = inputs
    height = y64.shape[1]
    step = rows or height

    def parts() -> Iterator[npt.NDArray[np.int32]]:
        for top in range(0, height, step):
            yield y64[:, top : top + step]

    bands = list(ExactSynthesis(given, threads).run(parts(), restore, fine_gain))
    assert all(band.dtype == np.uint8 and len(band) % 16 == 0 and len(band) for band in bands)
    return np.concatenate(bands)


def compare(given: dict[str, Array], inputs: Inputs) -> slow_synthesis.Run:
    numbers = {
        name.removeprefix("synthesis."): array.astype(np.float64).tolist() for name, array in given.items()
    }
    slow = slow_synthesis.run(numbers, *(each.tolist() for each in inputs))
    assert fast(given, inputs).tolist() == slow.levels
    return slow


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32),
    size=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    loud=st.sampled_from([0.3, 1.0, 30.0]),
    spread=st.sampled_from([0.0, 0.3, 4.0]),
)
def test_pixels_are_those_of_plain_integers(
    seed: int, size: tuple[int, int], loud: float, spread: float
) -> None:
    compare(tensors(seed, loud=loud), draw(seed, *size, spread))


def test_the_comparison_reaches_the_ends_of_all_ranges() -> None:
    """Otherwise the property above would say little."""
    seen: dict[str, set[int]] = {}
    levels: set[int] = set()
    for seed, (loud, spread) in enumerate([(1.0, 4.0), (30.0, 4.0), (200.0, 1.0), (1.0, 0.3)]):
        run = compare(tensors(seed, loud=loud), draw(seed, 2, 2, spread))
        for kind, values in run.seen.items():
            seen.setdefault(kind, set()).update(values)
        levels |= set(np.ravel(run.levels).tolist())
    one = slow_synthesis.ONE
    limits = {"latent": 128, "feature": 128, "expanded": 4096, "value": 8, "gated": 48, "pixel": 4}
    for kind, limit in limits.items():
        assert (min(seen[kind]), max(seen[kind])) == (-limit * one, limit * one), kind
    assert {0, 6 * one} <= seen["gate"]
    assert {0, 255} <= levels
    assert len(levels) > 100


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (23, 19), (9, 34)])
@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"BAND_BYTES": 1},
        {"CHUNK_ROWS": 1, "PIECE_BYTES": 1},
        {"COLUMN": 5},
        {"COLUMN": 3, "CHUNK_ROWS": 2, "BAND_BYTES": 1, "PIECE_BYTES": 2000},
    ],
    ids=str,
)
def test_how_a_picture_is_cut_and_how_many_threads_there_are_change_nothing(
    size: tuple[int, int], blocks: int, limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, inputs = tensors(3, blocks=blocks), draw(3, *size, 0.3)
    for name in ("BAND_BYTES", "CHUNK_ROWS", "COLUMN", "PIECE_BYTES"):
        monkeypatch.setattr(exact, name, 1 << 30)
    whole = fast(made, inputs)
    assert whole.shape == (16 * size[0], 16 * size[1], 3)
    assert whole.std() > 5
    monkeypatch.undo()
    for name, limit in limits.items():
        monkeypatch.setattr(exact, name, limit)
    for rows, threads in ((None, 1), (1, 1), (6, 1), (6, 3)):
        assert np.array_equal(fast(made, inputs, rows=rows, threads=threads), whole)


def test_levels_come_as_soon_as_their_neighbours_are_there() -> None:
    made, (y64, *gains) = tensors(4, blocks=2), draw(4, 64, 3, 0.3)
    taken = 0

    def parts() -> Iterator[npt.NDArray[np.int32]]:
        nonlocal taken
        for taken in range(8, 72, 8):
            yield y64[:, taken - 8 : taken]

    rows = 0
    for band in ExactSynthesis(made).run(parts(), *gains):
        rows += len(band)
        # Two blocks at 1/16 and two at 1/8 wait for three rows; a part is held until it is known not to be the last.
        assert taken <= rows // 16 + 3 + 8 + 8
    assert rows == 16 * 64


def test_a_wide_layer_at_its_bound_is_exact() -> None:
    """As wide as a real one, with sums that all but reach 2^52, so that BLAS takes the kernels that it takes there."""
    rng = np.random.default_rng(0)
    fan, out, limit = 384, 128, exact.FEATURE_MAX
    shares = rng.multinomial(int(2**52 / limit) - 2, np.full(fan, 1 / fan), out).T.astype(np.float64)
    weight = shares * rng.choice([-1.0, 1.0], (fan, out))
    bits = 10
    layer = exact._layer(weight / 2**bits, np.zeros(out), limit, exact._limits(out, 2.0**60))
    assert layer.bits == bits  # one bit more would break the bound
    x = rng.choice([-limit, limit, limit - 1, 12345.0], (7, 5, fan))
    x[0, 0], x[0, 1] = limit * np.sign(weight[:, 0]), -limit * np.sign(weight[:, 1])
    total = x.astype(np.int64) @ weight.astype(np.int64)
    assert np.abs(total).max() > 0.999 * 2**52
    assert np.array_equal(layer.of(x).astype(np.int64), (total + 2 ** (bits - 1)) >> bits)


def test_a_depthwise_layer_at_its_bound_is_exact() -> None:
    rng = np.random.default_rng(1)
    channels, limit, bits = 64, exact.EXPANDED_MAX, 3
    shares = rng.multinomial(int(2**52 / limit) - 2, np.full(9, 1 / 9), channels).T.astype(np.float64)
    weight = (shares * rng.choice([-1.0, 1.0], shares.shape)).reshape(3, 3, channels)
    layer = exact._layer(weight / 2**bits, np.zeros(channels), limit, exact._limits(channels, 2.0**60))
    assert layer.bits == bits
    x = rng.choice([-limit, limit, limit - 1, 12345.0], (6, 9, channels))
    x[:3, :3] = limit * np.sign(weight)
    total = np.zeros((4, 7, channels), np.int64)
    for i, j in np.ndindex(3, 3):
        total += x[i : i + 4, j : j + 7].astype(np.int64) * weight[i, j].astype(np.int64)
    assert np.abs(total).max() > 0.999 * 2**52
    assert np.array_equal(layer.spread(x).astype(np.int64), (total + 2 ** (bits - 1)) >> bits)


@given(st.lists(st.floats(2.0**-10, 2.0**10, width=32), min_size=1, max_size=30))
@settings(max_examples=60)
def test_the_geometric_mean_is_the_nearest_float(numbers: list[float]) -> None:
    assert exact._geometric_mean(numbers) == slow_synthesis.geometric_mean(numbers)


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e30])
def test_weights_beyond_the_bounds_are_refused(value: float) -> None:
    made = tensors(0)
    made["synthesis.to_fine.weight"] = made["synthesis.to_fine.weight"].astype(np.float32)
    made["synthesis.to_fine.weight"][0] = value
    with pytest.raises(ValueError, match="too large for exact arithmetic"):
        ExactSynthesis(made)


@pytest.mark.parametrize("value", [math.inf, math.nan, 0.0, -1.0])
def test_a_scale_must_be_positive(value: float) -> None:
    made = tensors(0)
    made["synthesis.coarse.0.scale"][1] = value
    with pytest.raises(ValueError, match=r"synthesis.coarse.0.scale is not positive"):
        ExactSynthesis(made)


def test_halves_are_rounded_up() -> None:
    assert [slow_synthesis.halves_up(Fraction(n, 2)) for n in (-3, -1, 1, 3)] == [-1, 0, 1, 2]
    layer = exact._layer(np.array([[0.5]]), np.zeros(1), 3, exact._limits(1, 100.0))
    assert layer.of(np.array([[[-3.0]], [[-1.0]], [[1.0]], [[3.0]]])).ravel().tolist() == [-1, 0, 1, 2]


def test_products_of_matrices_that_are_not_exact_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    exact.check_float64()
    product = np.matmul

    def coarse(a: Array, b: Array) -> Array:
        found: Array = product(a.astype(np.float32), b.astype(np.float32)).astype(np.float64)
        return found

    monkeypatch.setattr(np, "matmul", coarse)
    with pytest.raises(ArithmeticError, match="not exact"):
        exact.check_float64.__wrapped__()
