"""Models of many files: opened once, when they are needed, with the threads that were asked for."""

from pathlib import Path

import pytest
import tiny_model
from PIL import Image

from rdae.batch import Compress, Decompress, Job, Verify, perform
from rdae.batch.models import ModelOpener
from rdae.errors import BatchError


def test_a_model_is_opened_once_and_has_the_threads_that_were_asked_for(tiny_path: Path) -> None:
    opener = ModelOpener(tiny_path, threads=3)
    assert opener.chosen.name == "tiny"
    assert opener.chosen.loaded.source.threads == 3
    assert opener.chosen is opener.chosen


@pytest.mark.parametrize(
    ("model", "device", "words"),
    [("nowhere/x.safetensors", None, "nowhere/x.safetensors: No such file"), (None, "tpu", "device 'tpu'")],
)
def test_a_model_that_cannot_be_had_ends_the_batch(model: str | None, device: str | None, words: str) -> None:
    with pytest.raises(BatchError, match=words):
        _ = ModelOpener(model, device=device).chosen


def test_a_picture_is_compressed_verified_and_decompressed_by_tasks(tiny_path: Path, tmp_path: Path) -> None:
    picture, file, back = (str(tmp_path / name) for name in ("a.png", "deep/a.rdae", "b.ppm"))
    Image.fromarray(tiny_model.photo(20, 30)).save(picture)
    model = str(tiny_path)
    made = perform(Compress(quality=80, model=model, exact=False), Job(picture, file))
    assert made.facts is not None, made.error
    assert (made.facts.width, made.facts.height, made.facts.model, made.facts.quality) == (30, 20, "tiny", 80)
    assert made.facts.output_bytes == made.facts.rdae_bytes == Path(file).stat().st_size
    assert perform(Verify(model=model), Job(file)).error == ""
    whole = perform(Decompress(model=model), Job(file, back))
    assert whole.error == ""
    with Image.open(back) as image:
        assert image.size == (30, 20)
    region = perform(Decompress(model=model, region=(2, 2, 8, 4), scale=2), Job(file, back, force=True)).facts
    assert region is not None
    assert (region.width, region.height, region.pixels) == (4, 2, 600)
    outside = perform(Decompress(model=model, region=(1, 2, 80, 4)), Job(file, str(tmp_path / "x.png")))
    assert "region" in outside.error
    assert "already there" in perform(Compress(model=model), Job(picture, file)).error
