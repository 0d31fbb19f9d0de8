"""rdae compress and decompress with a model that needs no weights: what goes where, what errors look like."""

import io
import json
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, PngImagePlugin
from rdae_command import Result, rdae_command
from sample_profiles import gamma_profile

import rdae
from rdae import quality as quality_scale
from rdae.cli import main as cli_main
from rdae.cli.compress import KINDS
from rdae.clock import Clock
from rdae.codec.container import Container, Header, Section, SectionType, pack, parse
from rdae.networks import registry
from rdae.networks.registry import Installed
from rdae.pictures.bands import Bands
from rdae.pictures.raster import METADATA, Raster
from rdae.targets import Target

MODEL = b"fake"


class FakeModel:
    """Keeps the picture as a PNG in the place of latents."""

    name = "fake"
    model_id = MODEL

    verified: ClassVar[list[bool]] = []  # what the commands asked for

    wanted: ClassVar[list[Any]] = []
    transparency: ClassVar[list[tuple[int, str | None]]] = []

    def compress(
        self,
        image: Raster | npt.NDArray[np.uint8],
        quality: float,
        *,
        verify: bool = False,
        target: Any = None,
        alpha_quality: int = 100,
        background: str | None = None,
        effort: int = 1,
        exact: bool = True,
        listener: Any = None,
        clock: Clock | None = None,
        note: Any = None,
    ) -> bytes:
        assert (effort, listener) == (1, None)
        assert note is None or callable(note)
        self.wanted.append(target)
        self.transparency.append((alpha_quality, background))
        assert exact
        self.verified.append(verify)
        assert clock is None or "read" in clock.seconds
        buffer = io.BytesIO()
        levels = image.levels if isinstance(image, Raster) else image
        Image.fromarray(levels).save(buffer, "PNG")
        header = Header(levels.shape[1], levels.shape[0], MODEL, quality_scale.to_index(quality))
        return pack(Container(header, (Section(SectionType.LATENTS, buffer.getvalue()),), 0))

    asked: ClassVar[list[bool]] = []
    regions: ClassVar[list[Any]] = []

    def unfold(self, container: Container, *, exact: bool, region: Any, scale: int, clock: Clock) -> Bands:
        self.asked.append(exact)
        self.regions.append((region, scale))
        assert "read" in clock.seconds
        if container.header.model != MODEL:
            raise rdae.WeightsError(f"written with model {container.header.model.hex()}")
        rows = np.asarray(Image.open(io.BytesIO(container.payloads(SectionType.LATENTS)[0])))
        return Bands(rows.shape[1], rows.shape[0], "RGB", {}, iter([rows]))


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Path | None]:
    """The weights that commands asked for; commands run in tmp_path, which holds a.png, b.png and c.rdae."""
    asked: list[Path | None] = []

    def open_model(path: Path | None = None, **_options: object) -> FakeModel:
        asked.append(path)
        if path is not None and path.name == "missing":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        if path is not None and path.name == "bad":
            raise rdae.WeightsError("not a weights file")
        if path is not None and path.name == "named":
            raise rdae.WeightsError(f"{path}: not a weights file")
        return FakeModel()

    monkeypatch.setitem(rdae.__dict__, "open_model", open_model)
    sha256 = MODEL.hex() + "0" * 56
    monkeypatch.setattr(
        registry, "installed", lambda: [Installed("fake", Path("fake.safetensors"), sha256, 3)]
    )
    monkeypatch.chdir(tmp_path)
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    Image.fromarray(picture).save("a.png")
    Image.fromarray(255 - picture).save("b.png")
    Path("c.rdae").write_bytes(FakeModel().compress(picture, 12.5))
    return asked


