import json
import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import training_kit
from PIL import Image
from rdae_command import rdae_command

import rdae
from rdae.errors import ResultsError
from rdae.evaluation import codecs
from rdae.evaluation.codecs import PILLOW_CODECS, UNTRAINED, Codec, Rdae, find_untrained, nearest_in_size
from rdae.evaluation.speed import process, text
from rdae.evaluation.speed.measure import Benchmark, measure
from rdae.training.compressai import networks

FakeModel = runpy.run_path(str(Path(__file__).parents[1] / "support" / "fake_model.py"))["FakeModel"]
PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
MODEL = FakeModel()


def benchmark(
    *others: tuple[Codec, float], pictures: int = 2, rounds: int = 3, note: Callable[[str], None] = print
) -> Benchmark:
    chosen = [(Rdae(MODEL), 50), *others]
    kmac = MODEL.kmac_per_pixel()
    return measure(chosen, [PICTURE] * pictures, rounds=rounds, kmac_per_pixel=kmac, threads=1, note=note)


class Hand:
    """A clock that stands still but for what codecs say that they take."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def sleeper(encode_s: list[float], decode_s: float, hand: Hand | None = None) -> tuple[Any, float]:
    """A codec whose encodes take as long as a list says by a clock of ours, and whose files mean nothing."""
    seconds = iter(encode_s)
    moved = hand or Hand()

    def encode(_picture: Any, _quality: float, clock: Any = None) -> bytes:
        del clock
        moved.now += next(seconds)
        return b"a file"

    def decode(_data: bytes, clock: Any = None) -> None:
        del clock
        moved.now += decode_s

    return SimpleNamespace(title="sleeper", untrained=True, encode=encode, decode=decode), 1


def test_each_codec_is_timed_in_each_round_and_the_stages_are_those_of_a_file() -> None:
    notes: list[str] = []
    jpeg = PILLOW_CODECS["jpeg"]
    quality = nearest_in_size(jpeg, [PICTURE], len(MODEL.compress(PICTURE, 50)))
    found = benchmark((jpeg, quality), note=notes.append)
    own, peer = found.timings
    assert (found.pictures, found.pixels) == (2, 2 * 40 * 40)
    assert own.title == "rdae fake"
    assert own.encoding.stages_s == {"analysis": pytest.approx(2e-4), "coding": pytest.approx(4e-4)}
    assert own.decoding.stages_s == {"coding": pytest.approx(2e-4), "synthesis": pytest.approx(2e-4)}
    assert own.encoding.ratio == own.decoding.ratio == 1
    assert peer.encoding.stages_s == {}
    assert len(peer.decoding.rounds_s) == 3
    assert peer.quality == 50  # the fake is JPEG inside, so its own quality is the nearest in size
    assert own.file_bytes == 2 * len(MODEL.compress(PICTURE, 50))
    assert "round 3 of 3" in notes
    assert json.loads(json.dumps(found.as_json()))["kmac_per_pixel"] == {"analysis": 12.0, "synthesis": 15.0}


def test_medians_and_ratios_are_over_rounds_and_stand_a_slow_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand()
    monkeypatch.setattr("rdae.evaluation.speed.measure.CLOCKS", {"hand": hand})
    slow_once = [0.0, 0.01, 0.2, 0.01]  # the first warms up
    chosen = [sleeper([0.01] * 4, 0.005, hand), sleeper(slow_once, 0.01, hand)]
    found = measure(
        chosen, [PICTURE], rounds=3, kmac_per_pixel={}, threads=1, clock="hand", note=print
    ).timings
    first, second = found
    assert second.encoding.total_s == pytest.approx(0.01)
    assert second.decoding.ratio == pytest.approx(2)
    assert sorted(second.encoding.rounds_s) == pytest.approx([0.01, 0.01, 0.2])
    assert first.file_bytes is None


def test_the_text_has_a_line_for_each_codec_and_each_stage() -> None:
    found = benchmark((PILLOW_CODECS["webp"], 50), sleeper([0.0] * 2, 0), pictures=1, rounds=1)
    printed = "\n".join(text.lines(found))
    for word in (
        "rdae fake",
        "WebP",
        "analysis",
        "synthesis",
        "other",
        "random weights",
        "kMAC per pixel: analysis",
    ):
        assert word in printed
    table = text.markdown(found)
    assert len({line.count("|") for line in table[:5]}) == 1
    assert table[2].startswith("| rdae fake | 50 | ")
    assert table[2].count("1.00×") == 2
    assert table[4].startswith("| sleeper | 1 | - |")


@pytest.mark.parametrize("quality", PILLOW_CODECS["jpeg"].qualities)
def test_bisection_finds_each_rung_of_the_ladder_by_its_size(quality: int) -> None:
    jpeg = PILLOW_CODECS["jpeg"]
    size = len(jpeg.encode(PICTURE, quality))
    assert len(jpeg.encode(PICTURE, nearest_in_size(jpeg, [PICTURE], size))) == size


@pytest.mark.parametrize("name", UNTRAINED)
def test_compressais_models_code_pictures_of_any_size(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    training_kit.need_compressai()
    monkeypatch.setattr(networks, "NARROW", (8, 12))
    codec = find_untrained(name)
    data = codec.encode(PICTURE[:33], 4)
    decoded = codec.decode(data)
    assert decoded.shape == (33, 40, 3)
    assert decoded.dtype == np.uint8
    assert np.array_equal(decoded, codec.decode(data))
    assert codec.untrained
    assert networks.LAST_NARROW.keys() == set(UNTRAINED)


@pytest.fixture
def quick_processes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Let the processes be quick ones, and return what was given to the command line."""
    told: list[tuple[str, ...]] = []
    monkeypatch.setattr(process, "COMMAND_LINE", ("-c", "import time; time.sleep(0.05)"))
    monkeypatch.setattr(process, "IMPORT_RUNTIME", ("-c", ""))

    def peak(words: Any, _environment: object) -> int:
        told.append(tuple(words))
        return 7_000_000

    monkeypatch.setattr(process, "_peak", peak)
    return told


