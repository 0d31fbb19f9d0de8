"""Transparency: kept exactly, in few bytes, and colours that nobody sees made cheap.

An ALPHA section's payload is a byte that names the method, then for

    CONSTANT  one byte, the alpha of all pixels
    PLAIN     all rows, top to bottom, left to right, packed (rdae.codec.sections.packing)
    LEFT      the same, but of each pixel less its left neighbour (0 at the border), modulo 256

An ALPHA_WEBP section's is what rdae.codec.sections.alpha_webp says. Much text is smallest plain, smooth slopes by their
differences, shapes and mattes of photographs as WebP. The size comes from the file's header, which its reader has
checked.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.codec.container import Section, SectionType
from rdae.codec.sections import alpha_webp
from rdae.codec.sections.packing import pack, unpack_parts
from rdae.errors import CorruptError
from rdae.pictures.spool import Collector, release

CONSTANT, PLAIN, LEFT = 0, 1, 2
HOPELESS = 0.67
THOROUGH_PIXELS = 1 << 22  # more are packed with less effort: seconds, not minutes

BAND = 512  # rows that are filled at once, an even number

Plane = npt.NDArray[np.uint8]  # (h, w)
Levels = npt.NDArray[np.uint8]  # (h, w, 3)


def smallest(alpha: Plane) -> Section:
    """The shortest section that holds a plane of alpha, uint8 (h, w); of equal ones that which all readers know."""
    first = int(alpha[0, 0])
    if bool((alpha == first).all()):
        return Section(SectionType.ALPHA, bytes([CONSTANT, first]))
    planes = {PLAIN: np.ascontiguousarray(alpha), LEFT: _differences(alpha)}
    # Which is better shows at the lowest effort already.
    sizes = {method: len(pack(plane.data, 0)) for method, plane in planes.items()}
    method = min(sizes, key=lambda each: sizes[each])
    as_webp = alpha_webp.encode(alpha)
    # More effort saves LZMA2 a tenth, not a third: that much need not be tried.
    if as_webp is not None and len(as_webp) < sizes[method] * HOPELESS:
        return Section(SectionType.ALPHA_WEBP, as_webp)
    packed = bytes([method]) + pack(planes[method].data, 6 if alpha.size <= THOROUGH_PIXELS else 1)
    if as_webp is not None and len(as_webp) < len(packed):
        return Section(SectionType.ALPHA_WEBP, as_webp)
    return Section(SectionType.ALPHA, packed)


def read(section: Section, width: int, height: int) -> Plane:
    """The plane, uint8 (height, width), of a section of either type; CorruptError if it holds none of that size."""
    if section.type == SectionType.ALPHA_WEBP:
        return alpha_webp.decode(section.payload, width, height)
    return decode(section.payload, width, height)


def decode(payload: bytes, width: int, height: int) -> Plane:
    """The plane, uint8 (height, width), of an ALPHA section; CorruptError if the payload is not one of that size."""
    if not payload or payload[0] not in (CONSTANT, PLAIN, LEFT):
        raise CorruptError(f"alpha of an unknown method: {payload[:1]!r}")
    if payload[0] == CONSTANT:
        if len(payload) != 2:
            raise CorruptError(f"constant alpha of {len(payload)} bytes, expected 2")
        return np.full((height, width), payload[1], np.uint8)
    plane = np.empty((height, width), np.uint8)
    flat, end = plane.reshape(-1), 0
    for part in unpack_parts(payload[1:], plane.size):
        flat[end : end + len(part)] = np.frombuffer(part, np.uint8)
        end += len(part)
    if end < plane.size:
        raise CorruptError(f"alpha of {end} pixels, expected {plane.size}")
    if payload[0] == LEFT:
        np.add.accumulate(plane, axis=1, dtype=np.uint8, out=plane)
    return plane


def fill(levels: Levels, alpha: Plane) -> Levels:
    """The picture with other colours where alpha is 0: such that they cost next to nothing.

    They go on smoothly from the colours in sight, finer near them: means over 2 x 2, 4 x 4, ... pixels of what can be
    seen, of which each place without takes the finest that has something, interpolated.
    """
    if alpha.min() > 0:
        return levels
    if alpha.max() == 0:
        return np.full_like(levels, 128)
    # In bands, as a large picture several times over is what memory has no room for.
    bands = [slice(top, top + BAND) for top in range(0, len(levels), BAND)]
    coarse = _solid(Image.fromarray(np.concatenate([_half(levels[rows], alpha[rows] > 0) for rows in bands])))
    filled = Collector(*alpha.shape)
    for rows in bands:
        band, unseen = levels[rows].copy(), alpha[rows] == 0
        if unseen.any():
            smooth = np.asarray(_doubled(coarse, levels.shape[1], len(unseen), rows.start))
            np.copyto(band, smooth, where=unseen[:, :, None])
        filled.add(band)
        release(levels)
    return filled.levels()


def _mask(seen: npt.NDArray[np.bool_]) -> Image.Image:
    return Image.fromarray(seen.astype(np.uint8) * np.uint8(255))


def _half(levels: Levels, seen: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """uint8 (h/2, w/2, 4), see `_halved`."""
    found = np.asarray(_halved(Image.fromarray(levels), _mask(seen)))
    release(levels)
    return found


def _halved(image: Image.Image, seen: Image.Image) -> Image.Image:
    """RGBA at half the size, rounded up: means of what is seen, and how much that is."""
    image = image.copy()
    image.putalpha(seen)
    return image.reduce(2)  # weights colours by alpha


def _doubled(coarse: Image.Image, width: int, height: int, top: int = 0) -> Image.Image:
    """Rows top, ... of the image at twice the size, interpolated."""
    box = (0, top / 2, width / 2, (top + height) / 2)
    return coarse.resize((width, height), Image.Resampling.BILINEAR, box)


def _solid(image: Image.Image) -> Image.Image:
    """RGB of an RGBA image; where its alpha is 0, of the next coarser one."""
    solid = image.convert("RGB")
    coverage = image.getchannel("A")
    if coverage.getextrema()[0] == 0:
        seen = coverage.point(lambda level: 255 if level else 0)
        smooth = _doubled(_solid(_halved(solid, seen)), *image.size)
        smooth.paste(solid, mask=seen)
        return smooth
    return solid


def _differences(alpha: Plane) -> Plane:
    found = alpha.copy()
    found[:, 1:] -= alpha[:, :-1]
    return found
