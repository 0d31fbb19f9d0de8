"""What decoding may take: so much a pixel, nothing for a size that is refused, little for a file of a kilobyte."""

import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import memory
import numpy as np
import pytest
from memory import MEGA
from PIL import Image
from tiny_model import GOLDEN

from rdae import limits
from rdae.codec import container, decode, encode
from rdae.errors import StreamError
from rdae.networks import registry, weights

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")

KILOBYTE_FILE_BYTES = 500 * MEGA
MINI_PATH = GOLDEN / "v1.0" / "mini.safetensors"


@dataclass(frozen=True)
class Bound:
    """What decoding may take over the process as it is with the model loaded."""

    base: int
    per_pixel: int
    per_file_byte: int

    def of(self, pixels: int, file_bytes: int) -> int:
        return self.base + self.per_pixel * pixels + self.per_file_byte * file_bytes


PUBLISHED = Bound(150 * MEGA, 60, 6)  # what the README promises
MINI = Bound(60 * MEGA, 25, 6)  # of the smallest model, whose networks are narrow and whose latents are few


def test_decoding_takes_at_most_so_much_a_pixel() -> None:
    taken = []
    for make, megapixels in ((memory.noisy_file, 1), (memory.noisy_file, 4), (memory.stormy_file, 1)):
        data, pixels = make(MINI_PATH, megapixels)
        found = memory.peak(MINI_PATH, data)
        assert found["outcome"] == "decoded"
        taken.append(float(found["bytes"]))
        assert taken[-1] <= MINI.of(pixels, len(data))
    assert taken[1] > 3 * 4 * MEGA  # the picture alone: were less found, the measurement would be wrong


def test_stored_pixels_take_no_more_than_latents() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), np.uint8)
    for levels in (picture, np.zeros((2000, 2000, 3), np.uint8)):
        data = encode.compress_lossless(levels)
        found = memory.peak(MINI_PATH, data)
        assert found["outcome"] == "decoded"
        assert float(found["bytes"]) <= MINI.of(4_000_000, len(data))


@pytest.mark.slow
def test_decoding_in_bands_holds_no_picture() -> None:
    # The least of three: the peak of one and the same decode comes out some 35 MB higher in some processes.
    picture = np.zeros((5000, 5000, 3), np.uint8)
    data = encode.compress(picture, weights.load(MINI_PATH), 0)

    def least(*, unfold: bool) -> float:
        peaks = [memory.peak(MINI_PATH, data, unfold=unfold) for _ in range(3)]
        assert {peak["outcome"] for peak in peaks} == {"decoded"}
        return min(float(peak["bytes"]) for peak in peaks)

    assert least(unfold=False) - least(unfold=True) > 0.5 * picture.nbytes


def test_the_peak_of_a_command_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((40, 30, 3), np.uint8)).save(tmp_path / "a.png")
    taken = memory.command_peak("compress", tmp_path / "a.png", "--model", MINI_PATH)
    assert 40 * MEGA < taken < 400 * MEGA
    assert (tmp_path / "a.rdae").is_file()
    with pytest.raises(RuntimeError, match="already there"):
        memory.command_peak("compress", tmp_path / "a.png", "--model", MINI_PATH)  # it is there already


@pytest.mark.slow
@pytest.mark.parametrize(("suffix", "back"), [(".png", ".png"), (".jpg", ".ppm")])
def test_100_megapixels_take_little_more_than_25(tmp_path: Path, suffix: str, back: str) -> None:
    small, large = (memory.large_peaks(tmp_path, size, suffix, back) for size in (25, 100))
    for one, other in zip(small, large, strict=True):
        assert other < 2000 * MEGA
        assert other < 1.3 * one


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "megapixels"),
    [(memory.noisy_file, 1), (memory.noisy_file, 4), (memory.noisy_file, 16), (memory.stormy_file, 2)],
)
def test_decoding_with_the_published_weights_takes_what_the_readme_says(
    make: Callable[[Path, float], tuple[bytes, int]], megapixels: int
) -> None:
    path = registry.tuned_path()
    data, pixels = make(path, megapixels)
    found = memory.peak(path, data)
    assert found["outcome"] == "decoded"
    assert float(found["bytes"]) <= PUBLISHED.of(pixels, len(data))


@pytest.mark.slow
def test_a_file_of_a_kilobyte_takes_little_with_the_published_weights() -> None:
    path = registry.tuned_path()
    decoded = 0
    taken = {}
    for name, data in memory.kilobyte_files(weights.load(path).model_id).items():
        found = memory.peak(path, data)
        taken[name] = float(found["bytes"]) / MEGA
        decoded += found["outcome"] == "decoded"
    assert decoded >= 3  # some go all the way to a picture of four megapixels
    assert max(taken.values()) <= KILOBYTE_FILE_BYTES / MEGA, taken


def test_a_file_of_a_kilobyte_cannot_claim_more_than_its_bytes_allow() -> None:
    for width, height in (memory.widest(ratio) for ratio in (1, 8, 1000)):
        most = memory.KILOBYTE * limits.BLOCK**2
        assert most * 0.9 < width * height <= most
        header = container.Header(width, height + 1, bytes(4), 0)
        payload = bytes(container.least_payload(width, height))
        with pytest.raises(ValueError, match="bytes of latents"):
            container.Container(header, (container.Section(container.SectionType.LATENTS, payload),))


def allocated_by(work: Callable[[], object]) -> int:
    """The most that Python and numpy had allocated at once while it ran."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_header_that_claims_too_much_is_refused_without_allocating() -> None:
    """Some 25 KB of payload are as much as the format asks for before 100 megapixels may be claimed at all."""
    data = memory.too_large()
    model = weights.load(MINI_PATH)

    def refuse() -> None:
        with pytest.raises(StreamError, match="more than the 100000000 allowed"):
            decode.decode(data, model)

    refuse()
    resident = memory.resident_bytes("VmRSS")
    memory.forget_peak()
    assert allocated_by(refuse) < 10 * len(data)
    assert memory.resident_bytes("VmHWM") - resident < 5 * MEGA


def test_the_measurement_sees_what_is_taken() -> None:
    resident = memory.resident_bytes("VmRSS")
    memory.forget_peak()
    taken = bytearray(b"x" * 50 * MEGA)
    assert memory.resident_bytes("VmHWM") - resident > 40 * MEGA
    del taken
