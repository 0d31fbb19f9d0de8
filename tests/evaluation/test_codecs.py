import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from rdae.api import open_model
from rdae.clock import Clock
from rdae.errors import MissingExtraError, ResultsError
from rdae.evaluation.codecs import PILLOW_CODECS, Codec, Rdae, find_codecs, is_here, nearest_index, reopen
from rdae.metrics import psnr

ROWS, COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([ROWS * 5, COLUMNS * 4, 128 + 60 * np.sin(ROWS * COLUMNS / 90)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("name", [codec.name for codec in PILLOW_CODECS.values() if is_here(codec)])
def test_a_peer_writes_a_file_of_its_format_and_better_ones_at_higher_quality(name: str) -> None:
    codec = PILLOW_CODECS[name]
    files = [codec.encode(PICTURE, quality) for quality in (20, 50, 80)]
    sizes = [len(data) for data in files]
    distances = [psnr(PICTURE, codec.decode(data)) for data in files]
    assert sizes == sorted(sizes)
    assert distances == sorted(distances)
    assert distances[-1] > (20 if name == "jpeg2000" else 30)
    assert PICTURE.shape == codec.decode(files[0]).shape
    assert codec.library in codec.description
    assert "unknown" not in codec.library
    assert list(codec.qualities) == sorted(set(codec.qualities))


@pytest.mark.parametrize(("name", "sampling"), [("jpeg", 0x11), ("jpeg420", 0x22)])
def test_jpeg_is_progressive_and_its_colours_are_as_fine_as_said(name: str, sampling: int) -> None:
    data = PILLOW_CODECS[name].encode(PICTURE, 50)
    frame = data.index(b"\xff\xc2")  # SOF2: progressive
    assert [data[frame + 11 + 3 * component] for component in range(3)] == [sampling, 0x11, 0x11]


def test_jpeg_with_pillows_defaults_is_baseline_with_halved_colours_as_in_the_published_curve() -> None:
    data = PILLOW_CODECS["jpeg-default"].encode(PICTURE, 50)
    frame = data.index(b"\xff\xc0")  # SOF0: baseline
    assert data[frame + 11] == 0x22


def test_jpeg_2000_keeps_to_the_rate_that_its_quality_names() -> None:
    random = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for quality in (50, 200):
        bpp = 8 * len(PILLOW_CODECS["jpeg2000"].encode(random, quality)) / 128**2
        assert 100 * bpp == pytest.approx(quality, rel=0.2)


AVIF_TUNES = ("avif-iq", "avif-ssimulacra2", "avif-psnr")


@pytest.mark.skipif(
    not all(is_here(PILLOW_CODECS[name]) for name in AVIF_TUNES),
    reason="this Pillow's AVIF lacks one of the tunes",
)
def test_what_avif_is_tuned_for_changes_its_bytes_and_is_part_of_what_results_are_of() -> None:
    files = {name: PILLOW_CODECS[name].encode(PICTURE, 50) for name in AVIF_TUNES}
    assert len(set(files.values())) == len(files)
    for name in AVIF_TUNES:
        tune = name.removeprefix("avif-")
        assert PILLOW_CODECS[name].identity["settings"]["tune"] == tune
        assert PILLOW_CODECS[name].description.endswith(f"tune {tune}")
    assert PILLOW_CODECS["avif-speed6"].encode(PICTURE, 50) == PILLOW_CODECS["avif"].at_speed(6).encode(
        PICTURE, 50
    )


@pytest.mark.skipif(not is_here(PILLOW_CODECS["avif"]), reason="this Pillow cannot write AVIF")
def test_a_tune_that_the_library_does_not_know_is_one_line_before_any_work() -> None:
    unknown = replace(PILLOW_CODECS["avif-iq"], advanced={"tune": "taste"})
    with pytest.raises(ResultsError, match=r"^peer avif-iq: Pillow .* does not take tune taste: [^\n]*$"):
        unknown.prepare()
    assert not is_here(unknown)


def test_an_unknown_peer_is_an_error_that_names_the_known_ones() -> None:
    assert [codec.name for codec in find_codecs(["webp", "jpeg"])] == ["webp", "jpeg"]
    with pytest.raises(ResultsError, match="unknown peer 'gif', expected one of jpeg"):
        find_codecs(["gif"])


def test_jpeg_xl_without_its_plug_in_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.setattr(Image, "SAVE", {name: save for name, save in Image.SAVE.items() if name != "JXL"})
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    assert [is_here(PILLOW_CODECS[name]) for name in ("jxl", "jpeg")] == [False, True]
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[peers\]'"):
        find_codecs(["jxl"])


def test_rdae_is_a_codec_like_others_and_is_opened_again_from_its_arguments() -> None:
    codecs: list[Codec] = [Rdae(open_model(), effort=0), PILLOW_CODECS["jpeg"]]
    for codec in codecs:
        again = reopen(codec.arguments)
        assert again.identity == codec.identity
        clock = Clock()
        data = again.encode(PICTURE, 50, clock)
        assert data == codec.encode(PICTURE, 50)
        assert np.array_equal(again.decode(data, clock), codec.decode(data))
        assert ("synthesis" in clock.seconds) == ("coding" in clock.seconds) == isinstance(codec, Rdae)
    assert codecs[0].identity["effort"] == 0
    assert codecs[0].all_qualities[-2:] == [99.875, 100]


def test_an_index_is_found_that_comes_nearest_to_what_is_wanted() -> None:
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    for low, wanted, best in ((0, 3.5, 2), (0, 2.5, 1), (0, 99.0, 4), (0, -1.0, 0), (2, 1.0, 2), (4, 5.0, 4)):
        assert nearest_index(values.__getitem__, low, 4, wanted) == best


WITHOUT_TORCH = """
import sys
from pathlib import Path
sys.modules["torch"] = None
from rdae.errors import MissingExtraError
from rdae.evaluation.codecs import find_codecs, find_untrained
for find in (lambda: find_codecs(["jpeg", f"compressai:mbt2018-mean:1={sys.executable}"]),
             lambda: find_untrained("mbt2018-mean")):
    try:
        find()
    except MissingExtraError as error:
        print(error)
print([codec.name for codec in find_codecs(["jpeg", "webp"])])
"""


def test_compressais_networks_alone_need_torch_and_say_so_in_a_line() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    *lines, found = done.stdout.splitlines()
    assert len(lines) == 2
    command = "pip install 'rdae[compressai]'"
    assert all(line.endswith(command) or "not to be had for Python" in line for line in lines), lines
    assert found == "['jpeg', 'webp']"