def assert_one_line_error(result: Result, *words: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("rdae: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_outputs_go_beside_the_inputs() -> None:
    Path("deep/er").mkdir(parents=True)
    Path("a.png").rename("deep/er/a.v2.png")
    result = rdae_command("compress", "deep/er/a.v2.png", "b.png")
    assert result.exit_code == 0
    assert result.stdout == ""
    size = Path("b.rdae").stat().st_size
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{Path('deep/er/a.v2.png')} -> {Path('deep/er/a.v2.rdae')}  ")
    assert lines[1] == f"b.png -> b.rdae  {size} bytes  {8 * size / 35:.3f} bpp"
    Path("b.png").unlink()
    assert rdae_command("decompress", "b.rdae").stderr == "b.rdae -> b.png  7 x 5\n"
    assert np.asarray(Image.open("b.png"))[0, 0].tolist() == [255, 254, 253]


def test_the_output_can_be_named() -> None:
    Path("new").mkdir()
    assert rdae_command("compress", "a.png", "-o", "new/x.bin", "-q", "0").exit_code == 0
    assert parse(Path("new/x.bin").read_bytes()).header.quality_index == 0
    assert rdae_command("decompress", "new/x.bin", "-o", "new/x.bmp").exit_code == 0
    with Image.open("new/x.bmp") as image:
        assert image.format == "BMP"


def test_outputs_can_go_to_a_folder() -> None:
    assert rdae_command("compress", "a.png", "b.png", "-d", "out/put").exit_code == 0
    assert sorted(path.name for path in Path("out/put").iterdir()) == ["a.rdae", "b.rdae"]


def test_the_default_quality_is_50() -> None:
    rdae_command("compress", "a.png")
    assert parse(Path("a.rdae").read_bytes()).header.quality_index == 400


def test_quiet_prints_nothing_but_errors() -> None:
    Image.new("RGBA", (3, 3)).save("alpha.png")
    result = rdae_command("compress", "--quiet", "alpha.png", "a.png")
    assert result == Result(0, "", "")
    assert_one_line_error(rdae_command("compress", "--quiet", "a.png"), "a.png", "already there")


def test_what_cannot_be_kept_is_noted() -> None:
    Image.new("I;16", (3, 3)).save("deep.png")
    result = rdae_command("compress", "deep.png")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "rdae: deep.png: 16 bits rounded to 8"


def test_the_model_is_opened_once_for_all_files(opened: list[Path | None]) -> None:
    rdae_command("compress", "a.png", "b.png", "--model", "some/weights")
    assert opened == [Path("some/weights")]


def test_an_existing_output_needs_force(opened: list[Path | None]) -> None:
    Path("a.rdae").write_bytes(b"precious")
    assert_one_line_error(rdae_command("compress", "a.png"), "a.png", "--force")
    assert_one_line_error(rdae_command("decompress", "c.rdae", "-o", "a.png"), "c.rdae", "--force")
    assert Path("a.rdae").read_bytes() == b"precious"
    assert opened == []  # no work before the answer
    assert rdae_command("compress", "-f", "a.png").exit_code == 0
    assert rdae_command("decompress", "a.rdae", "--force", "-o", "a.png").exit_code == 0


def test_a_missing_file_is_one_line() -> None:
    for command in ("compress", "decompress", "info"):
        result = rdae_command(command, "none.xyz")
        assert_one_line_error(result)
        assert result.stderr == "rdae: none.xyz: No such file or directory\n"


def test_what_is_no_picture_is_one_line(opened: list[Path | None]) -> None:
    Path("empty.png").touch()
    assert_one_line_error(rdae_command("compress", "empty.png"), "empty.png", "empty")
    assert_one_line_error(rdae_command("compress", "c.rdae", "-o", "x"), "c.rdae", "already an .rdae file")
    assert_one_line_error(rdae_command("compress", "."), "Is a directory")
    assert opened == []


def test_what_is_no_rdae_file_is_one_line(opened: list[Path | None]) -> None:
    for command in ("decompress", "info"):
        assert_one_line_error(rdae_command(command, "a.png"), "a.png", "not an .rdae file")
    assert opened == []


def test_a_file_cut_at_every_tenth_byte_is_one_line() -> None:
    data = Path("c.rdae").read_bytes()
    for length in range(0, len(data), 10):
        Path("cut.rdae").write_bytes(data[:length])
        for command in ("decompress", "info"):
            assert_one_line_error(rdae_command(command, "cut.rdae"), "cut.rdae")
    assert not Path("cut.png").exists()


def test_an_unknown_model_is_one_line() -> None:
    header = Header(1, 1, b"\0\1\2\3", 0)
    Path("x.rdae").write_bytes(pack(Container(header, (Section(SectionType.LATENTS, b"x"),))))
    assert_one_line_error(rdae_command("decompress", "x.rdae"), "x.rdae", "00010203")


def test_weights_that_cannot_be_had_end_the_command() -> None:
    for name, words in (
        ("missing", "No such file"),
        ("bad", "not a weights file"),
        ("named", "not a weights file"),
    ):
        result = rdae_command("compress", "a.png", "b.png", "--model", name)
        assert_one_line_error(result, f"rdae: {name}: {words}")
        assert result.stderr.count(name) == 1


def test_an_unknown_suffix_is_one_line(opened: list[Path | None]) -> None:
    assert_one_line_error(rdae_command("decompress", "c.rdae", "-o", "c.xyz"), "c.rdae", ".xyz")
    assert opened == []


def test_an_unwritable_output_is_named() -> None:
    result = rdae_command("compress", "a.png", "-o", str(Path("b.png/x.rdae")))
    assert_one_line_error(result, "rdae: a.png: ", "b.png")


def test_good_files_are_done_although_others_fail() -> None:
    result = rdae_command("compress", "none.png", "a.png", "c.rdae", "b.png")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["rdae:", "a.png", "rdae:", "b.png", "4"]
    assert lines[-1].startswith("4 files, 2 failed, 0 skipped, ")
    assert Path("a.rdae").exists()
    assert Path("b.rdae").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compress",),
        ("compress", "a.png", "b.png", "-o", "x.rdae"),
        ("compress", "a.png", "-o", "x.rdae", "-d", "."),
        ("compress", "a.png", "-q", "101"),
        ("compress", "a.png", "-q", "nan"),
        ("compress", "a.png", "--size", "9" * 400),
        ("compress", "a.png", "--threads", "9" * 20),
        ("compress", "a.png", "--threads", "257"),
        ("compress", "-r", "--rm", ""),
        ("compress", "a.png", "-d", ""),
        ("compress", "a.png", "-o", ""),
        ("decompress", "c.rdae", "--region", f"0,0,{'9' * 5000},1"),
        ("decompress", "c.rdae", "--quality", "3"),
        ("info",),
        ("nonsense",),
    ],
)
def test_wrong_usage_is_exit_status_2(arguments: tuple[str, ...]) -> None:
    result = rdae_command(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [(KeyboardInterrupt(), 130, "\n"), (rdae.TrainingError("no data"), 1, "rdae: no data\n")],
)
def test_errors_of_any_command_end_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, line: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(FakeModel, "compress", fail)
    if isinstance(error, rdae.RdaeError):
        # compress itself reports what concerns a file; the group reports what other commands let through.
        command = click.Command("fails", callback=fail)
        monkeypatch.setattr(cli_main.LazyGroup, "get_command", lambda *_: command)
    result = rdae_command("compress", *([] if isinstance(error, rdae.RdaeError) else ["a.png"]))
    assert (result.exit_code, result.stderr) == (status, line)
    assert not Path("a.rdae").exists()


