"""Which files are inputs, in which order, and which shard of them is whose."""

from pathlib import Path, PurePath

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
