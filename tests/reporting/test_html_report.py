"""The page of `rdae report`, read without a browser: one file, true numbers, nothing from outside unescaped."""

import base64
import csv
import hashlib
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_kit
import tiny_model
from drawings import drawing
from PIL import Image
from rdae_command import rdae_command
from report_kit import Kit

from rdae import open_model
from rdae.errors import ResultsError
from rdae.evaluation.bdrate import bd_rate
from rdae.evaluation.five_measures import FIVE
from rdae.evaluation.results import read
from rdae.metrics import psnr
from rdae.reporting.page.embed import fit, lossless
from rdae.reporting.page.gather import gather


@pytest.fixture(scope="module")
def kit() -> Kit:
    return report_kit.kit()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return report_kit.report(tmp_path_factory.mktemp("report") / "a.html", "--match", "both", "-q", "70")


class Reader(HTMLParser):
    """Collects what a page refers to, its elements' names and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []
        self.handlers: list[str] = []
        self.downloads: dict[str, str] = {}
        self.text = ""
        self._raw = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        found = dict(attrs)
        self.links += [
            found[key] or "" for key in ("src", "href", "srcset", "action", "data") if key in found
        ]
        self.handlers += [key for key in found if key.startswith("on")]
        if "download" in found:
            self.downloads[found["download"] or ""] = found["href"] or ""
        self._raw = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._raw = self._raw and tag not in ("script", "style")

    def handle_data(self, data: str) -> None:
        self.text += "" if self._raw else data


def data_of(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def picture_of(uri: str) -> Any:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"))


def test_the_page_refers_to_nothing_outside_of_itself(page: str) -> None:
    found = Reader(page)
    assert [link for link in found.links if not link.startswith(("data:", "#"))] == []
    assert not {"iframe", "object", "embed", "form", "base"} & set(found.tags)
    assert found.tags.count("script") == 2
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")
    assert "url(" not in page.replace("url(#frame)", "")


def test_the_policy_allows_the_pages_own_script_and_nothing_else(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)
    assert policy
    assert script
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy[1]
    assert policy[1].startswith("default-src 'none'; img-src data:;")


def test_names_from_outside_are_text(page: str) -> None:
    found = Reader(page)
    assert "img" not in found.tags
    assert found.handlers == []
    assert [name for name, _, _ in data_of(page)["pictures"]] == list(report_kit.NAMES)


def test_the_verdict_is_the_bd_rate_of_the_files(kit: Kit, page: str) -> None:
    own = read(kit.results).curve()
    text = re.sub(r"\s+", " ", Reader(page).text)
    for path in kit.peers:
        peer = read(path).curve()
        rate = bd_rate(peer.bpp, peer.psnr, own.bpp, own.psnr).value
        assert f"{abs(rate):.1f} %" in text
        assert re.search(rf"{abs(rate):.1f} % (fewer|more)( bits)? than {re.escape(peer.name)}", text)
    assert "mean of 3 pictures" in text
    assert f"weights {open_model().model_id.hex()}" in text


def scored(path: Path, folder: Path, objective: str = "") -> Path:
    """A result file of one picture with a SSIMULACRA2 and the five measures for each point, rising with the rate."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content["pictures"] = content["pictures"][1:2]  # whose rates the codecs share most of
    if objective:
        content["meta"]["objective"] = objective
    for picture in content["pictures"]:
        for point in picture["points"]:
            point["ssimulacra2"] = 60 + 20 * math.log(point["bpp"]) + (5 if objective else 0)
            for key in FIVE:
                point[f"{key}-db"] = 20 + 3 * math.log2(point["bpp"]) + (3 if objective else 0)
    scored = folder / path.name
    scored.write_text(json.dumps(content), encoding="utf-8")
    return scored