def test_what_was_encoded_is_verified_unless_told_otherwise() -> None:
    FakeModel.verified.clear()
    for options in ([], ["--no-verify"], ["--verify"]):
        assert rdae_command("compress", "a.png", "-f", *options).exit_code == 0
    assert FakeModel.verified == [True, False, True]


def test_exactness_and_limits_reach_the_decoder() -> None:
    FakeModel.asked.clear()
    FakeModel.regions.clear()
    assert rdae_command("decompress", "c.rdae", "-f", "--region", "1, 2,3,4").exit_code == 0
    assert rdae_command("decompress", "c.rdae", "-f", "--scale", "1/8").exit_code == 0
    assert rdae_command("decompress", "c.rdae", "-f", "--scale", "1/3").exit_code == 2
    assert FakeModel.regions == [((1, 2, 3, 4), 1), (None, 8)]
    FakeModel.asked.clear()
    for options in ([], ["--exact"], ["--max-pixels", "5000"]):
        assert rdae_command("decompress", "c.rdae", "-f", *options).exit_code == 0
    assert FakeModel.asked == [False, True, False]
    result = rdae_command("decompress", "c.rdae", "-f", "--max-pixels", "4095")
    assert result.exit_code == 1
    assert "more than the 4095 allowed" in result.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], None),
        (["--bpp", "0.25"], Target("bpp", 0.25)),
        (["--size", "40KB"], Target("size", 40000)),
        (["--size", "1.5 MiB"], Target("size", 1.5 * 2**20)),
        (["--size", "900"], Target("size", 900)),
        (["--size", "40K"], Target("size", 40000)),
        (["--size", "40k"], Target("size", 40000)),
        (["--size", "40 KiB"], Target("size", 40 * 2**10)),
        (["--size", "40Ki"], Target("size", 40 * 2**10)),
        (["--size", "2M"], Target("size", 2e6)),
        (["--size", "1GB"], Target("size", 1e9)),
        (["--size", ".5g"], Target("size", 5e8)),
        (["--size", "1GiB"], Target("size", 2**30)),
        (["--psnr", "36"], Target("psnr", 36)),
        (["--ms-ssim", "0.98"], Target("ms-ssim", 0.98)),
        (["--ssimulacra2", "80"], Target("ssimulacra2", 80)),
    ],
)
def test_targets_reach_the_encoder(options: list[str], expected: Target | None) -> None:
    FakeModel.wanted.clear()
    assert rdae_command("compress", "a.png", "-f", *options).exit_code == 0
    assert FakeModel.wanted == [expected]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--bpp", "1", "--size", "3KB"], "Give only one of --quality, --bpp"),
        (["-q", "50", "--psnr", "36"], "Give only one of --quality, --bpp"),
        (["--size", "KB"], "no size such as"),
        (["--size", "3PB"], "no size such as"),
        (["--size", "0"], "no size such as"),
        (["--size", "40ib"], "no size such as"),
        (["--size", "40 K B"], "no size such as"),
        (["--size", "-4K"], "no size such as"),
        (["--size", "٤K"], "no size such as"),
        (["--bpp", "0"], "not in the range"),
        (["--ms-ssim", "1"], "not in the range"),
        (["--ms-ssim", "nan"], "not a number"),
        (["--bpp", "nan"], "not a number"),
        (["--psnr", "nan"], "not a number"),
        (["--ssimulacra2", "100"], "not in the range"),
        (["--ssimulacra2", "80", "--psnr", "36"], "Give only one of --quality, --bpp"),
    ],
)
def test_targets_that_make_no_sense_are_wrong_usage(options: list[str], words: str) -> None:
    result = rdae_command("compress", "a.png", *options)
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "-1,0,1,1", "1.5,0,1,1", ""])
def test_a_region_is_four_numbers(region: str) -> None:
    result = rdae_command("decompress", "c.rdae", "-f", "--region", region)
    assert result.exit_code == 2
    assert "expected four whole numbers" in result.stderr


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ([], {"icc", "exif", "xmp"}),
        (["--strip"], set()),
        (["--strip", "-v"], set()),
        (["--strip", "exif,xmp"], {"icc"}),
        (["--strip=exif"], {"icc", "xmp"}),
        (["--strip", "ICC", "--strip", "xmp"], {"exif"}),
        (["--strip", "icc,exif,xmp"], set()),
        (["--strip", "--strip", "exif"], set()),
    ],
)
@pytest.mark.parametrize("first", [True, False], ids=["before the file", "behind it"])
def test_strip_leaves_out_the_kinds_that_it_names_or_all(
    monkeypatch: pytest.MonkeyPatch, options: list[str], kept: set[str], first: bool
) -> None:
    tagged()
    rasters = seen(monkeypatch)
    files = ["tagged.png"]
    result = rdae_command("compress", *(options + files if first else files + options))
    assert result.exit_code == 0, result.stderr
    (raster,) = rasters
    assert {kind for kind in METADATA if getattr(raster, kind)} == kept


