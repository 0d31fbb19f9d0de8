"""Nothing is lost: kills, full disks, read-only folders, broken pipes, and outputs that somebody makes meanwhile."""

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fuzzing import frozen_path
from PIL import Image
from tiny_model import noise

from rdae.codec.reading import read_container
from rdae.errors import NotRdaeError, OutputExistsError, StreamError
from rdae.storage import files
from rdae.storage.files import check_output, identities, open_input, write_atomically

TOOLS = Path(__file__).resolve().parents[2] / "tools"
posix = pytest.mark.skipif(os.name != "posix", reason="needs fork, signals or pipes of POSIX")
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")  # lets anybody mount, in a process of its own


def read(path: str | Path) -> bytes:
    """The bytes of an .rdae file, as commands read it."""
    with open_input(path, NotRdaeError, StreamError) as file:
        return read_container(file)


def kills(what: str, number: int) -> dict[str, int]:
    command = [sys.executable, str(TOOLS / "kills.py"), "-n", str(number), "--what", what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    assert found.pop("kills") == number
    return found


@posix
@pytest.mark.parametrize(("what", "number"), [("write", 200), ("compress", 20), ("decompress", 20)])
def test_a_killed_writer_leaves_the_old_file_or_a_whole_new_one_or_none(what: str, number: int) -> None:
    found = kills(what, number)
    assert found["broken"] == 0
    assert found["old"] + found["new"] + found["none"] == number
    assert found["new"] > 0
    assert found["old"] + found["none"] > 0  # some kills came before the end of the first writing


@posix
def test_the_kills_break_the_files_of_a_writer_that_just_writes() -> None:
    assert kills("naive", 20)["broken"] > 0


@posix
@pytest.mark.slow
@pytest.mark.parametrize("what", ["compress", "decompress"])
def test_two_hundred_killed_commands_lose_nothing(what: str) -> None:
    assert kills(what, 200)["broken"] == 0


@posix
@pytest.mark.slow
def test_two_hundred_processes_killed_from_start_to_end_lose_nothing(tmp_path: Path) -> None:
    """The real command, started anew each time; kills.py forks from a process that is warm."""
    Image.fromarray(noise(1, 90, 120)).save(tmp_path / "a.png")
    target = tmp_path / "a.rdae"
    command = [
        sys.executable,
        "-m",
        "rdae.cli",
        "compress",
        "a.png",
        "--force",
        "--model",
        str(frozen_path()),
    ]
    began = time.monotonic()
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    spent_s = time.monotonic() - began
    whole = target.read_bytes()
    rng = random.Random(1)
    for turn in range(200):
        old = b"old" if turn % 2 else None
        target.unlink(missing_ok=True)
        if old is not None:
            target.write_bytes(old)
        # Most of the time is the start, in which nothing can go wrong: three kills in four come near the end.
        after_s = rng.uniform(0 if turn % 4 == 0 else 0.6, 1.1) * spent_s
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as process:
            time.sleep(after_s)
            process.kill()
        found = target.read_bytes() if target.exists() else None
        assert found in (old, whole)
        assert (tmp_path / "a.png").exists()


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def recorded(*arguments: object, **options: object) -> object:
            folder = name == "fsync" and os.path.isdir(f"/proc/self/fd/{arguments[0]}")  # noqa: PTH112
            order.append(f"{name} folder" if folder else name)
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, recorded)

    for name in ("fsync", "link", "replace"):
        spy(name)
    write_atomically(tmp_path / "a", b"new")
    if os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - tells folders from files
        assert order == ["fsync", "link", "fsync folder"]
    order.clear()
    write_atomically(tmp_path / "a", b"newer", force=True)
    assert order[0] == "fsync"
    assert order.index("fsync") < len(order) - 1 or os.name == "nt"
    assert (tmp_path / "a").read_bytes() == b"newer"


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("failing", ["fsync", "open"])
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str, force: bool
) -> None:
    path = tmp_path / "out"
    if force:
        path.write_bytes(b"old")

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(Path, "open", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(path, b"new", force=force)
    assert caught.value.filename == str(path)  # not the temporary file's
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == (["out"] if force else [])
    assert not force or path.read_bytes() == b"old"


def in_namespace(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run shell lines as one who may mount; skip where the system does not let us."""
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    return subprocess.run(
        [*NAMESPACE, "sh", "-eu", "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )


def command_line(*arguments: str) -> str:
    return " ".join((sys.executable, "-m", "rdae.cli", *arguments))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    Image.fromarray(noise(1, 90, 120)).save(tmp_path / "a.png")
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"""
        mount -t tmpfs -o size=64k none disk
        echo precious > disk/a.rdae
        dd if=/dev/zero of=disk/filler bs=4096 2> /dev/null || true
        ! {command_line("compress", "a.png", "-d", "disk", "--force", "--model", str(frozen_path()))} || exit 7
        ! {command_line("compress", "a.png", "-o", "disk/b.rdae", "--model", str(frozen_path()))} || exit 7
        ls -A disk
        cat disk/a.rdae
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["a.rdae", "filler", "precious"]
    assert done.stderr.splitlines() == [
        f"rdae: a.png: {target}: No space left on device" for target in ("disk/a.rdae", "disk/b.rdae")
    ]


def test_a_read_only_folder_is_one_line(tmp_path: Path) -> None:
    Image.fromarray(noise(1, 9, 12)).save(tmp_path / "a.png")
    (tmp_path / "disk").mkdir()
    done = in_namespace(
        f"""
        mount -t tmpfs none disk
        echo precious > disk/a.rdae
        mount -o remount,ro disk
        ! {command_line("compress", "a.png", "-d", "disk", "--force", "--model", str(frozen_path()))} || exit 7
        ls -A disk
        cat disk/a.rdae
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["a.rdae", "precious"]
    assert done.stderr == "rdae: a.png: disk/a.rdae: Read-only file system\n"


@posix
def test_a_folder_without_permission_is_an_error_that_names_the_output(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("permissions do not bind root")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError) as caught:
            write_atomically(tmp_path / "out", b"new")
        assert caught.value.filename == str(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


@posix
def test_a_limit_on_file_sizes_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    code = """
import resource, sys
from rdae.storage.files import write_atomically
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_atomically("out", bytes(5000), force=True)
except OSError as error:
    print(error.strerror)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "File too large\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"


@posix
@pytest.mark.parametrize("reading", [True, False])
def test_a_pipe_is_written_to_and_one_that_nobody_reads_is_an_error(tmp_path: Path, reading: bool) -> None:
    """As in `rdae compress a.png -o /dev/stdout | head -c 0`."""
    Image.fromarray(noise(1, 90, 120)).save(tmp_path / "a.png")
    reader, writer = os.pipe()
    if not reading:
        os.close(reader)
    command = [sys.executable, "-m", "rdae.cli", "compress", "a.png", "-o", "/dev/stdout", "--quiet"]
    done = subprocess.run(
        [*command, "--model", str(frozen_path())],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    if reading:
        assert (done.returncode, done.stderr) == (0, "")
        with open(reader, "rb") as pipe:  # noqa: PTH123 - a descriptor
            assert pipe.read().startswith(b"RDAE")
    else:
        assert done.returncode == 1
        assert done.stderr.startswith("rdae: a.png: ")
        assert done.stderr.count("\n") == 1
        assert "Broken pipe" in done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out"
    real = os.fsync

    def other_program(descriptor: int) -> None:
        real(descriptor)
        path.write_bytes(b"of another program")

    for hard_links in (True, False):
        path.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", other_program)
            if not hard_links:
                patch.setattr(os, "link", no_hard_links)
            with pytest.raises(OutputExistsError, match="--force"):
                write_atomically(path, b"ours")
        assert path.read_bytes() == b"of another program"
        assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def no_hard_links(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def test_file_systems_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", no_hard_links)
    write_atomically(tmp_path / "out", b"ours")
    assert (tmp_path / "out").read_bytes() == b"ours"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_an_input_is_never_an_output_whatever_it_is_called(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"precious")
    names = [source, tmp_path / "." / "a.png", tmp_path / "soft", tmp_path / "hard"]
    names[2].symlink_to(source)
    names[3].hardlink_to(source)
    for name in names:
        with pytest.raises(OutputExistsError, match="never overwritten"):
            check_output(name, force=True, inputs=identities([source]))
    (tmp_path / "other").write_bytes(b"")
    check_output(tmp_path / "other", force=True, inputs=identities([source]))
    check_output(tmp_path / "none", force=True, inputs=identities([source, tmp_path / "none"]))


def test_the_leftover_of_a_kill_is_hidden_and_no_picture() -> None:
    from rdae.pictures import SUFFIXES

    name = ".rdae-0123456789abcdef.part"
    assert name.startswith(".")
    assert Path(name).suffix not in SUFFIXES | {".rdae"}


@posix
def test_what_is_no_rdae_file_is_not_read(tmp_path: Path) -> None:
    """Of an endless device nothing, of ten gigabytes four bytes, of a pipe that never ends at most the limit."""
    with pytest.raises(NotRdaeError, match="device"):
        read("/dev/zero")
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(10 * files.MAX_FILE_BYTES)  # takes no room on most disks
    with pytest.raises(StreamError, match="expected at most"):
        read(path)
    with path.open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES)
    began = time.process_time()
    with pytest.raises(NotRdaeError, match="begins with"):
        read(path)
    assert time.process_time() - began < 0.1


@posix
def test_a_pipe_is_read_as_far_as_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILE_BYTES", 1000)
    command = ["sh", "-c", "printf RDAE; yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as endless:
        assert endless.stdout is not None
        with pytest.raises(StreamError, match="goes on"):
            read(f"/dev/fd/{endless.stdout.fileno()}")
        endless.kill()
    os.mkfifo(tmp_path / "pipe")
    assert read(tmp_path / "pipe") == b""  # nobody writes, and nobody is waited for
    monkeypatch.undo()
    command = ["sh", "-c", "printf RD; sleep 0.2; printf AE123"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        assert read(f"/dev/fd/{slow.stdout.fileno()}") == b"RDAE123"


def test_reading_gives_back_the_bytes_and_leaves_errors_of_length_to_the_parser(tmp_path: Path) -> None:
    for data in (b"", b"R", b"RDAE", b"RDAE" + bytes(10_000)):
        (tmp_path / "a").write_bytes(data)
        assert read(tmp_path / "a") == data
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")
