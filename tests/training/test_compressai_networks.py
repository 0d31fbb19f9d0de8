import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import safetensors.torch
import torch

from rdae.errors import ResultsError
from rdae.evaluation.codecs import find_codecs
from rdae.evaluation.run import evaluate

needs_compressai = pytest.mark.skipif(
    importlib.util.find_spec("compressai") is None, reason="compressai is not here"
)

ROWS, COLUMNS = np.mgrid[:40, :70]
PICTURE = np.stack([ROWS * 6, COLUMNS * 3, 128 + 60 * np.sin(ROWS * COLUMNS / 90)], axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> Any:
    """CompressAI's mean and scale hyperprior, tiny, with random weights."""
    from rdae.training.compressai.importing import import_part

    torch.manual_seed(0)
    made = import_part("compressai.models.google", "this test").MeanScaleHyperprior(8, 12).eval()
    made.update()
    return made


@needs_compressai
def test_checkpoints_of_one_architecture_are_one_codec_that_decodes_what_the_network_does(
    network: Any, tmp_path: Path
) -> None:
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, tmp_path / "a.pth.tar")
    plain = {f"module.{name}": value.contiguous() for name, value in network.state_dict().items()}
    safetensors.torch.save_file(plain, tmp_path / "b.safetensors")
    names = [
        f"compressai:mbt2018-mean:4={tmp_path}/b.safetensors",
        f"compressai:mbt2018-mean:1={tmp_path}/a.pth.tar",
    ]
    jpeg, codec = find_codecs(["jpeg", *names])
    assert jpeg.name == "jpeg"
    assert (codec.title, codec.suffix, codec.qualities) == (
        "CompressAI mbt2018-mean",
        ".mbt2018-mean",
        (1, 4),
    )
    assert len(set(codec.identity["checkpoints"].values())) == 2
    assert [again.identity for again in find_codecs(codec.arguments)] == [codec.identity]
    x = torch.nn.functional.pad(
        torch.tensor(PICTURE).permute(2, 0, 1)[None] / 255, (0, 58, 0, 24), "replicate"
    )
    with torch.inference_mode():
        coded = network.compress(x)
        x_hat = network.decompress(**coded)["x_hat"][0, :, :40, :70]
    expected = (255 * x_hat).round().byte().permute(1, 2, 0).numpy()
    for quality in codec.qualities:
        data = codec.encode(PICTURE, quality)
        assert len(data) == 9 + sum(4 + len(group[0]) for group in coded["strings"])
        np.testing.assert_array_equal(codec.decode(data), expected)


@needs_compressai
def test_a_network_that_cannot_take_a_picture_costs_that_picture_only(network: Any, tmp_path: Path) -> None:
    from PIL import Image

    torch.save(network.state_dict(), tmp_path / "a.pth")
    (codec,) = find_codecs([f"compressai:mbt2018-mean:2={tmp_path}/a.pth"])
    pictures = [tmp_path / "good.png", tmp_path / "wide.png"]
    Image.fromarray(PICTURE).save(pictures[0])
    Image.new("RGB", (70_000, 1)).save(pictures[1])  # more than its file's head has room for
    done = evaluate(codec, pictures, (2,), folder=tmp_path, progress=lambda *_: None)
    assert [picture.name for picture in done.pictures] == ["good.png"]
    ((name, message),) = done.failures
    assert name == "wide.png"
    assert message.startswith("CompressAI mbt2018-mean at quality 2: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("compressai:mbt2018-mean=x", "expected compressai:NAME:QUALITY=CHECKPOINT"),
        ("compressai:mbt2018-mean:16=x", "with a quality from 1 to 15"),
        ("compressai:mbt2018-mean:1=", "expected compressai:NAME:QUALITY=CHECKPOINT"),
        ("compressai:gdn:1=x", "unknown architecture 'gdn', expected one of bmshj2018-factorized"),
        ("gif", "unknown peer 'gif', expected one of jpeg"),
    ],
)
def test_a_name_that_means_nothing_is_one_line(name: str, message: str) -> None:
    with pytest.raises(ResultsError) as caught:
        find_codecs([name])
    assert message in str(caught.value)


def test_two_checkpoints_for_one_quality_are_an_error() -> None:
    with pytest.raises(ResultsError, match="a second checkpoint for this quality"):
        find_codecs(["compressai:mbt2018:1=a", "compressai:mbt2018:1=b"])


@needs_compressai
def test_files_that_are_no_checkpoints_of_the_architecture_are_named(network: Any, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (mark,)

    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    torch.save({"state_dict": [1]}, tmp_path / "list.pth")
    torch.save(network.state_dict(), tmp_path / "other.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    for file, architecture, message in (
        ("evil.pth", "mbt2018-mean", "without running code"),
        ("list.pth", "mbt2018-mean", "expected a state dict"),
        ("text.safetensors", "mbt2018-mean", "without running code"),
        ("other.pth", "cheng2020-anchor", "no checkpoint of cheng2020-anchor"),
    ):
        with pytest.raises(ResultsError, match=file) as caught:
            find_codecs([f"compressai:{architecture}:1={tmp_path / file}"])
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not mark.exists()
