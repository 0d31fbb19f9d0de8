"""rdae compare: what it writes and prints, and that bad input is one line and leaves nothing."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_model
from PIL import Image
from rdae_command import rdae_command

from rdae.evaluation.codecs import JXL_MODULE

PHOTO = tiny_model.photo(80, 120)


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "photo.png"
    Image.fromarray(PHOTO).save(path)
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_strip_and_its_numbers(photo: Path, tmp_path: Path) -> None:
    output = tmp_path / "strip.png"
    line = (
        "compare",
        str(photo),
        "--codecs",
        "jpeg420,webp",
        "--bytes",
        "1.5KB",
        "--threads",
        "1",
        "-e",
        "0",
    )
    done = rdae_command(*line, "--crop", "8,16,64,48", "--zoom", "2", "-o", str(output))
    assert done.exit_code == 0, done.stderr
    assert left_in(tmp_path) == ["strip.png"]
    with Image.open(output) as image:
        sheet = np.asarray(image.convert("RGB"))
    part = PHOTO[16:64, 8:72].repeat(2, 0).repeat(2, 1)
    windows = np.lib.stride_tricks.sliding_window_view(sheet[:, :200, 0], part.shape[:2])
    assert (windows == part[:, :, 0]).all(axis=(2, 3)).sum() == 1  # the original
    head, original, *rows = done.stdout.splitlines()
    assert head == "photo.png  120 x 80  crop 8,16,64,48"
    assert original.split()[:3] == ["original", f"{photo.stat().st_size:,}", "bytes"]
    assert [row.split("  ")[1] for row in rows] == ["rdae-visual", "JPEG 4:2:0", "WebP"]
    for row in rows:
        found = re.search(
            r" ([\d,]+) bytes +(\d\.\d{3}) bpp +SSIMULACRA2 -?\d+\.\d +PSNR \d+\.\d dB +quality", row
        )
        assert found
        size = int(found[1].replace(",", ""))
        assert float(found[2]) == pytest.approx(8 * size / (80 * 120), abs=0.001)
        assert size <= 1500 or "over the limit" in row
        assert size >= 1425 or "below the limit" in row
    assert str(output) in done.stderr
    again = rdae_command(*line, "-o", str(output))
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr == f"rdae: the output {output} is already there; --force replaces it\n"


def test_a_page_of_two_pictures_with_a_crop_for_each(photo: Path, tmp_path: Path) -> None:
    other = tmp_path / "<b>.png"
    Image.fromarray(PHOTO[::-1]).save(other)
    output = tmp_path / "flick.html"
    line = (
        "compare",
        str(photo),
        str(other),
        "--codecs",
        "jpeg",
        "--bpp",
        "1.5",
        "--tune",
        "psnr",
        "-e",
        "0",
    )
    done = rdae_command(*line, "--crop", "64,48", "--crop", "0,0,40,30", "-o", str(output), "--quiet")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    heads = [row for row in done.stdout.splitlines() if not row.startswith(" ")]
    assert re.fullmatch(r"photo\.png  120 x 80  crop \d+,\d+,64,48", heads[0])
    assert heads[1] == "<b>.png  120 x 80  crop 0,0,40,30"
    assert done.stdout.count("rdae-base") == 2
    page = output.read_text(encoding="utf-8")
    assert "<b>" not in page
    assert "&lt;b&gt;.png" in page


def test_jpeg_is_the_better_of_both_and_each_has_a_name_of_its_own(tmp_path: Path) -> None:
    with Image.open(Path(__file__).resolve().parents[2] / "data" / "example.png") as image:
        image.crop((60, 100, 220, 220)).save(tmp_path / "part.png")
    line = ("compare", str(tmp_path / "part.png"), "--codecs", "jpeg444,jpeg,jpeg420", "--bpp", "0.8")
    done = rdae_command(*line, "-e", "0", "-o", str(tmp_path / "out.png"))
    assert done.exit_code == 0, done.stderr
    rows = [re.split(r"\s{2,}", row.strip()) for row in done.stdout.splitlines()[1:]]
    shown = [row for row in rows if row[0].startswith("JPEG")]
    assert [row[0] for row in shown] == ["JPEG 4:4:4", "JPEG 4:2:0", "JPEG 4:2:0"]
    assert shown[1] == shown[2]


def test_an_equal_score_in_one_webp(tmp_path: Path) -> None:
    with Image.open(Path(__file__).resolve().parents[2] / "data" / "example.png") as image:
        image.crop((60, 100, 220, 220)).save(tmp_path / "part.png")
    output = tmp_path / "equal.webp"
    done = rdae_command(
        "compare", str(tmp_path / "part.png"), "--codecs", "jpeg", "--ssimulacra2", "70", "-o", str(output)
    )
    assert done.exit_code == 0, done.stderr
    assert "score" not in done.stdout  # no note
    scores = [float(score) for score in re.findall(r"SSIMULACRA2 (\S+)", done.stdout)]
    assert len(scores) == 2
    assert 70 <= min(scores) <= max(scores) <= 71
    with Image.open(output) as image:
        assert image.format == "WEBP"


WRONG_USE = [
    ([], "Give one of --bytes, --bpp and --ssimulacra2."),
    (["--bpp", "1", "--bytes", "9K"], "Give one of --bytes, --bpp and --ssimulacra2."),
    (["--bytes", "none"], "'none' is no size"),
    (["--bpp", "nan"], "not a number"),
    (["--bpp", "1", "--codecs", " , "], "--codecs names none"),
    (["--bpp", "1", "--crop", "1,2,3"], "expected x,y,width,height or width,height"),
    (["--bpp", "1", "--crop", "0,4"], "expected x,y,width,height or width,height"),
    (["--bpp", "1", "--crop", "-1,0,4,4"], "expected x,y,width,height or width,height"),
    (["--bpp", "1", "--crop", "4,4", "--crop", "5,5"], "--crop is given 2 times for 1 pictures"),
    (["--bpp", "1", "-o", "strip.jpg"], "strip.jpg, expected a name ending in .png, .webp or .html"),
]


@pytest.mark.parametrize(("options", "expected"), WRONG_USE)
def test_wrong_usage_is_refused(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = rdae_command("compare", str(photo), "-o", "strip.png", *options)
    assert done.exit_code == 2
    assert expected in " ".join(done.stderr.split())
    assert left_in(tmp_path) == []


BAD = [
    (["{photo}", "--bpp", "1", "--codecs", "gif"], "unknown peer 'gif', expected one of jpeg, "),
    (["{photo}", "--bytes", "3"], "{photo}: no codec gives a file of at most 3 bytes: "),
    (
        ["{photo}", "--bpp", "1", "--crop", "100,70,40,20"],
        "photo.png: a crop of 40 x 20 pixels at 100,70 is not inside",
    ),
    (["nothing.png", "--bpp", "1"], "nothing.png: "),
    (["text.png", "--bpp", "1"], "text.png: "),
    (["{photo}", "text.png", "--bpp", "1"], "text.png: "),
    (["{photo}", "--bpp", "1", "-o", "no/folder.png"], "no/folder.png: there is no folder no"),
    (["{photo}", "--bpp", "1", "-o", "{photo}", "--force"], "the output {photo} is an input as well"),
]


@pytest.mark.parametrize(("arguments", "expected"), BAD)
def test_bad_input_is_one_line_and_leaves_nothing(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    before = photo.read_bytes()
    words = [word.replace("{photo}", str(photo)) for word in arguments]
    output = [] if "-o" in words else ["-o", "strip.png"]
    codecs = [] if "--codecs" in words else ["--codecs", "jpeg"]
    done = rdae_command("compare", *words, *output, *codecs, "--quiet", "--threads", "1", "-e", "0")
    assert done.exit_code == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rdae: {expected.replace('{photo}', str(photo))}")
    assert left_in(tmp_path) == ["text.png"]
    assert photo.read_bytes() == before


def test_a_missing_plug_in_is_named_with_the_extra(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, JXL_MODULE, None)
    monkeypatch.setattr(Image, "SAVE", {key: value for key, value in Image.SAVE.items() if key != "JXL"})
    output = tmp_path / "strip.png"
    done = rdae_command("compare", str(photo), "--codecs", "jpeg,jxl", "--bpp", "1", "-o", str(output))
    assert done.exit_code == 1
    assert done.stderr == "rdae: peer jxl needs pillow-jxl-plugin: pip install 'rdae[peers]'\n"
    assert left_in(tmp_path) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that cannot be written to")
def test_a_folder_that_cannot_be_written_to_is_named(photo: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    output = closed / "strip.png"
    done = rdae_command("compare", str(photo), "--codecs", "jpeg", "--bpp", "1", "-o", str(output), "--quiet")
    assert done.exit_code == 1
    assert str(output) in done.stderr
    assert left_in(closed) == []
