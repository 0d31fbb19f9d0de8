"""Which files are inputs, in which order, and which shard of them is whose."""

import errno
import glob
import os
from pathlib import Path, PurePath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae.batch import Input, Job, find_inputs, shard

SUFFIXES = frozenset({".png", ".jpg"})


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files in/a.png, in/deep/b.JPG, and things that are no inputs."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/a.png", "in/deep/b.JPG", "in/.hidden.png", "in/.folder/d.png", "in/readme.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def test_a_folder_means_what_is_in_it_by_suffix_in_order() -> None:
    assert find_inputs(["in"], SUFFIXES, recursive=True) == [
        Input(str(Path("in/a.png")), PurePath("a.png")),
        Input(str(Path("in/deep/b.JPG")), PurePath("deep/b.JPG")),
    ]


def test_one_text_or_path_is_one_input_and_not_its_characters() -> None:
    (one,) = find_inputs("in/a.png", SUFFIXES)
    assert [one] == find_inputs(Path("in/a.png"), SUFFIXES) == find_inputs(["in/a.png"], SUFFIXES)


def test_paths_and_texts_mean_the_same_and_an_input_twice_is_one() -> None:
    assert find_inputs([Path("in/a.png"), "in/a.png", "in/*.png"], SUFFIXES) == [
        Input(str(Path("in/a.png")), PurePath("a.png"))
    ]


@pytest.mark.parametrize(
    ("text", "recursive", "problem"),
    [
        ("in", False, "Is a directory; -r takes what is in it"),
        ("in/.folder", True, "nothing in it ends in .jpg, .png"),
        ("in/*.webp", False, "no file has such a name"),
        ("nowhere://a/b.png*", False, "Protocol not known: nowhere"),
    ],
)
def test_what_is_no_input_says_why_and_the_others_go_on(text: str, recursive: bool, problem: str) -> None:
    Path("in/.folder/d.png").unlink()
    bad, good = find_inputs([text, "in/a.png"], SUFFIXES, recursive=recursive)
    assert problem in bad.problem
    assert not good.problem


def test_a_file_that_is_not_there_is_an_input_that_fails_when_it_is_read() -> None:
    assert find_inputs(["none.png", "-"], SUFFIXES) == [
        Input("none.png", PurePath("none.png")),
        Input("-", PurePath("-")),
    ]


@given(st.lists(st.text("ab/", min_size=1), unique=True), st.integers(1, 9))
def test_shards_are_disjoint_and_together_all(names: list[str], count: int) -> None:
    jobs = [Job(f"in/{name}.png") for name in names]
    shards = [shard(jobs, index, count) for index in range(1, count + 1)]
    assert sorted(job.input for each in shards for job in each) == sorted(job.input for job in jobs)
    assert max(map(len, shards)) - min(map(len, shards)) <= 1
    assert shards[0] == shard(jobs[::-1], 1, count)


@pytest.mark.parametrize(("index", "count"), [(0, 3), (4, 3), (1, 0)])
def test_a_shard_that_is_none_is_a_value_error(index: int, count: int) -> None:
    with pytest.raises(ValueError, match="expected one from 1 to"):
        shard([], index, count)


