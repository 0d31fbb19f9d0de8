"""What is stored as pixels and what is not: the choice, its limits, and targets."""

from __future__ import annotations

import numpy as np
import pytest
from drawings import drawing, modes
from PIL import Image
from tiny_model import noise, photo

from rdae import metrics
from rdae.codec import decode, encode, graphics, target
from rdae.codec.container import pack, parse
from rdae.codec.encoding import Encoding, prepare
from rdae.codec.sections import pixels
from rdae.errors import TargetError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster
from rdae.targets import FIRST_INDEX, Met, Target


def cost(data: bytes, model: Model, picture: Raster, index: int) -> float:
    account = graphics.Account(picture, model.objective, index)
    return account.cost(parse(data), decode.decode(data, model).picture)


def antialiased(height: int, width: int) -> Raster:
    """As text is: many shades between a few colours."""
    large = Image.fromarray(drawing(4 * height, 4 * width))
    return Raster(np.asarray(large.resize((width, height), Image.Resampling.BOX)))


@pytest.mark.parametrize("index", [0, 160, 400, 640, 800])
def test_the_choice_costs_no_more_than_latents_and_is_no_larger_than_exactness(
    tiny: Model, index: int
) -> None:
    for picture in (
        Raster(drawing(200, 260)),
        modes(130, 170)["L"],
        Raster(photo(100, 130)),
        Raster(noise(1, 70, 80)),
    ):
        plain = encode.compress(picture, tiny, index)
        chosen = encode.compress(picture, tiny, index, choose=True, verify=True)
        assert cost(chosen, tiny, picture, index) <= cost(plain, tiny, picture, index)
        exact = len(pack(next(graphics.candidates(picture, index)).container))
        if graphics.is_graphics(picture):
            assert len(chosen) <= max(exact, 0) or len(chosen) < len(plain)


def test_photographs_and_noise_are_left_alone(tiny: Model) -> None:
    rough = np.clip(photo(256, 256).astype(int) + noise(7, 256, 256) % 9 - 4, 0, 255).astype(np.uint8)
    for picture in (rough, noise(1, 130, 170)):
        assert not graphics.is_graphics(Raster(picture))
        for index in (0, 400, 800):
            assert encode.compress(picture, tiny, index, choose=True) == encode.compress(picture, tiny, index)


def test_fewer_colours_at_lower_qualities(tiny: Model) -> None:
    picture = antialiased(225, 300)
    sizes, colours = [], []
    for index in (0, 160, 400, 640):
        data = encode.compress(picture, tiny, index, choose=True)
        parsed = parse(data)
        assert not parsed.needs_model
        seen = decode.decode(data, None).picture
        sizes.append(len(data))
        colours.append(len(np.unique(seen.reshape(-1, 3), axis=0)))
        (section,) = pixels.pixel_sections(parsed)
        assert pixels.is_exact(section) == np.array_equal(seen, picture.levels)
    assert sizes == sorted(sizes)
    assert colours == sorted(colours)
    assert colours[0] < colours[-1]


def test_grey_stays_grey_with_fewer_colours() -> None:
    for candidate in graphics.candidates(modes(130, 170)["L"], 100):
        assert (candidate.levels == candidate.levels[:, :, :1]).all()
        np.testing.assert_array_equal(decode.decode(candidate.container, None).picture, candidate.levels)


def test_rectangles_of_graphics_in_a_photograph_are_found(tiny: Model) -> None:
    rough = np.clip(photo(448, 640).astype(int) + noise(7, 448, 640) % 9 - 4, 0, 255).astype(np.uint8)
    rough[64:320, 128:576] = drawing(256, 448)
    picture = Raster(rough)
    assert not graphics.is_graphics(picture)
    ((place, _),) = graphics.parts(picture, tiny.objective, 640)
    assert tuple(place) == (128, 64, 448, 256)
    plain = encode.compress(picture, tiny, 640)
    data = encode.compress(picture, tiny, 640, choose=True, verify=True)
    assert len(data) < len(plain)
    assert pixels.rectangles(parse(data)) == [place]
    assert cost(data, tiny, picture, 640) < cost(plain, tiny, picture, 640)


