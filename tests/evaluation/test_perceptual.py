import sys

import numpy as np
import pytest

from rdae.errors import MissingExtraError
from rdae.evaluation.codecs import PILLOW_CODECS
from rdae.evaluation.perceptual import load, ssimulacra2


def test_ssimulacra2_is_100_for_equal_pictures_and_falls_with_quality() -> None:
    pytest.importorskip("ssimulacra2")
    rows, columns = np.mgrid[:96, :120]
    waves = [128 + 60 * np.sin(rows / 7 + c) + 50 * np.cos(columns / (5 + c)) for c in range(3)]
    picture = np.clip(np.stack(waves, axis=2), 0, 255).astype(np.uint8)
    assert ssimulacra2(picture, picture) == pytest.approx(100)
    jpeg = PILLOW_CODECS["jpeg"]
    scores = [ssimulacra2(picture, jpeg.decode(jpeg.encode(picture, quality))) for quality in (90, 50, 10)]
    assert all(score is not None and score < 100 for score in scores)
    assert sorted(scores, key=lambda score: score or 0, reverse=True) == scores
    assert ssimulacra2(picture[:7], picture[:7]) is None


def test_ssimulacra2_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ssimulacra2", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[metrics\]'"):
        load()
