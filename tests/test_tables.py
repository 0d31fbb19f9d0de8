from rdae.evaluation.curves import published
from rdae.evaluation.results import Account, Agreement, Evaluation, PictureResult, Point
from rdae.evaluation.tables import checks, deltas, is_kodak, table


def point(quality: float, size: int, psnr: float) -> Point:
    account = Account(estimated_bits=8.0 * size - 160, overhead_bits=80, beta=0.01)
    same = Agreement(0, 0, latents_equal=True)
    return Point(quality, size, 768 * 512, 9.0, psnr, 0.97, 0.2, 0.1, account, same, same)


def kodak() -> Evaluation:
    points = point(20, 20_000, 30.0), point(60, 50_000, 34.0), point(90, 99_000, 39.0)
    names = [f"kodim{i:02d}.png" for i in range(1, 25)]
    pictures = tuple(PictureResult(name, 768, 512, points) for name in names)
    return Evaluation("rdae test", "made up", (20, 60, 90), pictures)


def test_published_curves_are_only_for_the_24_kodak_pictures() -> None:
    result = kodak()
    assert is_kodak(result)
    fewer = Evaluation("x", "", result.qualities, result.pictures[:-1])
    assert not is_kodak(fewer)
    other = PictureResult("kodim24.png", 384, 256, result.pictures[0].points)
    assert not is_kodak(Evaluation("x", "", result.qualities, (*result.pictures[:-1], other)))


def test_the_table_has_a_line_for_each_quality_and_columns_that_line_up() -> None:
    title, *lines = table(kodak())
    assert title == "rdae test: mean of 24 pictures"
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split()[:3] == ["20", "0.4069", "30.000"]


def test_the_checks_tell_the_worst_gap_and_that_all_agree() -> None:
    gap, decoded, fresh, rise = checks(kodak())
    assert "worst +0.050 % of 72 files" in gap
    assert decoded.endswith("72 of 72 pictures identical, largest difference 0 of 255")
    assert fresh.startswith("decoded in a fresh process: latents identical in 72 of 72 files")
    assert rise == "bpp and PSNR rise with quality on 24 of 24 pictures"


def test_a_delta_names_its_range_and_an_impossible_one_its_reason() -> None:
    vtm, bpg = published("vtm"), published("bpg444")
    (line,) = deltas(bpg, [vtm])
    assert line.startswith("BPG 4:4:4 (HEVC) against VTM 9.1 (VVC): BD-rate +21.99 %, BD-PSNR -")
    short = type(vtm)("short", vtm.bpp[:2], vtm.psnr[:2])
    (line,) = deltas(short, [vtm])
    assert "no BD-rate: a curve needs at least 3 points" in line
