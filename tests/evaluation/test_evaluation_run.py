import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rdae
from rdae import quality
from rdae.errors import ResultsError
from rdae.evaluation import tables
from rdae.evaluation.codecs import PILLOW_CODECS, Rdae
from rdae.evaluation.curves import read_curve
from rdae.evaluation.results import Evaluation, read
from rdae.evaluation.reuse import Known
from rdae.evaluation.run import Extent, collect_pictures, evaluate
from rdae.pictures import read_picture

FAKE = Path(__file__).parents[1] / "support" / "fake_model.py"
FakeModel = runpy.run_path(str(FAKE))["FakeModel"]
QUALITIES = (60.0, 20.0, 90.0)


def silent(_done: int, _total: int, _what: str) -> None:
    pass


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures with detail, one large enough for MS-SSIM."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, (height, width) in {"b.png": (40, 56), "a.png": (176, 168)}.items():
        rows, columns = np.mgrid[:height, :width]
        noise = np.random.default_rng(7).integers(0, 60, (height, width))
        channels = [rows * 190 // height + noise, columns * 190 // width, (rows * columns) // 9 % 256]
        Image.fromarray(np.stack(channels, axis=2).astype(np.uint8)).save(folder / name)
    return collect_pictures([folder])


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_folders_give_their_pictures_in_order_and_each_only_once(pictures: list[Path]) -> None:
    folder = pictures[0].parent
    (folder / "notes.txt").write_text("no picture")
    assert [path.name for path in pictures] == ["a.png", "b.png"]
    assert collect_pictures([folder / "b.png", folder]) == [folder / "b.png", folder / "a.png"]
    (folder / "empty").mkdir()
    with pytest.raises(ResultsError, match="no pictures"):
        collect_pictures([folder / "empty"])


def test_rates_count_the_bytes_on_the_disk_and_means_are_of_the_pictures(
    pictures: list[Path], work: Path
) -> None:
    result = evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent)
    assert result.qualities == (20.0, 60.0, 90.0)
    sizes = {path.name: path.stat().st_size for path in work.iterdir()}
    small = result.pictures[1]
    assert small.points[0].bpp == 8 * sizes["0001-q20.rdae"] / (40 * 56)
    means = result.means()
    assert means["bpp"][0] == np.mean([picture.points[0].bpp for picture in result.pictures])
    assert means["psnr-rgb"][2] == np.mean([picture.points[2].psnr for picture in result.pictures])
    # A mean over some of the pictures would be a number of something else.
    assert result.pictures[0].points[0].ms_ssim is not None
    assert means["ms-ssim-rgb"] == [None, None, None]


def test_the_account_adds_up(pictures: list[Path], work: Path) -> None:
    result = evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent)
    for picture in result.pictures:
        for point in picture.points:
            account = point.account
            assert account is not None
            assert account.overhead_bits % 8 == 0
            assert 8 * 10 <= account.overhead_bits <= 8 * 28
            payload_bits = 8 * point.file_bytes - account.overhead_bits
            assert account.estimated_bits == pytest.approx(0.998 * payload_bits)
            assert point.gap_percent is not None
            assert 0.1 < point.gap_percent < 0.21
            assert account.beta == quality.beta(quality.to_index(point.quality))
            assert point.loss == point.bpp + account.beta * point.mse


def test_the_result_file_reads_as_compressais_and_repeats_the_points(
    pictures: list[Path], work: Path, tmp_path: Path
) -> None:
    result = evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent)
    path = tmp_path / "results.json"
    path.write_text(result.to_json())
    content = json.loads(path.read_text())
    assert {"bpp", "psnr-rgb", "ms-ssim-rgb", "encoding_time", "decoding_time"} <= content["results"].keys()
    assert {len(column) for column in content["results"].values()} == {3}
    assert content["monotone"] == {"holds": True, "exceptions": []}
    assert content["meta"]["model"] == b"fake".hex()
    assert str(tmp_path) not in path.read_text()
    np.testing.assert_allclose(read_curve(path).psnr, result.curve().psnr, rtol=1e-8)
    first = content["pictures"][0]
    assert (first["name"], first["width"], first["height"]) == ("a.png", 168, 176)
    assert first["points"][0]["decoded"] == {
        "differing_pixels": 0,
        "max_difference": 0,
        "latents_equal": True,
    }


def test_a_picture_that_fails_is_noted_and_the_others_go_on(pictures: list[Path], work: Path) -> None:
    pictures[0].unlink()
    told: list[tuple[str, str]] = []

    def failed(what: str, line: str) -> None:
        told.append((what, line))

    result = evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent, failed=failed)
    assert [picture.name for picture in result.pictures] == ["b.png"]
    ((name, message),) = result.failures
    assert name == "a.png"
    assert message == "No such file or directory"
    assert told == [(str(pictures[0]), message)]
    pictures[1].write_bytes(b"")
    with pytest.raises(
        ResultsError, match=r"measured; the first failed so: a.png: No such file or directory$"
    ):
        evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent)
    with pytest.raises(ResultsError, match=r"^no picture could be measured$"):  # all else was told
        evaluate(Rdae(FakeModel()), pictures, QUALITIES, folder=work, progress=silent, failed=failed)
    assert told[1:] == [(str(pictures[0]), message), (str(pictures[1]), "the file is empty")]


