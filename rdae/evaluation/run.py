"""One evaluation: each picture at each quality to a real file, read back, decoded, measured.

All codecs go through the same loop; rdae tells more of its files than others. Files are written to a folder and read
again, so that what is counted is what is on the disk. What an earlier result file knows already is not measured again.
"""

from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import rdae
from rdae import metrics, quality, ssimulacra2
from rdae.codec import container
from rdae.codec.encode import compress_lossless
from rdae.errors import RdaeError, ResultsError
from rdae.evaluation import environment, five_measures, fresh
from rdae.evaluation.codecs import Codec, Rdae
from rdae.evaluation.residual import residual_bits
from rdae.evaluation.results import Account, Agreement, Evaluation, PictureResult, Point
from rdae.evaluation.reuse import Known, picture_hash
from rdae.metrics import Picture
from rdae.pictures import read_picture
from rdae.pictures.formats import readable_suffixes
from rdae.processors import available_processors

if TYPE_CHECKING:
    from rdae.codec.encode import Encoded

# Called with (points measured, points to measure, what is being done); those known before count in neither.
OnProgress = Callable[[int, int, str], None]
# Called with the path of a picture, or the name of a step, and a line about it.
Tell = Callable[[str, str], None]
KEEP_EVERY_S = 60.0
FRESH = "fresh process"
NOT_MEASURED = "not measured: the run was stopped"


@dataclass(frozen=True)
class Extent:
    """What is measured beside the metrics that always are, and what need not be.

    known: points of an earlier run. ssimulacra2: also this metric.
    five: also `rdae.evaluation.five_measures`, about a second for 0.4 megapixels.
    exact: also the bytes of each picture stored exactly, of rdae; ten seconds for 0.4 megapixels.
    keep: called now and then with what there is so far, and before the run ends by an error or Ctrl-C; pictures that
    were not reached are among its failures.
    """

    known: Known = field(default_factory=Known)
    ssimulacra2: bool = False
    five: bool = False
    exact: bool = False
    keep: Callable[[Evaluation], None] = lambda _partial: None