@pytest.mark.parametrize("objective", ["ssimulacra2", "mse"])
def test_the_page_opens_with_what_the_model_was_trained_for(kit: Kit, tmp_path: Path, objective: str) -> None:
    files = [scored(kit.results, tmp_path, objective), *(scored(path, tmp_path) for path in kit.peers)]
    output = tmp_path / "a.html"
    done = rdae_command("report", *map(str, files), "-o", str(output), "--quiet")
    assert done.exit_code == 0, done.stderr
    page = output.read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", Reader(page).text)
    order = ["SSIMULACRA 2", "PSNR"] if objective == "ssimulacra2" else ["PSNR", "SSIMULACRA 2"]
    verdicts = re.findall(r"For the same ([^,]+), \S+ needs", text)
    assert verdicts == order
    assert re.findall(r"bits, by (PSNR|SSIMULACRA 2|MS-SSIM)", text) == [*order, "MS-SSIM"]
    assert f"BD-{order[0]}" in text
    assert ("trained for SSIMULACRA 2" in text) == (objective == "ssimulacra2")
    assert data_of(page)["metrics"][0]["label"].startswith(order[0])
    # 5 more at the same rate, where 20 are a factor of e; 3 dB more, which are an octave.
    found = gather(files)
    by_score = 100 * math.expm1(-5 / 20)
    for verdict in found.verdicts:
        assert verdict.rates["ssimulacra2"].value == pytest.approx(by_score, abs=0.5)
        assert verdict.mean_of_five == pytest.approx(-50, abs=0.5)
    assert text.count("−50.0 %") == len(kit.peers)
    assert "rdae eval PICTURES -q 10,40,70 --ssimulacra2 --perceptual -o own.json" in text
    if objective == "ssimulacra2":
        assert data_of(page)["saved"] == [[pytest.approx(by_score, abs=0.5)]] * len(kit.peers)


def test_a_curve_without_the_first_measure_still_has_bits_saved_by_the_others(
    kit: Kit, tmp_path: Path
) -> None:
    files = [scored(kit.results, tmp_path, "ssimulacra2"), kit.peers[0]]
    output = tmp_path / "a.html"
    assert rdae_command("report", *map(str, files), "-o", str(output), "--quiet").exit_code == 0
    text = re.sub(r"\s+", " ", Reader(output.read_text(encoding="utf-8")).text)
    assert "For the same PSNR" in text
    assert "For the same SSIMULACRA 2" not in text
    assert "has no SSIMULACRA 2" in text
    (verdict,) = gather(files).verdicts
    assert verdict.rate is None
    rate = f"{verdict.rates['psnr-rgb'].value:+.1f} %".replace("-", "−")
    assert f"has no SSIMULACRA 2{rate}" in text


def test_the_table_begins_where_least_is_saved(kit: Kit, page: str) -> None:
    data = data_of(page)
    saved = data["saved"][data["main"] - 1]
    ordered = [saved[i] for i in data["order"]]
    assert ordered == sorted(saved, reverse=True)
    assert len(set(saved)) == 3
    rates = [verdict.rate.value for verdict in gather([kit.results, *kit.peers]).verdicts if verdict.rate]
    assert data["main"] == 1 + rates.index(max(rates))
    assert len(rates) == 2


def test_pictures_are_those_that_the_codecs_decode_to(kit: Kit, page: str) -> None:
    shown = data_of(page)["shown"]
    assert {entry["name"] for entry in shown} == set(report_kit.NAMES)
    for entry in shown:
        original = np.asarray(Image.open(kit.folder / "pictures" / entry["name"]))
        assert np.array_equal(picture_of(entry["original"]), original)
        own = entry["versions"][0]
        again = open_model().encode(original, own["quality"])
        assert len(again.data) == own["bytes"]
        for version in entry["versions"]:
            decoded = picture_of(version["uri"])
            assert psnr(original, decoded) == pytest.approx(version["psnr"], abs=1e-3)
            if version["match"] == "bytes":
                assert version["bytes"] == pytest.approx(own["bytes"], rel=0.1)
            elif version["match"] == "psnr":
                reached = version["psnr"] == pytest.approx(own["psnr"], abs=0.5)
                assert reached or version["quality"] >= 99  # WebP's best, of half the colour
        assert [v["match"] for v in entry["versions"]] == ["", "bytes", "psnr", "bytes", "psnr"]


def test_maps_of_bits_sum_to_the_file(page: str) -> None:
    for entry in data_of(page)["shown"]:
        maps = entry["maps"]
        assert sum(maps["bits"].values()) == pytest.approx(8 * maps["bytes"])
        assert maps["bytes"] == entry["versions"][0]["bytes"]
        for key, total in (("y", maps["bits"]["y"]), ("z", maps["bits"]["z"])):
            plane = maps[key]
            levels = np.frombuffer(base64.b64decode(plane["data"]), np.uint8)
            assert levels.size == plane["width"] * plane["height"]
            assert levels.sum() / 255 * plane["most"] == pytest.approx(total, rel=0.02)
        assert sum(bits for _, bits in maps["channels"]) == pytest.approx(maps["bits"]["y"], rel=1e-3)
        assert len(maps["channel_maps"]) == min(48, len(maps["channels"]))


