"""Pieces: whatever is split comes back byte for byte, and nothing else is taken for it."""

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdae.training import pieces
from rdae.training.pieces import PieceError, main, merge, split

SMALL = 2048
"""Bytes a piece: a header's room and about as much payload."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "deep").mkdir(parents=True)
    (folder / "metrics.jsonl").write_bytes(bytes(range(256)) * 30)
    (folder / "deep" / "empty").write_bytes(b"")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@given(files=st.lists(st.binary(max_size=9000), min_size=1, max_size=4), size=st.integers(1100, 9000))
def test_what_was_split_comes_back_in_pieces_of_the_size_asked_for(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("pieces")
    for number, data in enumerate(files):
        (folder / f"f{number}").write_bytes(data)
    made = split([folder / f"f{number}" for number in range(len(files))], folder / "packs", "x", size)
    assert max(path.stat().st_size for path in made) <= size
    merge(list(reversed(made)), folder / "back")
    assert contents(folder / "back") == {f"f{number}": data for number, data in enumerate(files)}


def test_folders_keep_their_own_name_and_their_files(source: Path, tmp_path: Path) -> None:
    made = split([source], tmp_path / "packs", "run", SMALL)
    assert len(made) > 5
    merge([tmp_path / "packs"], tmp_path / "back")
    assert contents(tmp_path / "back" / "run") == contents(source)


def test_the_same_files_give_the_same_pieces(source: Path, tmp_path: Path) -> None:
    first = split([source], tmp_path / "a", "run", SMALL)
    (source / "metrics.jsonl").touch()
    second = split([source], tmp_path / "b", "run", SMALL)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_two_archives_in_one_folder_both_come_back(source: Path, tmp_path: Path) -> None:
    split([source / "metrics.jsonl"], tmp_path / "packs", "a", SMALL)
    split([source / "deep"], tmp_path / "packs", "b", SMALL)
    merge([tmp_path / "packs"], tmp_path / "back")
    assert set(contents(tmp_path / "back")) == {"metrics.jsonl", "deep/empty"}


def test_a_new_archive_replaces_the_pieces_of_the_last(source: Path, tmp_path: Path) -> None:
    split([source], tmp_path / "packs", "run", SMALL)
    made = split([source / "deep"], tmp_path / "packs", "run", 10**6)
    assert list((tmp_path / "packs").iterdir()) == made


def test_a_new_archive_leaves_those_alone_whose_names_begin_alike(source: Path, tmp_path: Path) -> None:
    for name in ("data-2", "data"):
        split([source], tmp_path / "p", name, 4096)
    assert {path.name.split("-0")[0] for path in (tmp_path / "p").iterdir()} == {"data", "data-2"}


def test_a_missing_piece_is_named(source: Path, tmp_path: Path) -> None:
    made = split([source], tmp_path / "packs", "run", SMALL)
    made[2].unlink()
    with pytest.raises(PieceError, match=rf"run: piece 3 of {len(made)} is missing"):
        merge([tmp_path / "packs"], tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(("cut", "instead"), [(-1, b""), (-1, b"X"), (-500, b"")])
def test_a_damaged_piece_is_named(source: Path, tmp_path: Path, cut: int, instead: bytes) -> None:
    made = split([source], tmp_path / "packs", "run", SMALL)
    made[1].write_bytes(made[1].read_bytes()[:cut] + instead)
    with pytest.raises(PieceError, match=f"{made[1].name}: damaged"):
        merge([tmp_path / "packs"], tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("content", [b"", b"no piece\n", b"{}\n", b"[]\n"])
def test_a_file_that_is_no_piece_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.piece"
    path.write_bytes(content)
    with pytest.raises(PieceError, match=r"x\.piece: not a piece"):
        merge([path], tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_nothing_is_written_outside_the_folder(
    source: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rename(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.name = name
        return member

    monkeypatch.setattr(pieces, "_plain", rename)
    made = split([source / "metrics.jsonl"], tmp_path / "packs", "run", SMALL)
    with pytest.raises(PieceError, match="not a plain file"):
        merge(made, tmp_path / "deep" / "back")
    assert not list(tmp_path.rglob("outside"))


def test_wrong_requests_are_one_line_and_status_1(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packs = str(tmp_path / "packs")
    for arguments in (
        ["split", str(tmp_path / "nothing"), "-d", packs],
        ["split", str(source), str(source), "-d", packs],
        ["split", str(source), "-d", packs, "--name", "a/b"],
        ["split", str(source), "-d", packs, "--mib", "0.0001"],
        ["merge", str(tmp_path / "nothing")],
        ["merge", str(source)],
    ):
        assert main(arguments) == 1, arguments
        error = capsys.readouterr().err
        assert error.startswith("pieces: "), arguments
        assert error.count("\n") == 1, arguments


def test_it_runs_as_a_program_that_imports_nothing_heavy(source: Path, tmp_path: Path) -> None:
    packs = tmp_path / "packs"
    split_done = subprocess.run(
        [
            sys.executable,
            "-m",
            "rdae.training.pieces",
            "split",
            str(source),
            "-d",
            str(packs),
            "--mib",
            "0.002",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(split_done.stdout.splitlines()) == len(list(packs.iterdir()))
    code = (
        "import json, sys; from rdae.training.pieces import main\n"
        f"status = main(['merge', {str(packs)!r}, '-d', {str(tmp_path / 'back')!r}])\n"
        "print(json.dumps([status, sorted(sys.modules)]))"
    )
    merged = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    status, modules = json.loads(merged.stdout.splitlines()[-1])
    assert status == 0
    assert not {"torch", "numpy", "click"} & set(modules)
    assert contents(tmp_path / "back" / "run") == contents(source)
