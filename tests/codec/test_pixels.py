"""Pixels that are stored as such: round trips in all modes, parts, regions and scales, and what is refused."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import numpy.typing as npt
import pytest
from drawings import drawing, grey_of, modes
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_model import noise, photo

import rdae
from rdae.codec import decode, encode, graphics
from rdae.codec.container import NO_MODEL, Container, SectionType, pack, parse
from rdae.codec.encoding import container_of, prepare, searched_encoding
from rdae.codec.sections import pixels, webp
from rdae.codec.sections.pixels import Rectangle
from rdae.codec.tiles import Region
from rdae.errors import CorruptError, VersionError, WeightsError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

Levels = npt.NDArray[np.uint8]
QUICK = ((2, 50),)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (33, 1), (40, 50), (129, 65)])
def test_lossless_is_lossless_in_all_modes_and_needs_no_model(mode: str, size: tuple[int, int]) -> None:
    for picture in (
        modes(*size)[mode],
        dataclasses.replace(modes(*size)[mode], levels=grey_of(noise(1, *size))),
    ):
        data = encode.compress_lossless(picture, verify=True)
        parsed = parse(data)
        assert (parsed.header.model, parsed.needs_model, data[4]) == (NO_MODEL, False, 0x11)
        found = decode.decode(data, None).raster
        np.testing.assert_array_equal(found.levels, picture.levels)
        assert (found.mode, found.xmp) == (picture.mode, picture.xmp)
        if picture.alpha is not None:
            np.testing.assert_array_equal(found.alpha, picture.alpha)


def test_colours_under_alpha_0_are_kept_where_lossless_was_asked_for() -> None:
    alpha = np.zeros((20, 20), np.uint8)
    alpha[5:9] = 255
    picture = Raster(noise(2, 20, 20), alpha=alpha)
    np.testing.assert_array_equal(
        decode.decode(encode.compress_lossless(picture), None).picture, picture.levels
    )


@pytest.mark.parametrize(
    "picture", [photo(64, 96), drawing(120, 160), noise(3, 32, 32)], ids=["photo", "plot", "noise"]
)
def test_lossless_is_no_larger_than_pillows_webp_and_what_a_file_costs(picture: Levels) -> None:
    best = min(
        len(save(picture, method=method, quality=quality))
        for method, quality in ((4, 100), (6, 100), (5, 90))
    )
    assert len(encode.compress_lossless(picture)) <= best + 4


def save(picture: Levels, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", lossless=True, **options)
    return file.getvalue()


def test_large_pictures_are_stored_in_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics, "BAND_PIXELS", 64 * 48)
    monkeypatch.setattr(webp, "MAX_SIDE", 80)
    for picture in (Raster(drawing(130, 170)), modes(130, 170)["LA"]):
        data = encode.compress_lossless(picture, verify=True)
        parsed = parse(data)
        places = pixels.rectangles(parsed)
        assert len(places) > 6
        assert max(max(place.width, place.height) for place in places) <= 80
        found = decode.decode(data, None)
        np.testing.assert_array_equal(found.picture, picture.levels)
        bands = list(decode.unfold(data, None).rows)
        np.testing.assert_array_equal(np.concatenate(bands)[:, :, 0], picture.levels[:, :, 0])


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("region", [None, (0, 0, 1, 1), (3, 50, 77, 40), (100, 60, 37, 30)])
def test_regions_and_scales_are_parts_and_means_of_the_pixels(
    region: tuple[int, int, int, int] | None, scale: int
) -> None:
    picture = drawing(90, 137)
    data = encode.compress_lossless(picture)
    area = Region(0, 0, 137, 90) if region is None else Region(*region)
    found = decode.decode(data, None, region=area, scale=scale).picture
    small = np.asarray(Image.fromarray(picture).reduce(scale)) if scale > 1 else picture
    np.testing.assert_array_equal(found, area.boxes(scale).of(small))


def mixed(tiny: Model, *, tile: int | None = None) -> tuple[Levels, Container]:
    """A photograph with two rectangles of graphics in it, stored as pixels."""
    picture = photo(300, 530)
    parts = []
    for place, seed in ((Rectangle(256, 16, 160, 64), 1), (Rectangle(512, 208, 18, 92), 2)):
        place.of(picture)[:] = drawing(place.height, place.width, seed)
        parts.append((place, pixels.encode(place.of(picture), place, exact=True, settings=QUICK)))
    prepared = prepare(picture, tiny, tile=tile, pixels=parts)
    return picture, container_of(searched_encoding(prepared, 400))


@pytest.mark.parametrize("tile", [None, 4])
def test_pixels_take_the_place_of_what_the_latents_say(tiny: Model, tile: int | None) -> None:
    picture, made = mixed(tiny, tile=tile)
    data = pack(made)
    whole = decode.decode(data, tiny).picture
    hidden = np.zeros(picture.shape[:2], bool)
    for place in pixels.rectangles(made):
        hidden[place.top : place.bottom, place.left : place.right] = True
        np.testing.assert_array_equal(place.of(whole), place.of(picture))
    bare = dataclasses.replace(
        made, sections=tuple(each for each in made.sections if each.type == SectionType.LATENTS)
    )
    below = decode.decode(bare, tiny).picture
    np.testing.assert_array_equal(whole[~hidden], below[~hidden])
    for region in ((250, 10, 30, 40), (500, 190, 30, 110), (0, 0, 40, 40)):
        part = decode.decode(data, tiny, region=Region(*region)).picture
        x, y, width, height = region
        np.testing.assert_array_equal(part, whole[y : y + height, x : x + width])
    quarter = decode.decode(data, tiny, scale=4).picture
    place = Rectangle(256, 16, 160, 64)
    np.testing.assert_array_equal(
        quarter[4:20, 64:104], np.asarray(Image.fromarray(place.of(picture)).reduce(4))
    )
    exact = decode.decode(data, tiny, exact=True).picture
    np.testing.assert_array_equal(exact[hidden], whole[hidden])
    with pytest.raises(WeightsError, match="needs model"):
        decode.decode(data, None)


def test_no_border_shows_beside_stored_pixels(tiny: Model) -> None:
    """What is seen of a photograph around a rectangle is as near to the original as without one."""
    picture = photo(192, 256)
    place = Rectangle(64, 64, 96, 64)
    around = np.zeros(picture.shape[:2], bool)
    around[place.top - 8 : place.bottom + 8, place.left - 8 : place.right + 8] = True
    around[place.top : place.bottom, place.left : place.right] = False
    errors = {}
    for name, parts in {
        "plain": [],
        "mixed": [(place, pixels.encode(place.of(picture), place, exact=True, settings=QUICK))],
    }.items():
        made = container_of(searched_encoding(prepare(picture, tiny, pixels=parts), 640))
        seen = decode.decode(made, tiny).picture
        errors[name] = float(((seen.astype(int) - picture)[around] ** 2).mean())
    assert errors["mixed"] < 2 * errors["plain"] + 1


def test_a_wrong_checksum_is_found_by_all_that_decode(tiny: Model) -> None:
    data = encode.compress_lossless(drawing(40, 40))
    parsed = parse(data)
    (section,) = parsed.sections
    changed = dataclasses.replace(section, payload=section.payload[:1] + bytes(4) + section.payload[5:])
    broken = pack(dataclasses.replace(parsed, sections=(changed,)))
    for reader in (decode.decode, decode.verify):
        with pytest.raises(CorruptError, match="not those that were encoded"):
            reader(broken, tiny)


def test_pixels_need_webp(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode.compress_lossless(drawing(20, 20))
    monkeypatch.setattr(webp, "available", lambda: False)
    with pytest.raises(VersionError, match="without"):
        decode.decode(data, None)
    assert not graphics.is_graphics(Raster(drawing(200, 200)))


def test_a_few_bytes_ask_for_little_work() -> None:
    """As of latents: a byte for 64 x 64 pixels."""
    flat = encode.compress_lossless(np.zeros((2000, 3000, 3), np.uint8))
    assert len(flat) >= 2000 * 3000 / 64**2
    (section,) = parse(flat).sections
    with pytest.raises(ValueError, match="expected at least"):
        dataclasses.replace(
            parse(flat), sections=(dataclasses.replace(section, payload=section.payload[:200]),)
        )


@given(st.binary(max_size=80), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_any_stream_is_pixels_or_corrupt(stream: bytes, width: int, height: int, alpha: bool) -> None:
    try:
        found = webp.decode(stream, width, height, alpha=alpha, what="pixels")
    except CorruptError:
        return
    assert found.shape == (height, width, 4 if alpha else 3)


# From Python


def test_compress_takes_lossless_and_exact() -> None:
    image = Image.fromarray(drawing(150, 200))
    data = rdae.compress(image, lossless=True)
    np.testing.assert_array_equal(np.asarray(rdae.decompress(data)), np.asarray(image))
    model = rdae.open_model(threads=1)
    assert model.compress(image, 5, lossless=True) == data
    assert not parse(model.compress(image, 60)).needs_model
    assert parse(model.compress(image, 60, exact=False)).needs_model
    photograph = photo(96, 128)
    assert model.compress(photograph, 50) == model.compress(photograph, 50, exact=False)


def test_pixels_take_no_nonsense() -> None:
    picture = drawing(40, 50)
    for effort, quality in ((10, 50.0), (-1, 50.0), (1, 101.0)):
        with pytest.raises(ValueError, match="expected"):
            rdae.compress(picture, quality, effort=effort, lossless=True)
        with pytest.raises(ValueError, match="expected"):
            rdae.compress(picture, quality, effort=effort)


def test_the_plug_in_saves_lossless() -> None:
    import rdae.pillow  # noqa: F401 - registers the format

    image = Image.fromarray(noise(4, 30, 40))
    file = io.BytesIO()
    image.save(file, "RDAE", lossless=True)
    with Image.open(io.BytesIO(file.getvalue())) as back:
        assert (back.size, back.mode) == (image.size, "RGB")
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    clear = image.copy()
    clear.putalpha(Image.fromarray(noise(5, 30, 40)[:, :, 0]))
    file = io.BytesIO()
    clear.save(file, "RDAE", lossless=True)
    with Image.open(io.BytesIO(file.getvalue())) as back:
        assert back.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(back), np.asarray(clear))
