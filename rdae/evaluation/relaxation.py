"""How well training's objective stands for the real one: noise against rounding, picture by picture.

Training cannot round, for rounding has no gradient: it adds uniform noise of width 1 to the latents and charges
-log2 of the density of what comes out, the prior convolved with that box. A file rounds, and pays -log2 of the
probability of an integer, which is the same function at another place. Both terms of the loss are therefore measured
twice on whole pictures, with noise and with rounding, with one and the same network: the difference is what the
relaxation costs, or hides. A third pair is of the real file: its bytes and its 8-bit pixels.
Source: Ballé, Laparra and Simoncelli 2017, arXiv:1611.01704, section 3.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdae import metrics
from rdae.errors import RdaeError, ResultsError
from rdae.evaluation.curves import read_json
from rdae.evaluation.run import OnProgress
from rdae.metrics import Picture
from rdae.pictures import read_picture
from rdae.quality import beta, to_index

if TYPE_CHECKING:
    from rdae.api import Model
    from rdae.training.autoencoder import Autoencoder

KIND = "rdae relaxation"


@dataclass(frozen=True)
class RelaxationPoint:
    """A picture at one quality. Rates in bits per pixel of the picture, errors as MSE of levels 0..255.

    noisy: with noise in place of rounding. rounded: rounded, same network, estimated rate. file: the bytes of the
    file, headers included, and the pixels that it decodes to.
    """

    quality: float
    beta: float
    noisy_bpp: float
    rounded_bpp: float
    file_bpp: float
    noisy_mse: float
    rounded_mse: float
    file_mse: float


@dataclass(frozen=True)
class PictureRelaxation:
    """One picture's points, by rising quality."""

    name: str
    points: tuple[RelaxationPoint, ...]


@dataclass(frozen=True)
class Relaxation:
    """What was measured of one model. model: its id, as files name it. draws: of noise, each point is a mean of."""

    name: str
    model: str
    draws: int
    pictures: tuple[PictureRelaxation, ...]
    failures: tuple[tuple[str, str], ...] = ()

    def means(self) -> list[RelaxationPoint]:
        """The means over the pictures, a point a quality."""
        columns = zip(*(picture.points for picture in self.pictures), strict=True)
        keys = [field.name for field in fields(RelaxationPoint)]
        return [
            RelaxationPoint(*(sum(getattr(p, key) for p in column) / len(column) for key in keys))
            for column in columns
        ]

    def to_json(self) -> str:
        """The content of a result file."""
        keys = [field.name for field in fields(RelaxationPoint)]
        pictures = [
            {"name": picture.name} | {key: [_short(getattr(p, key)) for p in picture.points] for key in keys}
            for picture in self.pictures
        ]
        content = {
            "kind": KIND,
            "name": self.name,
            "model": self.model,
            "draws": self.draws,
            "failures": [list(failure) for failure in self.failures],
            "pictures": pictures,
        }
        return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def measure(
    path: Path,
    pictures: Sequence[Path],
    qualities: Sequence[float],
    *,
    draws: int,
    progress: OnProgress,
    threads: int | None = None,
) -> Relaxation:
    """Measure a weights file on pictures.

    draws: how many draws of noise each point is the mean of, seeded, so that a second run finds the same. threads:
    that compute; None: as many as may.
    Pictures that fail are noted, and the others go on; ResultsError if none can be measured. MissingExtraError
    without PyTorch; TrainingError if the file has nothing to train on.
    """
    from rdae import open_model
    from rdae.training import need_packages

    need_packages("rdae relaxation")  # which waits until something is measured: figures do without it
    from rdae.training import warm_start
    from rdae.training.autoencoder import Autoencoder
    from rdae.training.precision import use_threads

    use_threads(threads)
    start = warm_start.read(path)
    network = Autoencoder(start.architecture)
    network.load_state_dict(start.state)
    model = open_model(path, threads=threads)
    found: list[PictureRelaxation] = []
    failures: list[tuple[str, str]] = []
    total = len(pictures) * len(qualities)
    for number, picture in enumerate(pictures):
        points: list[RelaxationPoint] = []
        try:
            original = read_picture(picture)
            for at in sorted(qualities):
                progress(number * len(qualities) + len(points), total, f"{picture.name} at quality {at:g}")
                points.append(_point(network, model, original, at, draws))
            found.append(PictureRelaxation(picture.name, tuple(points)))
        except (RdaeError, OSError) as error:
            failures.append((picture.name, (isinstance(error, OSError) and error.strerror) or str(error)))
    progress(total, total, "done")
    if not found:
        raise ResultsError("no picture could be measured; the first failed so: " + ": ".join(failures[0]))
    return Relaxation(path.stem, model.model_id.hex(), draws, tuple(found), tuple(failures))


