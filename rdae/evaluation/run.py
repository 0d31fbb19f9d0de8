"""One evaluation: each picture at each quality to a real file, read back, decoded, measured.

The model and the peers go through the same loop. Files are written to a folder and read again, so that what
is counted is what is on the disk.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import rdae
from rdae import container, metrics, quality
from rdae.errors import RdaeError, ResultsError
from rdae.evaluation import fresh
from rdae.evaluation.peers import Peer
from rdae.evaluation.results import Account, Agreement, Evaluation, PictureResult, Point
from rdae.metrics import Picture
from rdae.pictures import SUFFIXES, read_picture

# Called with (points done, points in all, what is being done).
Progress = Callable[[int, int, str], None]


class EncodedPicture(Protocol):
    """What a model's encode returns: rdae.codec.Encoded."""

    @property
    def data(self) -> bytes: ...  # noqa: D102
    @property
    def reconstruction(self) -> Picture: ...  # noqa: D102
    @property
    def rate_bits(self) -> float: ...  # noqa: D102
    @property
    def latents_sha256(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> Mapping[str, float]: ...  # noqa: D102


class DecodedPicture(Protocol):
    """What a model's decode returns: rdae.codec.Decoded."""

    @property
    def picture(self) -> Picture: ...  # noqa: D102
    @property
    def latents_sha256(self) -> str: ...  # noqa: D102
    @property
    def seconds(self) -> Mapping[str, float]: ...  # noqa: D102


class Model(Protocol):
    """The part of rdae.open_model's result that is measured."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def model_id(self) -> bytes: ...  # noqa: D102
    def encode(self, picture: Picture, quality: float, /) -> EncodedPicture: ...  # noqa: D102
    def decode(self, data: bytes, /) -> DecodedPicture: ...  # noqa: D102
    def kmac_per_pixel(self) -> Mapping[str, float]: ...  # noqa: D102


@dataclass(frozen=True)
class FreshCheck:
    """Decode all files once more in one process that has seen no encoder.

    model: the weights' path as the process should open it; None: the weights of the package.
    command: what to start, for tests with a model of their own.
    """

    model: Path | None
    command: tuple[str, ...] = (sys.executable, "-m", "rdae.evaluation.fresh")


def collect_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths and the pictures directly in the folders among them, in order, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())
            if not inside:
                raise ResultsError(f"{path}: no pictures in this folder")
            found |= dict.fromkeys(inside)
        else:
            found[path] = None
    return list(found)


def evaluate_model(
    model: Model,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    *,
    folder: Path,
    progress: Progress,
    fresh_check: FreshCheck | None = None,
) -> Evaluation:
    """Measure a model on pictures; folder takes the files and must be empty."""
    meta = _meta(pictures, qualities) | {"model": model.model_id.hex()}
    jobs: dict[tuple[str, float], fresh.Job] = {}

    warm = False

    def measure(original: Picture, at: float, file: Path, name: str) -> Point:
        nonlocal warm
        if not warm:  # the first call builds tables and thread pools, which is no picture's own time
            model.decode(model.encode(original, at).data)
            warm = True
        start = time.perf_counter()
        encoded = model.encode(original, at)
        encoding_s = time.perf_counter() - start
        file.write_bytes(encoded.data)
        data = file.read_bytes()
        start = time.perf_counter()
        decoded = model.decode(data)
        decoding_s = time.perf_counter() - start
        if fresh_check:
            reconstruction = file.with_suffix(".npy")
            np.save(reconstruction, encoded.reconstruction)
            jobs[name, at] = fresh.Job(file, reconstruction, encoded.latents_sha256)
        account = Account(encoded.rate_bits, _overhead_bits(data), quality.beta(quality.to_index(at)))
        same = encoded.latents_sha256 == decoded.latents_sha256
        agreement = fresh.compare(encoded.reconstruction, decoded.picture, latents_equal=same)
        point = _point(
            original,
            decoded.picture,
            at=at,
            file_bytes=len(data),
            encoding_s=encoding_s,
            decoding_s=decoding_s,
        )
        return replace(point, account=account, decoded=agreement)

    result = _evaluate(
        measure,
        name=model.name if model.name.startswith("rdae") else f"rdae {model.name}",
        description="rdae: learned image codec, real files",
        pictures=pictures,
        qualities=qualities,
        file_pattern=folder / "{}.rdae",
        progress=progress,
        meta=meta,
    )
    if fresh_check:
        progress(0, 0, "decoding all files in a fresh process")
        try:
            found = fresh.run(list(jobs.values()), fresh_check.model, fresh_check.command)
        except RdaeError as error:  # the rest of a long run is still worth having
            return replace(result, failures=(*result.failures, ("fresh process", str(error))))
        result = _with_fresh(result, dict(zip(jobs, found, strict=True)))
    return result


def evaluate_peer(
    peer: Peer, pictures: Sequence[Path], qualities: Sequence[float], *, folder: Path, progress: Progress
) -> Evaluation:
    """Measure one of Pillow's codecs on pictures; folder takes the files and must be empty."""

    def measure(original: Picture, at: float, file: Path, _name: str) -> Point:
        start = time.perf_counter()
        encoded = peer.encode(original, at)
        encoding_s = time.perf_counter() - start
        file.write_bytes(encoded)
        data = file.read_bytes()
        start = time.perf_counter()
        decoded = peer.decode(data)
        decoding_s = time.perf_counter() - start
        return _point(
            original, decoded, at=at, file_bytes=len(data), encoding_s=encoding_s, decoding_s=decoding_s
        )

    options = ", ".join(f"{key} {value}" for key, value in peer.options.items())
    return _evaluate(
        measure,
        name=peer.title,
        description=f"{peer.file_format} by {peer.library}; {options}",
        pictures=pictures,
        qualities=qualities,
        file_pattern=folder / ("{}" + peer.suffix),
        progress=progress,
        meta=_meta(pictures, qualities),
    )


def _evaluate(
    measure: Callable[[Picture, float, Path, str], Point],
    *,
    name: str,
    description: str,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    file_pattern: Path,
    progress: Progress,
    meta: Mapping[str, Any],
) -> Evaluation:
    """The loop over pictures and qualities: a picture that fails is noted, and the others go on."""
    done, total = 0, len(pictures) * len(qualities)
    results: list[PictureResult] = []
    failures: list[tuple[str, str]] = []
    # Two folders may hold the same name; then the path tells them apart.
    unique = len({path.name for path in pictures}) == len(pictures)
    for i, path in enumerate(pictures):
        label = path.name if unique else str(path)
        points: list[Point] = []
        try:
            original = read_picture(path)
            for at in sorted(qualities):
                progress(done + len(points), total, f"{name}: {label} at quality {at:g}")
                file = Path(str(file_pattern).format(f"{i:04d}-q{at:g}"))
                points.append(measure(original, at, file, label))
            results.append(PictureResult(label, original.shape[1], original.shape[0], tuple(points)))
        except (RdaeError, OSError) as error:
            # Without the file's place on this machine, which an OSError's full text has.
            words = error.strerror if isinstance(error, OSError) else None
            failures.append((label, words or str(error)))
        done += len(qualities)
    progress(done, total, f"{name}: done")
    if not results:
        raise ResultsError("no picture could be measured; the first failed so: " + ": ".join(failures[0]))
    return Evaluation(name, description, tuple(sorted(qualities)), tuple(results), tuple(failures), meta)


def _point(
    original: Picture, decoded: Picture, *, at: float, file_bytes: int, encoding_s: float, decoding_s: float
) -> Point:
    if decoded.shape != original.shape:
        raise ResultsError(f"decoded to a picture of shape {decoded.shape}, expected {original.shape}")
    return Point(
        quality=at,
        file_bytes=file_bytes,
        pixels=original.shape[0] * original.shape[1],
        mse=metrics.mse(original, decoded),
        psnr=metrics.psnr(original, decoded),
        ms_ssim=metrics.ms_ssim(original, decoded),
        encoding_s=encoding_s,
        decoding_s=decoding_s,
    )


def _overhead_bits(data: bytes) -> int:
    """Bits of a file that are not range-coded latents."""
    payloads = container.parse(data).payloads(container.SectionType.LATENTS)
    return 8 * (len(data) - sum(map(len, payloads)))


def _with_fresh(result: Evaluation, agreements: Mapping[tuple[str, float], Agreement]) -> Evaluation:
    pictures = tuple(
        replace(
            picture,
            points=tuple(
                replace(p, decoded_fresh=agreements[picture.name, p.quality]) for p in picture.points
            ),
        )
        for picture in result.pictures
    )
    return replace(result, pictures=pictures)


def _meta(pictures: Sequence[Path], qualities: Sequence[float]) -> dict[str, Any]:
    """What a reader needs to repeat the numbers; names of pictures, not where they lie on this machine."""
    import torch

    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "rdae": rdae.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        **{package: version(package) for package in ("torch", "numpy", "pillow")},
        "settings": {"qualities": sorted(qualities), "pictures": len(pictures)},
    }
