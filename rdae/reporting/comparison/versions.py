"""A picture by each codec on equal terms: the largest file within a limit, or the first that reaches a score.

A codec has so many qualities and no others, so that its file may be well below the limit; then its note says so. One
that cannot keep to the limit at all is still shown, by its smallest file, and its note says that too.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from rdae import metrics
from rdae.codec.container import parse
from rdae.codec.target import likeness
from rdae.errors import RdaeError, TargetError, describe
from rdae.evaluation.codecs import Codec, Rdae
from rdae.metrics import Picture
from rdae.pictures import SRGB_LEFT_OUT, read_raster
from rdae.pictures.transparency import composed
from rdae.quality import from_index
from rdae.ssimulacra2 import ssimulacra2
from rdae.targets import Target

NEARLY = 0.05
"""A file that is smaller than the limit by more than this share of it gets a note."""

NEARLY_SCORE = 1.0
"""So does one that scores more than this above what was asked for."""

AROUND = 5
"""So many qualities on both sides of where a limit is crossed are tried too, unless a file comes as close as rdae's do.
JPEG XL's files get smaller again at some."""

WHITE = (255, 255, 255)


@dataclasses.dataclass(frozen=True, eq=False)
class Version:
    """A picture as a codec gives it back: uint8 (h, w, 3), like the original.

    description: of the codec, with all settings. quality: on the codec's own scale; None where rdae stored the picture
    as pixels. psnr: in dB, infinite for an exact copy. ssimulacra2: None for a picture that is too small for it.
    note: where it is not on equal terms with others, that; else "".
    """

    title: str
    description: str
    quality: float | None
    file_bytes: int
    picture: Picture
    psnr: float
    ssimulacra2: float | None
    note: str = ""

    @property
    def bpp(self) -> float:
        """Bits of the file for each pixel."""
        return bits_per_pixel(self.file_bytes, self.picture)


@dataclasses.dataclass(frozen=True, eq=False)
class Compared:
    """A picture, uint8 (h, w, 3), and its versions in the order in which they are shown.

    file_bytes: of the file it was read from; None if that is no regular file.
    """

    name: str
    original: Picture
    file_bytes: int | None
    versions: Sequence[Version]


@dataclasses.dataclass(frozen=True)
class BetterOf:
    """Codecs of which each picture is shown by the one that does better with it, under that one's title.

    title: of all of them. That is the one with the higher SSIMULACRA2 at a size or rate (PSNR of pictures too small for
    it), and with the shorter file at a score.
    """

    title: str
    codecs: Sequence[Codec]

    def version(self, original: Picture, target: Target) -> Version:
        """The better version of a picture."""
        made = [version(codec, original, target) for codec in self.codecs]
        good = [each for each in made if target.meets(_measure_of(target, each))]
        by_bytes = bool(good) != target.at_most  # a score is met by all, or a size by none
        found = min(good or made, key=lambda each: each.file_bytes if by_bytes else -_goodness(each))
        others = " and ".join(codec.title for codec in self.codecs)
        return dataclasses.replace(found, description=f"{found.description}; here the better of {others}")


def _goodness(made: Version) -> float:
    return made.psnr if made.ssimulacra2 is None else made.ssimulacra2


