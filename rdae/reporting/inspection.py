"""What `rdae inspect` writes of a file: pictures of where its bits went, and the numbers behind them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rdae.networks.architecture import HYPER_STRIDE, PATCH
from rdae.pictures import picture_bytes
from rdae.quality import from_index
from rdae.reporting import maps as drawing
from rdae.reporting.maps import Maps
from rdae.storage.files import encoded

Levels = npt.NDArray[np.uint8]

PICTURES = ("reconstruction", "residual", "bits", "bits-y", "bits-z", "scales", "latents")
NAMES = (*(f"{name}.png" for name in PICTURES), "maps.json", "maps.npz")
"""All files that there may be."""


@dataclass(frozen=True)
class Inspection:
    """The maps of a file, drawn: files by name, and the facts that maps.json holds."""

    files: Mapping[str, bytes]
    facts: Mapping[str, Any]


def inspect(
    maps: Maps,
    about: Mapping[str, Any],
    *,
    original: Levels | None = None,
    gain: float = 4.0,
    channels: int = 64,
    arrays: bool = False,
) -> Inspection:
    """Draw the maps of a file.

    about: facts that begin maps.json: the file's name, its model. original: the picture the file was made of, of the
    size of `maps.picture`, for the residual, which is drawn times `gain`. channels: how many latents are drawn, those
    of most energy. arrays: all numbers too, as maps.npz.
    """
    drawn, facts = _draw(maps, original, gain, channels)
    facts = {**about, **facts}
    files = {f"{name}.png": picture_bytes(levels, "PNG") for name, levels in drawn.items()}
    files["maps.json"] = encoded(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
    if arrays:
        files["maps.npz"] = _arrays(maps)
    return Inspection(files, facts)


def summary(maps: Maps) -> list[str]:
    """Lines on how large the file is, and which part of it, which positions and which channels have its bits."""
    total = 8 * maps.file_bytes
    pixels = maps.header.width * maps.header.height
    positions = maps.by_position()
    channels = np.sort(maps.y_by_channel())[::-1]
    half = int(np.searchsorted(channels.cumsum(), channels.sum() / 2)) + 1
    lines = [f"size      {maps.file_bytes:,} bytes, {total / pixels:.4f} bpp"]
    for name, bits in (("ŷ", maps.y_total), ("ẑ", maps.z_total), ("rest", maps.rest)):
        lines.append(f"{name:9} {bits / 8:,.1f} bytes, {100 * bits / total:.2f} %")
    lines.append(
        f"position  {positions.min():.2f} to {positions.max():.2f} bits, mean {positions.mean():.2f}, "
        f"median {np.median(positions):.2f}"
    )
    lines.append(
        f"channels  {int((channels > 0).sum())} of {len(channels)} have bits, {half} have half of them"
    )
    return lines


def _draw(
    maps: Maps, picture: Levels | None, gain: float, channels: int
) -> tuple[dict[str, Levels], dict[str, Any]]:
    """The pictures by name, and what maps.json says of them."""
    header = maps.header
    size = (header.height, header.width)
    planes = {
        "bits": (maps.by_position(), PATCH, "bits of both by position of the latents"),
        "bits-y": (maps.y_by_position(), PATCH, "bits of the latents by position"),
        "bits-z": (
            maps.z_by_position(),
            PATCH * HYPER_STRIDE,
            "bits of the hyper-latents by their positions",
        ),
        "scales": (
            np.exp(np.log(maps.scales).mean(axis=0)),
            PATCH,
            "expected standard deviation in quantisation steps, geometric mean over the channels",
        ),
    }
    drawn = {"reconstruction": maps.picture}
    legend: dict[str, Any] = {}
    if picture is not None:
        drawn["residual"] = drawing.residual(picture, maps.picture, gain)
        legend["residual"] = {"what": "128 + gain * (original - decoded)", "gain": gain}
    for name, (values, side, what) in planes.items():
        low, high = (
            (float(values.min()), float(values.max())) if name == "scales" else (0.0, float(values.max()))
        )
        drawn[name] = drawing.over_pixels(drawing.coloured(values, low, high, drawing.INFERNO), size, side)
        legend[name] = {"what": what, "dark": low, "bright": high, "pixels_a_position": side}
    energies = maps.energies()
    order = [int(i) for i in np.argsort(-energies, kind="stable")[:channels]]
    sheet = drawing.mosaic(maps.y, order)
    drawn["latents"] = drawing.over_pixels(sheet, (10**9, 10**9), max(1, round(1200 / sheet.shape[1])))
    legend["latents"] = {
        "what": "latents by channel, the signed square root of each, to its own largest magnitude",
        "channels": order,
    }
    y_bits, z_bits = maps.y_by_channel(), maps.z_by_channel()
    facts = {
        "width": header.width,
        "height": header.height,
        "quality": from_index(header.quality_index),
        "bytes": maps.file_bytes,
        "bits": {"y": maps.y_total, "z": maps.z_total, "rest": maps.rest},
        "maps": legend,
        "channels": {
            "y_bits": [round(float(v), 3) for v in y_bits],
            "y_energy": [round(float(v), 6) for v in energies],
            "z_bits": [round(float(v), 3) for v in z_bits],
        },
    }
    return drawn, facts


def _arrays(maps: Maps) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, y_bits=maps.y_bits, z_bits=maps.z_bits, y=maps.y, scales=maps.scales)
    return buffer.getvalue()
