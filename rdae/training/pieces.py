"""Data, weights and results in pieces that are small enough to carry, and whole again at the other end.

    python -m rdae.training.pieces split runs/a/metrics.jsonl weights/a.safetensors -d packs --name result --mib 16
    python -m rdae.training.pieces merge packs -d restored

All that is split at once becomes one tar archive, cut into pieces of at most that size.  Each piece begins with a
line that says of which archive it is a part and what its bytes must hash to: pieces may come in any order, on any
number of journeys, and what is missing or damaged is named.  This needs nothing but Python's own library.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from rdae.errors import RdaeError

SUFFIX = ".piece"
MIB = 2**20
_HEADER_MAX = 1024
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class PieceError(RdaeError):
    """Pieces that cannot be made, or do not make a whole."""


@dataclasses.dataclass(frozen=True)
class Piece:
    """What a piece says of itself: number `number` (from 1) of `of`, with `size` bytes of payload.

    archive: SHA-256 of the whole archive; sha256: of this payload.
    """

    name: str
    archive: str
    number: int
    of: int
    size: int
    sha256: str


def split(paths: Sequence[Path], folder: Path, name: str, max_bytes: int) -> list[Path]:
    """Cut files and folders into pieces NAME-01-of-04.piece of at most max_bytes, header included; return them.

    Files are named by their path relative to the parent of the path given: `split([runs/a])` restores `a/…`.
    """
    if not _NAME.fullmatch(name):
        raise PieceError(f"the name {name!r} is not made of 1 to 64 letters, digits, '.', '_' and '-'")
    room = max_bytes - _HEADER_MAX
    if room < 1:
        raise PieceError(f"pieces of {max_bytes} bytes are too small, expected more than {_HEADER_MAX}")
    with tempfile.TemporaryFile() as whole:
        _pack(paths, whole)
        archive, total = _sha256(whole), whole.tell()
        count = -(-total // room)
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        # Pieces of an earlier archive of this name would be taken along; a glob would take data-2's for data's.
        own = re.compile(re.escape(name) + r"-\d+-of-\d+" + re.escape(SUFFIX))
        for stale in [path for path in folder.iterdir() if own.fullmatch(path.name)]:
            stale.unlink()
        whole.seek(0)
        for number in range(1, count + 1):
            payload = whole.read(room)
            facts = Piece(name, archive, number, count, len(payload), hashlib.sha256(payload).hexdigest())
            path = folder / f"{name}-{number:02d}-of-{count:02d}{SUFFIX}"
            with path.open("wb") as stream:
                stream.write(json.dumps(dataclasses.asdict(facts)).encode() + b"\n")
                stream.write(payload)
            made.append(path)
    return made


def merge(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Restore below `folder` what was split into the pieces given, or found in folders given; return the files.

    PieceError if a piece is missing: nothing is restored then; or if one is damaged or would write outside of
    `folder`: nothing of its archive is.
    """
    found: dict[str, dict[int, tuple[Path, Piece]]] = {}
    for path in _pieces(paths):
        facts = _facts(path)
        found.setdefault(facts.archive, {})[facts.number] = path, facts
    if not found:
        raise PieceError(f"{', '.join(map(str, paths))}: no pieces there")
    for pieces in found.values():
        (_, facts), *_ = pieces.values()
        missing = [str(number) for number in range(1, facts.of + 1) if number not in pieces]
        if missing:
            raise PieceError(f"{facts.name}: piece {', '.join(missing)} of {facts.of} is missing")
    written: list[Path] = []
    for archive, pieces in found.items():
        with tempfile.TemporaryFile() as whole:
            for _, (path, facts) in sorted(pieces.items()):
                whole.write(_payload(path, facts))
            if _sha256(whole) != archive:
                raise PieceError(f"{facts.name}: the pieces do not add up to the archive they were cut from")
            written += _unpack(whole, folder)
    return written


def _pack(paths: Sequence[Path], stream: IO[bytes]) -> None:
    with tarfile.open(fileobj=stream, mode="w") as archive:
        seen: dict[str, Path] = {}
        for path in paths:
            if not path.exists():
                raise PieceError(f"{path}: no such file or folder")
            for source in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if not source.is_file():
                    continue
                name = source.relative_to(path.parent).as_posix()
                if name in seen:
                    raise PieceError(f"{seen[name]} and {source} would both be restored as {name}")
                seen[name] = source
                archive.add(source, arcname=name, recursive=False, filter=_plain)
        if not seen:
            raise PieceError(f"{', '.join(map(str, paths))}: no files there")


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Drop owner and time: the same files give the same pieces."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _pieces(paths: Sequence[Path]) -> list[Path]:
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(path.glob(f"*{SUFFIX}"))
        elif path.is_file():
            found.append(path)
        else:
            raise PieceError(f"{path}: no such file or folder")
    return found


def _facts(path: Path) -> Piece:
    with path.open("rb") as stream:
        line = stream.readline(_HEADER_MAX)
    try:
        facts = Piece(**json.loads(line))
    except (TypeError, ValueError) as error:
        raise PieceError(f"{path}: not a piece") from error
    return facts


def _payload(path: Path, facts: Piece) -> bytes:
    with path.open("rb") as stream:
        stream.readline(_HEADER_MAX)
        payload = stream.read()
    if hashlib.sha256(payload).hexdigest() != facts.sha256:
        raise PieceError(f"{path}: damaged or cut short, {len(payload)} bytes of {facts.size}")
    return payload


def _sha256(stream: IO[bytes]) -> str:
    """Hash a file from its start; leaves it at its end."""
    digest = hashlib.sha256()
    stream.seek(0)
    while block := stream.read(MIB):
        digest.update(block)
    return digest.hexdigest()


def _unpack(stream: IO[bytes], folder: Path) -> list[Path]:
    stream.seek(0)
    with tarfile.open(fileobj=stream, mode="r") as archive:
        members = archive.getmembers()
        for member in members:
            parts = PurePosixPath(member.name).parts
            # Pieces may come from anywhere; only plain files below the folder are written.
            if (
                not member.isfile()
                or not parts
                or ".." in parts
                or member.name.startswith("/")
                or "\\" in member.name
            ):
                raise PieceError(f"the archive holds {member.name!r}, which is not a plain file below it")
        written = []
        for member in members:
            source = archive.extractfile(member)
            assert source is not None  # it is a plain file
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                while block := source.read(MIB):
                    out.write(block)
            written.append(target)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rdae.training.pieces", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    splitter = commands.add_parser("split", help="cut files and folders into pieces")
    splitter.add_argument("paths", nargs="+", type=Path)
    splitter.add_argument("-d", "--directory", type=Path, default=Path("packs"), help="folder for the pieces")
    splitter.add_argument("--name", default="pack", help="what the pieces' names begin with")
    splitter.add_argument(
        "--mib", type=float, default=16, help="largest size of a piece in MiB (default: 16)"
    )
    merger = commands.add_parser("merge", help="restore what was split")
    merger.add_argument("paths", nargs="+", type=Path, help="pieces, or folders of them")
    merger.add_argument("-d", "--directory", type=Path, default=Path(), help="folder to restore below")
    options = parser.parse_args(arguments)
    try:
        if options.command == "split":
            made = split(options.paths, options.directory, options.name, int(options.mib * MIB))
        else:
            made = merge(options.paths, options.directory)
    except (RdaeError, OSError) as error:
        sys.stderr.write(f"pieces: {error}\n")
        return 1
    for path in made:
        sys.stdout.write(f"{path}  {path.stat().st_size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