def test_a_decoder_that_differs_from_its_encoder_is_reported(pictures: list[Path], work: Path) -> None:
    result = evaluate(Rdae(FakeModel(offset=9)), pictures, (50,), folder=work, progress=silent)
    for picture in result.pictures:
        decoded = picture.points[0].decoded
        assert decoded is not None
        assert decoded.differing_pixels > 0
        assert decoded.max_difference > 9
    assert any("0 of 2 pictures identical" in line for line in tables.checks(result))


@pytest.mark.parametrize("offset", [0, 200])
def test_a_fresh_process_decodes_all_files_and_tells_whether_they_agree(
    pictures: list[Path], work: Path, offset: int
) -> None:
    command = (sys.executable, str(FAKE), str(offset))
    result = evaluate(
        Rdae(FakeModel()), pictures, (30, 70), folder=work, progress=silent, fresh_command=command
    )
    found = [point.decoded_fresh for picture in result.pictures for point in picture.points]
    assert len(found) == 4
    assert all(agreement is not None and agreement.latents_equal for agreement in found)
    assert all(
        agreement is not None and (agreement.max_difference == 0) == (offset == 0) for agreement in found
    )


def test_a_fresh_process_that_dies_is_a_failure_but_keeps_the_measurements(
    pictures: list[Path], work: Path
) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no such model')")
    told: list[tuple[str, str]] = []
    result = evaluate(
        Rdae(FakeModel()),
        pictures,
        (30,),
        folder=work,
        progress=silent,
        fresh_command=command,
        failed=lambda what, line: told.append((what, line)),
    )
    assert len(result.pictures) == 2
    assert result.failures == (("fresh process", "decoding in a fresh process failed: no such model"),)
    assert tuple(told) == result.failures


def test_a_peer_is_measured_by_the_same_loop(pictures: list[Path], work: Path) -> None:
    calls: list[tuple[int, int]] = []
    jpeg = PILLOW_CODECS["jpeg"]
    result = evaluate(
        jpeg, pictures, (20, 60), folder=work, progress=lambda done, total, _what: calls.append((done, total))
    )
    assert result.name == "JPEG 4:4:4"
    assert "progressive True" in result.description
    assert calls == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]
    assert "estimated_bpp" not in result.means()
    assert result.pictures[0].points[0].gap_percent is None


def swapped(result: Evaluation) -> Evaluation:
    """The same evaluation with the first picture's PSNR falling once."""
    first = result.pictures[0]
    low, high = first.points
    points = (replace(low, psnr=high.psnr), replace(high, psnr=low.psnr))
    return replace(result, pictures=(replace(first, points=points), *result.pictures[1:]))


def test_a_psnr_that_falls_is_named_with_its_qualities(pictures: list[Path], work: Path) -> None:
    result = evaluate(PILLOW_CODECS["jpeg"], pictures, (20, 60), folder=work, progress=silent)
    assert result.pictures[0].falls() == []
    fallen = swapped(result)
    (line,) = fallen.pictures[0].falls()
    assert line.startswith("a.png: PSNR ")
    assert "at quality 20" in line
    assert json.loads(fallen.to_json())["monotone"]["holds"] is False
    assert "bpp and PSNR rise with quality on 1 of 2 pictures" in tables.checks(fallen)


def test_a_lossless_point_has_no_number_in_json_and_no_place_in_the_curve(
    pictures: list[Path], work: Path
) -> None:
    result = evaluate(PILLOW_CODECS["jpeg"], pictures[:1], (20, 60), folder=work, progress=silent)
    first = result.pictures[0]
    lossless = replace(first.points[1], psnr=float("inf"), mse=0.0)
    result = replace(result, pictures=(replace(first, points=(first.points[0], lossless)),))
    assert json.loads(result.to_json())["results"]["psnr-rgb"][1] is None
    assert len(result.curve().psnr) == 1


def test_pictures_are_stored_exactly_where_that_was_asked_for(pictures: list[Path], work: Path) -> None:
    codec = Rdae(FakeModel())

    def measured(extent: Extent) -> Evaluation:
        return evaluate(codec, pictures, [20, 80], folder=work, progress=silent, extent=extent)

    assert {picture.exact_bytes for picture in measured(Extent()).pictures} == {None}
    found = measured(Extent(exact=True))
    sizes = [picture.exact_bytes for picture in found.pictures]
    assert sizes == [len(rdae.compress(read_picture(path), lossless=True)) for path in pictures]
    rates = [picture.exact_bpp or 0 for picture in found.pictures]
    assert rates == [
        8 * (size or 0) / (p.width * p.height) for size, p in zip(sizes, found.pictures, strict=True)
    ]
    assert found.means()["exact_bpp"] == pytest.approx([sum(rates) / 2] * 2)
    (work / "found.json").write_text(found.to_json())
    again = read(work / "found.json")
    assert [picture.exact_bytes for picture in again.pictures] == sizes
    known = measured(Extent(known=Known(evaluation=again)))  # without it being asked for
    assert [picture.exact_bytes for picture in known.pictures] == sizes
