"""Fewer levels of alpha, or none over a background: what was asked for, and no more."""

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from sample_profiles import grey_profile
from tiny_model import noise, photo

from rdae.codec.sections import alpha
from rdae.pictures import transparency
from rdae.pictures.raster import Raster
from rdae.pictures.transparency import colour_of, composed, levels_for, quantised

Plane = npt.NDArray[np.uint8]

EVERY_LEVEL: Plane = np.arange(256, dtype=np.uint8).reshape(16, 16)


def picture(plane: Plane | None = EVERY_LEVEL, *, grey: bool = False, icc: bytes | None = None) -> Raster:
    levels = photo(16, 16)
    return Raster(
        np.repeat(levels[:, :, :1], 3, axis=2) if grey else levels, grey, plane, icc, b"exif", b"<x/>"
    )


@pytest.mark.parametrize("quality", [0, 1, 20, 50, 75, 90, 99, 100])
def test_transparent_and_opaque_stay_and_the_rest_moves_by_half_a_step_at_most(quality: int) -> None:
    found = quantised(picture(), quality).alpha
    assert found is not None
    assert found.reshape(-1)[[0, 255]].tolist() == [0, 255]
    step = int(np.diff(levels_for(quality).astype(int)).max())
    assert np.abs(found.astype(int) - EVERY_LEVEL).max() <= step / 2
    assert set(found.flat) <= set(levels_for(quality))
    assert (np.diff(found.reshape(-1).astype(int)) >= 0).all()


def test_quality_100_changes_nothing_and_0_leaves_none_and_all() -> None:
    assert quantised(picture(), 100) == picture() or quantised(picture(), 100).alpha is EVERY_LEVEL
    assert list(levels_for(0)) == [0, 255]
    assert list(levels_for(100)) == list(range(256))
    steps = [len(levels_for(quality)) for quality in range(101)]
    assert steps == sorted(steps)


def test_less_quality_takes_fewer_bytes() -> None:
    rough = noise(3, 128, 128)[:, :, 0] // 2 + photo(128, 128)[:, :, 0] // 2
    sizes = []
    for quality in (100, 90, 75, 50, 25, 0):
        plane = quantised(Raster(photo(128, 128), alpha=rough), quality).alpha
        assert plane is not None
        sizes.append(len(alpha.smallest(plane).payload))
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[3] < 0.6 * sizes[0]


def test_what_becomes_all_opaque_has_no_alpha() -> None:
    assert quantised(picture(np.full((16, 16), 252, np.uint8)), 20).alpha is None
    assert quantised(picture(None), 20).alpha is None


@pytest.mark.parametrize("quality", [-1, 101, float("nan")])
def test_an_alpha_quality_outside_the_scale_is_a_value_error(quality: float) -> None:
    with pytest.raises(ValueError, match="expected 0 to 100"):
        quantised(picture(), quality)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (255, 204, 0)])
def test_a_picture_over_a_background_is_what_pillow_composes(colour: tuple[int, int, int]) -> None:
    raster = picture()
    image = Image.fromarray(np.dstack([raster.levels, EVERY_LEVEL]))
    wanted = Image.new("RGB", image.size, colour)
    wanted.paste(image, mask=image)
    found = composed(raster, colour)
    assert np.abs(found.levels.astype(int) - np.asarray(wanted)).max() <= 1
    assert (found.levels[0, 0] == colour).all()
    np.testing.assert_array_equal(found.levels[15, 15], raster.levels[15, 15])
    assert (found.alpha, found.mode, found.exif, found.xmp) == (None, "RGB", b"exif", b"<x/>")


def test_grey_stays_grey_over_grey_and_becomes_rgb_over_a_colour() -> None:
    over_grey, over_red = (
        composed(picture(grey=True), (90, 90, 90)),
        composed(picture(grey=True), (255, 0, 0)),
    )
    assert (over_grey.mode, over_red.mode) == ("L", "RGB")
    assert (over_grey.levels[0, 0] == 90).all()
    np.testing.assert_array_equal(over_grey.levels[:, :, 0], over_grey.levels[:, :, 2])
    assert list(over_red.levels[0, 0]) == [255, 0, 0]


def test_a_grey_profile_goes_with_the_grey() -> None:
    """A profile of grey cannot describe red: the levels are converted by it."""
    icc = grey_profile(1.0)
    found = composed(picture(grey=True, icc=icc), (255, 0, 0))
    assert (found.mode, found.icc) == ("RGB", None)
    assert found.levels[15, 15, 0] > picture(grey=True).levels[15, 15, 0]
    assert composed(picture(grey=True, icc=icc), (9, 9, 9)).icc == icc
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert composed(picture(icc=profile), (255, 0, 0)).icc == profile


def test_a_picture_without_alpha_is_left_alone() -> None:
    raster = picture(None)
    assert composed(raster, (1, 2, 3)) is raster


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = composed(picture(), (1, 2, 3)).levels
    monkeypatch.setattr(transparency, "BAND_PIXELS", 48)
    np.testing.assert_array_equal(composed(picture(), (1, 2, 3)).levels, whole)


def test_colours_are_those_of_css() -> None:
    assert colour_of("white") == colour_of("#fff") == colour_of("rgb(255,255,255)") == (255, 255, 255)
    assert colour_of((1, 2, 3)) == (1, 2, 3)
    for wrong in ("whyte", "#ff", "#11223344", (1, 2), (1, 2, 256)):
        with pytest.raises(ValueError, match=r"colou?r"):
            colour_of(wrong)  # type: ignore[arg-type]
