"""Standard streams that are closed, broken, or cannot say a name: no command does less for it."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import frozen_path
from PIL import Image
from tiny_model import photo

from rdae.cli.streams import ErrorStream, prepare_streams

RDAE = (sys.executable, "-m", "rdae.cli")
SUPPORT = Path(__file__).resolve().parents[1] / "support"
MODEL = ("--model", str(frozen_path()))
posix = pytest.mark.skipif(os.name != "posix", reason="needs a shell, and names that are bytes")

WITHOUT_STDERR = ("2>&-", "2>/dev/full", "2> >(true)")


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures in/0.png to in/2.png."""
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    for number in range(3):
        Image.fromarray(photo(20, 40 + number)).save(f"in/{number}.png")


def shell(redirected: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    command = ["bash", "-c", f'"$@" {redirected}', "bash", *RDAE, *arguments, *MODEL]
    return subprocess.run(command, capture_output=True, check=False, timeout=600)


def made(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.*"))


@posix
@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
@pytest.mark.parametrize("redirected", WITHOUT_STDERR)
def test_without_stderr_everything_is_done_as_with_quiet(redirected: str, workers: tuple[str, ...]) -> None:
    done = shell(redirected, "compress", "-r", "in", "-d", "out", *workers)
    assert (done.returncode, made("out")) == (0, ["0.rdae", "1.rdae", "2.rdae"])
    done = shell(redirected, "compress", "none.png", "in/0.png", "-d", "out2", *workers)
    assert (done.returncode, made("out2")) == (1, ["0.rdae"])
    done = shell(redirected, "verify", "-r", "out", *workers)
    assert (done.returncode, done.stdout.count(b"  ok  ")) == (0, 3)
    assert shell(redirected, "decompress", "out/0.rdae", *workers).returncode == 0
    assert shell(redirected, "compress", "--nonsense").returncode == 2


@posix
@pytest.mark.parametrize("workers", [(), ("-j", "2")], ids=["alone", "workers"])
def test_without_any_standard_stream_files_become_files(workers: tuple[str, ...]) -> None:
    done = shell("<&- >&- 2>&-", "compress", "-r", "in", "-d", "out", *workers)
    assert (done.returncode, made("out")) == (0, ["0.rdae", "1.rdae", "2.rdae"])
    for name in made("out"):  # nothing that was printed is in any of them
        assert Path("out", name).read_bytes().startswith(b"RDAE")
    assert shell("<&- >&- 2>&-", "decompress", "-r", "out", "-d", "back", *workers).returncode == 0
    assert shell(">&- 2>&-", "compress", "in/0.png", "--json", "-d", "out3", *workers).returncode == 0
    assert shell(">&- 2>&-", "compress", "in/0.png", "-o", "-").returncode == 1  # where should it go?


@posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
@pytest.mark.parametrize("arguments", ["--version", "--help", "compress --help", "models"])
def test_what_cannot_be_printed_is_one_line_and_status_1(arguments: str) -> None:
    command = ["bash", "-c", '"$@" > /dev/full', "bash", *RDAE, *arguments.split()]
    done = subprocess.run(command, capture_output=True, check=False, timeout=600)
    assert (done.returncode, done.stderr) == (1, b"rdae: No space left on device\n")


@posix
def test_verify_of_standard_input_needs_no_output() -> None:
    assert shell("", "compress", "in/0.png", "-o", "a.rdae").returncode == 0
    done = shell("< a.rdae", "verify", "-", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert (facts := json.loads(done.stdout))["input"] == "-"
    assert "error" not in facts


@posix
def test_workers_of_a_program_without_stderr_may_print() -> None:
    """What they print goes nowhere, and into no pipe that has another purpose."""
    Path("loud").write_bytes(b"x")
    Path("other").write_bytes(b"x")
    program = (
        "import os, sys; os.close(2); sys.stderr = None\n"
        f"sys.path.append({str(SUPPORT)!r})\n"
        "import own_task\n"
        "from rdae import batch\n"
        "jobs = [batch.Job(name, name + '.copy') for name in ('loud', 'other')]\n"
        "print([each.error for each in batch.run(own_task.Copy(), jobs, processes=2)])"
    )
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=True, timeout=600)
    assert done.stdout.decode().strip() == "['', '']"


def encoded_by(encoding: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run([*RDAE, *arguments], capture_output=True, check=False, env=environment, timeout=300)


@pytest.fixture
def odd_names() -> list[str]:
    """Pictures whose names Latin-1 cannot say, one of them no text at all."""
    names = ["名.png", *(["b\udcff.png"] if os.name == "posix" and sys.platform != "darwin" else [])]
    Path("odd").mkdir()
    for number, name in enumerate(names):
        Image.fromarray(photo(20, 40 + number)).save(Path("odd", name))
    return names


def test_names_that_a_stream_cannot_say_are_escaped_by_every_command(odd_names: list[str]) -> None:
    odd = [str(Path("odd", name)) for name in odd_names]
    files = [str(Path(each).with_suffix(".rdae")) for each in odd]
    escaped = "\\u540d"
    for arguments in (
        ["compress", "-r", "odd", "--effort", "0", *MODEL],
        ["compress", *odd, "-f", "--effort", "0", "-j", "2", *MODEL],
        ["info", files[0]],
        ["verify", *files, *MODEL],
        ["decompress", *files, "-d", "名", *MODEL],
        ["decompress", files[-1], "-o", "名/x.bmp", *MODEL],
        ["inspect", odd[0], "-o", "名maps", *MODEL],
        ["inspect", odd[-1], "-o", "maps", *MODEL],
        ["efforts", *odd, "-e", "0", "-q", "20,50,80", "-o", "efforts.json", *MODEL],
        ["benchmark", odd[0], "--peers", "none", "--repeat", "1", *MODEL],
        ["eval", "odd", "-q", "20,50,80", "--effort", "0", "-o", "名.json", "--csv", "t.csv", *MODEL],
        ["eval", "odd", "--peers", "jpeg-default", "--peers-only", "-o", "名.json"],
        ["plot", "名.json", "-o", "plot.svg", "--title", Path(odd[-1]).name],
        ["report", "名.json", "-o", "report.html", "--anchors", "none"],
    ):
        done = encoded_by("latin-1", *arguments)
        shown = done.stdout + done.stderr
        assert b"Traceback" not in shown, shown.decode("latin-1")
        assert done.returncode == 0, (arguments, shown.decode("latin-1"))
    assert escaped in encoded_by("latin-1", "info", files[0]).stdout.decode("latin-1")
    assert escaped in encoded_by("latin-1", "compress", odd[0], *MODEL).stderr.decode("latin-1")
    for arguments in (["info", files[0]], ["verify", files[0], *MODEL], ["compress", odd[0], *MODEL]):
        done = encoded_by("ascii", *arguments)
        assert escaped in (done.stdout + done.stderr).decode("ascii")
    piped = encoded_by("ascii", "compress", odd[0], "-o", "-", *MODEL)
    assert piped.stdout.startswith(b"RDAE")
    assert b"Usage: " in encoded_by("ascii", "compress", "--help").stdout
    results = json.loads(Path("名.json").read_text(encoding="utf-8"))
    # What was measured is there, under the names that the files have.
    assert sorted(each["name"] for each in results["pictures"]) == sorted(odd_names)


def test_results_are_on_the_disk_before_they_are_printed() -> None:
    """A reader of the table that is gone costs the table, not what was measured."""
    arguments = ["eval", "in", "-q", "20,50,80", "--effort", "0", "-o", "r.json", "--quiet", *MODEL]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*RDAE, *arguments], stdout=write, check=False, timeout=600)
    os.close(write)
    assert done.returncode == 1
    assert len(json.loads(Path("r.json").read_text(encoding="utf-8"))["pictures"]) == 3


class Broken(io.StringIO):
    """Fails as a pipe does whose reader is gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, text)

    def flush(self) -> None:
        raise BrokenPipeError(32, "flush")


def test_an_error_stream_fails_for_nothing_and_says_what_it_can() -> None:
    for stream in (ErrorStream(None), ErrorStream(Broken())):
        assert stream.write("words") == 5
        stream.flush()
        assert not stream.isatty()
    raw = io.BytesIO()
    stream = ErrorStream(io.TextIOWrapper(raw, encoding="ascii", errors="strict", write_through=True))
    stream.write("名é\udcff\n")
    assert raw.getvalue() == b"\\u540d\\xe9\\udcff\n"


def test_streams_are_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    prepare_streams()
    prepared = sys.stderr
    assert isinstance(prepared, ErrorStream)
    prepare_streams()
    assert sys.stderr is prepared


def test_the_folder_for_temporary_files_may_have_any_name() -> None:
    Path("t{}").mkdir()
    environment = {**os.environ, "TMPDIR": str(Path("t{}").resolve())}
    for arguments in (
        ["compress", "-r", "in", "-d", "out", "-j", "2", *MODEL],
        ["decompress", "-r", "out", "-d", "back", *MODEL],
        ["eval", "in", "-q", "20,50,80", "--effort", "0", "--fresh-process", *MODEL],
        ["benchmark", "in/0.png", "--peers", "none", "--repeat", "1", "--process", *MODEL],
    ):
        done = subprocess.run(
            [*RDAE, *arguments], capture_output=True, check=False, env=environment, text=True
        )
        assert done.returncode == 0, done.stderr
    assert made("out") == ["0.rdae", "1.rdae", "2.rdae"]