def test_strip_takes_no_file_for_a_kind() -> None:
    tagged()
    Path("exif").write_bytes(Path("tagged.png").read_bytes())
    assert rdae_command("compress", "--strip", "tagged.png", "a.png").exit_code == 0
    assert rdae_command("compress", "--strip", "./exif").exit_code == 0
    assert rdae_command("compress", "--strip", "--", "exif", "-f").exit_code == 1  # -f is a file here
    assert Path("exif.rdae").exists()
    assert rdae_command("compress", "--strip=xmp", "xmp").stderr.startswith("rdae: xmp: No such file")
    result = rdae_command("compress", "--strip=exf", "a.png")
    assert (result.exit_code, "'exf', expected one or more of icc,exif,xmp" in result.stderr) == (2, True)
    assert set(KINDS) == METADATA


def test_strip_with_an_unknown_kind_among_others_is_wrong_usage() -> None:
    tagged()
    result = rdae_command("compress", "--strip", "exif,foo", "tagged.png")
    assert (result.exit_code, "'foo', expected one or more of" in result.stderr) == (2, True)
    assert not Path("tagged.rdae").exists()
    result = rdae_command("compress", "--strip", "exfi", "tagged.png", "-o", "small.rdae")
    assert (result.exit_code, "'exfi', expected one or more of" in result.stderr) == (2, True)
    assert rdae_command("compress", "--strip", "exif.png").stderr.startswith("rdae: exif.png: No such file")
    Path("exif,foo").write_bytes(Path("tagged.png").read_bytes())
    assert rdae_command("compress", "--strip", "exif,foo").exit_code == 0