def test_the_data_can_be_downloaded_as_it_was(kit: Kit, page: str) -> None:
    downloads = Reader(page).downloads
    for path in (kit.results, *kit.peers):
        assert base64.b64decode(downloads[path.name].partition(",")[2]) == path.read_bytes()
    table = list(
        csv.DictReader(io.StringIO(base64.b64decode(downloads["points.csv"].partition(",")[2]).decode()))
    )
    assert len(table) == 3 * (3 + 4 + 4)
    assert {row["picture"] for row in table} == set(report_kit.NAMES)
    first = read(kit.results).pictures[0].points[0]
    assert float(table[0]["psnr-rgb"]) == pytest.approx(first.psnr)
    assert int(table[0]["bytes"]) == first.file_bytes


def test_the_page_keeps_to_its_size_by_cropping(kit: Kit, page: str, tmp_path: Path) -> None:
    least = len(report_kit.report(tmp_path / "a.html", pictures=False))
    limit = least + (len(page) - least) // 2
    small = report_kit.report(
        tmp_path / "a.html", "--match", "both", "-q", "70", "--max-mb", f"{limit / 1e6:.6f}"
    )
    assert len(small.encode()) <= limit
    assert "cut to where the codec differs most" in Reader(small).text
    for entry in data_of(small)["shown"]:
        x, y, width, height = entry["crop"]
        original = np.asarray(Image.open(kit.folder / "pictures" / entry["name"]))
        assert np.array_equal(picture_of(entry["original"]), original[y : y + height, x : x + width])
        assert all(picture_of(version["uri"]).shape == (height, width, 3) for version in entry["versions"])


def test_a_crop_is_where_the_codec_errs() -> None:
    original = np.full((256, 256, 3), 100, np.uint8)
    wrong = original.copy()
    wrong[112:240, 16:144] = np.random.default_rng(1).integers(0, 256, (128, 128, 3))
    whole = len(lossless(wrong)) * 4 // 3
    (uris,), (crop,) = fit([[original, wrong]], whole // 2)
    assert crop is not None
    assert sum(map(len, uris)) <= whole // 2
    assert 16 <= crop.x <= crop.x + crop.width <= 144
    assert 112 <= crop.y <= crop.y + crop.height <= 240
    with pytest.raises(ResultsError, match="do not fit"):
        fit([[original, wrong]], 100)


def test_files_are_brought_to_the_pictures_they_share(kit: Kit, tmp_path: Path) -> None:
    content = json.loads(kit.peers[0].read_text(encoding="utf-8"))
    del content["pictures"][1]
    fewer = tmp_path / "fewer.json"
    fewer.write_text(json.dumps(content), encoding="utf-8")
    found = gather([kit.results, fewer])
    assert found.pictures == (report_kit.NAMES[0], report_kit.NAMES[2])
    assert found.tested.evaluation is not None
    kept = read(kit.results).pictures
    mean = (kept[0].points[0].bpp + kept[2].points[0].bpp) / 2
    assert found.tested.means["bpp"][0] == pytest.approx(mean)
    assert any("1 more picture" in note for note in found.notes)

    content["pictures"] = content["pictures"][:1]
    content["pictures"][0]["sha256"] = "0" * 64
    fewer.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ResultsError, match="different pictures"):
        gather([kit.results, fewer])
    content["pictures"][0]["name"] = "other.png"
    fewer.write_text(json.dumps(content), encoding="utf-8")
    message = re.escape(f"{kit.results}, {fewer}: no picture is in all")
    with pytest.raises(ResultsError, match=message):
        gather([kit.results, fewer])


