import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import tiny_model
import torch
from PIL import Image
from rdae_command import rdae_command

from rdae.errors import ResultsError, TrainingError
from rdae.evaluation.relaxation import measure, read_relaxation, table
from rdae.networks.architecture import TINY
from rdae.training.autoencoder import Autoencoder
from rdae.training.export import freeze, tables
from rdae.training.modules.likelihoods import gaussian_likelihood
from rdae.training.noise import measure as measure_noise
from rdae.training.start import set_scales


def silent(_done: int, _total: int, _what: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def network() -> Autoencoder:
    """An autoencoder at its start: a DCT codec."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = Autoencoder(TINY)
    crops = torch.tensor(tiny_model.photo(64, 96)).permute(2, 0, 1)[None].float() / 255
    set_scales(made, crops)
    return made


@pytest.fixture(scope="module")
def weights(network: Autoencoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a weights file."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    freeze.write(network, tables.join(tables.gaussian_rows()), path, {}, force=False)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with a picture whose sides are no multiples of anything."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(tiny_model.photo(61, 83)).save(folder / "a.png")
    return folder


def test_noise_rounding_and_file_are_near_each_other_where_steps_are_small(
    weights: Path, pictures: Path
) -> None:
    found = measure(weights, [pictures / "a.png"], [0, 100], draws=2, progress=silent)
    low, high = found.pictures[0].points
    assert [low.beta, high.beta] == pytest.approx([0.0004, 0.4])
    # Uniform noise is what rounding looks like in fine steps, and nothing like it in coarse ones.
    assert high.noisy_mse == pytest.approx(high.rounded_mse, rel=0.1)
    assert low.noisy_mse > 1.2 * low.rounded_mse
    assert low.noisy_bpp / low.rounded_bpp > 1.05 > high.noisy_bpp / high.rounded_bpp
    # The file adds its header, and rounds pixels to 8 bits.
    assert high.rounded_bpp < high.file_bpp < 1.1 * high.rounded_bpp
    assert high.file_mse == pytest.approx(high.rounded_mse, rel=0.1)


def test_a_latent_that_is_always_zero_costs_with_noise_what_the_theory_says() -> None:
    # E of -log2 (cdf((1/2 - u) / s) - cdf((-1/2 - u) / s)), u uniform, at the smallest scale s = 0.11.
    s, u = 0.11, (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000 - 0.5
    normal = torch.distributions.Normal(0.0, s)
    per_latent = -float((normal.cdf(0.5 - u) - normal.cdf(-0.5 - u)).log2().mean())
    assert per_latent == pytest.approx(0.1516, abs=1e-3)  # as docs/figures.md has it
    zeros = torch.zeros(1, 4, 200, 200)
    noise = torch.rand(1, 4, 200, 200) - 0.5
    likelihood = gaussian_likelihood(zeros, zeros + s, zeros, noise, scale_min=s)
    assert float(-likelihood.log2().mean()) == pytest.approx(per_latent, rel=0.02)


def test_a_second_measurement_finds_the_same_and_disturbs_no_other_noise(network: Autoencoder) -> None:
    picture = tiny_model.photo(48, 64)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second = (measure_noise(network, picture, 400, 1) for _ in range(2))
    assert first == second
    assert torch.rand(3).tolist() == expected.tolist()


def test_the_command_writes_what_the_figure_is_drawn_from(
    weights: Path, pictures: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    (pictures / "b.png").write_bytes(b"no picture")
    output = tmp_path / "relaxation.json"
    options = ("--model", str(weights), "-q", "20,80", "--draws", "1", "--quiet", "-o", str(output))
    done = rdae_command("relaxation", str(pictures), *options)
    assert done.exit_code == 1  # of b.png
    assert "rdae: b.png: " in done.stderr
    assert "small: mean of 1 picture, noise drawn 1 x" in done.stdout
    found = read_relaxation(output)
    assert [point.quality for point in found.means()] == [20, 80]
    assert done.stdout.splitlines()[:5] == table(found)
    figure = tmp_path / "relaxation.svg"
    assert rdae_command("plot", str(output), "-o", str(figure)).exit_code == 0
    assert b"<svg" in figure.read_bytes()
    before = (pictures / "a.png").read_bytes()
    refused = rdae_command(
        "relaxation", str(pictures), "--model", str(weights), "-o", str(pictures / "a.png"), "-f"
    )
    assert (refused.exit_code, "which is never overwritten" in refused.stderr) == (1, True)
    assert (pictures / "a.png").read_bytes() == before
    wrong = rdae_command("relaxation", str(pictures), "-q", "120")
    assert wrong.exit_code == 2
    assert "expected numbers from 0 to 100" in wrong.stderr


def test_weights_without_what_training_needs_are_refused(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "tiny.safetensors")
    with pytest.raises(TrainingError, match="has no tensors under 'train"):
        measure(path, [tmp_path / "a.png"], [50], draws=1, progress=silent)


@pytest.mark.parametrize(
    "change",
    [{"kind": "other"}, {"pictures": []}, {"pictures": [{"name": "a"}]}, {"draws": None}, {"failures": 3}],
)
def test_a_file_that_holds_no_relaxation_is_one_line(change: dict[str, Any], tmp_path: Path) -> None:
    columns = (
        "quality",
        "beta",
        "noisy_bpp",
        "rounded_bpp",
        "file_bpp",
        "noisy_mse",
        "rounded_mse",
        "file_mse",
    )
    picture = {"name": "a", **{key: [1.0, 2.0] for key in columns}}
    content = {
        "kind": "rdae relaxation",
        "name": "n",
        "model": "00",
        "draws": 1,
        "failures": [],
        "pictures": [picture],
    }
    path = tmp_path / "r.json"
    path.write_text(json.dumps(content))
    assert np.isfinite([point.file_mse for point in read_relaxation(path).means()]).all()
    path.write_text(json.dumps(content | change))
    with pytest.raises(ResultsError, match=r"r\.json: ") as caught:
        read_relaxation(path)
    assert "\n" not in str(caught.value)
