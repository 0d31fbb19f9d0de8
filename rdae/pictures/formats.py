"""Which picture formats there are: what is found in folders, what is tried on a file, and what needs a plug-in."""

from __future__ import annotations

import importlib
import importlib.util
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath

# What is tried on a file's content, most usual first. Not all that Pillow has: EPS would start another program,
# others read no pixels by themselves, and each more is one more decoder to attack.
FORMATS = (
    *("PNG", "JPEG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "MPO", "JPEG2000"),
    *("TGA", "QOI", "ICO", "ICNS", "PCX", "SGI", "PSD"),
)

# What is looked for in folders and archives, all that such files are called; a file named outright may have any name.
SUFFIXES = frozenset(
    {
        *(".png", ".apng"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
        *(".webp", ".avif", ".avifs", ".gif", ".tif", ".tiff"),
        *(".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm"),
        *(".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
        *(".tga", ".icb", ".vda", ".vst", ".qoi", ".ico", ".icns", ".pcx"),
        *(".sgi", ".rgb", ".rgba", ".bw", ".psd"),
    }
)


@dataclass(frozen=True)
class PlugIn:
    """A package that teaches Pillow a format when it is asked to.

    form: Pillow's name of the format; called: everybody else's. package: what is installed; module: what is imported.
    """

    form: str
    called: str
    package: str
    module: str
    suffixes: frozenset[str]
    begins: Callable[[bytes], bool]

    def is_installed(self) -> bool:
        """Whether it can be imported; it is not."""
        return importlib.util.find_spec(self.module) is not None

    def register(self) -> bool:
        """Let Pillow know the format from now on; False if the package is not installed."""
        try:
            module = importlib.import_module(self.module)
        except ImportError:
            return False
        getattr(module, "register_heif_opener", lambda: None)()  # the other registers by being imported
        return True


def _is_heif(head: bytes) -> bool:
    # Brands of pictures coded by HEVC, and those of any coding; AVIF is Pillow's own, whatever its major brand is.
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, len(head) - 3, 4))}
    heif = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
    return head[4:8] == b"ftyp" and bool(brands & heif) and not brands & {b"avif", b"avis"}


def _is_jpeg_xl(head: bytes) -> bool:
    return head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"))


HEAD_BYTES = 64
"""Of a file, which tell whether it is for a plug-in."""

PLUG_INS = (
    PlugIn(
        "HEIF",
        "HEIC",
        "pillow-heif",
        "pillow_heif",
        frozenset({".heic", ".heif", ".hif", ".heics", ".heifs"}),
        _is_heif,
    ),
    PlugIn("JXL", "JPEG XL", "pillow-jxl-plugin", "pillow_jxl", frozenset({".jxl"}), _is_jpeg_xl),
)

# Pictures by their names which are not read: cameras' raw data, drawings, HDR, and others' working files.
UNREAD_SUFFIXES = frozenset(
    {
        *(".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25"),
        *(".kdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".raw", ".rw2"),
        *(".rwl", ".sr2", ".srf", ".srw", ".x3f"),
        *(".exr", ".hdr", ".pfm", ".dpx", ".cin", ".pam", ".fits", ".dcm", ".dds"),
        *(".svg", ".svgz", ".eps", ".wmf", ".emf"),
        *(".xcf", ".kra", ".psb", ".clip", ".afphoto"),
        *(".jxr", ".wdp", ".hdp", ".bpg", ".flif", ".djvu", ".jls", ".xbm", ".xpm", ".cur"),
    }
)

PICTURE_SUFFIXES = SUFFIXES | UNREAD_SUFFIXES | frozenset().union(*(each.suffixes for each in PLUG_INS))
"""All that pictures are called, whether they can be read or not."""


def readable_suffixes() -> frozenset[str]:
    """What is looked for in folders here: SUFFIXES, and those of the plug-ins that are installed."""
    return SUFFIXES.union(*(each.suffixes for each in PLUG_INS if each.is_installed()))


def plug_in_for(head: bytes) -> PlugIn | None:
    """The plug-in that reads a file which begins so, in HEAD_BYTES."""
    return next((each for each in PLUG_INS if each.begins(head)), None)


def plug_in_of(suffix: str) -> PlugIn | None:
    """The plug-in for a suffix, lower case, with the dot."""
    return next((each for each in PLUG_INS if suffix in each.suffixes), None)


def wanting(plug_in: PlugIn) -> str:
    """What is said where a plug-in is not installed."""
    return f"{plug_in.called} needs {plug_in.package}: pip install 'rdae[formats]'"


def is_unread(location: str) -> bool:
    """Whether a file is a picture by its name, but of a kind that is not read here."""
    suffix = PurePath(location).suffix.lower()
    return suffix in PICTURE_SUFFIXES and suffix not in readable_suffixes()


def unread_words(locations: Iterable[str]) -> str:
    """How many pictures were not read, by suffix, the most first, and what would read them; empty if there are none."""
    counts = Counter(PurePath(each).suffix.lower() for each in locations)
    if not counts:
        return ""
    told = ", ".join(
        f"{count:,} {suffix}" for suffix, count in sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    )
    helped = sorted(suffix for suffix in counts if plug_in_of(suffix) is not None)
    help_words = f"; pip install 'rdae[formats]' reads {', '.join(helped)}" if helped else ""
    return f"not read: {told}{help_words}"
