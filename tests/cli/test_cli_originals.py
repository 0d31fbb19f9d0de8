"""Originals: no command replaces one unless it is told to by name, and --rm removes none that could be missed."""

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from fuzzing import frozen_path
from PIL import Image
from rdae_command import Result, rdae_command
from tiny_model import photo

from rdae.batch import Compress, Job, perform
from rdae.codec import encode
from rdae.storage import attributes, locations
from rdae.storage.attributes import is_marked, mark

MODEL = ("--model", str(frozen_path()))


def rdae(*arguments: str) -> Result:
    return rdae_command(*arguments, *MODEL)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures photos/a.png and photos/deep/b.png."""
    monkeypatch.chdir(tmp_path)
    Path("photos/deep").mkdir(parents=True)
    for number, name in enumerate(("a.png", "deep/b.png")):
        Image.fromarray(photo(12, 20 + number)).save(f"photos/{name}")


def contents(folder: str) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*.*"))}


def needs_marks() -> None:
    Path("mark").write_bytes(b"")
    mark(Path("mark"))
    if not is_marked(Path("mark")):
        pytest.skip("no extended attributes here")


@pytest.mark.parametrize("force", [[], ["-f"], ["--force", "-v"]])
def test_decompress_never_replaces_an_original_that_it_finds_beside(force: list[str]) -> None:
    before = contents("photos")
    assert rdae("compress", "photos/a.png").exit_code == 0
    result = rdae("decompress", "photos/a.rdae", *force)
    assert result.exit_code == 1
    rdae_file, original = Path("photos/a.rdae"), Path("photos/a.png")
    words = f"{original} may be the original, which --force replaces only with -o {original}"
    assert result.stderr == f"rdae: {rdae_file}: {words}\n"
    assert contents("photos").items() >= before.items()


def test_decompress_never_replaces_originals_in_another_folder_either() -> None:
    before = contents("photos")
    assert rdae("compress", "-r", "photos", "-d", "small").exit_code == 0
    assert rdae("decompress", "-r", "small", "-d", "photos", "--force").exit_code == 1
    assert contents("photos") == before
    # Not in a format of its own either, nor with workers.
    assert (
        rdae("decompress", "-r", "small", "-d", "photos", "--force", "--format", "png", "-j", "2").exit_code
        == 1
    )
    assert contents("photos") == before


def test_an_output_that_is_named_is_meant() -> None:
    before = contents("photos")["a.png"]
    assert rdae("compress", "photos/a.png").exit_code == 0
    assert rdae("decompress", "photos/a.rdae", "-o", "photos/a.png").exit_code == 1
    assert contents("photos")["a.png"] == before
    assert rdae("decompress", "photos/a.rdae", "-o", "photos/a.png", "-f").exit_code == 0
    assert contents("photos")["a.png"] != before


def test_force_replaces_what_rdae_wrote_until_somebody_changes_it() -> None:
    needs_marks()
    assert rdae("compress", "-r", "photos", "-d", "small").exit_code == 0
    for arguments in ([], ["--region", "0,0,4,4"], ["-j", "2"]):
        assert rdae("decompress", "-r", "small", "-d", "back", "-f", *arguments).exit_code == 0
    with Image.open("back/a.png") as image:
        image.convert("L").save("back/a.png")  # in place, by another program
    edited = contents("back")["a.png"]
    result = rdae("decompress", "-r", "small", "-d", "back", "-f")
    assert (result.exit_code, result.stderr.count("may be the original")) == (1, 1)
    assert contents("back")["a.png"] == edited


def test_what_rdae_wrote_is_an_original_once_it_is_compressed() -> None:
    needs_marks()
    assert rdae("compress", "photos/a.png", "-o", "x.rdae").exit_code == 0
    Path("photos/a.png").unlink()
    assert rdae("decompress", "x.rdae").exit_code == 0
    assert rdae("compress", "x.png", "-f").exit_code == 0
    before = Path("x.png").read_bytes()
    assert rdae("decompress", "x.rdae", "-f").exit_code == 1
    assert Path("x.png").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_permissions_go_with_a_picture_both_ways(workers: tuple[str, ...]) -> None:
    os.chmod("photos/a.png", 0o600)  # noqa: PTH101
    assert rdae("compress", "-r", "photos", "-d", "small", *workers).exit_code == 0
    assert stat.S_IMODE(Path("small/a.rdae").stat().st_mode) == 0o600
    assert rdae("decompress", "-r", "small", "-d", "back", *workers).exit_code == 0
    assert stat.S_IMODE(Path("back/a.png").stat().st_mode) == 0o600
    os.chmod("small/a.rdae", 0o640)  # noqa: PTH101
    assert rdae("compress", "photos/a.png", "-d", "small", "-f", *workers).exit_code == 0
    assert stat.S_IMODE(Path("small/a.rdae").stat().st_mode) == 0o640


@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_times_are_kept_where_that_is_asked_for(workers: tuple[str, ...]) -> None:
    os.utime("photos/a.png", ns=(0, 10**18))
    assert rdae("compress", "-r", "photos", "-d", "small", "--keep-time", *workers).exit_code == 0
    assert Path("small/a.rdae").stat().st_mtime_ns == 10**18
    assert rdae("decompress", "-r", "small", "-d", "back", "--keep-time", *workers).exit_code == 0
    assert Path("back/a.png").stat().st_mtime_ns == 10**18
    assert rdae("compress", "photos/a.png", "-d", "other").exit_code == 0
    assert Path("other/a.rdae").stat().st_mtime_ns > 10**18


@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_rm_removes_what_became_a_file_and_keeps_what_did_not(workers: tuple[str, ...]) -> None:
    Path("photos/bad.png").write_bytes(b"junk")
    Image.fromarray(np.full((5, 6), 60000, np.uint16)).save("photos/deep16.png")  # 16 bits become 8
    Image.new("RGB", (5, 6)).save("photos/there.png")
    rdae("compress", "photos/there.png", "-d", "small")
    result = rdae("compress", "-r", "photos", "-d", "small", "--rm", "--skip-existing", *workers)
    assert result.exit_code == 1
    assert sorted(contents("photos")) == ["bad.png", "deep16.png", "there.png"]
    assert sorted(contents("small")) == ["a.rdae", str(Path("deep/b.rdae")), "deep16.rdae", "there.rdae"]
    assert "deep16.png: not removed: something was left out" in result.stderr
    assert rdae("verify", "-r", "small").exit_code == 0


def test_rm_keeps_links_and_what_cannot_be_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("link.png").symlink_to("photos/a.png")
    result = rdae("compress", "link.png", "--rm")
    assert (result.exit_code, "link.png: not removed: it is no ordinary file" in result.stderr) == (0, True)
    assert Path("link.png").is_symlink()

    def half(path: Path, data: bytes, **_: object) -> int:
        return path.write_bytes(data[: len(data) // 2])

    monkeypatch.setattr(locations, "write_atomically", half)
    result = rdae("compress", "photos/a.png", "-o", "half.rdae", "--rm")
    assert result.exit_code == 1
    assert "half.rdae does not hold what was written; the input is still there" in result.stderr
    assert Path("photos/a.png").exists()


def test_rm_keeps_an_input_that_fails_or_was_changed_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Compress(model=str(frozen_path()), remove=True)
    plain = encode.check

    def meanwhile(*arguments: object, **options: object) -> None:
        plain(*arguments, **options)  # type: ignore[arg-type]
        shutil.copy("photos/deep/b.png", "photos/a.png")

    with monkeypatch.context() as patched:
        patched.setattr(encode, "check", meanwhile)
        outcome = perform(task, Job("photos/a.png", "a.rdae"))
    assert outcome.notes == ("not removed: it was changed meanwhile",)
    assert Path("photos/a.png").exists()
    assert perform(task, Job("photos/a.png", "a.rdae")).error  # it is there
    assert Path("photos/a.png").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("compress", "photos/a.png", "--rm", "--no-verify"),
        ("compress", "-", "--rm"),
        ("compress", "-", "-d", "out", "--rm"),
        ("compress", "photos/a.png", "-o", "-", "--rm"),
        ("decompress", "photos/a.rdae", "--rm"),
    ],
)
def test_rm_is_refused_where_nothing_could_be_verified(arguments: tuple[str, ...]) -> None:
    assert rdae(*arguments).exit_code == 2
    assert Path("photos/a.png").exists()
    with pytest.raises(ValueError, match="only after its output was verified"):
        Compress(remove=True, verify=False)


def test_the_attributes_of_nothing_are_none() -> None:
    assert attributes.attributes_of("nothing") is None
    assert attributes.attributes_of("photos") is None
