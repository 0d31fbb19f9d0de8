"""Whether an installed rdae does what its users need first: ENVIRONMENT/bin/python tools/smoke.py CHECKOUT --version X

Run by tools/release.py in a fresh environment.  It imports nothing but what is installed there, takes pictures and
golden files from the checkout, and writes into the current folder.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

BIN = Path(sys.executable).parent
COMMAND = BIN / ("rdae.exe" if os.name == "nt" else "rdae")


def expect(truth: object, what: str) -> None:
    """End here if something is not so."""
    if not truth:
        sys.exit(f"not so: {what}")


def rdae(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the installed command."""
    done = subprocess.run(
        [str(COMMAND), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode != status:
        sys.exit(f"rdae {' '.join(map(str, arguments))}: status {done.returncode}: {done.stderr.strip()}")
    return done


def pixels_of(path: Path) -> bytes:
    """The pixels of a picture: red, green and blue, row by row."""
    from PIL import Image

    with Image.open(path) as image:
        return image.convert("RGB").tobytes()


def check_install(version: str) -> None:
    """The command, the package and the man page are those of this environment."""
    place = importlib.util.find_spec("rdae")
    expect(place and place.origin, "the package rdae is installed")
    assert place is not None
    assert place.origin is not None
    expect(Path(sys.prefix).resolve() in Path(place.origin).resolve().parents, "rdae is this environment's")
    told = rdae("--version").stdout.splitlines()
    expect(told[:1] == [f"rdae {version}"], f"rdae --version says {version}: {told}")
    expect("compress" in rdae("--help").stdout, "the help lists commands")
    expect("_RDAE_COMPLETE" in rdae("completion", "zsh").stdout, "completion prints a script")
    expect(Path(sys.prefix, "share", "man", "man1", "rdae.1").is_file(), "the man page is installed")


def check_round_trip(example: Path, tune: str) -> int:
    """Compress, verify, tell and decompress by one model; return the bytes."""
    path, again = Path(f"{tune}.rdae"), Path(f"{tune}.png")
    rdae("compress", example, "-o", path, "--tune", tune)
    rdae("verify", path)
    told = json.loads(rdae("info", "--json", path).stdout)
    expect(told["model_name"], "info names the model")
    expect(told["model_released"] is not None, "info says whether the model is released")
    expect(("model not released: " in rdae("info", path).stdout) != told["model_released"], "and in words")
    rdae("decompress", path, "-o", again)
    before, after = pixels_of(example), pixels_of(again)
    error = sum((a - b) ** 2 for a, b in zip(before[::7], after[::7], strict=True)) / len(before[::7])
    expect(error < 255**2 / 10**3, f"--tune {tune} keeps the picture: a mean squared error of {error:.1f}")
    return path.stat().st_size


def golden_files(checkout: Path) -> dict[Path, str]:
    """The golden files of the published models that the package brings, and the SHA-256 of their pixels."""
    from rdae.networks.known_models import KNOWN

    folder = checkout / "tests" / "golden" / "models"
    brought = {model.name for model in KNOWN if model.home == "rdae"}
    told = json.loads((folder / "models.json").read_text(encoding="utf-8"))
    return {
        folder / f"{model}.{name}.rdae": facts["pixels_sha256"]
        for model in sorted(brought)
        for name, facts in told[model]["files"].items()
    }


def check_golden(checkout: Path) -> int:
    """All golden files decode to their pixels; return how many."""
    files = golden_files(checkout)
    expect(files, "there are golden files")
    for path, sha256 in files.items():
        rdae("decompress", path, "-o", "golden.png", "--force", "--exact")
        expect(hashlib.sha256(pixels_of(Path("golden.png"))).hexdigest() == sha256, f"{path.name} as it was")
    return len(files)


def check_missing(path: Path, words: str) -> str:
    """A file whose model is not there ends in one line that says what to do; return it."""
    done = rdae("decompress", path, "-o", "missing.png", status=1)
    expect(done.stderr.count("\n") == 1 and words in done.stderr, f"one line with {words!r}: {done.stderr}")
    expect(not Path("missing.png").exists(), "nothing is left behind")
    return done.stderr.partition("; installed are")[0].partition(f"{path}: ")[2]


def check_python(example: Path) -> None:
    """The library, in a few lines."""
    from PIL import Image

    import rdae as library

    with Image.open(example) as image:
        data = library.compress(image, quality=30)
        expect(library.decompress(data).size == image.size, "the library's round trip")


def check_viewer() -> None:
    """`rdae view` serves its page."""
    command = [str(COMMAND), "view", "--no-open", "visual.rdae"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - the server that was started
            expect(b"<!doctype html" in answer.read().lower(), "the viewer's page is served")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--version", required=True)
    parser.add_argument("--no-models", action="store_true", help="the package brings none")
    parser.add_argument("--viewer", action="store_true", help="the package brings the viewer")
    options = parser.parse_args()
    example = options.checkout / "data" / "example.png"
    began = time.monotonic()
    check_install(options.version)
    said = [f"Python {platform.python_version()}"]
    unknown = options.checkout / "tests" / "golden" / "v1.0" / "photo.rdae"
    said.append(f"unknown model: {check_missing(unknown, 'does not know: install a newer rdae')!r}")
    if options.no_models:
        rdae("compress", example, "-o", "exact.rdae", "--lossless")
        rdae("decompress", "exact.rdae", "-o", "exact.png")
        expect(pixels_of(Path("exact.png")) == pixels_of(example), "--lossless needs no model")
        for path in golden_files(options.checkout):
            line = check_missing(path, "which is not installed: install the package rdae, ")
        said.append(f"published model that is not there: {line!r}")
        os.environ["RDAE_MODEL_PATH"] = str(options.checkout / "weights")
        said.append(f"{check_golden(options.checkout)} golden files with the models in RDAE_MODEL_PATH")
    else:
        sizes = [f"--tune {tune} {check_round_trip(example, tune):,} bytes" for tune in ("visual", "psnr")]
        said.append(f"example.png: {', '.join(sizes)}")
        said.append(f"{check_golden(options.checkout)} golden files")
        check_python(example)
    if options.viewer:
        check_viewer()
        said.append("the viewer")
    said.append(f"{time.monotonic() - began:.0f} s")
    print("  " + "\n  ".join(said))  # noqa: T201 - a program that prints


if __name__ == "__main__":
    main()
