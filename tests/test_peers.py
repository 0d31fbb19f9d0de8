import numpy as np
import pytest
from PIL import Image

from rdae.errors import ResultsError
from rdae.evaluation.peers import PEERS, find_peers
from rdae.metrics import psnr

ROWS, COLUMNS = np.mgrid[:48, :64]
PICTURE = np.stack([ROWS * 5, COLUMNS * 4, 128 + 60 * np.sin(ROWS * COLUMNS / 90)], axis=2).astype(np.uint8)


def available() -> list[str]:
    Image.init()
    return [name for name, peer in PEERS.items() if peer.file_format in Image.SAVE]


@pytest.mark.parametrize("name", available())
def test_a_peer_writes_a_file_of_its_format_and_better_ones_at_higher_quality(name: str) -> None:
    peer = PEERS[name]
    files = [peer.encode(PICTURE, quality) for quality in (20, 50, 80)]
    sizes = [len(data) for data in files]
    distances = [psnr(PICTURE, peer.decode(data)) for data in files]
    assert sizes == sorted(sizes)
    assert distances == sorted(distances)
    assert distances[-1] > 30
    assert PICTURE.shape == peer.decode(files[0]).shape
    assert "unknown" not in peer.library


def test_jpeg_is_progressive_and_keeps_the_colours_at_full_resolution() -> None:
    data = PEERS["jpeg"].encode(PICTURE, 50)
    frame = data.index(b"\xff\xc2")  # SOF2: progressive
    sampling = [data[frame + 11 + 3 * component] for component in range(3)]
    assert sampling == [0x11, 0x11, 0x11]


def test_an_unknown_peer_is_an_error_that_names_the_known_ones() -> None:
    assert [peer.name for peer in find_peers(["webp", "jpeg"])] == ["webp", "jpeg"]
    with pytest.raises(ResultsError, match="unknown peer 'gif', expected one of jpeg"):
        find_peers(["gif"])
