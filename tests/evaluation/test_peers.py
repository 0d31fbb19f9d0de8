import sys

import numpy as np
import pytest
from PIL import Image

from rdae.errors import MissingExtraError, ResultsError
from rdae.evaluation.peers import PEERS, available_peers, find_peers
from rdae.metrics import psnr

ROWS, COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([ROWS * 5, COLUMNS * 4, 128 + 60 * np.sin(ROWS * COLUMNS / 90)], axis=2).astype(np.uint8)


@pytest.mark.parametrize("name", [peer.name for peer in available_peers(PEERS)])
def test_a_peer_writes_a_file_of_its_format_and_better_ones_at_higher_quality(name: str) -> None:
    peer = PEERS[name]
    files = [peer.encode(PICTURE, quality) for quality in (20, 50, 80)]
    sizes = [len(data) for data in files]
    distances = [psnr(PICTURE, peer.decode(data)) for data in files]
    assert sizes == sorted(sizes)
    assert distances == sorted(distances)
    assert distances[-1] > (20 if name == "jpeg2000" else 30)
    assert PICTURE.shape == peer.decode(files[0]).shape
    assert peer.library in peer.description
    assert "unknown" not in peer.library
    assert list(peer.qualities) == sorted(set(peer.qualities))


@pytest.mark.parametrize(("name", "sampling"), [("jpeg", 0x11), ("jpeg420", 0x22)])
def test_jpeg_is_progressive_and_its_colours_are_as_fine_as_said(name: str, sampling: int) -> None:
    data = PEERS[name].encode(PICTURE, 50)
    frame = data.index(b"\xff\xc2")  # SOF2: progressive
    assert [data[frame + 11 + 3 * component] for component in range(3)] == [sampling, 0x11, 0x11]


def test_jpeg_with_pillows_defaults_is_baseline_with_halved_colours_as_in_the_published_curve() -> None:
    data = PEERS["jpeg-default"].encode(PICTURE, 50)
    frame = data.index(b"\xff\xc0")  # SOF0: baseline
    assert data[frame + 11] == 0x22


def test_jpeg_2000_keeps_to_the_rate_that_its_quality_names() -> None:
    random = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    for quality in (50, 200):
        bpp = 8 * len(PEERS["jpeg2000"].encode(random, quality)) / 128**2
        assert 100 * bpp == pytest.approx(quality, rel=0.2)


def test_an_unknown_peer_is_an_error_that_names_the_known_ones() -> None:
    assert [peer.name for peer in find_peers(["webp", "jpeg"])] == ["webp", "jpeg"]
    with pytest.raises(ResultsError, match="unknown peer 'gif', expected one of jpeg"):
        find_peers(["gif"])


def test_jpeg_xl_without_its_plug_in_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.setattr(Image, "SAVE", {name: save for name, save in Image.SAVE.items() if name != "JXL"})
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    assert available_peers(["jxl", "jpeg"]) == [PEERS["jpeg"]]
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[peers\]'"):
        find_peers(["jxl"])
