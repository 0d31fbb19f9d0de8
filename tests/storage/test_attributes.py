"""What outputs have beside their bytes: permissions, times, and the mark by which rdae knows its own files."""

import os
import stat
from pathlib import Path

import pytest

from rdae.errors import OutputExistsError
from rdae.storage import attributes
from rdae.storage.attributes import attributes_of, is_marked, mark, unmark
from rdae.storage.files import Terms, write_atomically
from rdae.storage.locations import LocalFile, StandardStream

posix = pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
DAY_NS = 86400 * 10**9


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a file "source"."""
    monkeypatch.chdir(tmp_path)
    Path("source").write_bytes(b"source")


def permissions(name: str) -> int:
    return stat.S_IMODE(Path(name).stat().st_mode)


def terms(**settings: bool) -> Terms:
    return Terms(like=attributes_of("source"), **settings)


def needs_marks() -> None:
    mark(Path("source"))
    if not is_marked(Path("source")):
        pytest.skip("no extended attributes here")
    unmark(Path("source"))


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666])
def test_a_new_file_has_the_permissions_of_what_it_is_made_of(mode: int) -> None:
    os.chmod("source", mode)  # noqa: PTH101
    before = os.umask(0o027)
    try:
        write_atomically("made", b"x", terms=terms())
        write_atomically("usual", b"x")
    finally:
        os.umask(before)
    assert permissions("made") == mode
    assert permissions("usual") == 0o640


@posix
def test_bits_that_run_a_file_for_its_owner_are_not_taken_over() -> None:
    os.chmod("source", 0o4755)  # noqa: PTH101, S103
    write_atomically("made", b"x", terms=terms())
    assert permissions("made") == 0o755


@posix
def test_a_replaced_file_keeps_its_own_permissions() -> None:
    Path("made").write_bytes(b"old")
    os.chmod("made", 0o600)  # noqa: PTH101
    os.chmod("source", 0o644)  # noqa: PTH101
    write_atomically("made", b"x", force=True, terms=terms())
    assert (permissions("made"), Path("made").read_bytes()) == (0o600, b"x")
    Path("link").symlink_to("made")
    write_atomically("link", b"y", force=True)
    assert (permissions("made"), Path("made").read_bytes()) == (0o600, b"y")


@posix
def test_a_private_file_is_never_open_to_others() -> None:
    os.chmod("source", 0o600)  # noqa: PTH101
    seen: list[int] = []

    def chunks() -> "list[bytes]":
        seen.extend(permissions(str(each)) for each in Path().glob(".rdae-*.part"))
        return [b"x"]

    write_atomically("made", (chunk for _ in range(1) for chunk in chunks()), terms=terms())
    assert seen == [0o600]


@posix
def test_a_group_that_cannot_be_had_does_not_let_another_group_read(monkeypatch: pytest.MonkeyPatch) -> None:
    os.chmod("source", 0o640)  # noqa: PTH101
    like = attributes_of("source")
    assert like is not None

    def refused(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "fchown", refused)
    stranger = attributes.Attributes(**{**vars_of(like), "group": like.group + 1})
    write_atomically("made", b"x", terms=Terms(like=stranger))
    assert permissions("made") == 0o600


def vars_of(each: attributes.Attributes) -> dict[str, int]:
    return {name: getattr(each, name) for name in each.__dataclass_fields__}


def test_the_time_is_kept_where_it_is_asked_for() -> None:
    os.utime("source", ns=(0, 10**18 + DAY_NS))
    write_atomically("made", b"x", terms=terms(keep_time=True))
    assert Path("made").stat().st_mtime_ns == 10**18 + DAY_NS
    write_atomically("now", b"x", terms=terms())
    assert Path("now").stat().st_mtime_ns > 10**18 + DAY_NS


def test_a_mark_holds_until_a_file_is_changed() -> None:
    needs_marks()
    write_atomically("made", b"x", terms=Terms(marked=True))
    assert is_marked(Path("made"))
    os.utime("made", ns=(0, 10**18))
    assert not is_marked(Path("made"))
    write_atomically("made", b"x", force=True, terms=Terms(marked=True))
    with Path("made").open("ab") as file:
        file.write(b"more")
    assert not is_marked(Path("made"))
    write_atomically(
        "made", b"x", force=True, terms=Terms(marked=True, keep_time=True, like=attributes_of("source"))
    )
    assert is_marked(Path("made"))
    Path("copy").write_bytes(Path("made").read_bytes())
    assert not is_marked(Path("copy"))
    LocalFile(Path("made")).unmark()
    assert not is_marked(Path("made"))


def test_only_what_is_marked_is_replaced_where_only_that_may_be() -> None:
    needs_marks()
    own = Terms(only_own=True, marked=True)
    write_atomically("made", b"1", terms=own)
    with pytest.raises(OutputExistsError, match="already there; --force replaces it"):
        write_atomically("made", b"2", terms=own)
    write_atomically("made", b"3", force=True, terms=own)
    Path("made").write_bytes(b"edited")
    for force in (False, True):
        with pytest.raises(OutputExistsError, match=r"may be the original.*only with -o made"):
            write_atomically("made", b"4", force=force, terms=own)
    assert Path("made").read_bytes() == b"edited"


def test_without_marks_nothing_is_known_to_be_rdaes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("setxattr", "getxattr", "removexattr"):
        monkeypatch.delattr(os, name, raising=False)
    own = Terms(only_own=True, marked=True)
    write_atomically("made", b"1", terms=own)
    with pytest.raises(OutputExistsError, match="may be the original"):
        write_atomically("made", b"2", force=True, terms=own)
    unmark(Path("made"))


def test_a_source_is_removed_only_as_it_was_read() -> None:
    source = LocalFile(Path("source"))
    known = source.attributes()
    Path("source").write_bytes(b"other")
    assert source.remove(known) == "it was changed meanwhile"
    Path("link").symlink_to("source")
    link = LocalFile(Path("link"))
    assert link.remove(link.attributes()) == "it is no ordinary file"
    assert StandardStream().remove(known)
    assert Path("link").exists()
    assert source.remove(source.attributes()) == ""
    assert not Path("source").exists()


def test_a_folder_is_made_only_where_it_may_be() -> None:
    made = LocalFile(Path("new/deep/made"))
    with pytest.raises(FileNotFoundError, match="no such folder; -d makes one"):
        made.check(force=False, inputs=frozenset(), terms=Terms(parents=False))
    with pytest.raises(FileNotFoundError):
        made.write(b"x", force=False, terms=Terms(parents=False))
    assert not Path("new").exists()
    made.write(b"x", force=False)
    assert Path("new/deep/made").read_bytes() == b"x"
