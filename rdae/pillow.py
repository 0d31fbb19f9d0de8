"""A plug-in for Pillow: `import rdae.pillow`, and .rdae is a format like any other.

    Image.open("x.rdae")                    # reads the header, profile, EXIF and XMP; no runtime yet
    image.load()                            # decodes, as does all that needs pixels
    image.thumbnail((256, 256))             # decodes at 1/2, 1/4 or 1/8 of the size, if that is enough
    image.save("x.rdae", quality=40)        # also: tune, target, effort, alpha_quality, background, metadata,
                                            # exif, icc_profile, xmp, model, verify, note

Errors are Pillow's: UnidentifiedImageError for what is no .rdae file, OSError for one that cannot be decoded and for
pictures that cannot be coded.  Pillow empties an existing file before it lets a format write: a save that fails loses
what was there.
"""

from __future__ import annotations

import os
from typing import IO, Any, BinaryIO, cast

from PIL import Image, ImageFile

import rdae
from rdae.codec import container
from rdae.codec.container import Flag, SectionType
from rdae.codec.sections import metadata
from rdae.effort import DEFAULT_EFFORT
from rdae.errors import CorruptError, RdaeError, StreamError
from rdae.limits import MAX_PIXELS
from rdae.pictures.raster import info_of, mode_of, silent
from rdae.pictures.transparency import EXACT
from rdae.storage.files import read_bounded

FORMAT = "RDAE"
MIME = "image/x-rdae"
DEFAULT_QUALITY = 50.0
METADATA_KEYS = ("icc_profile", "exif", "xmp")


class RdaeImageFile(ImageFile.ImageFile):
    """An .rdae file whose header was read."""

    format = FORMAT
    format_description = "rdae learned image codec"
    _decoded = False
    _scale = 1

    def _open(self) -> None:
        """Read what comes before the latents."""
        file = self._file()
        try:
            header, flags, start = container.peek(file.read(container.HEADER_BYTES))
        except StreamError as error:
            raise SyntaxError(str(error)) from error  # to Pillow: try another plug-in
        self._size = (header.width, header.height)
        self._mode = mode_of(grey=header.grey, alpha=bool(flags & Flag.ALPHA))
        if flags & Flag.METADATA:
            found = _metadata_in(file, start, flags)
            self.info.update(info_of(*(found.get(kind) for kind in _KINDS)))

    def draft(
        self, mode: str | None, size: tuple[int, int] | None
    ) -> tuple[str, tuple[int, int, float, float]] | None:
        """Decode, when it comes to that, at 1/2, 1/4 or 1/8 of the size, if that is no less than `size`.

        That takes about as long, as the latents are decoded all the same, but less memory, and what follows is quicker.
        As Pillow's JPEG plug-in does, it returns the mode, which is the file's whatever `mode` says, and the box of the
        picture in the reduced one; None, and changes nothing, if the picture is decoded already or would be no smaller.
        """
        del mode
        if self._decoded or size is None or self._scale > 1:
            return None
        width, height = self.size
        smaller = min(width // max(1, size[0]), height // max(1, size[1]))
        self._scale = max(each for each in (1, 2, 4, 8) if each <= smaller or each == 1)
        if self._scale == 1:
            return None
        self._size = (-(-width // self._scale), -(-height // self._scale))
        return self.mode, (0, 0, width / self._scale, height / self._scale)

    def load(self) -> Any:
        """Decode, if that was not done before; OSError if it cannot be."""
        if not self._decoded:
            limit = None if Image.MAX_IMAGE_PIXELS is None else MAX_PIXELS
            try:
                image = rdae.decompress(self._all(), max_pixels=limit, scale=self._scale)
            except RdaeError as error:
                raise OSError(str(error)) from error
            self.im = image.im
            self._mode, self._size = image.mode, image.size
            self._decoded = True
            if getattr(self, "_exclusive_fp", False):
                self._file().close()
            self.fp = None
        return Image.Image.load(self)

    def verify(self) -> None:
        """Check the file's checksum and structure, without a model; OSError if it is damaged."""
        try:
            container.parse(self._all(), max_pixels=None)
        except RdaeError as error:
            raise OSError(str(error)) from error
        super().verify()

    def __setstate__(self, state: list[Any]) -> None:
        """Be what was pickled, which was decoded for it."""
        super().__setstate__(state)
        self._decoded = True

    def _all(self) -> bytes:
        file = self._file()
        file.seek(0)
        return read_bounded(file, StreamError)

    def _file(self) -> BinaryIO:
        if self.fp is None:
            raise ValueError("the file is closed")
        return cast("BinaryIO", self.fp)


_KINDS = (SectionType.ICC, SectionType.EXIF, SectionType.XMP)


def _metadata_in(file: BinaryIO, start: int, flags: Flag) -> dict[int, bytes]:
    """Metadata by type of section, as far as it can be found; whether the file is sound is seen when it is loaded."""
    trailer = container.CHECKSUM_BYTES * (2 if flags & Flag.LATENT_CHECKSUM else 1)
    end = file.seek(0, os.SEEK_END) - trailer
    found: dict[int, bytes] = {}
    try:
        for kind, place, length in container.walk(file, start, end):
            if kind in _KINDS and length <= metadata.MAX_BYTES:
                file.seek(place)
                found[kind] = metadata.decode(file.read(length))
    except (CorruptError, StreamError):
        pass
    return found


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(container.MAGIC)


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:  # noqa: ARG001 - Pillow's signature
    options = getattr(image, "encoderinfo", {})
    given = {key: options[key] for key in METADATA_KEYS if key in options}
    if given:
        image = image.copy()  # as its info changes
        for key, value in given.items():
            image.info.pop(key, None)
            data = value.tobytes() if isinstance(value, Image.Exif) else value
            if data:
                image.info[key] = data.encode() if isinstance(data, str) else bytes(data)
    quality, effort, model = (options.get(name) for name in ("quality", "effort", "model"))
    try:
        if isinstance(model, str | os.PathLike):
            model = rdae.open_model(os.fspath(model))
        data = rdae.compress(
            image,
            DEFAULT_QUALITY if quality is None else quality,
            model,
            tune=options.get("tune"),
            effort=DEFAULT_EFFORT if effort is None else effort,
            verify=bool(options.get("verify", False)),
            exact=bool(options.get("exact", True)),
            lossless=bool(options.get("lossless", False)),
            target=options.get("target"),
            metadata=options.get("metadata", True),
            alpha_quality=EXACT if options.get("alpha_quality") is None else options["alpha_quality"],
            background=options.get("background"),
            note=options.get("note") or silent,
        )
    except RdaeError as error:
        raise OSError(f"cannot write as {FORMAT}: {error}") from error
    file.write(data)


Image.register_open(FORMAT, RdaeImageFile, _accept)
Image.register_save(FORMAT, _save)
Image.register_extension(FORMAT, ".rdae")
Image.register_mime(FORMAT, MIME)
