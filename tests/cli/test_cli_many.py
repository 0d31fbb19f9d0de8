"""Which files a command takes and what goes where: folders, patterns, pipes, URLs, shards, JSON lines, the bar."""

import contextlib
import io
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fuzzing import frozen_path
from PIL import Image, PngImagePlugin
from tiny_model import photo

from rdae.batch import Facts, Job, Outcome
from rdae.cli import outcomes, progress
from rdae.cli.main import main
from rdae.codec import decode
from rdae.codec.container import parse
from rdae.networks import weights
from rdae.pictures import SUFFIXES

MODEL = ("--model", str(frozen_path()))
NAME = frozen_path().stem


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    code: object
    raw: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.raw.decode().splitlines()

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


def rdae(*arguments: str, stdin: bytes = b"", terminal: bool = False) -> Result:
    """Run the command in this process; terminal: whether stderr is one."""
    given, out, err = io.BytesIO(stdin), io.BytesIO(), io.BytesIO()
    stdout = io.TextIOWrapper(out, write_through=True)
    stderr = (Terminal if terminal else io.TextIOWrapper)(err, write_through=True)
    old_stdin, sys.stdin = sys.stdin, io.TextIOWrapper(given)
    try:
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
            main([*arguments, *(MODEL if arguments[0] != "info" else ())], prog_name="rdae")
        code: object = None
    except SystemExit as end:
        code = end.code
    finally:
        sys.stdin = old_stdin
    return Result(code, out.getvalue(), err.getvalue().decode())


def save(path: str, width: int = 20) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo(12, width)).save(path)


