"""rdae.targets: few trials, never on the wrong side, and as close as the steps of quality allow."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rdae.errors import TargetError
from rdae.targets import MAX_TRIALS, Kind, Target, meet


class Curve:
    """A codec whose measure is a smooth function of the quality index, with a grain like that of real files."""

    def __init__(self, kind: Kind, low: float, high: float, bend: float, grain: float) -> None:
        self.kind, self.low, self.high, self.bend, self.grain = kind, low, high, bend, grain
        self.asked: list[int] = []

    def measure(self, index: int) -> float:
        share = index / 800
        straight = self.low + (self.high - self.low) * (share + self.bend * share * (1 - share))
        straight += self.grain * math.sin(7.0 * index) * (self.high - self.low) / 800
        if self.kind == "psnr":
            return straight
        if self.kind == "ssimulacra2":
            return 100 - math.exp(-straight)
        return 1 - math.exp(-straight) if self.kind == "ms-ssim" else math.exp(straight)

    def trial(self, index: int) -> tuple[str, float]:
        assert 0 <= index <= 800
        assert index not in self.asked
        self.asked.append(index)
        return f"made at {index}", self.measure(index)


RANGES: dict[Kind, tuple[float, float]] = {
    "size": (7.0, 11.5),
    "bpp": (-3.0, 1.0),
    "psnr": (25.0, 43.0),
    "ms-ssim": (1.8, 5.8),
    "ssimulacra2": (-4.6, -2.3),
}


@given(
    kind=st.sampled_from(sorted(RANGES)),
    where=st.floats(0.002, 0.998),
    bend=st.floats(-0.6, 0.6),
    stretch=st.floats(0.5, 1.3),
    grain=st.sampled_from([0.0, 0.3]),
)
@example(kind="bpp", where=0.002, bend=-0.59375, stretch=0.5, grain=0.3)
def test_targets_are_met_in_few_trials(
    kind: Kind, where: float, bend: float, stretch: float, grain: float
) -> None:
    low, high = RANGES[kind]
    curve = Curve(kind, low, low + stretch * (high - low), bend, grain)
    ends = [curve.measure(0), curve.measure(800)]
    low = max(ends[0], 0.0)  # a target is above 0, though SSIMULACRA2 may be below
    target = Target(kind, low + where * (ends[1] - low))
    met = meet(target, curve.trial)
    assert met.made == f"made at {met.index}"
    assert met.measure == curve.measure(met.index)
    assert met.trials == len(curve.asked) <= MAX_TRIALS
    assert target.meets(met.measure)
    # A step of quality is all that one may be away, or a per cent; or 0.006 of what is missing to a score of 100.
    neighbour = curve.measure(min(800, met.index + 1) if target.at_most else max(0, met.index - 1))
    step = abs(neighbour - met.measure)
    assert abs(met.measure - target.value) <= max(
        0.6 if kind == "ssimulacra2" else 0.01 * target.value, 2 * step
    )


def test_more_than_the_best_quality_needs_is_not_spent() -> None:
    curve = Curve("size", 7.0, 11.0, 0.0, 0.0)
    met = meet(Target("size", 1e9), curve.trial)
    assert met.index == 800


@pytest.mark.parametrize("perfect", [60, 150, 399, 800])
def test_a_psnr_that_becomes_infinite_is_met_where_it_is_met_first(perfect: int) -> None:
    """A flat sprite, say: from some quality on its levels are those of the original."""

    def trial(index: int) -> tuple[str, float]:
        return "", math.inf if index >= perfect else 28 + 0.02 * index

    met = meet(Target("psnr", 31.0), trial)
    lowest = min(perfect, 150)
    assert met.trials <= MAX_TRIALS
    assert lowest <= met.index <= lowest + 8


def test_a_target_of_another_kind_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^target 'foo', expected one of size, bpp, psnr, ms-ssim, ssimulacra2$"
    ):
        Target("foo", 3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("size", 1000.0, "1,000 bytes is not possible: the smallest file, at quality 0, has 1,097 bytes"),
        ("psnr", 60.0, "60.00 dB is not possible: the best picture, at quality 100, has 43.00 dB"),
        (
            "ms-ssim",
            0.9999,
            "MS-SSIM 0.99990 is not possible: the best picture, at quality 100, has MS-SSIM 0.99697",
        ),
        (
            "ssimulacra2",
            95.0,
            "SSIMULACRA2 95.00 is not possible: the best picture, at quality 100, has SSIMULACRA2 90.03",
        ),
    ],
)
def test_what_cannot_be_had_is_an_error_that_says_what_can(kind: Kind, value: float, words: str) -> None:
    with pytest.raises(TargetError, match=f"^{words}$"):
        meet(Target(kind, value), Curve(kind, *RANGES[kind], 0.0, 0.0).trial)


def test_numbers_that_differ_little_have_the_digits_that_tell_them_apart() -> None:
    with pytest.raises(TargetError, match=r"^0\.072500 bpp is not possible: .* has 0\.072504 bpp$"):
        meet(Target("bpp", 0.0725), lambda _index: ("", 0.072504))


@pytest.mark.parametrize(
    ("kind", "value"),
    [("size", 0.0), ("bpp", -1.0), ("ms-ssim", 1.0), ("psnr", math.nan), ("ssimulacra2", 100.0)],
)
def test_targets_make_sense(kind: Kind, value: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0"):
        Target(kind, value)