def test_results_of_ones_own_model_are_shown_with_the_weights_that_are_named(
    tiny_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(tiny_model.photo(32, 48)).save("a.png")
    line = ("eval", "a.png", "--model", str(tiny_path), "-q", "10,40,70", "-o", "own.json", "--quiet")
    assert rdae_command(*line).exit_code == 0
    report = ("report", "own.json", "-o", "a.html", "--pictures", "a.png", "--quiet")
    done = rdae_command(*report)
    assert done.exit_code == 1
    assert done.stderr.startswith("rdae: rdae tiny: needs model ")
    assert "--model FILE says" in done.stderr
    done = rdae_command(*report, "--model", "rdae-base")
    assert done.exit_code == 1
    assert done.stderr.startswith("rdae: rdae-base is model ")
    done = rdae_command(*report, "--model", str(tiny_path))
    assert (done.exit_code, done.stderr) == (0, "")
    assert "--model tiny.safetensors" in Path("a.html").read_text(encoding="utf-8")
    done = rdae_command("report", "own.json", "-o", "b.html", "--model", str(tiny_path))
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (
        2,
        "Error: --model is for pictures to look at: give --pictures too.",
    )


def test_a_published_curve_stands_beside_kodak_only(kit: Kit) -> None:
    found = gather([kit.results], ["vtm"])
    assert [codec.name for codec in found.codecs] == [found.tested.name]
    assert "24 Kodak pictures" in found.notes[0]
    kodak = gather([report_kit.ROOT / "weights" / "rdae-base.kodak.json"], ["vtm"])
    assert kodak.codecs[1].is_published
    assert kodak.verdicts[0].rate is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}", "expected results"),
        ("[1]", "expected an object"),
        ("not json", "not a JSON file"),
        ('{"results": {"bpp": [1, 2], "psnr-rgb": [30, 31]}}', "no points of single pictures"),
        ('{"results": {"bpp": [1], "psnr-rgb": [30]}, "pictures": [{"name": 3}]}', "no result file"),
    ],
)
def test_what_is_no_result_file_is_one_line(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "a.json").write_text(content)
    done = rdae_command("report", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.html"))
    assert done.exit_code == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "a.html").exists()


def test_wrong_pictures_are_refused_by_name(kit: Kit, tmp_path: Path) -> None:
    line = ["report", str(kit.results), "-o", str(tmp_path / "a.html"), "--quiet", "--pictures"]
    Image.new("RGB", (report_kit.SIDE, report_kit.SIDE)).save(tmp_path / "first.png")
    Image.new("RGB", (10, 10)).save(tmp_path / "other.png")
    for name, words in (("first.png", "not the picture that was measured"), ("other.png", "was measured")):
        done = rdae_command(*line, str(tmp_path / name))
        assert done.exit_code == 1
        assert f"{tmp_path / name}: " in done.stderr
        assert words in done.stderr
    done = rdae_command(*line, str(kit.folder / "pictures"), "--show", "worst,nothing.png")
    assert "nothing.png: no picture of this name" in done.stderr
    assert not (tmp_path / "a.html").exists()
    again = rdae_command("report", str(kit.results), "-o", str(kit.results), "--quiet", "-f")
    assert again.exit_code == 1
    assert "an input as well" in again.stderr
    assert read(kit.results).qualities == (10, 40, 70)


def test_a_file_without_a_finite_mean_is_one_line_that_names_it(kit: Kit, tmp_path: Path) -> None:
    content = json.loads(kit.results.read_text(encoding="utf-8"))
    for point in content["pictures"][0]["points"]:
        point |= {"mse-rgb": 0.0, "psnr-rgb": None, "psnr-y": None, "ms-ssim-rgb": 1.0}
    for point in content["pictures"][1]["points"]:
        point["ms-ssim-rgb"] = None
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    done = rdae_command("report", str(tmp_path / "a.json"), "-o", str(tmp_path / "a.html"), "--quiet")
    assert done.exit_code == 1
    assert "a.json: none of a report's measures has a finite mean" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_picture_that_is_stored_as_pixels_is_shown_as_lossless_and_without_maps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Image.fromarray(drawing(160, 200)).save("in/plot.png")
    done = rdae_command(
        "eval", "in", "-q", "80,90", "--effort", "0", "-o", "r.json", "--quiet", "--threads", "1"
    )
    assert done.exit_code == 0, done
    points = read(Path("r.json")).pictures[0].points
    assert [point.psnr for point in points] == [math.inf, math.inf]
    assert [point.gap_percent for point in points] == pytest.approx([0, 0], abs=1e-9)
    done = rdae_command("report", "r.json", "-o", "r.html", "--pictures", "in")
    assert done.exit_code == 0, done
    assert '"psnr":null' in Path("r.html").read_text()
