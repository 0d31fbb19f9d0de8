"""rdae models: which models are installed, under which name, and where."""

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from rdae.errors import WeightsError
from rdae.networks import registry
from rdae.storage.files import write_atomically


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--check", is_flag=True, help="Read weights and graphs too, and compare them with their SHA-256."
)
@click.option(
    "--slices",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write what a decoder needs of each model into this folder, for web pages.",
)
def models(*, as_json: bool, check: bool, slices: Path | None) -> None:
    """List the installed models: name, id by which files name them, size, path.

    The folders of RDAE_MODEL_PATH are searched first, then the user's folder, then rdae's own, then those of other
    packages that bring models. `rdae compress` takes the published model of its --tune, rdae's own if it is there,
    `rdae decompress` the one that a file names. Exit status 1 if --check finds one damaged. A slice,
    ID.rdae-model.gz, is what a page fetches that decodes in the browser.
    """
    if slices is not None:
        _write_slices(slices)
        return
    tunes = _tunes()
    rows = []
    for entry in registry.installed():
        row: dict[str, Any] = {
            "name": entry.name,
            "id": entry.short_id or None,
            "sha256": entry.sha256 or None,
            "bytes": entry.size_bytes,
            "path": str(entry.path),
            "tune": tunes.get(entry.path),
            "default": tunes.get(entry.path) == registry.DEFAULT_TUNE,
            "problem": (entry.check() if check else entry.problem) or None,
        }
        rows.append(row)
    if as_json:
        folders = [str(folder) for folder in registry.folders()]
        click.echo(json.dumps({"models": rows, "searched": folders, "checked": check}))
    else:
        for row in rows:
            click.echo(_line(row, checked=check))
        for folder in registry.folders() if not rows else ():
            click.echo(f"no models in {folder}", err=True)
    if check and any(row["problem"] for row in rows):
        sys.exit(1)


def _write_slices(folder: Path) -> None:
    from rdae.networks.slices import name_of, slice_of

    folder.mkdir(parents=True, exist_ok=True)
    for entry in registry.installed():
        data = slice_of(entry.path)
        path = folder / name_of(entry.sha256)
        write_atomically(path, data, force=True)
        click.echo(f"{path}  {entry.name}  {len(data):,} bytes")


def _tunes() -> dict[Path, str]:
    """What --tune says for these weights."""
    found: dict[Path, str] = {}
    for tune in registry.TUNES:
        with contextlib.suppress(WeightsError):
            found[registry.tuned_path(tune)] = tune
    return found


def _line(row: dict[str, Any], *, checked: bool) -> str:
    state = row["problem"] or ("sound" if checked else "")
    tune = f"tune {row['tune']}" if row["tune"] else ""
    notes = ", ".join(note for note in (tune, "default" if row["default"] else "", state) if note)
    end = f"  ({notes})" if notes else ""
    return f"{row['name']:16}  {row['id'] or '-':8}  {row['bytes']:>11,} bytes  {row['path']}{end}"
