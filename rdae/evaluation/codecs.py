"""Every codec that is measured, behind one protocol: rdae, those that Pillow writes, and CompressAI's networks.

Tables, benchmarks, reports and measurements of memory know no other way into a codec. JPEG XL comes to Pillow by a
plug-in, pillow-jxl-plugin, which the extra `peers` installs; CompressAI's networks are in rdae.training.compressai and
are loaded only when one is asked for.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import PIL
from PIL import Image, features

import rdae
from rdae.clock import Clock
from rdae.effort import DEFAULT_EFFORT
from rdae.errors import MissingExtraError, RdaeError, ResultsError
from rdae.metrics import Picture
from rdae.quality import MAX_INDEX, from_index

if TYPE_CHECKING:
    from rdae.api import Model

Options = Mapping[str, str | int | bool]


class Codec(Protocol):
    """A codec with its settings: with others it is another codec. What differs from file to file is the quality."""

    @property
    def name(self) -> str:
        """Short, for options and file names."""

    @property
    def title(self) -> str:
        """For tables and legends."""

    @property
    def description(self) -> str:
        """Format, library and settings, in a line."""

    @property
    def suffix(self) -> str:
        """The end of its files' names, and of its results' beside those of rdae."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides about its numbers, for JSON: points of equal identities are interchangeable."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `reopen` makes it from in another process."""

    @property
    def qualities(self) -> Sequence[float]:
        """The bitrate ladder that is measured by default, rising."""

    @property
    def all_qualities(self) -> Sequence[float]:
        """All that there are, from the smallest files to the largest."""

    @property
    def untrained(self) -> bool:
        """Whether its weights are random: then its speed means something, and its files and pictures do not."""

    def prepare(self) -> None:
        """Load what it needs, before any long work; MissingExtraError or ResultsError where that is not here."""

    def encode(self, picture: Picture, quality: float, /, clock: Clock | None = None) -> bytes:
        """The bytes of a file. clock: gets the seconds of those stages that the codec knows."""

    def decode(self, data: bytes, /, clock: Clock | None = None) -> Picture:
        """The picture of a file that `encode` wrote; clock as there."""


@dataclass(frozen=True)
class Rdae:
    """rdae with an opened model and an effort 0..9. weights: what `open_model` was given, to open it once more."""

    model: Model
    effort: int = DEFAULT_EFFORT
    weights: Path | None = None
    qualities: Sequence[float] = (5, 20, 40, 60, 80, 95)
    suffix: ClassVar[str] = ".rdae"
    untrained: ClassVar[bool] = False
    description: ClassVar[str] = "rdae: learned image codec, real files"
    all_qualities: ClassVar[Sequence[float]] = [from_index(index) for index in range(MAX_INDEX + 1)]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def title(self) -> str:
        """The model's name; for one that does not begin with it, after rdae's."""
        return self.name if self.name.startswith("rdae") else f"rdae {self.name}"

    @property
    def device(self) -> str:
        """Where its networks run."""
        return str(self.model.loaded.device)

    @property
    def threads(self) -> int:
        """How many threads share the work of its networks."""
        return self.model.loaded.source.threads

    @property
    def objective(self) -> str:
        """The name of the distortion that its model was trained for: "mse", "ms-ssim" or "ssimulacra2"."""
        return self.model.loaded.objective.name

    @property
    def identity(self) -> Mapping[str, Any]:
        """Program, weights and effort."""
        model_id = self.model.model_id.hex()
        return {"name": self.name, "rdae": rdae.__version__, "model": model_id, "effort": self.effort}

    @property
    def arguments(self) -> tuple[str, ...]:
        """The weights file by its whole path, a model's name as it is, or nothing; and the effort."""
        path = self.weights
        weights = "" if path is None else str(path.resolve() if path.exists() else path)
        return ("rdae", weights, str(self.effort))

    def prepare(self) -> None:
        """Nothing: its model is open."""

    def encode(self, picture: Picture, quality: float, /, clock: Clock | None = None) -> bytes:
        """The bytes of a file; quality 0 to 100."""
        return self.model.compress(picture, quality, effort=self.effort, clock=clock)

    def decode(self, data: bytes, /, clock: Clock | None = None) -> Picture:
        """The picture of a file."""
        decoded = self.model.decode(data)
        if clock is not None:
            for stage, seconds in decoded.seconds.items():
                clock.seconds[stage] = clock.seconds.get(stage, 0.0) + seconds
        return decoded.picture