def test_a_process_is_compared_with_what_it_cannot_avoid(quick_processes: list[tuple[str, ...]]) -> None:
    found = process.measure(
        b"a file", 10, lambda: time.sleep(0.02), rounds=2, note=print, options=["--model", "m"]
    )
    assert found.decompress_s >= 0.05
    assert found.decode_s >= 0.02
    assert 0.3 < found.ratio < 10
    assert "peak memory 7 MB" in found.lines()[-1]
    ((name, *words),) = quick_processes
    assert name == "decompress"
    assert words[-2:] == ["--model", "m"]


def test_a_process_that_fails_is_an_error_in_one_line(
    quick_processes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not quick_processes
    monkeypatch.setattr(process, "COMMAND_LINE", ("-c", "import sys; sys.exit('rdae: no')"))
    with pytest.raises(ResultsError, match="ended with status 1: rdae: no"):
        process.measure(b"a file", 10, list, rounds=1, note=print)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of memory on Linux")
def test_the_memory_of_a_process_is_its_own() -> None:
    held = np.ones(300_000_000, np.uint8)  # here, not there
    found = process._peak(["--version"], {})
    assert found is not None
    assert 5_000_000 < found < len(held)


@pytest.fixture
def picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The path of a picture, while open_model gives the fake model."""
    monkeypatch.setitem(rdae.__dict__, "open_model", lambda *_, **__: MODEL)
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


@pytest.mark.usefixtures("quick_processes")
def test_the_command_prints_a_table_of_markdown_and_the_process(picture: str) -> None:
    done = rdae_command("benchmark", picture, "--repeat", "1", "--peers", "jpeg", "--markdown", "--process")
    assert done.exit_code == 0
    assert "| JPEG 4:4:4 | 50 | " in done.stdout
    assert "of 0.00 megapixels to PNG, median of 1 process, " in done.stdout
    done = rdae_command("benchmark", picture, "--repeat", "1", "--peers", "none", "--json", "--process")
    assert json.loads(done.stdout)["process"]["peak_bytes"] == 7_000_000


def test_what_is_not_installed_is_left_out_with_a_line_unless_it_was_asked_for(
    picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rdae.cli.benchmark.LIBRARY_PEERS", ("jpeg", "no such"))
    monkeypatch.setattr(codecs, "UNTRAINED", ())
    done = rdae_command("benchmark", picture, "--repeat", "1")
    assert done.exit_code == 0
    assert "without no such: unknown peer" in done.stderr
    assert "JPEG" in done.stdout
    done = rdae_command("benchmark", picture, "--repeat", "1", "--peers", "no such")
    assert done.exit_code == 1
    assert "rdae: unknown peer" in done.stderr.splitlines()[-1]


def test_two_forms_of_one_result_are_wrong_usage(picture: str) -> None:
    assert rdae_command("benchmark", picture, "--json", "--markdown").exit_code == 2
