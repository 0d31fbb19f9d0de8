"""rdae completion: the script by which a shell completes commands, options and file names."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, /, *, shell: str) -> None:
    """Print the completion script for SHELL, for its start-up file to read.

    \b
    bash: eval "$(rdae completion bash)"      in ~/.bashrc
    zsh:  eval "$(rdae completion zsh)"       in ~/.zshrc
    fish: rdae completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 - \b is for click, which then leaves the lines as they are
    of_shell = get_completion_class(shell)
    assert of_shell is not None
    click.echo(of_shell(context.find_root().command, {}, "rdae", "_RDAE_COMPLETE").source())
