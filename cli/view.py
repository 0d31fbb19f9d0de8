"""rdae view: .rdae files in a browser, by a server on this machine."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rdae.batch import Input, find_inputs
from rdae.batch.tasks import failure
from rdae.errors import StreamError
from rdae.storage.names import SUFFIX

from .messages import complain
from .options import MODEL_HELP, LocationType

if TYPE_CHECKING:
    from rdae.viewing.files import ShownFile


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=LocationType())
@click.option("-r", "--recursive", is_flag=True, help="Take what is in the folders among the files.")
@click.option("--model", metavar="NAME|PATH", type=click.Path(path_type=Path), help=MODEL_HELP)
@click.option("--no-open", is_flag=True, help="Print the address and open no browser.")
def view(files: tuple[str, ...], *, recursive: bool, model: Path | None, no_open: bool) -> None:
    """Look at .rdae files in a browser, and compare them with others by a slider.

    A FILE is a path, a folder (with -r), a pattern in quotes, a URL, or - for standard input: an .rdae file, or a
    picture to compare with that browsers open. Of two files the second is compared with the first. The files are
    served to this machine alone, at a random address, until Ctrl-C. If any file cannot be shown, the command
    stops.
    """
    from rdae.viewing.files import viewer_folder
    from rdae.viewing.server import ViewerServer

    viewer = viewer_folder()
    inputs = find_inputs(files, {SUFFIX}, recursive=recursive)
    shown = [file for file in (_read(each, model) for each in inputs) if file is not None]
    if not shown or len(shown) < len(inputs):
        sys.exit(1)
    with ViewerServer(shown, viewer) as server:
        click.echo(server.url)
        sys.stdout.flush()
        if not no_open:
            # In a thread: a browser of the terminal keeps its caller until it is left.
            threading.Thread(target=_open, args=(server.url,), daemon=True).start()
        server.serve_forever()


def _read(each: Input, model: Path | None) -> ShownFile | None:
    """Read a file; None, after a line that says why, if it cannot be shown."""
    from rdae.viewing.files import read_shown

    try:
        if each.problem:
            raise StreamError(each.problem)  # noqa: TRY301 - one line for each file, whatever is wrong with it
        return read_shown(each.location, model)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other files are looked at too
        complain(each.location, failure(error, each.location))
        return None


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        complain("no browser was found: open the address above")
