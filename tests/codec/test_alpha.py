"""Alpha comes back exactly, in few bytes, and colours that nobody sees cost next to nothing."""

import contextlib
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from tiny_model import noise, photo

from rdae.codec import decode, encode
from rdae.codec.container import SectionType, parse
from rdae.codec.sections import alpha, webp
from rdae.codec.sections.packing import pack
from rdae.errors import CorruptError, VersionError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

Plane = npt.NDArray[np.uint8]
EXAMPLE = Path(__file__).parents[2] / "data" / "example.png"


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


def text(side: int) -> Plane:
    """Words in many sizes, smooth at their borders."""
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    rng = np.random.default_rng(1)
    for number in range(side * side // 8000):
        place = (int(rng.integers(side)), int(rng.integers(side)))
        draw.text(place, f"Sample text {number}", fill=255, font_size=int(rng.integers(10, 60)))
    return np.asarray(image)


def matte(side: int) -> Plane:
    """A photograph's brightness, cut off at both ends."""
    with Image.open(EXAMPLE) as image:
        grey = image.convert("L").crop((0, 0, 200, 200)).resize((side, side), Image.Resampling.BICUBIC)
    found: Plane = np.clip(3 * np.asarray(grey).astype(int) - 150, 0, 255).astype(np.uint8)
    return found


def check(plane: Plane) -> bytes:
    section = alpha.smallest(plane)
    back = alpha.read(section, plane.shape[1], plane.shape[0])
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, plane)
    return section.payload


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
    found = [alpha.smallest(plane) for plane in (slope(64), text(512), slope(3) * 0, matte(128))]
    assert {each.payload[0] for each in found if each.type == SectionType.ALPHA} == {0, 1, 2}
    assert found[-1].type == SectionType.ALPHA_WEBP
    assert not any(each.skippable for each in found)


def test_a_matte_takes_what_lossless_webp_takes() -> None:
    plane = matte(256)
    packed = min(len(pack(each.tobytes())) for each in (plane, np.diff(plane, axis=1, prepend=np.uint8(0))))
    file = io.BytesIO()
    Image.fromarray(plane).convert("RGB").save(file, "WEBP", lossless=True, method=6, quality=100)
    assert len(check(plane)) < 0.9 * packed
    assert len(check(plane)) < 1.02 * len(file.getvalue())


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (16_400, 2), (2, 16_383), (40, 51)])
def test_any_plane_comes_back_from_webp(size: tuple[int, int]) -> None:
    plane = noise(2, *size)[:, :, 0]
    payload = webp.encode(plane)
    assert payload is not None
    np.testing.assert_array_equal(webp.decode(payload, size[1], size[0]), plane)


def test_a_plane_that_webp_cannot_hold_keeps_the_other_methods() -> None:
    plane = np.tile(matte(64), (1, 257))[:2]
    assert plane.shape[1] > webp.MAX_SIDE
    assert webp.encode(plane) is None
    assert alpha.smallest(plane).type == SectionType.ALPHA
    check(plane)


def test_without_webp_in_pillow_the_other_methods_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    section = alpha.smallest(matte(64))
    monkeypatch.setattr(webp, "_available", lambda: False)
    check(matte(64))
    assert alpha.smallest(matte(64)).type == SectionType.ALPHA
    with pytest.raises(VersionError, match="alpha is stored as WebP"):
        alpha.read(section, 64, 64)


def test_files_are_of_version_1_1_if_and_only_if_their_alpha_is_webp(tiny: Model) -> None:
    for plane, minor in ((matte(64), 1), (slope(64), 0), (None, 0)):
        data = encode.compress(Raster(photo(64, 64), alpha=plane), tiny, 400, verify=True)
        assert data[4] == 0x10 + minor
        assert decode.decode(data, tiny).raster.mode == ("RGB" if plane is None else "RGBA")
        assert (SectionType.ALPHA_WEBP in {each.type for each in parse(data).sections}) == bool(minor)


def coloured(height: int, width: int) -> bytes:
    """The payload of a WebP with colours."""
    file = io.BytesIO()
    Image.fromarray(noise(1, height, width)).save(file, "WEBP", lossless=True)
    stream = webp._bare(file.getvalue(), width, height)
    assert stream is not None
    return len(stream).to_bytes(4, "little") + stream


def test_a_webp_of_more_than_a_bitstream_is_not_taken() -> None:
    file = io.BytesIO()
    Image.fromarray(noise(1, 9, 9)).save(file, "WEBP", lossless=True, exif=b"more")
    assert webp._bare(file.getvalue(), 9, 9) is None


def test_a_webp_of_anything_else_is_corrupt() -> None:
    good = webp.encode(matte(40))
    assert good is not None
    for payload, why in (
        (b"", "ends too early"),
        (good[:3], "ends too early"),
        (good[:-1], "ends too early"),
        (good + b"\0", "followed by 1 byte"),
        (b"\0\0\0\0", "no lossless WebP"),
        (b"\x08\0\0\0" + bytes(8), "no lossless WebP|has colours"),
        ((len(good) // 2).to_bytes(4, "little") + good[4 : 4 + len(good) // 2], "no lossless WebP"),
        (coloured(40, 40), "has colours"),
    ):
        with pytest.raises(CorruptError, match=why):
            webp.decode(payload, 40, 40)
    with pytest.raises(CorruptError, match="16384 pixels across"):
        webp.decode(good, 16_384, 1)


def test_a_webp_cannot_claim_another_size() -> None:
    """Its sizes are the file's: of a stream for fewer pixels there is not enough."""
    small = webp.encode(noise(3, 8, 8)[:, :, 0])
    assert small is not None
    with pytest.raises(CorruptError, match="no lossless WebP"):
        webp.decode(small, 3000, 3000)


@given(st.binary(max_size=80), st.integers(1, 50), st.integers(1, 50))
def test_any_payload_is_webp_or_corrupt(stream: bytes, width: int, height: int) -> None:
    for payload in (stream, len(stream).to_bytes(4, "little") + stream):
        with contextlib.suppress(CorruptError):
            assert webp.decode(payload, width, height).shape == (height, width)


@given(st.binary(max_size=60), st.integers(1, 50), st.integers(1, 50))
def test_any_payload_is_alpha_or_corrupt(payload: bytes, width: int, height: int) -> None:
    with contextlib.suppress(CorruptError):
        assert alpha.decode(payload, width, height).shape == (height, width)


@pytest.mark.parametrize("method", [alpha.PLAIN, alpha.LEFT])
def test_damaged_payloads_are_alpha_or_corrupt(method: int) -> None:
    plane = slope(40)
    payload = bytes([method]) + pack(plane.tobytes())
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