def make(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")


def relative(*locations: str, recursive: bool = True) -> list[str]:
    """Where outputs would go below a folder."""
    found = find_inputs(locations, SUFFIXES, recursive=recursive)
    assert not [each for each in found if each.problem]
    return [each.relative.as_posix() for each in found]


def test_several_folders_are_mirrored_below_what_they_have_in_common(tmp_path: Path) -> None:
    make("x/photos/a.png", "y/photos/a.png", "y/photos/deep/b.png")
    assert relative("x/photos") == ["a.png"]
    assert relative("y") == ["photos/a.png", "photos/deep/b.png"]
    both = ["x/photos/a.png", "y/photos/a.png", "y/photos/deep/b.png"]
    assert relative("x/photos", "y/photos") == both
    assert relative("x/photos", str(tmp_path / "y" / "photos")) == both  # one of them absolute
    assert relative("x/../x/photos/", "./y/photos") == both
    assert relative("y/photos/deep", "y/photos") == ["deep/b.png", "a.png"]  # what is in both counts once
    assert relative("x/photos", "y/photos", "in/a.png") == [
        *both,
        "a.png",
    ]  # a file that is named has its name


def test_patterns_of_any_depth_follow_no_links_to_folders() -> None:
    make("p/2019/a.png", "q/b.png")
    Path("p/2019/up").symlink_to("..")
    Path("p/q").symlink_to(Path("q").resolve())
    assert relative("p/**/*.png") == ["2019/a.png"]
    assert relative("p/**") == relative("p/**/*") == ["2019/a.png"]
    assert relative("p/q/*.png") == ["b.png"]
    assert relative("p/*/*.png") == ["2019/a.png", "q/b.png"]


def test_a_folder_that_a_pattern_cannot_look_into_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    make("p/a.png", "p/closed/b.png")
    scandir = os.scandir  # root may read everywhere

    def refusing(path: str) -> Any:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert not any(each.problem for each in find_inputs(["p/*/deep/**/*.png", "in/**/*.png"], {".png"})[1:])
    found = find_inputs(["p/**/*.png"], {".png"})
    assert [(each.location, each.problem) for each in found] == [
        (str(Path("p/a.png")), ""),
        (str(Path("p/closed")), "Permission denied"),
    ]


def test_a_circle_of_links_has_an_end() -> None:
    make("l/a.png")
    for name in ("l/x", "l/y"):
        Path(name).symlink_to(".")
    assert relative("l/**/*.png") == ["a.png"]


@pytest.mark.parametrize(
    "pattern",
    [
        "**",
        "**/*.png",
        "**/b/**/*.png",
        "a/**",
        "*/**/c/*",
        "**/.h/*",
        "**/.*",
        "**/[ab]/*",
        "**/**/c.png",
    ],
)
def test_patterns_of_any_depth_mean_what_glob_says(pattern: str) -> None:
    make("t.txt", "a/a.png", "a/b/c.png", "a/b/c/d.png", "b/c.jpg", "a/.h/e.png", ".h/f.png", "c/.g.png")
    expected = {hit for hit in glob.glob(pattern, recursive=True) if Path(hit).is_file()}  # noqa: PTH207
    found = find_inputs([pattern], {".png"})
    assert {each.location for each in found if not each.problem} == expected
    assert len(found) == len(expected)


def test_patterns_are_mirrored_below_where_they_begin() -> None:
    make("p/2019/a.png", "p/2020/a.png", "p/2020/deep/a.png", "q/2019/a.png")
    assert relative("p/**/*.png") == ["2019/a.png", "2020/a.png", "2020/deep/a.png"]
    assert relative("p/20*") == ["2019/a.png", "2020/a.png", "2020/deep/a.png"]
    assert relative("p/2020/*.png") == ["a.png"]
    assert relative("p/2019/*.png", "q/*/*.png") == ["p/2019/a.png", "q/2019/a.png"]
    assert relative("?/2019/*.png", recursive=False) == ["p/2019/a.png", "q/2019/a.png"]
    assert relative(str(Path("p").resolve() / "*" / "*.png")) == ["2019/a.png", "2020/a.png"]


def test_names_that_look_like_patterns_are_names_where_they_are_there() -> None:
    make("[2019]/a.png", "[2019]/b[1].png", "2/a.png", "in/c[1].png")
    assert relative("[2019]/*.png") == ["a.png", "b[1].png"]
    assert relative("[2019]") == ["a.png", "b[1].png"]
    assert relative("[2019]/b[1].png", "in/c[1].png") == ["b[1].png", "c[1].png"]
    assert relative("[2]/*.png") == ["2/a.png"]  # no folder is called so


def test_a_file_is_one_input_whatever_way_leads_to_it() -> None:
    found = find_inputs(["in/a.png", "./in/a.png", "in/../in/a.png", Path("in/a.png").resolve()], SUFFIXES)
    assert [each.location for each in found] == [str(Path("in/a.png"))]


def test_a_link_to_what_is_not_there_is_a_problem_and_no_silence() -> None:
    Path("in/gone.png").symlink_to("nowhere.png")
    found = {each.location: each.problem for each in find_inputs(["in"], SUFFIXES, recursive=True)}
    assert found.pop(str(Path("in/gone.png"))) == "a link to nowhere.png, which is not there"
    assert str(Path("in/a.png")) in found
    assert not any(found.values())


def test_files_that_are_left_out_of_folders_are_told_but_hidden_ones() -> None:
    make("in/deep/x.cr2", "in/.y.cr2", "in/.folder/z.cr2")
    told: list[str] = []
    find_inputs(["in", "in/readme.txt"], SUFFIXES, recursive=True, left_out=told.append)
    assert sorted(told) == [str(Path("in/deep/x.cr2")), str(Path("in/readme.txt"))]


def test_an_error_of_many_suffixes_names_some() -> None:
    make("empty/x.txt")
    (found,) = find_inputs(["empty"], {f".{letter}" for letter in "abcdefgh"}, recursive=True)
    assert found.problem == "nothing in it ends in .a, .b, .c, .d, .e, .f, or 2 other suffixes"