def bits_per_pixel(file_bytes: int, picture: Picture) -> float:
    """Bits for each pixel of a picture, (h, w, 3), of a file with so many bytes."""
    return 8 * file_bytes / (picture.size // 3)


def compared(
    path: Path,
    name: str,
    codecs: Sequence[Codec | BetterOf],
    target: Target,
    *,
    tell: Callable[[str], None] = lambda _line: None,
    note: Callable[[str], None] = lambda _line: None,
) -> Compared:
    """Read a picture and encode it with each codec to meet a target: a size, a rate or an SSIMULACRA2.

    name: what it is called. tell: takes a line on what is being done; note: one on what was left out of the picture.
    OSError or PictureError if it cannot be read; TargetError if no codec meets the target. Both name the file.
    """
    try:
        original = _read(path, note)
        versions = []
        for codec in codecs:
            tell(f"{name}: {codec.title}")
            if isinstance(codec, BetterOf):
                versions.append(codec.version(original, target))
            else:
                versions.append(version(codec, original, target))
        if not any(target.meets(_measure_of(target, each)) for each in versions):
            nearest = min(versions, key=lambda each: abs(_measure_of(target, each) - target.value))
            raise TargetError(
                f"no codec gives {_words(target)}: {nearest.title} comes nearest, with "
                f"{nearest.file_bytes:,} bytes, {nearest.bpp:.3f} bpp, {score_words(nearest)}"
            )
    except (RdaeError, OSError) as error:
        kind = type(error) if isinstance(error, RdaeError) else RdaeError
        raise kind(f"{path}: {describe(error, path)}") from error
    return Compared(name, original, path.stat().st_size if path.is_file() else None, versions)


def _read(path: Path, note: Callable[[str], None]) -> Picture:
    """Read a picture as it is seen: in sRGB, and over white where it is transparent."""
    raster = read_raster(path, lambda line: None if line == SRGB_LEFT_OUT else note(line), metadata=False)
    if raster.alpha is not None:
        note("transparent, so it is compared over white")
    return composed(raster, WHITE).levels


def version(codec: Codec, original: Picture, target: Target) -> Version:
    """Encode a picture to meet a target as closely as a codec can, and decode it.

    Of a size or rate that is the largest file within it, and where all are larger the smallest; of a score the file
    that scores least of those that reach it, and where none does the best. No file is looked for that is nearer than
    what `Target.close` calls close.
    """
    if isinstance(codec, Rdae):
        data, quality = _by_rdae(codec, original, target)
        ends = (0.0, 100.0)
    else:
        data, quality = _by_search(codec, original, target)
        ends = (codec.all_qualities[0], codec.all_qualities[-1])
    decoded = codec.decode(data)
    made = Version(
        codec.title,
        codec.description,
        quality,
        len(data),
        decoded,
        metrics.psnr(original, decoded),
        ssimulacra2(original, decoded),
    )
    return dataclasses.replace(made, note=_note(target, made, ends))


def score_words(found: Version) -> str:
    """SSIMULACRA2 of a version, in words."""
    return "no SSIMULACRA2" if found.ssimulacra2 is None else f"SSIMULACRA2 {found.ssimulacra2:.1f}"


def numbers(version: Version) -> list[str]:
    """What a version took and how good it is, in parts to be put side by side."""
    exact = math.isinf(version.psnr)
    return [
        f"{version.file_bytes:,} bytes",
        f"{version.bpp:.3f} bpp",
        score_words(version),
        "exact" if exact else f"PSNR {version.psnr:.1f} dB",
    ]


def _by_rdae(codec: Rdae, original: Picture, target: Target) -> tuple[bytes, float | None]:
    """Let rdae meet the target itself; return the file and its quality."""
    try:
        data = codec.model.compress(original, target=target, effort=codec.effort)
    except TargetError:
        if target.kind == "ssimulacra2" and ssimulacra2(original, original) is None:
            raise
        data = codec.encode(original, 0 if target.at_most else 100)
    parsed = parse(data)
    return data, from_index(parsed.header.quality_index) if parsed.needs_model else None


def _by_search(codec: Codec, original: Picture, target: Target) -> tuple[bytes, float]:
    """Look among all qualities of a codec, by bisection; return the file and its quality."""
    qualities = codec.all_qualities

    @functools.cache
    def data_at(i: int) -> bytes:
        return codec.encode(original, qualities[i])

    @functools.cache
    def measure_at(i: int) -> float:
        if target.kind == "size":
            return len(data_at(i))
        if target.kind == "bpp":
            return bits_per_pixel(len(data_at(i)), original)
        return likeness(target, original, codec.decode(data_at(i)))

    indices = range(len(qualities))
    if target.at_most:
        nearest = bisect.bisect_right(indices, target.value, key=measure_at) - 1
    else:
        nearest = bisect.bisect_left(indices, target.value, key=measure_at)

    def distance(i: int) -> float:
        return abs(measure_at(i) - target.value)

    found: int | None = None
    for i in sorted(indices, key=lambda i: abs(i - nearest))[: 1 + 2 * AROUND]:
        if target.meets(measure_at(i)) and (found is None or distance(i) < distance(found)):
            found = i
            if target.close(measure_at(i)):
                break
    if found is None:
        found = 0 if target.at_most else len(qualities) - 1
    return data_at(found), qualities[found]


def _measure_of(target: Target, found: Version) -> float:
    if target.kind == "size":
        return found.file_bytes
    if target.kind == "bpp":
        return found.bpp
    return -float("inf") if found.ssimulacra2 is None else found.ssimulacra2


def _words(target: Target) -> str:
    if target.kind == "size":
        return f"a file of at most {target.value:,.0f} bytes"
    return f"at most {target.value:g} bpp" if target.kind == "bpp" else f"SSIMULACRA2 {target.value:g}"


def _note(target: Target, found: Version, ends: tuple[float, float]) -> str:
    """Say how a version is not on equal terms with others. ends: the lowest and the highest quality of its codec."""
    measure = _measure_of(target, found)
    if target.at_most:
        apart = measure / target.value - 1
        if apart > 0:
            return f"its smallest file, {apart:.0%} over the limit"
        if -apart <= NEARLY:
            return ""
        best = found.quality == ends[1] or math.isinf(found.psnr)
        return f"{'at its best, ' if best else ''}{-apart:.0%} below the limit"
    if measure < target.value:
        return "at its best, below the score"
    if measure - target.value <= NEARLY_SCORE:
        return ""
    return f"{'its smallest file, ' if found.quality == ends[0] else ''}{measure - target.value:.1f} above the score"
