"""A question to a process of its own: JSON to its stdin, JSON from its stdout."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

from rdae.errors import RdaeError, ResultsError


def ask(command: Sequence[str], question: Any, doing: str) -> Any:
    """What a new process answers; ResultsError, which says what it was `doing`, if it fails."""
    with tempfile.TemporaryDirectory() as elsewhere:
        done = subprocess.run(  # noqa: S603 - this very interpreter, no shell
            command,
            input=json.dumps(question),
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            cwd=elsewhere,  # -m would import a checkout's rdae/ from the current folder before the installed one
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ResultsError(f"{doing} failed: {last}")
    return json.loads(done.stdout)


def answer(reply: Callable[[Any], Any]) -> int:
    """The other side: reply to the question on stdin. Returns the exit status."""
    try:
        found = reply(json.load(sys.stdin))
    except (RdaeError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(found))
    return 0
