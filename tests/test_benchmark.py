import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from rdae.evaluation.benchmark import benchmark, lines, nearest_quality
from rdae.evaluation.peers import PEERS

FakeModel = runpy.run_path(str(Path(__file__).with_name("fake_model.py")))["FakeModel"]
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def test_each_codec_is_timed_in_each_round_and_the_stages_fit_into_the_total() -> None:
    notes: list[str] = []
    found = benchmark(FakeModel(), [PICTURE, PICTURE], 50, [PEERS["jpeg"]], rounds=3, note=notes.append)
    own, jpeg = found.timings
    assert found.pixels == 2 * 40 * 40
    assert own.name == "rdae fake"
    assert own.decoding.stages_s == {"coding": pytest.approx(2e-4), "synthesis": pytest.approx(2e-4)}
    assert jpeg.encoding.stages_s == {}
    assert jpeg.encoding.total_s > 0
    assert jpeg.quality == 50  # the fake is JPEG inside, so its own quality is the nearest in size
    assert "round 3 of 3" in notes
    assert json.loads(json.dumps(found.as_json()))["kmac_per_pixel"] == {"analysis": 12.0, "synthesis": 15.0}


def test_the_text_has_a_line_for_each_codec_and_each_stage() -> None:
    found = benchmark(FakeModel(), [PICTURE], 50, [PEERS["webp"]], rounds=1, note=lambda _line: None)
    text = "\n".join(lines(found))
    for word in ("rdae fake", "WebP", "analysis", "synthesis", "other", "kMAC per pixel: analysis 12.00"):
        assert word in text


@pytest.mark.parametrize("quality", PEERS["jpeg"].qualities)
def test_bisection_finds_each_rung_of_the_ladder_by_its_size(quality: int) -> None:
    jpeg = PEERS["jpeg"]
    size = len(jpeg.encode(PICTURE, quality))
    assert len(jpeg.encode(PICTURE, nearest_quality(jpeg, [PICTURE], size))) == size