def read_relaxation(path: Path) -> Relaxation:
    """What `Relaxation.to_json` wrote; ResultsError if the file holds anything else."""
    content = read_json(path)
    try:
        if content["kind"] != KIND:
            raise ResultsError(f"{path}: of kind {content['kind']!r}, expected {KIND!r}")
        pictures = _pictures(content["pictures"])
        failures = tuple((str(name), str(message)) for name, message in content["failures"])
        name, model, draws = str(content["name"]), str(content["model"]), int(content["draws"])
        return Relaxation(name, model, draws, pictures, failures)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ResultsError(f"{path}: not a relaxation's results ({type(error).__name__}: {error})") from error


def table(result: Relaxation) -> list[str]:
    """The means over the pictures, a line a quality, and by how much noise and file differ from rounding."""
    count = len(result.pictures)
    lines = [
        f"{result.name}: mean of {count} picture{'s' if count > 1 else ''}, noise drawn {result.draws} x"
    ]
    rate, error = "bits per pixel", "mean squared error"
    lines.append(" " * 9 + rate.center(41) + "  " + error.center(41))
    heads = ["rounded", "noise", "%", "file", "%"]
    lines.append("  ".join(["quality", *(head.rjust(7 if head != "%" else 6) for head in heads * 2)]))
    for point in result.means():
        cells = [f"{point.quality:7g}"]
        for key, form in (("bpp", "7.4f"), ("mse", "7.3f")):
            rounded, noisy, file = (getattr(point, f"{kind}_{key}") for kind in ("rounded", "noisy", "file"))
            cells.append(format(rounded, form))
            for other in (noisy, file):
                cells += [
                    format(other, form),
                    f"{100 * (other / rounded - 1):+6.1f}" if rounded else "     -",
                ]
        lines.append("  ".join(cells))
    return lines


def _point(network: Autoencoder, model: Model, original: Picture, at: float, draws: int) -> RelaxationPoint:
    from rdae.training import noise

    index = to_index(at)
    terms = noise.measure(network, original, index, draws)
    encoded = model.encode(original, at, effort=0, exact=False)
    height, width = original.shape[:2]
    return RelaxationPoint(
        quality=at,
        beta=beta(index),
        noisy_bpp=terms.noisy_bpp,
        rounded_bpp=terms.rounded_bpp,
        file_bpp=8 * len(encoded.data) / (height * width),
        noisy_mse=terms.noisy_mse,
        rounded_mse=terms.rounded_mse,
        file_mse=metrics.mse(original, encoded.reconstruction),
    )


def _pictures(rows: Sequence[Mapping[str, Any]]) -> tuple[PictureRelaxation, ...]:
    found = []
    for row in rows:
        columns = [[float(value) for value in row[field.name]] for field in fields(RelaxationPoint)]
        if not all(math.isfinite(value) for column in columns for value in column):
            raise ValueError("a number is not finite")
        points = tuple(RelaxationPoint(*values) for values in zip(*columns, strict=True))
        found.append(PictureRelaxation(str(row["name"]), points))
    qualities = {tuple(point.quality for point in picture.points) for picture in found}
    if len(qualities) != 1 or () in qualities:
        raise ValueError("the pictures have not the same qualities")
    return tuple(found)


def _short(value: float) -> float:
    return float(f"{value:.6g}")
