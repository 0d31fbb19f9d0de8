"""Write the golden files of this format version: `python tools/write_golden.py [--force]`.

They say for ever what files of a version mean, so that a version's folder is written once.  --force writes one anew,
which is right only while that version is unreleased; a changed meaning needs a new version, hence a new folder.  A
later minor version's has files with what it brought, of the models that are there already.
"""

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import tests_on_path  # noqa: F401 - before what it makes importable
import tiny_model
from tiny_model import GOLDEN, noise, photo

from rdae.codec import container, decode, encode, latents
from rdae.codec.container import (
    NO_MODEL,
    Container,
    Header,
    Section,
    SectionType,
    least_payload,
    pack,
    parse,
)
from rdae.codec.range_coding import SymbolEncoder
from rdae.codec.sections import alpha_webp, metadata, packing, pixels
from rdae.codec.sections.pixels import Rectangle
from rdae.errors import RdaeError
from rdae.networks import weights
from rdae.networks.model import Model
from rdae.networks.prior import SYMBOL_MAX, Prediction, Prior
from rdae.pictures.raster import Raster
from rdae.training.export import tables

Picture = npt.NDArray[np.uint8]

FOLDER = GOLDEN / f"v{container.MAJOR}.{container.MINOR}"
FIRST = GOLDEN / "v1.0"
UNKNOWN = 127  # a section type that never gets a meaning


class Case(NamedTuple):
    """A file to be written: what it is there for, its picture, and what is done to its bytes afterwards."""

    about: str
    picture: Picture | Raster
    quality_index: int
    change: Callable[[bytes], bytes] = bytes
    model: str = "mini"
    tile: int | None = None


def flat(height: int, width: int, level: int) -> Picture:
    return np.full((height, width, 3), level, np.uint8)


