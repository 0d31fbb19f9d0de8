"""rdae info: what an .rdae file says about itself, without loading a model."""

import json
from typing import Any

import click

from rdae import quality
from rdae.codec.container import PIXELS_TYPES, Container, parse
from rdae.codec.reading import read_container
from rdae.errors import NotRdaeError, RdaeError, StreamError, describe
from rdae.networks import registry
from rdae.storage.locations import locate

from .messages import Failure, one_line
from .options import LocationType


@click.command()
@click.argument("file", type=LocationType())
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(file: str, as_json: bool) -> None:
    """Print the size, quality, model and sections of an .rdae FILE, which may be a URL or - for standard input."""
    try:
        with locate(file).open(NotRdaeError, StreamError) as opened:
            data = read_container(opened)
        container = parse(data, max_pixels=None)  # nothing is allocated for the picture here
    except (RdaeError, OSError) as error:
        raise Failure(f"{file}: {describe(error, file)}") from error
    facts = {"file": file, **facts_of(container, len(data))}
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"file      {one_line(file)}")
    click.echo(f"size      {facts['bytes']:,} bytes, {facts['bpp']:.3f} bpp")
    click.echo(f"picture   {facts['width']} x {facts['height']}{', grey' if facts['grey'] else ''}")
    click.echo(f"quality   {facts['quality']:g}")
    if container.needs_model:
        click.echo(f"model     {facts['model']}, {facts['model_name'] or 'not installed'}")
    if facts["pixels_stored"]:
        exact = (
            ", exactly"
            if facts["exact"]
            else f", {facts['pixels_exact']:.0%} exactly"
            if facts["pixels_exact"]
            else ""
        )
        click.echo(f"pixels    {facts['pixels_stored']:.0%} stored as pixels{exact}")
    if facts["tile"] is not None:
        click.echo(f"tiles     of {2 ** facts['tile']} x {2 ** facts['tile']} latents")
    for section in facts["sections"]:
        click.echo(f"section   {section['type']}, {section['bytes']:,} bytes")
    if container.needs_model:
        click.echo(f"checksum  {facts['latent_checksum'] or 'none'} over the latents")


def facts_of(container: Container, size_bytes: int) -> dict[str, Any]:
    """What `info --json` prints, less the name of the file. Other programs read these keys."""
    header = container.header
    checksum = container.latent_checksum
    stored, exact = _stored_shares(container)
    return {
        "bytes": size_bytes,
        "width": header.width,
        "height": header.height,
        "bpp": 8 * size_bytes / (header.width * header.height),
        "quality": quality.from_index(header.quality_index),
        "quality_index": header.quality_index,
        "model": header.model.hex(),
        "model_name": registry.name_of(header.model),
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