def test_the_largest_rectangle_is_the_largest() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        free = rng.random((int(rng.integers(1, 7)), int(rng.integers(1, 7)))) < 0.6
        top, left, bottom, right = graphics._largest(free)
        assert free[top:bottom, left:right].all()
        area = max(
            (b - t) * (r - lft)
            for t in range(free.shape[0])
            for b in range(t, free.shape[0] + 1)
            for lft in range(free.shape[1])
            for r in range(lft, free.shape[1] + 1)
            if free[t:b, lft:r].all()
        )
        assert (bottom - top) * (right - left) == area


def test_targets_take_pixels_where_they_come_as_close(tiny: Model) -> None:
    picture = antialiased(200, 260)
    prepared = prepare(picture, tiny, keep=True)
    exact = len(pack(next(graphics.candidates(picture, 400)).container))
    for wanted in (Target("size", exact), Target("bpp", 8), Target("psnr", 90)):
        data = target.compress_to(prepared, wanted, choose=True)
        np.testing.assert_array_equal(decode.decode(data, None).picture, picture.levels)
        assert len(data) == exact
    small = target.compress_to(prepared, Target("size", exact - 1), choose=True)
    assert len(small) < exact
    plain = target.compress_to(prepared, Target("psnr", 12.0))
    assert len(target.compress_to(prepared, Target("psnr", 12.0), choose=True)) <= len(plain)
    data = target.compress_to(prepared, Target("psnr", 35.0), choose=True)  # which latents do not reach
    assert metrics.psnr(picture.levels, decode.decode(data, tiny).picture) >= 35
    assert len(data) <= exact


def test_colours_under_alpha_0_count_for_nothing(tiny: Model) -> None:
    alpha = np.full((130, 170), 255, np.uint8)
    alpha[:, :90] = 0
    levels = drawing(130, 170)
    levels[:, :90] = noise(3, 130, 90) // 128 * 255
    picture = Raster(levels, alpha=alpha)
    data = encode.compress(picture, tiny, 400, choose=True, verify=True)
    found = decode.decode(data, tiny).raster
    np.testing.assert_array_equal(found.alpha, alpha)
    assert len(data) < len(encode.compress_lossless(picture))


def test_no_effort_is_spent_on_latents_that_are_not_taken(tiny: Model) -> None:
    told: list[object] = []

    def listener(step: object) -> bool:
        told.append(step)
        return False

    picture = Raster(drawing(200, 260))
    data = encode.compress(picture, tiny, 400, effort=2, choose=True, listener=listener)
    assert not parse(data).needs_model
    assert told == []
    assert data == encode.compress(picture, tiny, 400, choose=True)
    encode.compress(picture, tiny, 400, effort=1, listener=listener)
    assert told