def collect_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files among the paths and the pictures directly in the folders among them, in order, each once."""
    found: dict[Path, None] = {}
    suffixes = readable_suffixes()
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes and p.is_file())
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


def evaluate(
    codec: Codec,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    *,
    folder: Path,
    progress: OnProgress,
    extent: Extent | None = None,
    fresh_command: Sequence[str] = (),
    note: Tell = lambda _picture, _line: None,
    failed: Tell | None = None,
) -> Evaluation:
    """Measure a codec on pictures; folder takes the files and must be empty. A picture that fails is noted.

    fresh_command: what to start to decode all files of rdae once more in a process that has seen no encoder, such as
    fresh.COMMAND; empty: nothing. note: told what is left out of a picture or changed. failed: told of each failure at
    once. ResultsError if no picture can be measured; it says why the first could not, unless `failed` did.
    """
    extent = extent or Extent()
    own = isinstance(codec, Rdae)
    check_fresh = own and bool(fresh_command)
    meta = _meta(codec, pictures, qualities)
    qualities = sorted(qualities)
    names = labels(pictures)
    results: list[PictureResult] = []
    failures: list[tuple[str, str]] = []
    jobs: dict[tuple[str, float], fresh.Job] = {}
    reused = 0
    warm = not own

    def so_far(rest: Sequence[str] = ()) -> Evaluation:
        stated = meta if not reused else {**meta, "reused_points": reused}
        failed = (*failures, *((label, NOT_MEASURED) for label in rest))
        return Evaluation(
            codec.title, codec.description, tuple(qualities), tuple(results), failed, stated, codec.identity
        )

    def fail(path: Path, label: str, words: str) -> None:
        failures.append((label, words))
        if failed is not None:
            failed(str(path), words)

    def measure(original: Picture, at: float, file: Path, label: str) -> Point:
        nonlocal warm
        if not warm:  # the first call builds tables and thread pools, which is no picture's own time
            _decode(codec, _encode(codec, original, at)[0])
            warm = True
        point, encoded = _measure(codec, original, at, file, extent)
        if check_fresh and encoded is not None:
            reconstruction = file.with_suffix(".npy")
            np.save(reconstruction, encoded.reconstruction)
            jobs[label, at] = fresh.Job(file, reconstruction, encoded.latents_sha256)
        return point

    total = len(pictures) * len(qualities)
    kept_at = time.monotonic()
    try:
        for i, (path, label) in enumerate(zip(pictures, names, strict=True)):
            points: list[Point] = []
            try:
                original = read_picture(path, functools.partial(note, str(path)))
                sha256 = picture_hash(original)
                for at in qualities:
                    point = extent.known.get(
                        sha256, at, ssimulacra2=extent.ssimulacra2, five=extent.five, fresh=check_fresh
                    )
                    if point is None:
                        done = i * len(qualities) + len(points) - reused
                        progress(done, total - reused, f"{codec.title}: {label} at quality {at:g}")
                        point = measure(original, at, folder / f"{i:04d}-q{at:g}{codec.suffix}", label)
                        point = extent.known.keep(sha256, point)
                    else:
                        reused += 1
                    points.append(point)
                exact_bytes = extent.known.exact_bytes(sha256) if own else None
                if exact_bytes is None and own and extent.exact:
                    progress(i * len(qualities), total, f"{codec.title}: {label} exactly")
                    exact_bytes = len(compress_lossless(original))
                size = original.shape[1], original.shape[0]
                results.append(PictureResult(label, *size, tuple(points), sha256, exact_bytes))
            except (RdaeError, OSError, MemoryError) as error:
                # Without the file's place on this machine, which an OSError's full text has.
                words = error.strerror if isinstance(error, OSError) else None
                fail(path, label, words or str(error) or type(error).__name__)
            if results and time.monotonic() - kept_at > KEEP_EVERY_S:
                extent.keep(so_far(names[i + 1 :]))
                kept_at = time.monotonic()
    except BaseException:
        if results:
            extent.keep(so_far(names[len(results) + len(failures) :]))
        raise
    if not results:
        first = "" if failed is not None else "; the first failed so: " + ": ".join(failures[0])
        raise ResultsError(f"no picture could be measured{first}")
    progress(
        total - reused,
        total - reused,
        f"{codec.title}: done" + (f", {reused} points known before" if reused else ""),
    )
    known = extent.known.evaluation
    result = replace(so_far(), memory=None if known is None else known.memory)
    if known is not None and reused == total:
        result = replace(result, meta=known.meta)
    if own and jobs:
        progress(0, 0, "decoding all files in a fresh process")
        try:
            found = fresh.run(list(jobs.values()), codec, fresh_command)
        except RdaeError as error:  # the rest of a long run is still worth having
            if failed is not None:
                failed(FRESH, str(error))
            return replace(result, failures=(*result.failures, (FRESH, str(error))))
        result = _with_fresh(result, dict(zip(jobs, found, strict=True)))
    return result


def _measure(
    codec: Codec, original: Picture, at: float, file: Path, extent: Extent
) -> tuple[Point, Encoded | None]:
    """A picture's point, and what rdae tells of its file."""
    with _naming(codec, at):
        start = time.perf_counter()
        data, encoded = _encode(codec, original, at)
        encoding_s = time.perf_counter() - start
        file.write_bytes(data)
        data = file.read_bytes()
        start = time.perf_counter()
        decoded, latents_sha256 = _decode(codec, data)
        decoding_s = time.perf_counter() - start
    if decoded.shape != original.shape:
        raise ResultsError(f"decoded to a picture of shape {decoded.shape}, expected {original.shape}")
    point = Point(
        quality=at,
        file_bytes=len(data),
        pixels=original.shape[0] * original.shape[1],
        mse=metrics.mse(original, decoded),
        psnr=metrics.psnr(original, decoded),
        ms_ssim=metrics.ms_ssim(original, decoded),
        encoding_s=encoding_s,
        decoding_s=decoding_s,
        psnr_y=metrics.psnr_y(original, decoded),
        ssimulacra2=ssimulacra2.ssimulacra2(original, decoded) if extent.ssimulacra2 else None,
        five=five_measures.five_measures(original, decoded) if extent.five else None,
    )
    if encoded is None:
        return point, None
    account = Account(
        encoded.rate_bits,
        _overhead_bits(data),
        quality.beta(quality.to_index(at)),
        residual_bits(original, decoded),
    )
    same = encoded.latents_sha256 == latents_sha256
    agreement = fresh.compare(encoded.reconstruction, decoded, latents_equal=same)
    return replace(point, account=account, decoded=agreement), encoded


def _encode(codec: Codec, picture: Picture, at: float) -> tuple[bytes, Encoded | None]:
    if not isinstance(codec, Rdae):
        return codec.encode(picture, at), None
    encoded = codec.model.encode(picture, at, effort=codec.effort)
    return encoded.data, encoded


def _decode(codec: Codec, data: bytes) -> tuple[Picture, str]:
    """A file's picture, and of rdae the hash of its latents."""
    if not isinstance(codec, Rdae):
        return codec.decode(data), ""
    decoded = codec.model.decode(data)
    return decoded.picture, decoded.latents_sha256


@contextmanager
def _naming(codec: Codec, at: float) -> Iterator[None]:
    """Whatever another package raises costs one picture, not the run."""
    try:
        yield
    except (RdaeError, OSError):
        raise
    except Exception as error:
        if isinstance(codec, Rdae):
            raise
        raise ResultsError(f"{codec.title} at quality {at:g}: {type(error).__name__}: {error}") from error


def _overhead_bits(data: bytes) -> int:
    """Bits of a file that are neither range-coded latents nor stored pixels."""
    coded = container.PIXELS_TYPES | {container.SectionType.LATENTS}
    return 8 * (
        len(data) - sum(len(each.payload) for each in container.parse(data).sections if each.type in coded)
    )


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


def _meta(codec: Codec, pictures: Sequence[Path], qualities: Sequence[float]) -> dict[str, Any]:
    """What a reader needs to repeat the numbers; names of pictures, not where they lie on this machine."""
    meta = {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "rdae": rdae.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": codec.threads if isinstance(codec, Rdae) else available_processors(),
        environment.RUNTIME: environment.runtime_version(),
        **{package: version(package) for package in ("numpy", "pillow")},
        "settings": {"qualities": sorted(qualities), "pictures": len(pictures)},
    }
    if isinstance(codec, Rdae):
        model_id = codec.model.model_id.hex()
        meta |= {"model": model_id, "device": codec.device, "objective": codec.objective}
    return meta