@dataclass(frozen=True)
class PillowCodec:
    """A format that Pillow writes, with every option spelt out.

    advanced: options of the library behind AVIF, which Pillow hands on unread.
    qualities: chosen so that Kodak goes from about 0.05 to 3 bpp, or as low as the codec goes. JPEG 2000 has no scale
    of quality: its qualities are rates to keep to, in hundredths of a bit a pixel.
    """

    name: str
    title: str
    file_format: str
    options: Options = field(hash=False)
    qualities: Sequence[int]
    advanced: Mapping[str, str] = field(default_factory=dict, hash=False)
    untrained: ClassVar[bool] = False

    @property
    def settings(self) -> Options:
        """All its options."""
        return {**self.options, **self.advanced}

    @property
    def suffix(self) -> str:
        """Its name, so that two of one format stay apart."""
        return "." + self.name

    @property
    def library(self) -> str:
        """The library that does the work and its version: results change with it."""
        if self.file_format == "JXL":
            return f"{JXL_PACKAGE} {importlib.metadata.version(JXL_PACKAGE)}"
        feature = FEATURES[self.file_format]
        return f"Pillow {PIL.__version__}, {feature} {features.version(feature) or 'unknown'}"

    @property
    def description(self) -> str:
        """Format, library and settings, in a line."""
        options = ", ".join(f"{key} {value}" for key, value in self.settings.items()) or "no options"
        return f"{self.file_format} by {self.library}; {options}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Library and settings."""
        return {"name": self.name, "library": self.library, "settings": dict(self.settings)}

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its name."""
        return (self.name,)

    @property
    def all_qualities(self) -> Sequence[float]:
        """The whole numbers of its ladder's range."""
        return [float(quality) for quality in range(min(self.qualities), max(self.qualities) + 1)]

    @property
    def speed_option(self) -> tuple[str, Sequence[int]]:
        """The option that trades time for bits and its values, the fastest first; ResultsError if it has none."""
        if not self.has_speed_option:
            having = ", ".join(codec.name for codec in PILLOW_CODECS.values() if codec.has_speed_option)
            raise ResultsError(
                f"peer {self.name} has no setting of speed or effort, expected one of {having}"
            )
        return SPEED_OPTIONS[self.file_format]

    @property
    def has_speed_option(self) -> bool:
        """Whether it can be told how long to take."""
        return self.file_format in SPEED_OPTIONS and SPEED_OPTIONS[self.file_format][0] in self.options

    def at_speed(self, value: int) -> PillowCodec:
        """The same with another value of its speed option; ResultsError if it has no such value."""
        option, values = self.speed_option
        if value not in values:
            low, high = min(values), max(values)
            raise ResultsError(f"peer {self.name} has no {option} {value}, expected {low} to {high}")
        # A name that no codec has: by it nobody gets the codec with its usual settings.
        name, title = f"{self.name}-{option}-{value}", f"{self.title}, {option} {value}"
        return replace(self, name=name, title=title, options={**self.options, option: value})

    def prepare(self) -> None:
        """Load the plug-in; MissingExtraError without it, ResultsError for what Pillow cannot do here."""
        Image.init()
        if self.file_format == "JXL" and "JXL" not in Image.SAVE:
            try:
                importlib.import_module(JXL_MODULE)
            except ImportError as error:
                message = f"peer {self.name} needs {JXL_PACKAGE}: pip install 'rdae[peers]'"
                raise MissingExtraError(message) from error
        if self.file_format not in Image.SAVE:
            raise ResultsError(f"this Pillow ({PIL.__version__}) cannot write {self.file_format}")
        if self.advanced:  # known to the library alone, so it is asked
            try:
                self.encode(np.zeros((16, 16, 3), np.uint8), self.qualities[0])
            except (ValueError, OSError) as error:
                what = ", ".join(f"{key} {value}" for key, value in self.advanced.items())
                raise ResultsError(
                    f"peer {self.name}: {self.library} does not take {what}: {error}"
                ) from error

    def encode(self, picture: Picture, quality: float, /, clock: Clock | None = None) -> bytes:
        """The bytes of a file; quality 0 to 100, rounded to an integer (JPEG 2000: 1 to 2400, see above)."""
        del clock
        wanted: dict[str, Any] = {"quality": round(quality)}
        if self.file_format == "JPEG2000":
            # How many times smaller than 24 bits a pixel.
            wanted = {"quality_mode": "rates", "quality_layers": [2400 / quality]}
        if self.advanced:
            wanted["advanced"] = dict(self.advanced)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, self.file_format, **wanted, **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes, /, clock: Clock | None = None) -> Picture:
        """The uint8 (h, w, 3) picture of a file that `encode` wrote."""
        del clock
        with Image.open(io.BytesIO(data), formats=[self.file_format]) as image:
            return np.asarray(image.convert("RGB"))


