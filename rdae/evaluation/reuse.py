"""What an earlier result file spares a run: points of the same codec, settings, weights and pixels.

The result file is its own cache. Codecs are equal if all is that decides about their numbers (an Evaluation's
`codec`), pictures if their pixels are. Times are of the machine that measured the point.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rdae.errors import OutputExistsError, ResultsError
from rdae.evaluation.points import Point
from rdae.evaluation.results import Evaluation, read
from rdae.metrics import Picture


@dataclass(frozen=True)
class Known:
    """Points measured before, by (SHA-256 of the pixels, quality), and the evaluation that they come from."""

    points: Mapping[tuple[str, float], Point] = field(default_factory=dict)
    evaluation: Evaluation | None = None

    def get(self, sha256: str, quality: float, *, ssimulacra2: bool, five: bool, fresh: bool) -> Point | None:
        """A point that has all that is measured now; None if there is none."""
        point = self.points.get((sha256, quality))
        if point is None or point.psnr_y is None:
            return None
        if point.account is not None and point.account.residual_bits is None:
            return None
        if (ssimulacra2 and point.ssimulacra2 is None) or (five and point.five is None):
            return None
        if fresh and point.decoded_fresh is None:
            return None
        return point

    def exact_bytes(self, sha256: str) -> int | None:
        """How many bytes a picture takes exactly, if that was measured."""
        pictures = () if self.evaluation is None else self.evaluation.pictures
        return next((each.exact_bytes for each in pictures if each.sha256 == sha256), None)

    def keep(self, sha256: str, point: Point) -> Point:
        """A point measured anew, with what is known of it by measures that are not asked for now."""
        earlier = self.points.get((sha256, point.quality))
        if earlier is None:
            return point
        lacking = {
            name: getattr(earlier, name)
            for name in ("ssimulacra2", "five", "decoded_fresh")
            if getattr(point, name) is None
        }
        return replace(point, **lacking)


def picture_hash(picture: Picture) -> str:
    """SHA-256, hex, of a picture's size and pixels: of what is measured, whatever its file is called."""
    height, width = picture.shape[:2]
    digest = hashlib.sha256(f"{width} {height}\n".encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()


def known_from(
    path: Path, codec: Mapping[str, Any], pictures: Iterable[str], qualities: Sequence[float]
) -> Known:
    """What the result file at `path` spares; nothing if there is no file.

    OutputExistsError, before any work, if the file is something else, is of another codec, or holds points that
    are not asked for now and would be lost: such a file is replaced only if that was asked for.
    """
    if not path.is_file():
        return Known()
    advice = "choose another output, or --force to measure afresh and replace it"
    try:
        earlier = read(path)
    except ResultsError as error:
        raise OutputExistsError(f"{error}; {advice}") from error
    if dict(earlier.codec) != dict(codec):
        raise OutputExistsError(f"{path} is of {_difference(earlier.codec, codec)}; {advice}")
    lost = [f"quality {value:g}" for value in sorted(set(earlier.qualities) - set(qualities))]
    lost += sorted({picture.name for picture in earlier.pictures} - set(pictures))
    if lost:
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        raise OutputExistsError(
            f"{path} holds points that this run leaves out ({', '.join(lost[:3])}{more}): ask for them too, {advice}"
        )
    points = {
        (picture.sha256, point.quality): point
        for picture in earlier.pictures
        if picture.sha256
        for point in picture.points
    }
    return Known(points, earlier)


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing in which two codecs differ, in words."""
    for key in {**earlier, **now}:
        if earlier.get(key) != now.get(key):
            return f"{key} {earlier.get(key, 'not stated')}, now {now.get(key, 'not stated')}"
    return "another codec"
