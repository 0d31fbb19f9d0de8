"""The page itself: the template, the numbers and the pictures, put together into one file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

import rdae
from rdae.errors import ResultsError
from rdae.evaluation.five_measures import DB, FIVE
from rdae.metrics import Picture
from rdae.networks.architecture import HYPER_STRIDE, PATCH
from rdae.reporting.maps import INFERNO, Maps
from rdae.reporting.page import render, template
from rdae.reporting.page.compare import Version
from rdae.reporting.page.embed import fit
from rdae.reporting.page.gather import PAGE_METRICS, SHOWN, CodecResults, Comparison, nearest, values_of

MAP_CHANNELS = 48
"""Of so many channels, those of most bits, the page has a map of their own."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture to look at: itself, the versions of it, the report's codec first, and where that one's bits went."""

    name: str
    original: Picture
    versions: Sequence[Version]
    maps: Maps | None


def build(
    comparison: Comparison,
    shown: Sequence[Shown],
    *,
    quality: float,
    title: str = "",
    line: Sequence[str] = (),
    max_bytes: int = 10_000_000,
    notes: Sequence[str] = (),
) -> bytes:
    """The bytes of the HTML file, at most `max_bytes`; ResultsError if even small crops of the pictures do not fit.

    quality: at which the table of pictures begins. line: the command that makes this page. notes: lines of what a
    reader should know of the pictures.
    """
    data = _data(comparison, shown, quality)
    title = title or f"{comparison.tested.name}: rate and distortion"
    without = _page(comparison, data, title, line, notes)
    budget = max_bytes - len(without) - 4096
    if budget < 0:
        raise ResultsError(
            f"the page has {len(without):,} bytes without any picture: allow more than {max_bytes:,}"
        )
    groups = [[picture.original, *(version.picture for version in picture.versions)] for picture in shown]
    uris, crops = fit(groups, budget)
    for entry, links, crop in zip(data["shown"], uris, crops, strict=True):
        entry["crop"] = list(crop) if crop else None
        entry["original"] = links[0]
        for version, link in zip(entry["versions"], links[1:], strict=True):
            version["uri"] = link
    return _page(comparison, data, title, line, [*notes, *_embedding(shown, crops)])


def _page(comparison: Comparison, data: Any, title: str, line: Sequence[str], notes: Sequence[str]) -> bytes:
    speed = render.speed_rows(comparison)
    fields = {
        "title": escape(title),
        "data": template.json_text(data),
        "verdict": render.verdict_line(comparison),
        "facts": render.facts_line(comparison),
        "rates": render.rate_rows(comparison),
        "rate_titles": render.rate_titles(comparison),
        "rates_hidden": "" if comparison.verdicts else "hidden",
        "speed": speed,
        "speed_hidden": "" if speed else "hidden",
        "speed_class": "" if render.memory_note(comparison) else "nomemory",
        "memory_note": render.memory_note(comparison),
        "look_hidden": "" if data["shown"] else "hidden",
        "bits_hidden": "" if any(entry["maps"] for entry in data["shown"]) else "hidden",
        "notes": render.notes(comparison.notes),
        "picture_notes": render.notes(notes),
        "commands": render.commands(comparison, line),
        "versions": render.versions(comparison),
        "downloads": render.downloads(comparison),
        "rdae": escape(rdae.__version__),
    }
    parts = {"style": template.read("report.css"), "script": template.read("report.js")}
    return template.filled(template.read("report.html"), fields, **parts)