JXL_MODULE, JXL_PACKAGE = "pillow_jxl", "pillow-jxl-plugin"
# How Pillow calls the library behind a format.
FEATURES = {"JPEG": "libjpeg_turbo", "JPEG2000": "jpg_2000", "WEBP": "webp", "AVIF": "avif"}

# By format, the option that trades time for bits and its values from the fastest to the slowest.
SPEED_OPTIONS: Mapping[str, tuple[str, Sequence[int]]] = {
    "WEBP": ("method", range(7)),
    "AVIF": ("speed", range(10, -1, -1)),
    "JXL": ("effort", range(1, 10)),
}

JPEG_LADDER = (2, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95)
JPEG_2000_LADDER = (5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 200, 250, 300)
WEBP_LADDER = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95, 100)
AVIF_LADDER = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 93)
JXL_LADDER = (0, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 93, 95)
COMPRESSAI_LADDER = tuple(range(5, 100, 10))  # every other one of the published curves

JPEG_OPTIONS: Options = {"optimize": True, "progressive": True}
# Without its multi-component transform JPEG 2000 codes R, G and B apart and needs twice the bits; no_jp2 leaves out 85
# bytes of wrapping.
JPEG_2000_OPTIONS: Options = {"irreversible": True, "mct": 1, "no_jp2": True}
AVIF_OPTIONS: Options = {"speed": 4, "codec": "aom", "range": "full"}
JXL_OPTIONS: Options = {"effort": 7, "decoding_speed": 0, "lossless": False}

PILLOW_CODECS: Mapping[str, PillowCodec] = {
    codec.name: codec
    for codec in (
        PillowCodec("jpeg", "JPEG 4:4:4", "JPEG", {"subsampling": "4:4:4", **JPEG_OPTIONS}, JPEG_LADDER),
        PillowCodec("jpeg420", "JPEG 4:2:0", "JPEG", {"subsampling": "4:2:0", **JPEG_OPTIONS}, JPEG_LADDER),
        PillowCodec("jpeg2000", "JPEG 2000", "JPEG2000", JPEG_2000_OPTIONS, JPEG_2000_LADDER),
        PillowCodec("webp", "WebP", "WEBP", {"method": 6, "lossless": False}, WEBP_LADDER),
        PillowCodec("avif", "AVIF 4:4:4", "AVIF", {"subsampling": "4:4:4", **AVIF_OPTIONS}, AVIF_LADDER),
        PillowCodec("avif420", "AVIF 4:2:0", "AVIF", {"subsampling": "4:2:0", **AVIF_OPTIONS}, AVIF_LADDER),
        *(
            PillowCodec(
                f"avif-{tune}",
                f"AVIF 4:4:4, tuned for {aim}",
                "AVIF",
                {"subsampling": "4:4:4", **AVIF_OPTIONS},
                AVIF_LADDER,
                {"tune": tune},
            )
            for tune, aim in (("iq", "the eye"), ("ssimulacra2", "SSIMULACRA2"), ("psnr", "PSNR"))
        ),
        PillowCodec(
            "avif-speed6",
            "AVIF 4:4:4, speed 6",
            "AVIF",
            {"subsampling": "4:4:4", **AVIF_OPTIONS, "speed": 6},
            AVIF_LADDER,
        ),
        PillowCodec("jxl", "JPEG XL", "JXL", JXL_OPTIONS, JXL_LADDER),
        # As CompressAI's bench saves them, with nothing but a quality: what its published curves are of.
        PillowCodec("jpeg-default", "JPEG, Pillow's defaults", "JPEG", {}, COMPRESSAI_LADDER),
        PillowCodec("webp-default", "WebP, Pillow's defaults", "WEBP", {}, COMPRESSAI_LADDER),
    )
}