def test_the_best_quality_within_a_size_that_it_does_not_fill_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = FakeModel.compress

    def best(self: FakeModel, image: Raster, _quality: float, **options: Any) -> bytes:
        return plain(self, image, 100, **options)

    monkeypatch.setattr(FakeModel, "compress", best)
    for options in (["--size", "1GB"], ["--bpp", "5000"]):
        result = rdae_command("compress", "a.png", "-f", *options)
        assert result.exit_code == 0
        assert result.stderr.endswith(" bpp  quality 100, the best, takes no more\n")
    size = Path("a.rdae").stat().st_size
    for options in (["--size", str(size)], ["--psnr", "20"], []):
        assert "the best" not in rdae_command("compress", "a.png", "-f", *options).stderr


@pytest.mark.parametrize("name", ["x.jpg", "x.webp"])
def test_a_quality_reaches_a_lossy_output(name: str) -> None:
    sizes = []
    for quality in ("5", "100"):
        assert rdae_command("decompress", "c.rdae", "-o", name, "-f", "--quality", quality).exit_code == 0
        sizes.append(Path(name).stat().st_size)
    assert sizes[0] < sizes[1]
    suffix = Path(name).suffix[1:]
    assert rdae_command("decompress", "c.rdae", "-q", "5", "--format", suffix, "-d", "out").exit_code == 0
    assert Path("out", f"c.{suffix}").stat().st_size == sizes[0]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("-q", "50"), 2),
        (("-q", "50", "--format", "png"), 2),
        (("-q", "50", "-d", "."), 2),
        (("-q", "0", "-o", "x.jpg"), 2),
        (("-q", "101", "-o", "x.jpg"), 2),
        (("-q", "50", "-o", "x.png"), 1),
        (("-q", "50", "-o", "x.tif"), 1),
    ],
)
def test_a_quality_of_a_lossless_output_is_refused(arguments: tuple[str, ...], status: int) -> None:
    result = rdae_command("decompress", "c.rdae", *arguments)
    assert result.exit_code == status
    assert "has no quality" in result.stderr or "range 1<=x<=100" in result.stderr
    assert [each.name for each in Path().iterdir() if each.name[0] in "cx"] == ["c.rdae"]


