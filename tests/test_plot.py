import io
import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rdae.errors import MissingExtraError, ResultsError
from rdae.evaluation.curves import Curve, published
from rdae.reporting.rate_distortion import draw

OWN = Curve("rdae", (0.1, 0.4, 1.2), (28.0, 32.0, 38.0), (0.92, 0.97, 1.0))


def test_a_figure_is_a_readable_900_pixels_wide() -> None:
    pytest.importorskip("matplotlib")
    data = draw([OWN, published("jpeg")], [published("vtm"), published("bpg444")], file_format="png")
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (900, 540))
        assert len(np.unique(np.asarray(image.convert("L")))) > 20  # not an empty frame


@pytest.mark.parametrize("metric", ["psnr", "ms-ssim"])
def test_the_same_curves_give_the_same_bytes(metric: str) -> None:
    pytest.importorskip("matplotlib")
    first, second = (draw([OWN], [published("vtm")], file_format="svg", metric=metric) for _ in range(2))
    assert first == second
    assert first.lstrip().startswith(b"<?xml")
    assert draw([OWN], [], file_format="svg", metric=metric) != first


def test_a_measured_curve_without_the_metric_is_an_error_and_an_anchor_without_it_is_left_out() -> None:
    pytest.importorskip("matplotlib")
    bare = Curve("bare", (0.1, 0.2), (30.0, 31.0))
    assert draw([OWN], [bare], file_format="svg", metric="ms-ssim")
    with pytest.raises(ResultsError, match="bare: no ms-ssim"):
        draw([bare], [], file_format="svg", metric="ms-ssim")


def test_without_matplotlib_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    modules: dict[str, Any] = {name: None for name in sys.modules if name.split(".")[0] == "matplotlib"}
    for name in {"matplotlib", "matplotlib.figure", *modules}:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[plot\]'"):
        draw([OWN], [], file_format="png")