# What others call the same.
ALIASES: Mapping[str, str] = {"jpeg-xl": "jxl", "jpeg444": "jpeg"}

COMPRESSAI = "compressai:"
UNTRAINED = ("mbt2018-mean", "bmshj2018-hyperprior")
"""Networks of CompressAI's zoo that can be timed without a checkpoint."""


def find_pillow_codec(name: str) -> PillowCodec:
    """A codec of Pillow by name or alias; ResultsError for one that is unknown here."""
    name = ALIASES.get(name, name)
    if name not in PILLOW_CODECS:
        raise ResultsError(f"unknown peer {name!r}, expected one of {', '.join(PILLOW_CODECS)}")
    return PILLOW_CODECS[name]


def find_codecs(names: Iterable[str]) -> list[Codec]:
    """What is measured beside rdae, by name and in order, prepared.

    Names are those of PILLOW_CODECS, and compressai:NAME:QUALITY=FILE, of which one NAME is one codec. ResultsError for
    what is unknown or cannot be read, MissingExtraError for what is not installed.
    """
    found: list[Codec] = []
    checkpoints: dict[str, dict[int, Path]] = {}
    for name in dict.fromkeys(names):
        if not name.startswith(COMPRESSAI):
            found.append(find_pillow_codec(name))
            continue
        from rdae.training.compressai.networks import Network, parse

        architecture, quality, path = parse(name.removeprefix(COMPRESSAI))
        if architecture not in checkpoints:
            checkpoints[architecture] = {}
            found.append(Network(architecture, checkpoints[architecture]))
        if quality in checkpoints[architecture]:
            raise ResultsError(f"{name}: a second checkpoint for this quality")
        checkpoints[architecture][quality] = path
    for codec in found:
        codec.prepare()
    return found


def find_untrained(name: str) -> Codec:
    """A network of UNTRAINED with random weights, to be timed; MissingExtraError without compressai."""
    from rdae.training.compressai.networks import Network

    network = Network(name, {})
    network.prepare()
    return network


def reopen(arguments: Sequence[str]) -> Codec:
    """The codec whose `arguments` these are, in a process that has not seen it yet."""
    if arguments[0] == "rdae":
        from rdae import open_model

        _, weights, effort = arguments
        path = Path(weights) if weights else None
        return Rdae(open_model(path), int(effort), path)
    (codec,) = find_codecs(arguments)
    return codec


def is_here(codec: Codec) -> bool:
    """Whether a codec can be run on this machine."""
    try:
        codec.prepare()
    except RdaeError:
        return False
    return True


def nearest_in_size(codec: Codec, pictures: Sequence[Picture], size: int) -> float:
    """The quality of the codec's ladder whose files of these pictures are together nearest to `size` bytes."""

    @functools.cache
    def size_at(i: int) -> int:
        return sum(len(codec.encode(picture, codec.qualities[i])) for picture in pictures)

    return codec.qualities[nearest_index(size_at, 0, len(codec.qualities) - 1, size)]


def nearest_index(value: Callable[[int], float], low: int, high: int, wanted: float) -> int:
    """Where a rising function of low..high comes nearest to what is wanted, by bisection."""
    least = low
    while low < high:
        middle = (low + high) // 2
        if value(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    return min(range(max(low - 1, least), low + 1), key=lambda i: abs(value(i) - wanted))
