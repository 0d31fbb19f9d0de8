"""One evaluation: each picture at each quality to a real file, read back, decoded, measured.

The model and the peers go through the same loop. Files are written to a folder and read again, so that what
is counted is what is on the disk. What an earlier result file knows already is not measured again.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

import rdae
from rdae import metrics, quality
from rdae.codec import container
from rdae.effort import DEFAULT_EFFORT
from rdae.errors import RdaeError, ResultsError
from rdae.evaluation import fresh, perceptual
from rdae.evaluation.peers import OtherCodec
from rdae.evaluation.results import Account, Agreement, Evaluation, PictureResult, Point
from rdae.evaluation.reuse import Known, picture_hash
from rdae.metrics import Picture
from rdae.pictures import SUFFIXES, read_picture

# Called with (points measured, points to measure, what is being done); those known before count in neither.
Progress = Callable[[int, int, str], None]
KEEP_EVERY_S = 60.0
NOT_MEASURED = "not measured: the run was stopped"


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
    def encode(self, picture: Picture, quality: float, /, *, effort: int = ...) -> EncodedPicture: ...  # noqa: D102
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


@dataclass(frozen=True)
class Extent:
    """What is measured beside the metrics that always are, and what need not be.

    known: points of an earlier run. ssimulacra2: also this metric, about a second for 0.4 megapixels.
    keep: called now and then with what there is so far, and before the run ends by an error or Ctrl-C; pictures that
    were not reached are among its failures.
    """

    known: Known = field(default_factory=Known)
    ssimulacra2: bool = False
    keep: Callable[[Evaluation], None] = lambda _partial: None


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


def labels(pictures: Sequence[Path]) -> list[str]:
    """What pictures are called in results: their file names; where two folders hold the same one, the paths."""
    unique = len({path.name for path in pictures}) == len(pictures)
    return [path.name if unique else str(path) for path in pictures]


def identity(model: Model, effort: int = DEFAULT_EFFORT) -> dict[str, Any]:
    """All that decides about a model's numbers: the same for two runs whose points are interchangeable."""
    return {"name": model.name, "rdae": rdae.__version__, "model": model.model_id.hex(), "effort": effort}


def evaluate_model(
    model: Model,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    *,
    folder: Path,
    progress: Progress,
    effort: int = DEFAULT_EFFORT,
    fresh_check: FreshCheck | None = None,
    extent: Extent | None = None,
) -> Evaluation:
    """Measure a model on pictures, encoded with an effort 0..9; folder takes the files and must be empty."""
    extent = extent or Extent()
    meta = _meta(pictures, qualities) | {"model": model.model_id.hex(), "device": _device(model)}
    jobs: dict[tuple[str, float], fresh.Job] = {}

    warm = False

    def measure(original: Picture, at: float, file: Path, name: str) -> Point:
        nonlocal warm
        if not warm:  # the first call builds tables and thread pools, which is no picture's own time
            model.decode(model.encode(original, at, effort=effort).data)
            warm = True
        start = time.perf_counter()
        encoded = model.encode(original, at, effort=effort)
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
            extent=extent,
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
        codec=identity(model, effort),
        extent=extent,
        fresh=fresh_check is not None,
    )
    if fresh_check and jobs:
        progress(0, 0, "decoding all files in a fresh process")
        try:
            found = fresh.run(list(jobs.values()), fresh_check.model, fresh_check.command)
        except RdaeError as error:  # the rest of a long run is still worth having
            return replace(result, failures=(*result.failures, ("fresh process", str(error))))
        result = _with_fresh(result, dict(zip(jobs, found, strict=True)))
    return result


