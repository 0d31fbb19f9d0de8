"""examples/ray_compress.py on a local Ray with two workers: one model each, the bytes of `rdae compress`."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tiny_model import GOLDEN, photo

from rdae.cli.main import main

EXAMPLE = Path(__file__).parent.parent / "examples" / "ray_compress.py"
MODEL = GOLDEN / "v1.0" / "mini.safetensors"


@pytest.mark.slow
def test_a_folder_is_compressed_by_two_workers(tmp_path: Path) -> None:
    pytest.importorskip("ray.data", reason="ray is not installed")
    for number in range(6):
        path = tmp_path / "in" / ("deep" if number % 2 else ".") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(40, 50 + number)).save(path)
    (tmp_path / "in" / "bad.jpg").write_bytes(b"junk")
    command = [sys.executable, str(EXAMPLE), str(tmp_path / "in"), str(tmp_path / "out"), "--workers", "2"]
    command += ["--model", str(MODEL), "-q", "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [Path(row["input"]).name for row in rows if row["error"]] == ["bad.jpg"]
    assert len(rows) == 7
    assert 1 <= len({row["worker"] for row in rows}) <= 2
    same, out = tmp_path / "same", tmp_path / "out"
    options = ["--keep-suffix", "--quiet", "-q", "30", "-j", "1", "--model", str(MODEL)]
    with contextlib.suppress(SystemExit):
        main(["compress", "-r", str(tmp_path / "in"), "-d", str(same), *options])
    names = sorted(path.relative_to(same) for path in same.rglob("*.rdae"))
    assert len(names) == 6
    assert names == sorted(path.relative_to(out) for path in out.rglob("*.rdae"))
    assert all((same / name).read_bytes() == (out / name).read_bytes() for name in names)
    (tmp_path / "in" / "bad.jpg").unlink()
    (out / names[0]).unlink()
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert len([line for line in again.stdout.splitlines() if line.startswith("{")]) == 1
    assert (out / names[0]).read_bytes() == (same / names[0]).read_bytes()
