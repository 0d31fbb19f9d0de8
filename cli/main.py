"""The command `rdae`: a group that loads a command's module when that command is asked for."""

import errno
import importlib
import sys
import warnings
from typing import Any

import click

import rdae
from rdae.errors import RdaeError, describe

from .messages import Failure, complain
from .signals import orderly_termination
from .streams import prepare_streams

# name: (module of this package, which holds the command under the module's own name; short help)
# The help stands here and not only in the modules, so that `rdae --help` need not load them.
COMMANDS: dict[str, tuple[str, str]] = {
    "compress": ("compress", "Compress pictures to .rdae files."),
    "decompress": ("decompress", "Decompress .rdae files to pictures."),
    "verify": ("verify", "Check that .rdae files decode to what was encoded."),
    "info": ("info", "Print what .rdae files say about themselves."),
    "view": ("view", "Look at .rdae files in a browser."),
    "models": ("models", "List the models that are installed."),
    "eval": ("evaluate", "Measure rate and distortion on real pictures."),
    "relaxation": ("relaxation", "Compare the training objective with the real one."),
    "plot": ("plot", "Draw results, training runs and the relaxation."),
    "report": ("report", "Make a page of eval's results to open in a browser."),
    "compare": ("compare", "Show pictures by several codecs at equal bytes or scores."),
    "inspect": ("inspect", "Draw where the bits of a file went."),
    "benchmark": ("benchmark", "Measure how long each stage takes."),
    "efforts": ("efforts", "Measure what levels of effort save and cost."),
    "train": ("train", "Train a model on a folder or shards of pictures."),
    "export": ("export", "Freeze a training run to a weights file."),
    "completion": ("completion", "Print a script that completes commands in a shell."),
}


class LazyGroup(click.Group):
    """A group of the commands in COMMANDS, which turns the library's errors into one line and status 1."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if name not in COMMANDS:
            return None
        module, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(f".{module}", __package__), module)
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in COMMANDS.items()])

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command line, with standard streams that are fit for it."""
        prepare_streams()
        try:
            return super().main(*arguments, **options)
        except OSError as error:  # of what is said before there is a command: its versions, or help
            complain(describe(error))
            sys.exit(1)

    def invoke(self, context: click.Context) -> object:
        """Run a command. Exit status 1 after an error in the input, 130 after Ctrl-C, 143 after SIGTERM."""
        try:
            with orderly_termination():
                return super().invoke(context)
        except KeyboardInterrupt:
            click.echo(err=True)  # the shell's prompt belongs on a line of its own, after ^C
            context.exit(130)
        except (RdaeError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # click ends quietly when nobody reads on
            raise Failure(describe(error)) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda context, _option, wanted: _print_versions(context) if wanted else None,
    help="Print the versions of rdae, its default model and ONNX Runtime, and exit.",
)
def main() -> None:
    """A learned image codec: pictures to small .rdae files and back."""
    # Of odd files, which end as pictures, notes and errors of our own. The library leaves this to its users' programs.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # Of letters that no font has, for which a figure shows boxes.
    warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)


def _print_versions(context: click.Context) -> None:
    import importlib.metadata

    from rdae.networks import onnx_runtime, registry

    click.echo(f"rdae {rdae.__version__}")
    try:
        path = registry.tuned_path()
        click.echo(f"model {path.stem} {str(registry.manifest_of(path)['sha256'])[: 2 * registry.ID_BYTES]}")
    except (RdaeError, OSError) as error:
        click.echo(f"model missing ({describe(error)})")
    try:
        click.echo(f"onnxruntime {importlib.metadata.version('onnxruntime')}")  # without loading it
    except importlib.metadata.PackageNotFoundError:  # another distribution of it, such as that for GPUs
        click.echo(f"onnxruntime {onnx_runtime.load().__version__}")
    context.exit()