def evaluate_peer(
    peer: OtherCodec,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    *,
    folder: Path,
    progress: Progress,
    extent: Extent | None = None,
) -> Evaluation:
    """Measure another codec on pictures; folder takes the files and must be empty."""
    extent = extent or Extent()

    def measure(original: Picture, at: float, file: Path, _name: str) -> Point:
        try:
            start = time.perf_counter()
            encoded = peer.encode(original, at)
            encoding_s = time.perf_counter() - start
            file.write_bytes(encoded)
            data = file.read_bytes()
            start = time.perf_counter()
            decoded = peer.decode(data)
            decoding_s = time.perf_counter() - start
        except (RdaeError, OSError):
            raise
        except Exception as error:  # whatever another package raises costs one picture, not the run
            raise ResultsError(f"{peer.title} at quality {at:g}: {type(error).__name__}: {error}") from error
        return _point(
            original,
            decoded,
            at=at,
            file_bytes=len(data),
            encoding_s=encoding_s,
            decoding_s=decoding_s,
            extent=extent,
        )

    return _evaluate(
        measure,
        name=peer.title,
        description=peer.description,
        pictures=pictures,
        qualities=qualities,
        file_pattern=folder / ("{}" + peer.suffix),
        progress=progress,
        meta=_meta(pictures, qualities),
        codec=peer.identity,
        extent=extent,
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
    codec: Mapping[str, Any],
    extent: Extent,
    fresh: bool = False,
) -> Evaluation:
    """The loop over pictures and qualities: a picture that fails is noted, and the others go on."""
    qualities = sorted(qualities)
    names = labels(pictures)
    results: list[PictureResult] = []
    failures: list[tuple[str, str]] = []
    reused = 0

    def so_far(rest: Sequence[str] = ()) -> Evaluation:
        stated = meta if not reused else {**meta, "reused_points": reused}
        failed = (*failures, *((label, NOT_MEASURED) for label in rest))
        return Evaluation(name, description, tuple(qualities), tuple(results), failed, stated, codec)

    total = len(pictures) * len(qualities)
    kept_at = time.monotonic()
    try:
        for i, (path, label) in enumerate(zip(pictures, names, strict=True)):
            points: list[Point] = []
            try:
                original = read_picture(path)
                sha256 = picture_hash(original)
                for at in qualities:
                    point = extent.known.get(sha256, at, ssimulacra2=extent.ssimulacra2, fresh=fresh)
                    if point is None:
                        done = i * len(qualities) + len(points) - reused
                        progress(done, total - reused, f"{name}: {label} at quality {at:g}")
                        file = Path(str(file_pattern).format(f"{i:04d}-q{at:g}"))
                        point = measure(original, at, file, label)
                    else:
                        reused += 1
                    points.append(point)
                results.append(
                    PictureResult(label, original.shape[1], original.shape[0], tuple(points), sha256)
                )
            except (RdaeError, OSError, MemoryError) as error:
                # Without the file's place on this machine, which an OSError's full text has.
                words = error.strerror if isinstance(error, OSError) else None
                failures.append((label, words or str(error) or type(error).__name__))
            if results and time.monotonic() - kept_at > KEEP_EVERY_S:
                extent.keep(so_far(names[i + 1 :]))
                kept_at = time.monotonic()
    except BaseException:
        if results:
            extent.keep(so_far(names[len(results) + len(failures) :]))
        raise
    progress(
        total - reused,
        total - reused,
        f"{name}: done" + (f", {reused} points known before" if reused else ""),
    )
    if not results:
        raise ResultsError("no picture could be measured; the first failed so: " + ": ".join(failures[0]))
    known = extent.known.evaluation
    if known is not None and reused == total:
        return replace(so_far(), meta=known.meta, memory=known.memory)
    return replace(so_far(), memory=None if known is None else known.memory)


def _point(
    original: Picture,
    decoded: Picture,
    *,
    at: float,
    file_bytes: int,
    encoding_s: float,
    decoding_s: float,
    extent: Extent,
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
        psnr_y=metrics.psnr_y(original, decoded),
        ssimulacra2=perceptual.ssimulacra2(original, decoded) if extent.ssimulacra2 else None,
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
                replace(p, decoded_fresh=agreements.get((picture.name, p.quality), p.decoded_fresh))
                for p in picture.points
            ),
        )
        for picture in result.pictures
    )
    return replace(result, pictures=pictures)


def _device(model: Model) -> str:
    """Where a model of rdae.open_model runs; a stand-in of the tests runs on the CPU."""
    return str(getattr(getattr(model, "loaded", None), "device", "cpu"))


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
