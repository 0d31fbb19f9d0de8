"""Tiles: every latent is in one of them, they leave no seam, and a region needs only those that it touches."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import SMALL, noise, photo, write

from rdae.codec import decode, encode, encoding, latents, tiles
from rdae.codec.container import Container, Header, Section, SectionType, pack, parse
from rdae.codec.tiles import Grid, Region
from rdae.errors import CorruptError
from rdae.networks import transforms, weights
from rdae.networks.model import Model


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return weights.load(write(tmp_path_factory.mktemp("tiles") / "small.safetensors", SMALL))


@given(height=st.integers(1, 100), width=st.integers(1, 100), tile=st.sampled_from([None, 4, 5]))
def test_every_latent_is_in_one_tile(height: int, width: int, tile: int | None) -> None:
    seen = np.zeros((height, width), int)
    grid = Grid(height, width, tile)
    for top, bottom in grid.rows():
        for left, right in grid.columns():
            seen[top:bottom, left:right] += 1
            assert tile is None or max(bottom - top, right - left) <= 1 << tile
    assert (seen == 1).all()
    assert len(grid) == Header(16 * width, 16 * height, bytes(4), 0, tile=tile).tiles


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (257, 300), (700, 520), (20, 600)])
@pytest.mark.parametrize("exact", [False, True])
def test_tiled_pictures_come_back(small: Model, size: tuple[int, int], exact: bool) -> None:
    picture = photo(*size)
    encoded = encode.encode(picture, small, 500, tile=4)
    parsed = parse(encoded.data)
    assert parsed.header.tile == 4
    assert len(parsed.payloads(SectionType.LATENTS)) == len(Grid.of(*size, 4))
    assert encode.compress(picture, small, 500, tile=4, verify=True) == encoded.data
    decoded = decode.decode(encoded.data, small, exact=exact)
    assert decoded.latents_sha256 == encoded.latents_sha256
    assert np.abs(decoded.picture.astype(int) - encoded.reconstruction).max() <= exact


def test_tiles_make_no_seam(small: Model) -> None:
    """The transforms see over borders: with the same latents, tiles change no pixel, nor does the cut into bands."""
    picture = photo(600, 530)
    whole = encode.encode(picture, small, 800, tile=None)
    tiled = encode.encode(picture, small, 800, tile=4)
    # Latents differ a little, as each is rounded to its own prior's mean plus an integer.
    error = [np.abs(one.reconstruction.astype(int) - picture).astype(float) for one in (whole, tiled)]
    seams = [e[:, 251:261].mean() / e.mean() for e in error]
    assert seams[1] == pytest.approx(seams[0], rel=0.05)
    assert abs(tiled.rate_bits / whole.rate_bits - 1) < 0.2


def test_latents_are_cut_after_the_analysis(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo(300, 530)
    seen: dict[bool, list[np.ndarray[Any, Any]]] = {False: [], True: []}
    for tiled in (False, True):
        if tiled:
            monkeypatch.setattr(transforms, "BAND_BYTES", 1)  # bands of a few rows
        prepared = encoding.prepare(picture, small, tile=4 if tiled else None)
        seen[tiled] = list(prepared.rows_of_tiles(400))
    assert [part.shape[1] for part in seen[True]] == [16, 3]
    assert np.allclose(np.concatenate(seen[True], axis=1), seen[False][0], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("tile", [None, 4])
@pytest.mark.parametrize(
    "region", [(0, 0, 600, 530), (0, 0, 1, 1), (599, 529, 1, 1), (250, 200, 20, 300), (17, 300, 200, 33)]
)
def test_a_region_is_what_the_whole_has_there(
    small: Model, tile: int | None, region: tuple[int, ...]
) -> None:
    data = encode.compress(photo(530, 600), small, 600, tile=tile)
    x, y, width, height = region
    for exact in (False, True):
        whole = decode.decode(data, small, exact=exact).picture[y : y + height, x : x + width]
        part = decode.decode(data, small, exact=exact, region=Region(*region)).picture
        assert part.shape == (height, width, 3)
        assert np.abs(part.astype(int) - whole).max() <= (0 if exact else 1)


def test_a_region_needs_only_its_tiles(small: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode.compress(noise(0, 600, 1100), small, 300, tile=4)
    read: list[bytes] = []
    right = latents.read

    def noted(payload: bytes, *rest: Any) -> latents.Latents:
        read.append(payload)
        return right(payload, *rest)

    monkeypatch.setattr(latents, "read", noted)
    decode.decode(data, small, region=Region(100, 100, 50, 50))
    payloads = parse(data).payloads(SectionType.LATENTS)
    assert [payloads.index(one) for one in read] == [0]
    read.clear()
    decode.decode(data, small, region=Region(250, 100, 50, 50))  # its border reaches into the tile beside it
    assert [payloads.index(one) for one in read] == [0, 1]
    read.clear()
    decode.decode(data, small)
    assert len(read) == 3 * 5


@pytest.mark.parametrize("region", [(0, 0, 0, 1), (-1, 0, 5, 5), (0, 0, 41, 30), (39, 29, 1, 2)])
def test_a_region_outside_is_a_value_error(small: Model, region: tuple[int, ...]) -> None:
    data = encode.compress(photo(30, 40), small, 300)
    with pytest.raises(ValueError, match="is not inside of 40 x 30 pixels"):
        decode.decode(data, small, region=Region(*region))


def test_tiles_in_the_wrong_order_are_noticed(small: Model) -> None:
    parsed = parse(encode.compress(noise(0, 256, 512), small, 300, tile=4))
    one, two = parsed.sections
    swapped = pack(Container(parsed.header, (two, one), parsed.latent_checksum))
    with pytest.raises(CorruptError, match="not those that were encoded"):
        decode.decode(swapped, small)


def test_a_file_has_as_many_latents_sections_as_tiles() -> None:
    header = Header(257, 256, b"abcd", 0, tile=4)
    assert header.tiles == 2
    for count in (0, 1, 3):
        sections = tuple(Section(SectionType.LATENTS, bytes(9)) for _ in range(count))
        with pytest.raises(ValueError, match=f"{count} latents sections, expected 2"):
            Container(header, sections)


def test_large_pictures_are_tiled_by_themselves() -> None:
    assert tiles.automatic(2048, 2048) is None
    assert tiles.automatic(2048, 2049) == 6
