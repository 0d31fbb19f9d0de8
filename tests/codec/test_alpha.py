"""Alpha comes back exactly, in few bytes, and colours that nobody sees cost next to nothing."""

import contextlib
import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from tiny_model import noise, photo

from rdae.codec import decode, encode
from rdae.codec.sections import alpha
from rdae.codec.sections.packing import pack
from rdae.errors import CorruptError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

Plane = npt.NDArray[np.uint8]


def shapes(side: int) -> Plane:
    """Letters, a disc and a line, smooth at their borders: uint8 (side, side)."""
    image = Image.new("L", (4 * side, 4 * side))
    draw = ImageDraw.Draw(image)
    draw.ellipse((side, side, 3 * side, 3 * side), fill=255)
    draw.ellipse((1.5 * side, 1.5 * side, 2.2 * side, 2.2 * side), fill=0)
    draw.line((0, 3 * side, 4 * side, 3.6 * side), fill=190, width=side // 5)
    draw.text((0, 0), "alpha", fill=255, font_size=side)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def slope(side: int) -> Plane:
    y, x = np.mgrid[:side, :side]
    found: Plane = np.clip(300 - 1.5 * np.hypot(y - side / 2, x - side / 2), 0, 255).astype(np.uint8)
    return found


def check(plane: Plane) -> bytes:
    payload = alpha.encode(plane)
    back = alpha.decode(payload, plane.shape[1], plane.shape[0])
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, plane)
    return payload


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 256]))
def test_any_plane_comes_back(seed: int, height: int, width: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    check(rng.integers(0, values, (height, width)).astype(np.uint8) * np.uint8(255 // values))


def test_planes_longer_than_a_step_come_back() -> None:
    check(np.tile(shapes(128), (10, 9)))
    check(np.tile(noise(1, 60, 50)[:, :, 0], (20, 20)))


@pytest.mark.parametrize(
    "plane", [shapes(256), slope(256), shapes(256) // 255 * 255], ids=["text", "soft", "hard"]
)
def test_alpha_is_smaller_than_as_a_png(plane: Plane) -> None:
    png = io.BytesIO()
    Image.fromarray(plane).save(png, "PNG", optimize=True)
    assert len(check(plane)) < 0.8 * len(png.getvalue())


def test_constant_alpha_takes_two_bytes() -> None:
    assert check(np.full((70, 300), 37, np.uint8)) == bytes([alpha.CONSTANT, 37])


def test_each_method_is_used() -> None:
    assert {check(plane)[0] for plane in (slope(64), shapes(256), slope(3) * 0)} == {0, 1, 2}


@given(st.binary(max_size=60), st.integers(1, 50), st.integers(1, 50))
def test_any_payload_is_alpha_or_corrupt(payload: bytes, width: int, height: int) -> None:
    with contextlib.suppress(CorruptError):
        assert alpha.decode(payload, width, height).shape == (height, width)


@pytest.mark.parametrize("plane", [slope(40), shapes(256)], ids=["left", "plain"])
def test_damaged_payloads_are_alpha_or_corrupt(plane: Plane) -> None:
    payload = alpha.encode(plane)
    rng = np.random.default_rng(3)
    for _ in range(200):
        broken = bytearray(payload)
        broken[rng.integers(1, len(broken))] ^= 1 << rng.integers(8)
        with contextlib.suppress(CorruptError):
            assert alpha.decode(bytes(broken), *plane.shape[::-1]).shape == plane.shape
    for end in range(0, len(payload), 7):
        with pytest.raises(CorruptError):
            alpha.decode(payload[:end], *plane.shape[::-1])


def test_a_payload_is_not_unpacked_beyond_its_size() -> None:
    bomb = bytes([alpha.PLAIN]) + pack(bytes(1 << 22), 0)
    assert len(bomb) < 1000
    with pytest.raises(CorruptError, match="goes on after its announced size"):
        alpha.decode(bomb, 100, 100)
    with pytest.raises(CorruptError, match="alpha of 4194304 pixels, expected 4196352"):
        alpha.decode(bomb, 2049, 2048)


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (31, 1), (2, 3), (65, 64), (129, 200)])
def test_filling_touches_only_what_cannot_be_seen(size: tuple[int, int]) -> None:
    levels = noise(5, *size)
    plane = np.random.default_rng(2).integers(0, 3, size).astype(np.uint8)
    filled = alpha.fill(levels, plane)
    assert filled.shape == levels.shape
    np.testing.assert_array_equal(filled[plane > 0], levels[plane > 0])
    np.testing.assert_array_equal(levels, noise(5, *size))  # the input is left alone
    assert alpha.fill(levels, np.full(size, 1, np.uint8)) is levels
    assert np.ptp(alpha.fill(levels, np.zeros(size, np.uint8))) == 0


def test_filling_goes_on_smoothly_from_what_can_be_seen() -> None:
    levels = np.full((100, 150, 3), (200, 100, 40), np.uint8)
    plane = shapes(150)[:100]
    dirty = np.where(plane[:, :, None] > 0, levels, noise(1, 100, 150))
    assert np.abs(alpha.fill(dirty, plane).astype(int) - levels).max() <= 4
    grey = np.repeat(noise(1, 100, 150)[:, :, :1], 3, axis=2)
    filled = alpha.fill(grey, plane)
    np.testing.assert_array_equal(filled[:, :, 0], filled[:, :, 2])


def test_what_is_under_alpha_0_does_not_matter_to_the_file(tiny: Model) -> None:
    levels, plane = photo(64, 96), slope(96)[:64] // 200 * 255
    other = np.where(plane[:, :, None] > 0, levels, noise(9, 64, 96))
    files = {encode.compress(Raster(each, alpha=plane), tiny, 400, verify=True) for each in (levels, other)}
    assert len(files) == 1


def test_a_region_has_its_part_of_alpha(tiny: Model) -> None:
    from rdae.codec.tiles import Region

    plane = slope(96)[:64]
    data = encode.compress(Raster(photo(64, 96), alpha=plane), tiny, 400)
    found = decode.decode(data, tiny, region=Region(11, 5, 40, 30)).raster.alpha
    np.testing.assert_array_equal(found, plane[5:35, 11:51])
