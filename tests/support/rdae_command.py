"""The command `rdae` run in this process.  (click's own runner gives stderr in another way in each version.)"""

import contextlib
import io
from typing import NamedTuple

from rdae.cli.main import main


class Result(NamedTuple):
    """What a command left behind."""

    exit_code: object
    stdout: str
    stderr: str


def rdae_command(*arguments: str) -> Result:
    """Run it with these arguments."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        try:
            main(arguments, prog_name="rdae")
            code: object = None
        except SystemExit as end:
            code = end.code
    return Result(code or 0, stdout.getvalue(), stderr.getvalue())
