import bjontegaard
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from rdae.errors import ResultsError
from rdae.evaluation.bdrate import METHODS, bd_psnr, bd_rate, pchip_integral, pchip_slopes
from rdae.evaluation.curves import published

A = ((0.1, 0.25, 0.5, 1.0, 2.0), (27.0, 30.1, 32.9, 36.0, 39.8))
B = ((0.08, 0.3, 0.62, 1.1, 1.7, 2.2), (26.5, 31.0, 34.0, 37.2, 39.0, 41.0))

steps = st.lists(st.floats(0.01, 10), min_size=3, max_size=12)
heights = st.integers(-(10**9), 10**9).map(
    lambda n: n / 10**7
)  # of numbers like 1e-311 scipy divides to infinity


@given(steps, st.data())
def test_slopes_and_integral_equal_scipys_pchip(gaps: list[float], data: st.DataObject) -> None:
    x = np.cumsum(np.array(gaps))
    y = np.array([data.draw(heights) for _ in gaps])
    low, high = sorted(data.draw(st.floats(float(x[0]), float(x[-1]))) for _ in range(2))
    reference = PchipInterpolator(x, y)
    np.testing.assert_allclose(pchip_slopes(x, y), reference.derivative()(x), rtol=1e-6, atol=1e-9)
    assert pchip_integral(x, y, low, high) == pytest.approx(
        reference.integrate(low, high), rel=1e-6, abs=1e-6
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["bpg444", "jpeg", "webp", "hyperprior", "mbt2018", "shallow-ntc", "hpcm"])
def test_bd_rate_and_bd_psnr_equal_the_bjontegaard_package(name: str, method: str) -> None:
    anchor, test = published("vtm"), published(name)
    curves = (anchor.bpp, anchor.psnr, test.bpp, test.psnr)
    options = {"method": method, "require_matching_points": False, "min_overlap": 0}
    rate, gain = bd_rate(*curves, method=method), bd_psnr(*curves, method=method)
    assert rate.value == pytest.approx(bjontegaard.bd_rate(*curves, **options), abs=1e-6)
    assert gain.value == pytest.approx(bjontegaard.bd_psnr(*curves, **options), abs=1e-6)


def test_the_classic_cubic_is_exact_for_curves_that_are_cubics() -> None:
    psnr = np.array([28.0, 31.0, 35.0, 38.0, 42.0])
    cubic = np.exp(0.0007 * (psnr - 34) ** 3 - 0.01 * (psnr - 34) ** 2 + 0.2 * (psnr - 34))
    found = bd_rate(cubic, psnr, 1.25 * cubic, psnr, method="cubic")  # type: ignore[arg-type]
    assert found.value == pytest.approx(25)
    with pytest.raises(ResultsError, match="at least 4 points"):
        bd_rate(A[0][:3], A[1][:3], *B, method="cubic")


def test_a_curve_against_itself_is_zero_and_at_half_its_rate_minus_fifty_percent() -> None:
    assert bd_rate(*A, *A).value == pytest.approx(0, abs=1e-12)
    half = tuple(rate / 2 for rate in A[0])
    found = bd_rate(*A, half, A[1])
    assert found.value == pytest.approx(-50)
    assert (found.low, found.high, found.share) == (27.0, 39.8, 1.0)


def test_the_order_of_points_does_not_matter() -> None:
    backwards = tuple(reversed(B[0])), tuple(reversed(B[1]))
    assert bd_rate(*A, *backwards) == bd_rate(*A, *B)


def test_swapping_anchor_and_test_inverts_the_ratio_of_rates() -> None:
    there, back = bd_rate(*A, *B).value, bd_rate(*B, *A).value
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1)


def test_curves_that_hardly_overlap_are_an_error_and_not_a_number() -> None:
    high = tuple(value + 10.0 for value in A[1])
    with pytest.raises(ResultsError, match="overlap too little"):
        bd_rate(*A, A[0], high)


@pytest.mark.parametrize(
    ("bpp", "psnr", "message"),
    [
        ((0.1, 0.2), (30.0, 31.0), "at least 3 points"),
        ((0.1, 0.2, 0.3), (30.0, 31.0), "3 and 2"),
        ((0.1, 0.2, 0.3), (30.0, 32.0, 31.0), "does not rise"),
        ((0.1, 0.1, 0.3), (30.0, 31.0, 32.0), "does not rise"),
        ((0.0, 0.2, 0.3), (30.0, 31.0, 32.0), "not a positive finite"),
        ((0.1, 0.2, 0.3), (30.0, 31.0, float("inf")), "not a positive finite"),
    ],
)
def test_a_curve_that_has_no_bd_rate_says_why(
    bpp: tuple[float, ...], psnr: tuple[float, ...], message: str
) -> None:
    with pytest.raises(ResultsError, match=message):
        bd_rate(*A, bpp, psnr)
