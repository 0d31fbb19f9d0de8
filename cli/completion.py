"""rdae completion: the script by which a shell completes commands, options and file names."""

import click
from click.shell_completion import get_completion_class

from .messages import Failure

SHELLS = ("bash", "zsh", "fish", "powershell")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, /, *, shell: str) -> None:
    """Print the completion script for SHELL, for its start-up file to read.

    \b
    bash:       eval "$(rdae completion bash)"     in ~/.bashrc
    zsh:        eval "$(rdae completion zsh)"      in ~/.zshrc, after compinit
    fish:       rdae completion fish | source      in ~/.config/fish/config.fish
    powershell: rdae completion powershell | Out-String | Invoke-Expression
                                                   in the file that $PROFILE names
    """  # noqa: D301 - \b is for click, which then leaves the lines as they are
    of_shell = get_completion_class(shell)
    if of_shell is None:  # click itself writes the scripts
        raise Failure(f"completion for {shell} needs click 8.5 or newer, and this is {click_version()}")
    click.echo(of_shell(context.find_root().command, {}, "rdae", "_RDAE_COMPLETE").source())


def click_version() -> str:
    """Return the version of click that is installed."""
    import importlib.metadata

    return importlib.metadata.version("click")