def test_info_tells_of_several_files_and_goes_on_past_those_that_are_none() -> None:
    Path("deep").mkdir()
    Path("deep/d.rdae").write_bytes(Path("c.rdae").read_bytes())
    alone = rdae_command("info", "c.rdae")
    both = rdae_command("info", "c.rdae", "none.rdae", "a.png", "deep/d.rdae")
    assert both.exit_code == 1
    assert both.stdout == f"{alone.stdout}\n{alone.stdout}".replace("c.rdae", "deep/d.rdae").replace(
        "deep/d.rdae", "c.rdae", 1
    )
    lines = both.stderr.splitlines()
    assert lines[0] == "rdae: none.rdae: No such file or directory"
    assert lines[1].startswith("rdae: a.png: not an .rdae file")
    for arguments in (["deep", "-r"], ["dee*/*.rdae"]):
        told = rdae_command("info", "c.rdae", *arguments, "--json")
        assert [json.loads(line)["file"] for line in told.stdout.splitlines()] == ["c.rdae", "deep/d.rdae"]
        assert (told.exit_code, told.stderr) == (0, "")
    told = rdae_command("info", "none.rdae", "c.rdae", "--json")
    assert json.loads(told.stdout.splitlines()[0]) == {
        "file": "none.rdae",
        "error": "No such file or directory",
    }
    assert (told.exit_code, len(told.stdout.splitlines())) == (1, 2)


def tagged() -> None:
    """Write tagged.png, which has all kinds of metadata."""
    exif = Image.Exif()
    exif[315] = "somebody"
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    Image.new("RGB", (5, 4)).save("tagged.png", exif=exif, icc_profile=gamma_profile(1.8), pnginfo=xmp)


def seen(monkeypatch: pytest.MonkeyPatch) -> list[Raster]:
    """The rasters that the model is given from now on."""
    rasters: list[Raster] = []
    plain = FakeModel.compress

    def compress(self: FakeModel, image: Raster, *rest: Any, **options: Any) -> bytes:
        rasters.append(image)
        return plain(self, image, *rest, **options)

    monkeypatch.setattr(FakeModel, "compress", compress)
    return rasters


def test_metadata_is_kept_unless_stripped(monkeypatch: pytest.MonkeyPatch) -> None:
    tagged()
    rasters = seen(monkeypatch)
    for options in ([], ["--strip"]):
        assert rdae_command("compress", "tagged.png", "-f", *options).exit_code == 0
    assert [b"somebody" in (raster.exif or b"") for raster in rasters] == [True, False]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], (100, None)),
        (["--alpha-quality", "40"], (40, None)),
        (["--no-alpha"], (100, "white")),
        (["--no-alpha", "--background", "#fc0"], (100, "#fc0")),
    ],
)
def test_what_is_asked_of_transparency_reaches_the_model(
    options: list[str], wanted: tuple[int, str | None]
) -> None:
    assert rdae_command("compress", "a.png", *options).exit_code == 0
    assert FakeModel.transparency[-1] == wanted


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--background", "white"], "--background is for --no-alpha"),
        (["--no-alpha", "--background", "whyte"], "'whyte' is no colour"),
        (["--no-alpha", "--background", "#11223344"], "'#11223344' is no colour"),
        (["--alpha-quality", "101"], "0<=x<=100"),
    ],
)
def test_what_makes_no_sense_of_transparency_is_wrong_usage(options: list[str], words: str) -> None:
    result = rdae_command("compress", "a.png", *options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not Path("a.rdae").exists()