def tree(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A tree of pictures in/a.png, in/deep/b.jpg, in/deep/er/c.PNG, with other things in between."""
    monkeypatch.chdir(tmp_path)
    save("in/a.png")
    save("in/deep/b.jpg")
    save("in/deep/er/c.PNG")
    save("in/.hidden.png")
    save("in/.folder/d.png")
    Path("in/readme.txt").write_text("no picture")
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_a_tree_is_mirrored_both_ways() -> None:
    assert rdae("compress", "-r", "in", "-d", "out").code == 0
    assert tree("out") == ["a.rdae", "deep/b.rdae", "deep/er/c.rdae"]
    assert rdae("decompress", "-r", "out", "-d", "back").code == 0
    assert tree("back") == ["a.png", "deep/b.png", "deep/er/c.png"]
    assert rdae("decompress", "-r", "out").code == 0
    assert tree("out") == sorted([*tree("back"), "a.rdae", "deep/b.rdae", "deep/er/c.rdae"])


def test_a_folder_needs_r_and_something_in_it() -> None:
    result = rdae("compress", "in", "in/a.png", "-d", "out")
    assert result.code == 1
    assert result.stderr.splitlines()[0] == "rdae: in: Is a directory; -r takes what is in it"
    assert tree("out") == ["a.rdae"]
    result = rdae("decompress", "-r", "in")
    assert (result.code, result.stderr) == (1, "rdae: in: nothing in it ends in .rdae\n")


def test_patterns_that_the_shell_left_are_files() -> None:
    result = rdae("compress", "in/**/*.[pj]*g", "-d", "out")
    assert result.code == 0
    assert tree("out") == ["a.rdae", "deep/b.rdae"]
    result = rdae("compress", "in/*.webp", "-d", "out")
    assert (result.code, result.stderr) == (1, "rdae: in/*.webp: no file has such a name\n")
    save("in/[a].png")  # a name that looks like a pattern
    assert rdae("compress", "in/[a].png").code == 0
    assert Path("in/[a].rdae").exists()


def test_an_input_given_twice_is_done_once() -> None:
    result = rdae("compress", "-r", "in/deep", "in/deep/b.jpg", "--json")
    assert [each["input"] for each in result.objects] == ["in/deep/b.jpg", "in/deep/er/c.PNG"]


def test_two_pictures_of_one_name_need_keep_suffix() -> None:
    save("in/a.jpg")
    result = rdae("compress", "-r", "in", "-d", "out")
    assert result.code == 1
    for name in ("a.jpg", "a.png"):
        assert (
            f"rdae: in/{name}: in/a.jpg and in/a.png would both go to out/a.rdae; --keep-suffix keeps them apart"
            in result.stderr.splitlines()
        )
    assert tree("out") == ["deep/b.rdae", "deep/er/c.rdae"]  # the others go on
    shutil.rmtree("out")
    assert rdae("compress", "-r", "in", "-d", "out", "--keep-suffix").code == 0
    assert tree("out") == ["a.jpg.rdae", "a.png.rdae", "deep/b.jpg.rdae", "deep/er/c.PNG.rdae"]
    assert rdae("decompress", "-r", "out", "-d", "back").code == 0
    assert tree("back") == ["a.jpg.png", "a.png", "deep/b.jpg.png", "deep/er/c.PNG.png"]


def test_a_second_run_does_what_is_missing() -> None:
    first = rdae("compress", "-r", "in", "-d", "out", "--json")
    assert [each["output"] for each in first.objects] == [
        "out/a.rdae",
        "out/deep/b.rdae",
        "out/deep/er/c.rdae",
    ]
    before = Path("out/a.rdae").stat().st_mtime_ns
    Path("out/deep/b.rdae").unlink()
    second = rdae("compress", "-r", "in", "-d", "out", "--skip-existing", "--json")
    assert second.code == 0
    assert [each.get("skipped", False) for each in second.objects] == [True, False, True]
    assert second.stderr.startswith("3 files, 0 failed, 2 skipped, ")
    assert Path("out/a.rdae").stat().st_mtime_ns == before
    assert rdae("compress", "-r", "in", "-d", "out").code == 1
    assert rdae("compress", "-r", "in", "-d", "out", "--force").code == 0
    assert Path("out/a.rdae").stat().st_mtime_ns != before


def test_an_input_is_never_replaced() -> None:
    save("x.rdae.png")
    Path("x.rdae.png").rename("x.rdae")  # a picture by a wrong name
    result = rdae("compress", "x.rdae", "--force")
    assert (result.code, "which is never overwritten" in result.stderr) == (1, True)
    save("y.png")
    result = rdae("compress", "y.png", "x.rdae", "-o", "x.rdae", "--force")
    assert result.code == 2
    Path("d").mkdir()
    Path("d/y.rdae").hardlink_to("x.rdae")
    result = rdae("compress", "y.png", "x.rdae", "-d", "d", "--force")
    assert "rdae: y.png: the output d/y.rdae is an input as well, which is never overwritten" in result.stderr
    with Image.open("x.rdae") as image:
        assert image.size == (20, 12)


def test_json_says_all_and_stdout_holds_nothing_else() -> None:
    Path("in/bad.png").write_bytes(b"junk")
    result = rdae("compress", "-r", "in", "-d", "out", "--json", "--no-exact")
    assert result.code == 1
    told = {each.pop("input"): each for each in result.objects}
    assert told["in/bad.png"] == {"output": "out/bad.rdae", "error": "not a picture in a known format"}
    size = Path("out/a.rdae").stat().st_size
    a = told["in/a.png"]
    assert a.pop("seconds") > 0
    assert a == {
        "output": "out/a.rdae",
        "bytes": size,
        "bpp": 8 * size / (12 * 20),
        "width": 20,
        "height": 12,
        "quality": 50.0,
        "model": NAME,
        "input_bytes": Path("in/a.png").stat().st_size,
        "output_bytes": size,
    }
    errors = [line for line in result.stderr.splitlines() if line.startswith("rdae: ")]
    assert errors == ["rdae: in/bad.png: not a picture in a known format"]
    summary = result.stderr.splitlines()[-1]
    total = sum(each.get("bytes", 0) for each in told.values())
    before = sum(each.get("input_bytes", 0) for each in told.values())
    bpp = 8 * total / (3 * 12 * 20)
    assert summary.startswith(f"4 files, 1 failed, 0 skipped, {before:,} -> {total:,} bytes, {bpp:.3f} bpp, ")
    back = rdae("decompress", "out/a.rdae", "--json").objects[0]
    assert (back["bytes"], back["output_bytes"]) == (size, Path("out/a.png").stat().st_size)
    part = rdae("decompress", "out/a.rdae", "-f", "--json", "--region", "3,4,9,8", "--scale", "1/4").objects[
        0
    ]
    assert (part["width"], part["height"], part["bpp"]) == (3, 2, back["bpp"])
    with Image.open("out/a.png") as made:
        assert made.size == (3, 2)


def test_shards_share_the_work_and_leave_nothing_out() -> None:
    for number in range(4):
        save(f"in/more/{number}.png")
    for part in ("1/3", "2/3", "3/3"):
        assert rdae("compress", "-r", "in", "-d", "out", "--shard", part).code == 0  # none is there already
    assert len(tree("out")) == 7
    for wrong in ("0/3", "4/3", "1", "a/b", "1/3/4", "-1/3"):
        assert rdae("compress", "-r", "in", "--shard", wrong).code == 2


def test_verify_finds_the_bad_one() -> None:
    assert rdae("compress", "-r", "in", "-d", "out").code == 0
    assert rdae("verify", "-r", "out").lines == [
        "out/a.rdae  ok  20 x 12",
        "out/deep/b.rdae  ok  20 x 12",
        "out/deep/er/c.rdae  ok  20 x 12",
    ]
    data = bytearray(Path("out/a.rdae").read_bytes())
    data[-6] ^= 1
    Path("out/a.rdae").write_bytes(data)
    result = rdae("verify", "-r", "out", "--json")
    assert result.code == 1
    assert ["error" in each for each in result.objects] == [True, False, False]
    about = {"bytes", "bpp", "width", "height", "quality", "model"}
    assert result.objects[1].keys() == {"input", "input_bytes", "seconds"} | about
    assert result.stderr.startswith("rdae: out/a.rdae: ")
    alone = rdae("verify", "out/a.rdae", "--quiet")
    assert (alone.code, alone.raw, alone.stderr.count("\n")) == (1, b"", 1)


def test_standard_streams_carry_a_picture_there_and_back() -> None:
    picture = Path("in/a.png").read_bytes()
    for arguments in (["-"], ["-", "-o", "-"], ["in/a.png", "-o", "-"]):
        made = rdae("compress", *arguments, "--quiet", stdin=picture)
        assert (made.code, made.stderr) == (0, "")
        assert parse(made.raw).header.width == 20
    back = rdae("decompress", "-", stdin=made.raw)
    expected = decode.decode(made.raw, weights.load(frozen_path())).picture
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(back.raw), formats=["PNG"])), expected)
    back = rdae("decompress", "-", "--format", "bmp", stdin=made.raw)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(back.raw), formats=["BMP"])), expected)
    assert rdae("decompress", "-", "-o", "b.ppm", stdin=made.raw).code == 0
    assert np.array_equal(np.asarray(Image.open("b.ppm")), expected)
    assert rdae("verify", "-", stdin=made.raw).lines == ["standard input  ok  20 x 12"]
    assert json.loads(rdae("info", "-", "--json", stdin=made.raw).raw)["width"] == 20
    bad = rdae("decompress", "-", stdin=b"junk")
    assert (bad.code, bad.raw) == (1, b"")
    assert bad.stderr.startswith("rdae: standard input: not an .rdae file")


@pytest.mark.parametrize(
    "arguments",
    [
        ("compress", "-", "in/a.png", "-d", "out"),
        ("compress", "-", "--json"),
        ("compress", "in/a.png", "--force", "--skip-existing"),
        ("compress", "-r", "in", "-o", "x.rdae"),
        ("compress", "in/a.png", "-j", "-1"),
        ("compress", "in/a.png", "--lossless", "--alpha-quality", "0"),
        ("compress", "in/a.png", "--lossless", "--tune", "psnr"),
        ("compress", "in/a.png", "--no-alpha", "--alpha-quality", "0"),
        ("decompress", "in/a.png", "--format", "xyz"),
        ("export", "in", "-o", "x.safetensors", "--share", "0.5"),
        ("export", "x.safetensors", "--mean", "y.safetensors"),
    ],
)
def test_options_that_contradict_each_other_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    result = rdae(*arguments)
    assert (result.code, result.raw) == (2, b"")
    assert "Usage: " in result.stderr


def test_a_folder_that_is_a_file_is_said_to_be_none() -> None:
    Path("there").write_bytes(b"x")
    result = rdae("compress", "in/a.png", "-d", "there")
    assert (result.code, result.stderr) == (1, "rdae: in/a.png: there: is no folder\n")


def test_format_chooses_the_suffix_of_many() -> None:
    assert rdae("compress", "-r", "in", "-d", "out").code == 0
    assert rdae("decompress", "-r", "out", "--format", "PPM", "-d", "back").code == 0
    assert tree("back") == ["a.ppm", "deep/b.ppm", "deep/er/c.ppm"]
    assert rdae("decompress", "out/a.rdae", "--format", "ppm", "-o", "x.bin").code == 0
    assert Path("x.bin").read_bytes().startswith(b"P6")


def test_urls_are_inputs_and_outputs() -> None:
    assert rdae("compress", "-r", "in", "-d", "memory://made").code == 0
    store = fsspec.filesystem("memory")
    names = ["/made/a.rdae", "/made/deep/b.rdae", "/made/deep/er/c.rdae"]
    assert sorted(store.find("/made")) == names
    assert rdae("compress", "in/a.png", "-o", "alone.rdae").code == 0
    assert store.cat_file("/made/a.rdae") == Path("alone.rdae").read_bytes()
    result = rdae("compress", "-r", "in", "-d", "memory://made")
    assert result.code == 1
    assert result.stderr.count("is already there; --force replaces it") == 3
    assert rdae("compress", "-r", "in", "-d", "memory://made", "--skip-existing").code == 0
    result = rdae("compress", "in/a.png", "-d", "memory://other", "--rm")  # nobody could ever read that
    assert "in/a.png: not removed: memory://other/a.rdae ends with this program" in result.stderr
    assert Path("in/a.png").exists()
    assert rdae("decompress", "-r", "memory://made", "-d", "back").code == 0
    assert tree("back") == ["a.png", "deep/b.png", "deep/er/c.png"]
    assert rdae("decompress", "memory://made/deep/*.rdae").code == 0  # beside it
    assert store.exists("/made/deep/b.png")
    assert rdae("verify", "memory://made/a.rdae").code == 0
    assert json.loads(rdae("info", "memory://made/a.rdae", "--json").raw)["width"] == 20
    result = rdae("decompress", "memory://made/none.rdae", "-o", "x.png")
    assert (result.code, result.stderr) == (1, "rdae: memory://made/none.rdae: No such file or directory\n")
    assert rdae("decompress", Path("alone.rdae").resolve().as_uri()).code == 0
    assert Path("alone.png").exists()


def test_urls_without_their_packages_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    result = rdae("compress", "in/a.png", "s3://bucket/b.png", "-d", "out", "--quiet")
    assert (result.code, tree("out")) == (1, ["a.rdae"])
    assert result.stderr.startswith("rdae: s3://bucket/b.png: s3 URLs need another package: ")
    assert result.stderr.count("\n") == 1
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    result = rdae("compress", "memory://b.png")
    assert result.stderr == "rdae: memory://b.png: URLs need fsspec: pip install 'rdae[fsspec]'\n"


def test_streams_are_called_by_their_names() -> None:
    made = rdae("compress", "-", stdin=Path("in/a.png").read_bytes())
    assert made.stderr.startswith("standard input -> standard output  ")
    assert rdae("decompress", "-", "-o", "x.png", stdin=made.raw).stderr.startswith(
        "standard input -> x.png  "
    )


def with_text(path: str, *names: str) -> None:
    info = PngImagePlugin.PngInfo()
    for name in names:
        info.add_text(name, "a text")
    Image.fromarray(photo(12, 20)).save(path, pnginfo=info)


@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_metadata_that_is_not_kept_is_counted_where_files_are_many(workers: tuple[str, ...]) -> None:
    with_text("in/a.png", "source")
    with_text("in/deep/d.png", "source", "Title")
    words = {"a.png": 'not kept: PNG text "source"', "d.png": 'not kept: PNG texts "source", "Title"'}
    many = rdae("compress", "-r", "in", "-d", "out", *workers)
    assert "PNG text" not in many.stderr
    assert many.stderr.splitlines()[-1].endswith(", some metadata of 2 not kept (-v says what)")
    assert len(many.stderr.splitlines()) == 5  # four files
    told = rdae("compress", "-r", "in", "-d", "out2", "-v", *workers).stderr
    for name, line in words.items():
        assert re.search(rf"^rdae: in/.*{name}: {line}$", told, re.MULTILINE)
    one = rdae("compress", "in/a.png", "-d", "out3")
    assert one.stderr.splitlines()[0] == f"rdae: in/a.png: {words['a.png']}"
    objects = rdae("compress", "-r", "in", "-d", "out4", "--json", *workers).objects
    assert [each["notes"] for each in objects if each["input"] == "in/a.png"] == [[words["a.png"]]]


def test_what_keeps_an_input_from_being_removed_is_said_for_each() -> None:
    with_text("in/a.png", "source")
    told = rdae("compress", "-r", "in", "-d", "out", "--rm").stderr.splitlines()
    assert 'rdae: in/a.png: not kept: PNG text "source"' in told
    assert "rdae: in/a.png: not removed: something was left out" in told
    assert Path("in/a.png").exists()


def test_other_notes_stay_lines_where_files_are_many() -> None:
    Image.fromarray(np.full((5, 6), 60000, np.uint16)).save("in/deep16.png")
    told = rdae("compress", "-r", "in", "-d", "out").stderr
    assert "rdae: in/deep16.png: 16 bits rounded to 8\n" in told
    assert "not kept" not in told


def test_the_bar_is_on_a_terminal_only() -> None:
    in_pipe = rdae("compress", "-r", "in", "-d", "out")
    assert "\r" not in in_pipe.stderr
    assert len(in_pipe.stderr.splitlines()) == 4
    Path("in/bad.png").write_bytes(b"junk")
    shown = rdae("compress", "-r", "in", "-d", "out2", terminal=True)
    assert "1 of 4 [######..................]" in shown.stderr
    assert "MP/s, 0:0" in shown.stderr
    *_, summary = shown.stderr.replace("\r\x1b[K", "\n").split("\n")[:-1]
    assert "4 files, 1 failed" in summary
    assert "\nrdae: in/bad.png: " in shown.stderr.replace("\r\x1b[K", "\n")
    quiet = rdae("compress", "-r", "in", "-d", "out3", "--quiet", terminal=True)
    assert quiet.stderr == "rdae: in/bad.png: not a picture in a known format\n"
    single = rdae("compress", "in/a.png", "-d", "out4", terminal=True)
    assert single.stderr.count("\n") == 1
    assert "\r" not in single.stderr


def test_the_time_left_follows_from_the_files_that_took_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(outcomes.time, "monotonic", lambda: now[0])
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", Terminal(shown, write_through=True))
    printer = outcomes.OutcomePrinter(lambda _facts: "", 10, as_json=False, quiet=False, verbose=False)
    for number in range(3):
        printer.show(Outcome(Job(str(number), "out"), skipped=True))
    printer.show(Outcome(Job("y", "out"), error="not a picture"))
    now[0] += 60
    printer.show(Outcome(Job("x", "out"), Facts(1000, 2, 1000, 3000, 2000)))
    # One picture of 6 megapixels in a minute; five more to go.
    assert shown.getvalue().decode().rpartition("\r\x1b[K")[2] == (
        "5 of 10 [############............] 0.10 MP/s, 5:00 left"
    )
    assert progress.clock_time(3661.4) == "1:01:01"


STAGES = {
    ("compress", "in/a.png", "--no-exact", "-e", "0"): {"analysis", "prior", "coding", "verify", "encode"},
    ("compress", "in/a.png", "--no-exact"): {"analysis", "refinement", "coding", "verify", "encode"},
    ("compress", "in/a.png", "--no-exact", "--psnr", "9"): {
        "analysis",
        "prior",
        "refinement",
        "coding",
        "synthesis",
        "metric",
        "verify",
        "encode",
    },
    ("decompress", "in/a.rdae", "-o", "a.png"): {"coding", "prior", "synthesis", "decode"},
    ("verify", "in/a.rdae"): {"coding", "prior", "decode"},
}


@pytest.mark.parametrize("command", STAGES)
def test_verbose_tells_model_quality_and_the_seconds_of_each_stage_in_a_line(
    command: tuple[str, ...],
) -> None:
    assert rdae("compress", "in/a.png", "--no-exact").code == 0
    force = [] if command[0] == "verify" else ["-f"]
    result = rdae(*command, "-v", *force)
    (line,) = (result.stderr or result.raw.decode()).splitlines()
    assert re.search(
        rf"  {NAME}, quality [\d.]+  \d+\.\d{{3}} s, read 0\.\d{{3}}, model 0\.\d{{3}}, ", line
    ), line
    assert bool(result.stderr) is (command[0] != "verify")
    told = rdae(*command, "-v", "--json", *force).objects[0]
    written = set() if command[0] == "verify" else {"write"}
    assert set(told["stages"]) == STAGES[command] | written | {"read", "model"}
    assert sum(told["stages"].values()) <= told["seconds"]
    quiet = rdae(*command, "-v", "--quiet", *force)
    assert (quiet.raw, quiet.stderr) == (b"", "")


def test_folders_with_equal_names_go_into_one_side_by_side() -> None:
    for folder in ("x/photos", "y/photos"):
        save(f"{folder}/a.png")
    assert rdae("compress", "-r", "x/photos", "y/photos", "-d", "out").code == 0
    assert tree("out") == ["x/photos/a.rdae", "y/photos/a.rdae"]
    assert rdae("decompress", "-r", "out/x", "out/y", "-d", "back", "-j", "2").code == 0
    assert tree("back") == ["x/photos/a.png", "y/photos/a.png"]
    assert rdae("compress", "?/**/*.png", "-d", "out2").code == 0
    assert tree("out2") == tree("out")


def test_an_output_that_names_a_folder_is_one() -> None:
    Path("there").mkdir()
    assert rdae("compress", "in/a.png", "-o", "there").code == 0
    assert rdae("compress", "-r", "in", "-o", "new/deep/").code == 0
    assert tree("there") == ["a.rdae"]
    assert tree("new") == ["deep/a.rdae", "deep/deep/b.rdae", "deep/deep/er/c.rdae"]
    assert rdae("decompress", "there/a.rdae", "-o", "there/", "--format", "ppm").code == 0
    assert tree("there") == ["a.ppm", "a.rdae"]
    assert rdae("compress", "in/a.png", "-o", "memory://store/deep/").code == 0
    assert fsspec.filesystem("memory").exists("/store/deep/a.rdae")
    assert rdae("compress", "-", "-o", "there", stdin=Path("in/a.png").read_bytes()).code == 0
    assert tree("there") == ["a.ppm", "a.rdae", "stdin.rdae"]


def test_an_output_that_is_a_pictures_name_is_refused() -> None:
    for name in ("x.jpg", "x.PNG", "x.heic", "x.tiff"):
        result = rdae("compress", "in/a.png", "-o", name, "--force")
        assert (result.code, Path(name).exists()) == (1, False)
        assert result.stderr == (
            f"rdae: in/a.png: the output {name} has a picture's suffix, but would be an .rdae file: "
            "end its name in .rdae\n"
        )
    save("x.jpg")
    before = Path("x.jpg").read_bytes()
    assert rdae("compress", "in/a.png", "-o", "x.jpg", "--force").code == 1
    assert Path("x.jpg").read_bytes() == before


def test_folders_are_made_for_many_outputs_and_not_for_one_that_is_named() -> None:
    for arguments in (
        ["compress", "in/a.png", "-o", "new/a.rdae"],
        ["decompress", "a.rdae", "-o", "new/a.png"],
    ):
        assert rdae("compress", "in/a.png", "-o", "a.rdae", "-f").code == 0
        result = rdae(*arguments)
        assert (result.code, Path("new").exists()) == (1, False)
        assert result.stderr == f"rdae: {arguments[1]}: new: no such folder; -d makes one\n"
    assert rdae("compress", "in/a.png", "-d", "new/deep").code == 0
    assert tree("new") == ["deep/a.rdae"]


def test_what_comes_from_where_nothing_can_be_written_goes_to_this_folder() -> None:
    with zipfile.ZipFile("z.zip", "w") as archive:
        archive.write("in/a.png", "p/1.png")
        archive.write("in/deep/b.jpg", "p/[2].jpg")
    assert rdae("compress", "zip://p/*.*::z.zip").code == 0
    assert [name for name in tree(".") if name.endswith(".rdae")] == ["1.rdae", "[2].rdae"]
    assert rdae("compress", "-r", "zip://::z.zip", "-d", "out").code == 0
    assert tree("out") == ["p/1.rdae", "p/[2].rdae"]
    assert rdae("compress", "zip://p/[2].jpg::z.zip", "-o", "alone.rdae").code == 0
    result = rdae("compress", "zip://p/3.png::z.zip")
    assert (result.code, result.stderr) == (1, "rdae: zip://p/3.png::z.zip: No such file or directory\n")


def test_objects_whose_names_look_like_patterns_are_inputs() -> None:
    fsspec.filesystem("memory").pipe_file("/s[1]/a[2].png", Path("in/a.png").read_bytes())
    assert rdae("compress", "memory://s[1]/a[2].png").code == 0
    assert fsspec.filesystem("memory").exists("/s[1]/a[2].rdae")
    assert rdae("decompress", "memory://s[1]/a[2].rdae", "-d", "back").code == 0
    assert tree("back") == ["a[2].png"]


@pytest.mark.parametrize("options", [[], ["--quiet"], ["--json"], ["-j", "2"]])
def test_pictures_that_are_not_read_are_counted_by_suffix(options: list[str]) -> None:
    for name in ("x.CR2", "y.cr2", "deep/z.dng", ".hidden.dng", "notes.txt"):
        Path("in", name).write_bytes(b"x")
    result = rdae("compress", "-r", "in", "-d", "out", *options)
    assert result.code == 0
    assert result.stderr.splitlines()[-1] == "not read: 2 .cr2, 1 .dng"
    assert tree("out") == ["a.rdae", "deep/b.rdae", "deep/er/c.rdae"]
    Path("raw").mkdir()
    Path("raw/x.cr2").write_bytes(b"x")
    only = rdae("compress", "-r", "raw", "-d", "out", *options)
    assert (only.code, only.stderr.splitlines()[-1]) == (1, "not read: 1 .cr2")
    # What else there is beside files that are decompressed is nobody's loss.
    shutil.copy("raw/x.cr2", "out")
    assert "not read" not in rdae("verify", "-r", "out", *options).stderr


def test_all_formats_that_are_read_are_found_in_folders() -> None:
    image = Image.fromarray(photo(12, 20))
    forms = {"gif": "GIF", "jfif": "JPEG", "jpe": "JPEG", "jp2": "JPEG2000", "tga": "TGA", "pnm": "PPM"}
    for suffix, form in forms.items():
        image.save(f"in/{suffix}.{suffix}", form)
    image.convert("L").save("in/pgm.pgm")
    assert rdae("compress", "-r", "in", "-d", "out").code == 0
    assert {f"{suffix}.rdae" for suffix in [*forms, "pgm"]} <= set(tree("out"))


@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_a_folder_of_everything_goes_through_with_a_summary_to_act_on(workers: tuple[str, ...]) -> None:
    shutil.rmtree("in")
    Path("in/deep").mkdir(parents=True)
    image = Image.fromarray(photo(48, 64))
    Image.init()
    good = 0
    for number, suffix in enumerate(sorted(SUFFIXES)):
        form = {".jfif": "JPEG", ".jpe": "JPEG"}.get(suffix) or Image.registered_extensions().get(suffix)
        if form in Image.SAVE:
            image.save(f"in/{'deep/' if number % 2 else ''}{number}{suffix}", form)
            good += 1
    assert good > 30
    for name in ("same.png", "same.gif"):
        save(f"in/{name}")
    Path("in/junk.png").write_bytes(b"junk")
    Path("in/cut.jpg").write_bytes(Path("in/same.png").read_bytes()[:60])
    for name in ("a.cr2", "b.CR2", "deep/c.nef"):
        Path("in", name).write_bytes(b"x")
    result = rdae("compress", "-r", "in", "-d", "out", *workers)
    lines = result.stderr.splitlines()
    assert result.code == 1
    told = {line.split(": ")[1] for line in lines if line.startswith("rdae: ")}
    assert told >= {"in/same.png", "in/same.gif", "in/junk.png", "in/cut.jpg"}
    assert lines[-2].startswith(f"{good + 4} files, 4 failed, 0 skipped, ")
    assert lines[-1] == "not read: 2 .cr2, 1 .nef"
    assert len(tree("out")) == good
    for command in (["decompress", "-r", "out", "-d", "back"], ["verify", "-r", "out"]):
        done = rdae(*command, *workers)
        assert done.code == 0
        assert done.stderr.splitlines()[-1].startswith(f"{good} files, 0 failed, 0 skipped, ")
    assert [Path(each).stem for each in tree("back")] == [Path(each).stem for each in tree("out")]
