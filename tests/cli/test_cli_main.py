"""The command `rdae` as a program: quick, light, and honest about what it can do."""

import importlib
import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import rdae
from rdae.cli.main import COMMANDS, main
from rdae.codec.container import Container, Header, Section, SectionType, pack
from rdae.networks import registry

ROOT = Path(__file__).resolve().parents[2]

HEAVY = (
    "torch",
    "onnxruntime",
    "numpy",
    "PIL",
    "constriction",
    "matplotlib",
    "compressai",
    "rdae.training",
    "rdae.evaluation",
)


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=600
    ).stdout


def rdae_program(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "rdae.cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


def example(path: Path) -> Path:
    sections = (
        Section(SectionType.LATENTS, bytes(1234)),
        Section(SectionType.XMP, b"x", skippable=True),
    )
    path.write_bytes(pack(Container(Header(64, 48, b"\x01\x02\x03\xff", 300), sections, 0xABC)))
    return path


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["compress", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from rdae.cli.main import main\n"
        f"try: main({arguments!r}, prog_name='rdae')\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


def test_info_loads_no_network(tmp_path: Path) -> None:
    path = example(tmp_path / "a.rdae")
    code = (
        "import sys; from rdae.cli.main import main\n"
        f"try: main(['info', {str(path)!r}], prog_name='rdae')\n"
        f"except SystemExit: print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert python(code).splitlines()[-1] == "[]"


@pytest.mark.skipif(os.name != "posix", reason="needs the times of child processes")
def test_help_takes_a_tenth_of_a_second_beyond_python() -> None:
    """Of a processor: what the rest of the machine does meanwhile does not count."""
    help_s, bare_s = (
        min(processor_seconds([sys.executable, *arguments]) for _ in range(5))
        for arguments in (["-m", "rdae.cli", "--help"], ["-c", "pass"])
    )
    assert help_s - bare_s < 0.1


def processor_seconds(command: list[str]) -> float:
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_lists_every_command_without_loading_it() -> None:
    text = rdae_program("--help").stdout
    for name, (_, short_help) in COMMANDS.items():
        assert f"  {name} " in text
        assert short_help in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded(name: str) -> None:
    module, _ = COMMANDS[name]
    command = getattr(importlib.import_module(f"rdae.cli.{module}"), module)
    assert isinstance(command, click.Command)
    assert main.get_command(click.Context(main), name) is command


def test_version_names_the_default_model_and_runtime_too() -> None:
    name = registry.TUNES[registry.DEFAULT_TUNE]
    manifest = json.loads((ROOT / "weights" / f"{name}.json").read_text())
    assert rdae_program("--version").stdout.splitlines() == [
        f"rdae {rdae.__version__}",
        f"model {name} {manifest['sha256'][:8]}",
        f"onnxruntime {importlib.metadata.version('onnxruntime')}",
    ]


def test_info_prints_what_a_file_says(tmp_path: Path) -> None:
    path = example(tmp_path / "a.rdae")
    size = path.stat().st_size
    lines = rdae_program("info", str(path)).stdout.splitlines()
    assert lines == [
        f"file      {path}",
        f"size      {size:,} bytes, {8 * size / (64 * 48):.3f} bpp",
        "picture   64 x 48",
        "quality   37.5",
        "model     010203ff, not installed",
        "model not released: no version of rdae brings it, so its files open only where its weights are kept",
        "section   latents, 1,234 bytes",
        "section   xmp, 1 bytes",
        "checksum  00000abc over the latents",
    ]


def test_info_prints_json(tmp_path: Path) -> None:
    path = example(tmp_path / "a.rdae")
    size = path.stat().st_size
    assert json.loads(rdae_program("info", "--json", str(path)).stdout) == {
        "file": str(path),
        "bytes": size,
        "width": 64,
        "height": 48,
        "bpp": 8 * size / (64 * 48),
        "quality": 37.5,
        "quality_index": 300,
        "model": "010203ff",
        "model_name": None,
        "model_released": False,
        "grey": False,
        "tile": None,
        "sections": [
            {"type": "latents", "bytes": 1234, "skippable": False},
            {"type": "xmp", "bytes": 1, "skippable": True},
        ],
        "pixels_stored": 0.0,
        "pixels_exact": 0.0,
        "exact": False,
        "latent_checksum": "00000abc",
    }


def test_an_error_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "a.rdae"
    path.write_bytes(b"RDAE\x10\x00")
    result = rdae_program("info", str(path))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith(f"rdae: {path}: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("module", ["rdae", "rdae.cli"])
def test_python_m_is_the_command(module: str) -> None:
    command = [sys.executable, "-m", module]
    done = subprocess.run([*command, "--help"], check=True, capture_output=True, text=True, timeout=600)
    assert done.stdout.startswith("Usage: rdae [OPTIONS] COMMAND")
    done = subprocess.run(
        [*command, "info", "none"], check=False, capture_output=True, text=True, timeout=600
    )
    assert (done.returncode, done.stderr) == (1, "rdae: none: No such file or directory\n")
