"""Files that belong together: all of them are new, or none is."""

import errno
import os
from pathlib import Path

import pytest

from rdae.errors import OutputExistsError
from rdae.storage import together


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("older", [True, False])
def test_files_that_cannot_be_renamed_leave_what_there_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, older: bool, links: bool
) -> None:
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    if older:
        first.write_bytes(b"old 1")
        third.write_bytes(b"old 3")
    if not links:
        monkeypatch.setattr(os, "link", refused)
    there = contents(tmp_path)
    original = Path.replace

    def replace(part: Path, target: Path) -> None:
        if target == second:
            raise PermissionError(errno.EACCES, "Permission denied", str(part), None, str(target))
        original(part, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(PermissionError) as caught:
        together.write_together({first: b"1", second: b"2", third: b"3"}, force=True)
    assert caught.value.filename == str(second)
    assert contents(tmp_path) == there


def refused(*_: object, **__: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_files_that_belong_together_replace_no_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputExistsError, match="is no file"):
        together.write_together({tmp_path / "pipe": b"1"}, force=True)