def extremes(height: int, width: int) -> Picture:
    """Black and white noise in blocks: the largest latents that there are."""
    black = np.random.default_rng(5).integers(0, 2, (-(-height // 4), -(-width // 4), 3), dtype=np.uint8)
    return black.repeat(4, axis=0).repeat(4, axis=1)[:height, :width] * np.uint8(255)


def resealed(data: bytes) -> bytes:
    """The bytes with a right file checksum."""
    return data[:-4] + zlib.crc32(data[:-4]).to_bytes(4, "little")


def repacked(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: pack(dataclasses.replace(parse(data), **changes))


def reheaded(**changes: Any) -> Callable[[bytes], bytes]:
    return lambda data: repacked(header=dataclasses.replace(parse(data).header, **changes))(data)


def with_sections(before: tuple[Section, ...], after: tuple[Section, ...]) -> Callable[[bytes], bytes]:
    return lambda data: pack(
        dataclasses.replace(parse(data), sections=(*before, *parse(data).sections, *after))
    )


def put(place: int, new: bytes, old: int = 1) -> Callable[[bytes], bytes]:
    """Replace `old` bytes at a place, with the file checksum made right."""
    return lambda data: resealed(data[:place] + new + data[place + old :])


def with_payload(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        (section,) = parse(data).sections
        return repacked(sections=(dataclasses.replace(section, payload=change(section.payload)),))(data)

    return changed


EXTRA = Section(UNKNOWN, b"of a later version", skippable=True)
METADATA = (
    Section(SectionType.ICC, b"\0no profile", skippable=True),
    Section(SectionType.EXIF, b"\0?", skippable=True),
    Section(SectionType.XMP, metadata.encode(b"<x/>" * 99)),
)


def sloping(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Alpha that differences make small: (height, width)."""
    y, x = np.mgrid[:height, :width]
    found: npt.NDArray[np.uint8] = np.clip(3 * x + y - 40, 0, 255).astype(np.uint8)
    return found


def grey(height: int, width: int) -> Picture:
    one: Picture = np.repeat(photo(height, width)[:, :, :1], 3, axis=2)
    return one


def four_alphas(height: int, width: int) -> Raster:
    """Grey, with alpha that differences make larger."""
    return Raster(grey(height, width), grey=True, alpha=noise(6, height, width)[:, :, 0] // 64 * 85)


def whole(exif: bytes = b"II*\0\x08\0\0\0\0\0\0\0\0\0") -> Raster:
    """All that a picture can have."""
    icc = bytes(range(100)) * 3
    return Raster(
        grey(40, 280), grey=True, alpha=sloping(40, 280), icc=icc, exif=exif, xmp=b"<x:xmpmeta>" * 30
    )


FILES: dict[str, Case] = {
    "flat": Case("one grey level", flat(37, 50, 128), 400),
    "black": Case("the stream is shorter than the least payload and padded", flat(700, 1000, 0), 0, model="calm"),
    "pixel": Case("1 x 1", flat(1, 1, 200), 400),
    "row": Case("300 x 1", photo(1, 300), 560),
    "column": Case("1 x 200", photo(200, 1), 240),
    "photo": Case("83 x 61: neither side is a multiple of 16", photo(61, 83), 345),
    "edge": Case("65 x 129: one more than whole blocks", photo(129, 65), 300),
    "noise": Case("the highest quality", noise(1, 5, 40), 800),
    "lowest": Case("the lowest quality", photo(48, 64), 0),
    "large": Case("700 x 500", photo(500, 700), 40),
    "tiles": Case("six tiles, of 256 pixels and less", photo(290, 560), 250, tile=4),
    "escapes": Case("latents far beyond the tables, at the highest quality", extremes(96, 64), 800),
    "unchecked": Case("without a latent checksum", photo(20, 30), 400, repacked(latent_checksum=None)),
    "sections": Case(
        "sections that are skipped, and metadata", photo(30, 20), 500, with_sections((EXTRA,), (EXTRA, *METADATA))
    ),
    "grey": Case("grey", Raster(grey(61, 83), grey=True), 345),
    "grey-alpha": Case("alpha as it is", four_alphas(40, 70), 400),
    "alpha": Case("alpha by its differences", Raster(photo(70, 60), alpha=sloping(70, 60)), 400),
    "veil": Case("one alpha for all", Raster(photo(33, 20), alpha=flat(33, 20, 99)[:, :, 0]), 200),
    "whole": Case("grey, alpha, a profile, EXIF and XMP, in tiles", whole(), 300, tile=4),
    "marked": Case("the latents are marked skippable, which says nothing", photo(30, 20), 200, put(14, b"\x81")),
    "newer-minor": Case("version 1.15", photo(17, 33), 450, put(4, b"\x1f")),
}  # fmt: skip


class Bad(NamedTuple):
    """A file that must be refused: as what, why, and how it is made of a good one."""

    error: str
    because: str
    change: Callable[[bytes], bytes]


def with_alpha(payload: bytes, because: str) -> Bad:
    return Bad("CorruptError", because, with_sections((), (Section(SectionType.ALPHA, payload),)))


def with_icc(payload: bytes, because: str) -> Bad:
    return Bad("CorruptError", because, with_sections((Section(SectionType.ICC, payload),), ()))


# The good file is "photo": magic, 0x10, flags 16, model 6..9, quality 10..11, width 12, height 13, section from 14.
ERRORS: dict[str, Bad] = {
    "empty": Bad("NotRdaeError", "no bytes", lambda _: b""),
    "png": Bad("NotRdaeError", "a PNG's first bytes", lambda data: b"\x89PNG\r\n\x1a\n" + data[8:]),
    "magic-only": Bad("TruncatedError", "ends after the magic", lambda data: data[:4]),
    "cut-header": Bad("TruncatedError", "ends within the header", lambda data: data[:12]),
    "cut-payload": Bad("TruncatedError", "ends within the latents", lambda data: data[: len(data) // 2]),
    "cut-end": Bad("StreamError", "the last byte is missing", lambda data: data[:-1]),
    "extended": Bad("StreamError", "a byte after the end", lambda data: data + b"\0"),
    "flipped": Bad("CorruptError", "a bit of the latents is flipped",
                   lambda data: data[:100] + bytes([data[100] ^ 8]) + data[101:]),
    "major-0": Bad("VersionError", "major version 0", put(4, b"\x00")),
    "major-15": Bad("VersionError", "major version 15", put(4, b"\xf0")),
    "unknown-flag": Bad("VersionError", "flag 2**62", put(5, b"\x90" + b"\x80" * 7 + b"\x40")),
    "unknown-section": Bad("VersionError", "a section of type 127 that may not be skipped",
                           with_sections((), (dataclasses.replace(EXTRA, skippable=False),))),
    "long-varint": Bad("CorruptError", "width in two bytes where one will do", put(12, b"\xd3\x00")),
    "endless-varint": Bad("CorruptError", "width of more than 63 bits", put(12, b"\xff" * 9 + b"\x01")),
    "quality-801": Bad("CorruptError", "quality index 801", put(10, b"\xa1\x06", 2)),
    "zero-width": Bad("CorruptError", "width 0", put(12, b"\0")),
    "zero-height": Bad("CorruptError", "height 0", put(13, b"\0")),
    "too-wide": Bad("CorruptError", "width 2**30", put(12, b"\x80\x80\x80\x80\x04")),
    "too-little": Bad("CorruptError", "fewer bytes of latents than blocks of 64 x 64", put(12, b"\x80\x80\x40")),
    "no-latents": Bad("CorruptError", "no section of latents", put(14, b"\xff")),
    "type-0": Bad("CorruptError", "a section of type 0", put(14, b"\x80\x00\x01")),
    "two-latents": Bad("CorruptError", "two sections of latents", put(14, b"\x01\x03abc\x01")),
    "two-profiles": Bad("CorruptError", "two ICC sections",
                        lambda data: put(5, b"\x14")(put(14, b"\x03\x00\x03\x01x\x01")(data))),
    "false-flag": Bad("CorruptError", "a flag of metadata without any", put(5, b"\x14")),
    "other-model": Bad("WeightsError", "of a model that is not here", reheaded(model=b"\0\1\2\3")),
    "payload-changed": Bad("CorruptError", "a byte of the latents changed, the checksum made right",
                           with_payload(lambda p: p[:80] + bytes([p[80] ^ 1]) + p[81:])),
    "payload-cut": Bad("CorruptError", "the latents end too early", with_payload(lambda p: p[:-3])),
    "payload-zero": Bad("CorruptError", "a zero byte too many in the latents",
                        with_payload(lambda p: turned(turned(p) + b"\0"))),
    "payload-extended": Bad("CorruptError", "more bytes in the latents than are read", with_payload(lambda p: p + p)),
    "wrong-checksum": Bad("CorruptError", "another latent checksum", repacked(latent_checksum=0)),
    "wrong-quality": Bad("CorruptError", "latents read with another quality's prior", reheaded(quality_index=0)),
    "wrong-size": Bad("CorruptError", "the latents are of another size", reheaded(width=150)),
    "alpha-nothing": with_alpha(b"", "alpha without a method"),
    "alpha-method": with_alpha(b"\3x", "alpha of method 3"),
    "alpha-constant": with_alpha(b"\0\x55\x55", "constant alpha of two values"),
    "alpha-short": with_alpha(b"\1" + packing.pack(bytes(83 * 61 - 1)), "alpha of a pixel too few"),
    "alpha-long": with_alpha(b"\2" + packing.pack(bytes(83 * 61 + 1)), "alpha of a pixel too many"),
    "alpha-cut": with_alpha(b"\1" + packing.pack(noise(3, 83, 61).tobytes()[: 83 * 61])[:-1], "no end of alpha"),
    "alpha-followed": with_alpha(b"\1" + packing.pack(bytes(83 * 61)) + b"\0", "a byte after the end of alpha"),
    "alpha-broken": with_alpha(b"\1\x7f\0\0", "alpha that is no LZMA2"),
    "metadata-nothing": with_icc(b"", "a profile without a method"),
    "metadata-method": with_icc(b"\2x", "a profile of method 2"),
    "metadata-empty": with_icc(b"\0", "a profile of no bytes"),
    "metadata-packed-empty": with_icc(b"\1" + packing.pack(b""), "a packed profile of no bytes"),
    "metadata-long": with_icc(b"\1" + packing.pack(bytes(2**26 + 1)), "a profile of 2**26 + 1 bytes"),
    "metadata-cut": with_icc(b"\1" + packing.pack(b"profile")[:-1], "a profile without an end"),
    "metadata-followed": with_icc(b"\1" + packing.pack(b"profile") + b"!", "a byte after the end of a profile"),
}  # fmt: skip


def with_webp(payload: bytes | None) -> Callable[[bytes], bytes]:
    """With alpha as WebP, whether or not that is shortest."""
    assert payload is not None
    return with_sections((), (Section(SectionType.ALPHA_WEBP, payload),))


def rough(height: int, width: int) -> npt.NDArray[np.uint8]:
    """Alpha of a photograph's brightness: (height, width)."""
    return photo(height, width)[:, :, 1] // 3 * 3


def bad_webp(change: Callable[[bytes], bytes], because: str) -> Bad:
    return Bad("CorruptError", because, with_webp(change(alpha_webp.encode(rough(61, 83)) or b"")))


def graphic(height: int, width: int, seed: int = 0) -> Picture:
    """Blocks of a few colours: (height, width, 3)."""
    found: Picture = np.repeat(np.repeat(noise(seed, 30, 40) // 64 * 85, 9, axis=0), 7, axis=1)[
        :height, :width
    ]
    return found


def stored(*sections: Section, **header: Any) -> Callable[[bytes], bytes]:
    """A file of these sections alone, 83 x 61 unless told otherwise."""
    fields = {"width": 83, "height": 61, "model": NO_MODEL, "quality_index": 800, **header}
    return lambda _data: pack(Container(Header(**fields), sections))


def part(left: int, top: int, width: int, height: int, seed: int = 0) -> Section:
    """A rectangle of graphics."""
    return pixels.encode(
        graphic(height, width, seed), Rectangle(left, top, width, height), exact=True, settings=((4, 80),)
    )


def all_of(picture: Picture, alpha: npt.NDArray[np.uint8] | None = None, *, exact: bool = True) -> Section:
    """A whole picture."""
    return pixels.encode(picture, alpha=alpha, exact=exact, settings=((4, 80),))


def bad_pixels(change: Callable[[bytes], bytes], because: str) -> Bad:
    """With pixels of all of the picture that went wrong."""
    good = all_of(graphic(61, 83))
    return Bad("CorruptError", because, stored(dataclasses.replace(good, payload=change(good.payload))))


def bad_part(left: int, top: int, width: int, height: int, because: str) -> Bad:
    """With a rectangle over latents that says it is somewhere else."""
    good = part(16, 16, 32, 16)
    numbers = b"".join(number.to_bytes(4, "little") for number in (left, top, width, height))
    moved = dataclasses.replace(good, payload=good.payload[:1] + numbers + good.payload[17:])
    return Bad("CorruptError", because, with_sections((), (moved,)))


FILES_1_1: dict[str, Case] = {
    "pixels": Case("all pixels", photo(61, 83), 800, stored(all_of(graphic(61, 83)))),
    "pixels-fewer": Case("all pixels, with fewer colours than there were", photo(61, 83), 160,
                         stored(all_of(graphic(61, 83), exact=False), quality_index=160)),
    "pixels-grey": Case("all pixels, grey", photo(61, 83), 800,
                        stored(all_of(np.repeat(graphic(61, 83)[:, :, :1], 3, axis=2)), grey=True)),
    "pixels-alpha": Case("all pixels with their alpha", photo(61, 83), 800,
                         stored(all_of(graphic(61, 83), graphic(61, 83, 1)[:, :, 0]))),
    "pixels-parts": Case("all pixels in three rectangles", photo(61, 83), 800,
                         stored(part(0, 0, 48, 61), part(48, 0, 35, 32, 1), part(48, 32, 35, 29, 2))),
    "pixels-over": Case("two rectangles over latents of several tiles", photo(300, 530), 400,
                        with_sections((part(256, 16, 160, 64),), (part(512, 208, 18, 92, 1),)), tile=4),
    "alpha-webp": Case("alpha as WebP", photo(40, 70), 400, with_webp(alpha_webp.encode(rough(40, 70)))),
    "alpha-bands": Case(
        "alpha as WebP in two bands", photo(16_500, 1), 100, with_webp(alpha_webp.encode(rough(16_500, 1)))
    ),
}  # fmt: skip

ERRORS_1_1: dict[str, Bad] = {
    "pixels-nothing": Bad("CorruptError", "pixels without a kind",
                          with_sections((), (Section(SectionType.PIXELS, b""),))),
    "pixels-kind": bad_pixels(lambda p: b"\4" + p[1:], "pixels of kind 4"),
    "pixels-cut": bad_pixels(lambda p: p[: len(p) // 2], "half a bitstream of pixels"),
    "pixels-broken": bad_pixels(lambda p: p[:5] + b"\xff" * 9, "no bitstream of WebP"),
    "pixels-checksum": bad_pixels(lambda p: p[:1] + bytes([p[1] ^ 1]) + p[2:], "a wrong checksum of pixels"),
    "pixels-colours": Bad("CorruptError", "colours in a grey picture", stored(all_of(graphic(61, 83)), grey=True)),
    "pixels-missing": Bad("CorruptError", "no pixels in a corner, and no latents", stored(part(0, 0, 83, 48))),
    "pixels-twice": Bad("CorruptError", "pixels in two rectangles",
                        stored(all_of(graphic(61, 83)), part(0, 0, 16, 16))),
    "pixels-more": Bad("CorruptError", "pixels beside pixels with alpha",
                       lambda data: put(5, b"\x02")(put(14, b"\x08\x02\x01\x01", 0)(
                           stored(all_of(graphic(61, 83)))(data)))),
    "pixels-empty": bad_part(16, 16, 0, 16, "a rectangle without pixels"),
    "pixels-outside": bad_part(64, 16, 32, 16, "a rectangle that leaves the picture"),
    "pixels-odd": bad_part(15, 16, 32, 16, "a rectangle that begins at no multiple of 16"),
    "pixels-odd-end": bad_part(16, 16, 31, 16, "a rectangle that ends at no multiple of 16"),
    "pixels-other-size": bad_part(16, 16, 48, 16, "a bitstream of a smaller rectangle"),
    "webp-nothing": bad_webp(lambda _: b"", "alpha as WebP without a length"),
    "webp-cut": bad_webp(lambda p: p[:-1], "alpha as WebP that ends within its band"),
    "webp-short": bad_webp(lambda p: (len(p) // 2).to_bytes(4, "little") + p[4 : len(p) // 2 + 4], "half a bitstream"),
    "webp-followed": bad_webp(lambda p: p + b"\0", "a byte after the last band"),
    "webp-broken": bad_webp(lambda _: b"\x08\0\0\0" + b"\xff" * 8, "no bitstream of WebP"),
    "webp-other-size": bad_webp(lambda _: alpha_webp.encode(rough(9, 83)) or b"", "a bitstream of fewer rows"),
    "alpha-twice": Bad("CorruptError", "alpha, and alpha as WebP",
                       lambda data: put(5, b"\x12")(put(14, b"\x02\x02\0\x55\x06\x01x\x01")(data))),
}  # fmt: skip

VERSIONS = {"v1.1": (FILES_1_1, ERRORS_1_1)}
"""What is in the folders of later minor versions; in any other, all that the first had."""


def turned(data: bytes) -> bytes:
    """Each group of four bytes turned round."""
    return b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))


class _FirstOnly:
    """Residuals that are 0, but for the first coded one of each step; what is coded of them goes to the coder."""

    def __init__(self, residual: int, coder: SymbolEncoder, prior: Prior) -> None:
        self._residual, self._coder, self._prior = residual, coder, prior

    def of(self, prediction: Prediction) -> npt.NDArray[np.int32]:
        coded = prediction.scales >= self._prior.skip_below
        values = np.zeros(len(coded), np.int32)
        values[coded.nonzero()[0][:1]] = self._residual
        self._coder.put(values[coded], prediction.scales[coded], self._prior.y_tables)
        return values


def out_of_range(model: Model, z_value: int, residual: int) -> bytes:
    """A file whose first hyper-latent, and first coded latent, are what no encoder writes."""
    size, index = (2, 2), 400
    z = np.zeros(model.prior.z_shape(size), np.int32)
    z.flat[0] = z_value
    coder = SymbolEncoder()
    coder.put(z.ravel(), latents.z_rows(z.shape), model.prior.z_tables)
    y64 = latents.go_through(model.prior, z, index, size, _FirstOnly(residual, coder, model.prior))
    right = latents.Latents(z, y64).checksum
    header = Header(32, 32, model.model_id, index)
    return pack(
        Container(header, (Section(SectionType.LATENTS, coder.finish(least_payload(32, 32))),), right)
    )


def write_calm(path: Path) -> Path:
    """A model that expects, and puts out, nothing but zeros: the only way to a stream of almost no bytes."""
    architecture = dataclasses.replace(tiny_model.MINI, fine=1, latents=4, hyper_latents=1)
    tensors = tiny_model.model_tensors(architecture)
    for name in tensors:
        if "context.indices" in name and name.endswith(".weight"):
            tensors[name][...] = 0
        if "context.indices" in name and name.endswith(".bias"):
            tensors[name] = -127 * 2 ** tensors[name.replace(".bias", ".shift")].astype(np.int32)
    likely = tables.join([np.array([0.005, 0.98, 0.005, 0.01])])
    tensors["tables.z.counts"], tensors["tables.z.limits"] = likely.counts, likely.limits
    tensors["hyper_analysis.to_64.weight"][...] = 0
    data = safetensors.numpy.save(tensors, tiny_model.metadata(architecture))
    return tiny_model.write_bytes(path, data, graphs=True)


def cases_of(folder: Path) -> tuple[dict[str, Case], dict[str, Bad]]:
    """What a version's folder holds."""
    return VERSIONS.get(folder.name, (FILES, ERRORS))


def write(folder: Path) -> None:
    """Write the models of a first version, the files and what they decode to, and the files that must fail."""
    (folder / "errors").mkdir(parents=True)
    if folder.name not in VERSIONS:
        tiny_model.write(folder / "mini.safetensors", tiny_model.MINI)
        write_calm(folder / "calm.safetensors")
    models = models_for(folder)
    write_files(folder, models, {})
    write_errors(folder, models, {})


def models_for(folder: Path) -> dict[str, Model]:
    """Those in a version's folder, or else those of the first."""
    own = list(folder.glob("*.safetensors"))
    return {path.stem: weights.load(path) for path in own or FIRST.glob("*.safetensors")}


def write_errors(folder: Path, models: dict[str, Model], told: dict[str, dict[str, str]]) -> None:
    """Write those bad files that `told` does not tell of yet."""
    _, errors = cases_of(folder)
    good = ((FIRST if folder.name in VERSIONS else folder) / "photo.rdae").read_bytes()
    bad = {name: (each.change(good), each.error, each.because) for name, each in errors.items()}
    if folder.name not in VERSIONS:
        for name, z, k in (("z-out-of-range", 128, 0), ("k-out-of-range", 0, -SYMBOL_MAX - 1)):
            bad[name] = (
                out_of_range(models["mini"], z, k),
                "CorruptError",
                "a value beyond what may be coded",
            )
    for name, (data, error, because) in bad.items():
        if name not in told:
            (folder / "errors" / f"{name}.rdae").write_bytes(data)
            told[name] = {"error": error, "because": because}
    (folder / "errors.json").write_text(json.dumps(told, indent=1) + "\n")


def write_files(folder: Path, models: dict[str, Model], facts: dict[str, dict[str, Any]]) -> None:
    """Write those good files that `facts` does not tell of yet."""
    files, _ = cases_of(folder)
    for name, case in files.items():
        if name in facts:
            continue
        model = models[case.model]
        data = case.change(
            encode.compress(case.picture, model, case.quality_index, verify=True, tile=case.tile)
        )
        (folder / f"{name}.rdae").write_bytes(data)
        exact = decode.decode(data, model, exact=True)
        raster = exact.raster
        facts[name] = {
            "about": case.about,
            "mode": raster.mode,
            "width": raster.width,
            "height": raster.height,
            "quality_index": case.quality_index,
            "latents_sha256": exact.latents_sha256,
            "pixels_sha256": hashlib.sha256(exact.picture.tobytes()).hexdigest(),
        }
        beside = {part: getattr(raster, part) for part in ("alpha", "icc", "exif", "xmp")}
        facts[name] |= {
            f"{part}_sha256": hashlib.sha256(bytes(found)).hexdigest()
            for part, found in beside.items()
            if found is not None
        }
    (folder / "files.json").write_text(json.dumps(facts, indent=1) + "\n")


def sums(golden: Path = GOLDEN) -> str:
    """What SHA256SUMS says, in the form of sha256sum: a line for each golden file of every version.

    Graphs are not among them, nor the manifests that state their hashes: `rdae export` makes them anew from the weights
    whenever what a runtime is told changes, and that changes no meaning.
    """
    models = {path.with_suffix(".json") for path in golden.rglob("*.safetensors")}
    paths = sorted(
        path
        for path in golden.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS" and path.suffix != ".onnx" and path not in models
    )
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(golden).as_posix()}\n"
        for path in paths
    )


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="write an existing version's files anew")
    parser.add_argument("--add", action="store_true", help="write only the files that are new")
    options = parser.parse_args(arguments)
    if folder.exists() and not options.add:
        if not options.force:
            sys.exit(
                f"{folder}: exists; the files of a released version must never change (--force: if it is not)"
            )
        shutil.rmtree(folder)
    try:
        if options.add:
            models = models_for(folder)
            write_files(folder, models, json.loads((folder / "files.json").read_text()))
            write_errors(folder, models, json.loads((folder / "errors.json").read_text()))
        else:
            write(folder)
    except RdaeError as error:
        sys.exit(str(error))
    (folder.parent / "SHA256SUMS").write_text(sums(folder.parent))


if __name__ == "__main__":
    main()