def _data(comparison: Comparison, shown: Sequence[Shown], quality: float) -> dict[str, Any]:
    """What the script draws from."""
    evaluation = comparison.tested.evaluation
    assert evaluation is not None, "gather() takes nothing else"
    pictures = {picture.name: picture for picture in evaluation.pictures}
    return {
        "codecs": [_codec(codec, comparison.pictures) for codec in comparison.codecs],
        "pictures": [[name, pictures[name].width, pictures[name].height] for name in comparison.pictures],
        "saved": [
            [_rounded(verdict.by_picture.get(name)) for name in comparison.pictures]
            if verdict.by_picture
            else None
            for verdict in comparison.verdicts
        ],
        "order": [comparison.pictures.index(name) for name in comparison.worst_first(quality)],
        "qualities": [float(q) for q in evaluation.qualities],
        "quality": nearest(evaluation.qualities, quality),
        "metrics": [
            {"key": key, "label": label, "unit": unit, "last": key.removesuffix(DB) in FIVE}
            for key in comparison.metrics
            for label, unit in [PAGE_METRICS[key]]
        ],
        "main": comparison.main_anchor,
        "colours": [list(colour) for colour in INFERNO],
        "shown": [_shown(picture) for picture in shown],
    }


def _codec(codec: CodecResults, pictures: Sequence[str]) -> dict[str, Any]:
    """Means and, in the order of `pictures`, points: each a list of numbers by rising rate for each key."""
    told: dict[str, Any] = {
        "name": codec.name,
        "published": codec.is_published,
        "means": {key: [_rounded(v) for v in values] for key, values in codec.means.items()},
    }
    if codec.evaluation is not None:
        found = {picture.name: picture.points for picture in codec.evaluation.pictures}
        told["pictures"] = []
        for name in pictures:
            points = [values_of(point) for point in found[name]]
            told["pictures"].append(
                {key: [_rounded(p[key]) for p in points] for key in SHOWN if key in codec.means}
            )
    return told


def _shown(picture: Shown) -> dict[str, Any]:
    height, width = picture.original.shape[:2]
    return {
        "name": picture.name,
        "width": width,
        "height": height,
        "versions": [
            {
                "codec": version.codec,
                "match": version.match,
                "quality": version.quality,
                "bytes": len(version.data),
                "psnr": _rounded(version.psnr if np.isfinite(version.psnr) else None),
                "ms_ssim": _rounded(version.ms_ssim),
                "ssimulacra2": _rounded(version.ssimulacra2),
            }
            for version in picture.versions
        ],
        "maps": None if picture.maps is None else _maps(picture.maps),
    }


def _maps(maps: Maps) -> dict[str, Any]:
    """Maps as bytes: 255 is the most bits that there are at a position of it."""
    by_channel = maps.y_by_channel()
    order = [int(i) for i in np.argsort(-by_channel, kind="stable") if by_channel[i] > 0]
    return {
        "bytes": maps.file_bytes,
        "bits": {"y": maps.y_total, "z": maps.z_total, "rest": maps.rest},
        "all": _plane(maps.by_position(), PATCH),
        "y": _plane(maps.y_by_position(), PATCH),
        "z": _plane(maps.z_by_position(), PATCH * HYPER_STRIDE),
        "channels": [[i, _rounded(float(by_channel[i]))] for i in order],
        "channel_maps": [_plane(maps.y_bits[i], PATCH) for i in order[:MAP_CHANNELS]],
        "count": len(by_channel),
    }


def _plane(values: npt.NDArray[np.float32], side: int) -> dict[str, Any]:
    most = float(values.max()) or 1.0
    levels = np.round(values * (255 / most)).astype(np.uint8)
    return {
        "width": values.shape[1],
        "height": values.shape[0],
        "side": side,
        "most": _rounded(most),
        "data": base64.b64encode(levels.tobytes()).decode(),
    }


def _embedding(shown: Sequence[Shown], crops: Sequence[Any]) -> list[str]:
    """How the pictures are in the page, in a line."""
    if not shown:
        return []
    cropped = [crop for crop in crops if crop]
    if not cropped:
        return ["All pictures are in this page whole and without further loss."]
    said = "All pictures are in this page without further loss, but cut to where the codec differs most from "
    return [said + "the original, so that the page stays small. Bytes and metrics are of the whole pictures."]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")