@pytest.mark.parametrize("shape", [(1, 2), (500, 1), (1, 700), (96, 128)])
def test_few_colours_are_kept_whatever_the_pattern(tiny: Model, shape: tuple[int, int]) -> None:
    levels = np.repeat(
        (noise(5, *shape)[:, :, :1] // 128 * 255), 3, axis=2
    )  # no neighbours are equal for long
    data = encode.compress(Raster(levels, grey=True), tiny, 400, choose=True)
    np.testing.assert_array_equal(decode.decode(data, None).picture, levels)


def test_smooth_steps_down_are_graphics_too(tiny: Model) -> None:
    levels = np.repeat(np.linspace(0, 255, 320).astype(np.uint8)[:, None, None], 320, axis=1).repeat(
        3, axis=2
    )
    levels = np.concatenate([levels, levels[::-1]])
    data = encode.compress(Raster(levels), tiny, 400, choose=True)
    np.testing.assert_array_equal(decode.decode(data, None).picture, levels)


def test_a_photograph_among_graphics_keeps_its_colours(tiny: Model) -> None:
    levels = drawing(448, 640)
    rough = np.clip(photo(256, 256).astype(int) + noise(7, 256, 256) % 9 - 4, 0, 255).astype(np.uint8)
    levels[64:320, 64:320] = rough
    for index in (0, 400, 800):
        data = encode.compress(Raster(levels), tiny, index, choose=True)
        seen = decode.decode(data, tiny).picture[64:320, 64:320]
        exact = np.array_equal(seen, rough)
        by_latents = len(np.unique(seen.reshape(-1, 3), axis=0)) > 256
        assert exact or by_latents


def test_targets_take_rectangles_of_graphics(tiny: Model) -> None:
    rough = np.clip(photo(448, 640).astype(int) + noise(7, 448, 640) % 9 - 4, 0, 255).astype(np.uint8)
    rough[64:320, 128:576] = drawing(256, 448)
    prepared = prepare(Raster(rough), tiny, keep=True)
    size = Target("size", len(encode.compress(Raster(rough), tiny, 400)))
    plain, chosen = (target.compress_to(prepared, size, choose=choose) for choose in (False, True))
    assert len(chosen) <= size.value
    assert pixels.rectangles(parse(chosen))
    seen = [metrics.psnr(rough, decode.decode(data, tiny).picture) for data in (plain, chosen)]
    assert seen[1] > seen[0] + 1


def test_any_distortion_can_be_had(tiny: Model) -> None:
    rough = noise(7, 200, 260)
    prepared = prepare(Raster(rough), tiny, keep=True)
    data = target.compress_to(prepared, Target("psnr", 90.0), choose=True)
    np.testing.assert_array_equal(decode.decode(data, None).picture, rough)
    with pytest.raises(TargetError):
        target.compress_to(prepared, Target("psnr", 90.0))


def test_a_photograph_that_latents_do_not_reach_is_as_short_as_a_lossless_file_and_that_is_said(
    tiny: Model,
) -> None:
    levels = photo(600, 500)  # more pixels than get the best settings where exactness is a choice
    prepared = prepare(levels, tiny, keep=True)
    notes: list[str] = []
    data = target.compress_to(prepared, Target("psnr", 90.0), choose=True, note=notes.append)
    assert len(data) == len(encode.compress_lossless(levels))
    assert notes == ["the model does not reach 90.00 dB at any quality: the picture is stored exactly"]
    notes.clear()
    target.compress_to(prepared, Target("psnr", 5.0), choose=True, note=notes.append)
    assert notes == []


def test_a_size_that_latents_do_not_keep_to_is_said_to_be_so(tiny: Model) -> None:
    levels = np.zeros((64, 64, 3), np.uint8)
    levels[::2] = (200, 30, 60)
    prepared = prepare(Raster(levels), tiny, keep=True)
    size = len(encode.compress_lossless(Raster(levels)))
    with pytest.raises(TargetError):
        target.compress_to(prepared, Target("size", size))
    notes: list[str] = []
    data = target.compress_to(prepared, Target("size", size), choose=True, note=notes.append)
    assert len(data) <= size
    assert notes == [f"the model does not keep to {size} bytes at any quality: the picture is stored exactly"]


def test_what_was_met_without_effort_is_not_lost_where_effort_misses_it(
    tiny: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare(Raster(photo(64, 96)), tiny, keep=True)
    size = Target("size", 600)
    plain = target.compress_to(prepared, size)
    best = target._Trials.best

    def without_effort(trials: target._Trials, first: int = FIRST_INDEX) -> Met[Encoding]:
        if trials.effort:
            raise TargetError("missed by a byte")
        return best(trials, first)

    monkeypatch.setattr(target._Trials, "best", without_effort)
    assert target.compress_to(prepared, size, effort=1) == plain


def test_targets_do_not_ask_for_colours_that_nobody_sees(tiny: Model) -> None:
    levels = drawing(64, 64)
    alpha = np.full((64, 64), 255, np.uint8)
    alpha[:20] = 0
    levels[:20] = noise(1, 20, 64)
    prepared = prepare(Raster(levels, alpha=alpha), tiny, keep=True)
    data = target.compress_to(prepared, Target("psnr", 90.0), choose=True)
    np.testing.assert_array_equal(decode.decode(data, None).picture[20:], levels[20:])
