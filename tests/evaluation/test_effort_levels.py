"""What levels of effort save and cost: measured together, told apart, written and read again."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rdae_command import rdae_command

from rdae.api import Model, open_model
from rdae.codec.refinement import steps as steps_of
from rdae.effort import MAX_EFFORT
from rdae.errors import PictureError, ResultsError
from rdae.evaluation.codecs import PILLOW_CODECS, Rdae, find_codecs, is_here
from rdae.evaluation.effort_levels import (
    CodecLevels,
    EffortLevels,
    Level,
    chosen_codecs,
    markdown,
    measure,
    read_effort_levels,
    table,
)
from rdae.objective import Objective
from rdae.quality import beta, to_index
from rdae.reporting import effort_levels as diagram

EXAMPLE = Path(__file__).resolve().parents[2] / "data" / "example.png"
QUALITIES = (80.0, 20.0, 50.0)

PLAIN = Level(0, 0, 0.1, 0.2, (0.2, 0.5, 1.0), (28.0, 32.0, 36.0))
HALF = Level(1, 1, 0.3, 0.2, (0.1, 0.25, 0.5), (28.0, 32.0, 36.0))
FAST = Level(6, None, 0.2, 0.01, (0.4, 1.0, 2.0), (28.0, 32.0, 36.0))
SLOW = Level(4, None, 2.0, 0.01, (0.3, 0.75, 1.5), (28.0, 32.0, 36.0))
MADE = EffortLevels(
    "0123abcd",
    2,
    20_000,
    1,
    "a machine",
    (
        CodecLevels("rdae-x", "rdae", "effort", (20.0, 50.0, 80.0), (PLAIN, HALF)),
        CodecLevels("AVIF 4:4:4", "AVIF", "speed", (10.0, 40.0, 70.0), (FAST, SLOW)),
    ),
)


def silent(_done: int, _total: int, _what: str) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    with Image.open(EXAMPLE) as image:
        for name, box in {"a.png": (200, 150, 296, 214), "b.png": (100, 60, 164, 140)}.items():
            image.convert("RGB").crop(box).save(folder / name)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def measured(pictures: list[Path]) -> EffortLevels:
    others = chosen_codecs(["webp"], {"webp": [6, 0]})
    model = open_model(tune="psnr", threads=1)
    return measure(Rdae(model), pictures, QUALITIES, 2, others=others, progress=silent)


def test_each_level_costs_more_seconds_and_less_of_what_it_looks_for(measured: EffortLevels) -> None:
    own = measured.codecs[0]
    assert [(level.setting, level.steps) for level in own.levels] == [(0, 0), (1, 1), (2, 6)]
    assert own.qualities == (20.0, 50.0, 80.0)
    seconds = [level.encoding_s for level in own.levels]
    assert seconds == sorted(set(seconds))
    assert own.ratio(own.levels[0]) == 1
    for place, quality in enumerate(own.qualities):
        costs = [
            level.bpp[place] + beta(to_index(quality)) * 255**2 / 10 ** (level.psnr[place] / 10)
            for level in own.levels
        ]
        assert costs == sorted(costs, reverse=True)
    rates = [level.against(measured.plain)[0] for level in own.levels]
    assert rates[0] == 0
    assert -30 < (rates[2] or 0) < (rates[1] or 0) < 0


def test_a_peers_settings_go_from_fast_to_slow_and_slow_ones_save_bits(measured: EffortLevels) -> None:
    webp = measured.codecs[1]
    assert (webp.title, webp.option) == ("WebP", "method")
    assert [level.setting for level in webp.levels] == [0, 6]
    assert webp.ratio(webp.levels[0]) == 1 != webp.ratio(webp.levels[1])
    assert (webp.levels[1].against(webp.levels[0])[0] or 0) < -1
    assert len(webp.levels[0].bpp) == len(webp.qualities) < len(PILLOW_CODECS["webp"].qualities)


def test_a_model_trained_to_be_looked_at_is_measured_by_what_is_seen(
    pictures: list[Path], tmp_path: Path
) -> None:
    loaded = replace(
        open_model(tune="psnr", threads=1).loaded, objective=Objective("ssimulacra2", (0.8, 0.3, 0.3))
    )
    others = chosen_codecs(["webp"], {"webp": [0]})
    found = measure(Rdae(Model(loaded)), pictures, QUALITIES, 1, others=others, progress=silent)
    own, webp = found.codecs
    assert all(len(level.ssimulacra2) == 3 for level in own.levels)
    assert len(webp.levels[0].ssimulacra2) == len(webp.qualities)
    rate, _ = own.levels[1].against(found.plain)
    assert rate is not None
    assert -30 < rate < 0
    by_psnr, _ = replace(own.levels[1], ssimulacra2=()).against(replace(found.plain, ssimulacra2=()))
    assert rate != by_psnr
    assert "BD-rate by SSIMULACRA2 against" in table(found)[0]
    path = tmp_path / "efforts.json"
    path.write_text(found.to_json())
    assert table(read_effort_levels(path)) == table(found)


def test_what_is_written_is_what_is_read(measured: EffortLevels, tmp_path: Path) -> None:
    path = tmp_path / "efforts.json"
    path.write_text(MADE.to_json())
    assert read_effort_levels(path) == MADE
    path.write_text(measured.to_json())
    assert table(read_effort_levels(path)) == table(measured)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(kind="rdae eval"),
        lambda content: content.update(ladders=[]),
        lambda content: content.update(pictures="two"),
        lambda content: content["ladders"][1].update(levels=[]),
        lambda content: content["ladders"][0]["levels"][0].update(encoding_s=0),
        lambda content: content["ladders"][0]["levels"][0].pop("psnr"),
        lambda content: content.update(ladders=7),
    ],
)
def test_a_file_that_holds_nothing_of_the_kind_is_an_error_naming_it(
    change: Callable[[dict[str, Any]], object], tmp_path: Path
) -> None:
    content = json.loads(MADE.to_json())
    change(content)
    path = tmp_path / "efforts.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=r"efforts\.json: ") as caught:
        read_effort_levels(path)
    assert "\n" not in str(caught.value)


def test_the_table_has_a_row_for_each_level_and_both_comparisons() -> None:
    lines = table(MADE)
    assert lines[0].endswith("2 pictures of together 0.02 megapixels, 1 thread")
    assert [" ".join(line.split()) for line in lines[3:]] == [
        "rdae-x, effort 0 0 0.100 1.00× 0 % 0 % 0.200",
        "rdae-x, effort 1 1 0.300 3.00× -50.00 % -50.00 % 0.200",
        "AVIF 4:4:4, speed 6 - 0.200 1.00× 0 % +100.00 % 0.010",
        "AVIF 4:4:4, speed 4 - 2.00 10.00× -25.00 % +50.00 % 0.010",
    ]
    assert len({len(line) for line in lines[2:]}) == 1
    rows = markdown(MADE)
    assert rows[3] == "| rdae-x, effort 1 | 1 | 0.300 | 3.00× | -50.00 % | -50.00 % | 0.200 |"
    assert len({line.count("|") for line in rows[:6]}) == 1


def test_the_page_says_how_many_steps_each_level_takes() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "effort.md").read_text(encoding="utf-8")
    steps = [steps_of(level) for level in range(MAX_EFFORT + 1)]
    assert f"| steps | {' | '.join(map(str, steps))} |" in text


def test_a_missing_bd_rate_is_a_dash_and_a_reason() -> None:
    short = replace(HALF, bpp=(0.1,), psnr=(28.0,))
    own, peer = MADE.codecs
    lines = table(replace(MADE, codecs=(replace(own, levels=(PLAIN, short)), peer)))
    assert " ".join(lines[4].split()) == "rdae-x, effort 1 1 0.300 3.00× - - 0.200"
    assert (
        lines[-1]
        == "rdae-x, effort 1: no BD-rate: a curve needs at least 3 points of bpp and PSNR, got 1 and 1"
    )


@pytest.mark.parametrize(
    "name", [codec.name for codec in PILLOW_CODECS.values() if codec.has_speed_option and is_here(codec)]
)
def test_a_peer_at_its_usual_setting_writes_its_usual_files(name: str, pictures: list[Path]) -> None:
    peer = PILLOW_CODECS[name]
    option, values = peer.speed_option
    picture = np.asarray(Image.open(pictures[0]))
    usual = int(peer.options[option])
    assert usual in values
    assert (
        peer.at_speed(usual).encode(picture, 50)
        == peer.encode(picture, 50)
        != peer.at_speed(values[0]).encode(picture, 50)
    )
    assert peer.at_speed(values[0]).identity != peer.at_speed(values[1]).identity
    with pytest.raises(ResultsError, match="unknown peer"):
        find_codecs(peer.at_speed(values[0]).arguments)


def test_settings_are_those_asked_for_or_all_from_the_fastest_on() -> None:
    (webp, methods), (avif, speeds) = chosen_codecs(["webp", "avif"], {"avif": [4, 8, 6]})
    assert (webp.name, methods) == ("webp", list(range(7)))
    assert (avif.name, speeds) == ("avif", [8, 6, 4])
    with pytest.raises(ResultsError, match="peer avif has no speed 11, expected 0 to 10"):
        chosen_codecs(["avif"], {"avif": [11]})
    with pytest.raises(
        ResultsError, match="peer jpeg has no setting of speed or effort, expected one of webp"
    ):
        chosen_codecs(["jpeg"], {})
    with pytest.raises(ResultsError, match="settings of webp, which is not among"):
        chosen_codecs(["avif"], {"webp": [1]})


def test_a_picture_that_fails_is_named_before_anything_is_measured(
    pictures: list[Path], tmp_path: Path
) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    told: list[str] = []
    with pytest.raises(PictureError, match=r"bad\.png: "):
        measure(
            Rdae(open_model()),
            [*pictures, bad],
            QUALITIES,
            1,
            progress=lambda *words: told.append(str(words)),
        )
    assert told == []
    done = rdae_command("efforts", str(bad), "--quiet")
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"rdae: {bad}: ")


def test_jpeg_xl_without_its_plug_in_is_a_line_that_says_what_to_install(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.init()
    monkeypatch.setattr(Image, "SAVE", {name: save for name, save in Image.SAVE.items() if name != "JXL"})
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    done = rdae_command("efforts", str(pictures[0]), "--against", "jpeg-xl")
    assert done.exit_code == 1
    assert done.stderr == "rdae: peer jxl needs pillow-jxl-plugin: pip install 'rdae[peers]'\n"


def test_the_command_prints_and_writes_what_was_measured(pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    output, figure = tmp_path / "new" / "efforts.json", tmp_path / "efforts.svg"
    options = ("--effort", "1", "--threads", "1", "-o", str(output), "--figure", str(figure))
    peer = ("--against", "webp", "--settings", "webp=0,4")
    done = rdae_command("efforts", str(pictures[0].parent), *options, *peer, "--markdown")
    assert done.exit_code == 0, done.stderr
    assert f"{open_model().name}: done" in done.stderr
    found = read_effort_levels(output)
    assert done.stdout.splitlines() == markdown(found)
    assert [len(codec.levels) for codec in found.codecs] == [2, 2]
    assert b"<svg" in figure.read_bytes()
    again = tmp_path / "again.svg"
    assert rdae_command("plot", str(output), "-o", str(again)).exit_code == 0
    assert again.read_bytes() == diagram.draw(found, file_format="svg")
    refused = rdae_command("efforts", str(pictures[0]), *options)
    assert refused.exit_code == 1
    assert "is already there; --force replaces it" in refused.stderr


@pytest.mark.parametrize("option", ["-o", "--figure"])
def test_no_output_replaces_a_picture(option: str, pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    link = tmp_path / "link.png"
    link.symlink_to(pictures[0])
    before = pictures[0].read_bytes()
    done = rdae_command("efforts", str(pictures[0]), option, str(link), "--force")
    assert done.exit_code == 1
    assert done.stderr == f"rdae: the output {link} is an input as well, which is never overwritten\n"
    assert pictures[0].read_bytes() == before


def test_measurements_and_figure_go_to_two_files(pictures: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    same = str(tmp_path / "same.svg")
    assert rdae_command("efforts", str(pictures[0]), "-o", same, "--figure", same).exit_code == 2


@pytest.mark.parametrize(
    "options",
    [("--settings", "avif"), ("--settings", "avif=fast"), ("--figure", "f.gif"), ("--effort", "10")],
)
def test_wrong_usage_is_status_2(options: tuple[str, str], pictures: list[Path]) -> None:
    assert rdae_command("efforts", str(pictures[0]), *options).exit_code == 2


def test_the_figure_compares_all_codecs_with_one_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    with Image.open(io.BytesIO(diagram.draw(MADE, file_format="png"))) as image:
        assert image.size == (900, 540)
    drawn: list[Any] = []
    monkeypatch.setattr(diagram, "to_bytes", lambda figure, _format: drawn.append(figure))
    diagram.draw(MADE, file_format="png")
    axes = drawn[0].axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel() == "bits saved against rdae-x, effort 0, %, by PSNR"
    curves = {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in axes.lines
        if not line.get_label().startswith("_")
    }
    assert curves == {
        "rdae-x, effort": ([0.1, 0.3], [0, pytest.approx(50)]),
        # Twice the bits, and half as many more: not 0, as each codec against itself would begin with.
        "AVIF 4:4:4, speed": ([0.2, 2.0], [pytest.approx(-100), pytest.approx(-50)]),
    }
    assert [text.get_text() for text in axes.texts] == ["0", "1", "6", "4"]
    flat = replace(PLAIN, psnr=(30.0, 30.0, 30.0))
    with pytest.raises(ResultsError, match="nothing to draw"):
        diagram.draw(replace(MADE, codecs=(replace(MADE.codecs[0], levels=(flat,)),)), file_format="png")
