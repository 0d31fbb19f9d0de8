"""rdae info: what .rdae files say about themselves, without loading a model."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from rdae import quality
from rdae.batch import Input, find_inputs
from rdae.batch.tasks import failure
from rdae.codec.container import PIXELS_TYPES, Container, parse
from rdae.codec.reading import read_container
from rdae.errors import NotRdaeError, StreamError
from rdae.networks import registry
from rdae.networks.known_models import known
from rdae.storage.locations import locate
from rdae.storage.names import SUFFIX

from .messages import complain, one_line
from .options import LocationType


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=LocationType())
@click.option("-r", "--recursive", is_flag=True, help="Take what is in the folders among the files.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each file, a line each.")
def info(files: tuple[str, ...], *, recursive: bool, as_json: bool) -> None:
    """Print the size, quality, model and sections of .rdae files.

    A FILE is a path, a folder (with -r), a pattern in quotes, a URL, or - for standard input.
    """
    told = failed = 0
    for each in find_inputs(files, {SUFFIX}, recursive=recursive):
        try:
            facts = _facts(each)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other files go on
            why = failure(error, each.location)
            complain(each.location, why)
            if as_json:
                click.echo(json.dumps({"file": each.location, "error": one_line(why)}))
            failed += 1
            continue
        if as_json:
            click.echo(json.dumps(facts))
        else:
            click.echo("\n" * (told > 0) + "\n".join(_lines(facts)))
        told += 1
    if failed:
        sys.exit(1)


def _facts(each: Input) -> dict[str, Any]:
    """What is printed of a file; RdaeError or OSError if it cannot be read, or is none."""
    if each.problem:
        raise StreamError(each.problem)
    with locate(each.location).open(NotRdaeError, StreamError) as opened:
        data = read_container(opened)
    container = parse(data, max_pixels=None)  # nothing is allocated for the picture here
    return {"file": each.location, **facts_of(container, len(data))}


def _lines(facts: dict[str, Any]) -> list[str]:
    size = f"{facts['width']} x {facts['height']}"
    tiles = 2 ** (facts["tile"] or 0)
    return [
        f"file      {one_line(facts['file'])}",
        f"size      {facts['bytes']:,} bytes, {facts['bpp']:.3f} bpp",
        f"picture   {size}{', grey' if facts['grey'] else ''}",
        f"quality   {facts['quality']:g}",
        *(_model_lines(facts) if facts["model"] else []),
        *([_pixels_line(facts)] if facts["pixels_stored"] else []),
        *([] if facts["tile"] is None else [f"tiles     of {tiles} x {tiles} latents"]),
        *(f"section   {section['type']}, {section['bytes']:,} bytes" for section in facts["sections"]),
        *([f"checksum  {facts['latent_checksum'] or 'none'} over the latents"] if facts["model"] else []),
    ]


def _model_lines(facts: dict[str, Any]) -> list[str]:
    published = known(bytes.fromhex(facts["model"]))
    name = facts["model_name"] or f"{f'{published.name}, ' if published else ''}not installed"
    line = f"model     {facts['model']}, {name}"
    if facts["model_released"]:
        return [line]
    reason = (
        f"{published.name} is provisional, and later versions of rdae may not read its files"
        if published
        else "no version of rdae brings it, so its files open only where its weights are kept"
    )
    return [line, f"model not released: {reason}"]


def _pixels_line(facts: dict[str, Any]) -> str:
    line = f"pixels    {facts['pixels_stored']:.0%} stored as pixels"
    if facts["exact"]:
        return f"{line}, exactly"
    return f"{line}, {facts['pixels_exact']:.0%} exactly" if facts["pixels_exact"] else line


def facts_of(container: Container, size_bytes: int) -> dict[str, Any]:
    """What `info --json` prints, less the name of the file. Other programs read these keys."""
    header = container.header
    checksum = container.latent_checksum
    stored, exact = _stored_shares(container)
    published = known(header.model)
    released = published is not None and published.released
    return {
        "bytes": size_bytes,
        "width": header.width,
        "height": header.height,
        "bpp": 8 * size_bytes / (header.width * header.height),
        "quality": quality.from_index(header.quality_index),
        "quality_index": header.quality_index,
        "model": header.model.hex() if container.needs_model else None,
        "model_name": registry.name_of(header.model) if container.needs_model else None,
        "model_released": released if container.needs_model else None,
        "grey": header.grey,
        "tile": header.tile,
        "sections": [
            {"type": section.name, "bytes": len(section.payload), "skippable": section.skippable}
            for section in container.sections
        ],
        "pixels_stored": stored,
        "pixels_exact": exact,
        "exact": exact == 1,
        "latent_checksum": None if checksum is None else f"{checksum:08x}",
    }


def _stored_shares(container: Container) -> tuple[float, float]:
    """How much of the picture is stored as pixels, and how much of it exactly."""
    if not any(section.type in PIXELS_TYPES for section in container.sections):
        return 0.0, 0.0
    from rdae.codec.sections.pixels import stored_shares  # which loads numpy

    return stored_shares(container)
