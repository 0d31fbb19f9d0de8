"""How commands say what went wrong: one line on stderr that begins "rdae: " and names the file."""

import click


class Failure(click.ClickException):
    """An error that ends the whole command: one line on stderr, exit status 1."""

    exit_code = 1

    def show(self, file: object = None) -> None:  # noqa: ARG002 - click's signature
        """Print the line."""
        complain(self.message)


def complain(*parts: str) -> None:
    """Print "rdae: part: part: ..." to stderr, on one line whatever the parts hold."""
    click.echo(one_line(": ".join(["rdae", *parts])), err=True)


def one_line(text: str) -> str:
    """`text` as one line of what can be printed: names and messages from strangers steer no terminal.

    White space becomes a space; control characters, turns of direction and bytes that are no text are written as
    Python escapes.
    """
    words = " ".join(text.split())
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in words
    )
