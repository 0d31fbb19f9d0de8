"""How the jobs of many files ended: a line each or JSON, a bar with throughput and time left, and a summary.

The bar is drawn on a terminal only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import click

from rdae.batch import Facts, Outcome
from rdae.batch.compress import NOT_REMOVED
from rdae.storage.locations import STANDARD

from .messages import complain, one_line
from .progress import PassingLine, bar, clock_time


class OutcomePrinter:
    """Tells how each of `total` jobs ended, and all of them together.

    words: what is printed of a file that was done, beside its name.
    """

    def __init__(
        self, words: Callable[[Facts], str], total: int, *, as_json: bool, quiet: bool, verbose: bool
    ) -> None:
        self._words = words
        self._total = total
        self._json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._line = PassingLine()
        on_terminal = self._line.terminal and not (as_json and sys.stdout is not None and sys.stdout.isatty())
        self._bar = on_terminal and total > 1 and not quiet
        self._began = time.monotonic()
        self._ended = self._failed = self._skipped = 0
        self._not_kept = 0
        self._input_bytes = self._output_bytes = self._rdae_bytes = self._pixels = 0

    @property
    def failed(self) -> int:
        """How many jobs ended with an error."""
        return self._failed

    def show(self, outcome: Outcome) -> None:
        """Tell how a job ended."""
        self._ended += 1
        self._failed += bool(outcome.error)
        self._skipped += outcome.skipped
        if outcome.facts is not None:
            self._input_bytes += outcome.facts.input_bytes
            self._output_bytes += outcome.facts.output_bytes
            self._rdae_bytes += outcome.facts.rdae_bytes
            self._pixels += outcome.facts.pixels or outcome.facts.width * outcome.facts.height
        name = _named(outcome.job.input, "standard input")
        notes = self._shown(outcome.notes)
        if outcome.error or notes:
            self._line.clear()
        for note in notes:
            complain(name, note)
        if outcome.error:
            complain(name, outcome.error)
        if self._json:
            self._line.clear()
            click.echo(json.dumps(_as_json(outcome, verbose=self._verbose)))
        elif (self._verbose or not self._bar) and not self._quiet and not outcome.error:
            self._tell(outcome)
        self.tick()

    def tick(self) -> None:
        """Draw the bar anew, if there is one."""
        if not self._bar or self._ended == self._total:
            return
        spent_s = max(time.monotonic() - self._began, 1e-9)
        share = self._ended / self._total
        line = f"{self._ended} of {self._total} {bar(share)} {self._pixels / 1e6 / spent_s:.2f} MP/s"
        done = self._ended - self._skipped - self._failed  # most of the others took next to no time
        if done:
            line += f", {clock_time(spent_s * (self._total - self._ended) / done)} left"
        self._line.passing(line)

    def close(self) -> None:
        """Leave the bar's line to others."""
        self._line.clear()

    def interrupted(self, *, outputs: bool, force: bool) -> bool:
        """Say how far an interrupted run of several jobs came; whether anything was said.

        outputs: they make some; force: they replace older ones, which --skip-existing would take for done.
        """
        self._line.clear()
        if self._quiet or self._total < 2:
            return False
        told = f"interrupted: {self._ended - self._failed:,} of {self._total:,} done"
        if self._failed:
            told += f", {self._failed:,} failed"
        if outputs and force:
            told += "; run again to redo them all"
        elif outputs:
            told += "; run again with --skip-existing for the rest"
        click.echo(err=True)  # the terminal has written ^C
        click.echo(told, err=True)
        return True

    def summary(self, epilogue: str = "") -> None:
        """Sum up, if there were several jobs; epilogue: a line that is printed in any case, if there is one."""
        self._line.clear()
        if not self._quiet and self._total > 1:
            self._sum_up()
        if epilogue:
            click.echo(one_line(epilogue), err=True)

    def _sum_up(self) -> None:
        spent_s = time.monotonic() - self._began
        told = [f"{self._ended:,} files", f"{self._failed:,} failed", f"{self._skipped:,} skipped"]
        if self._pixels:
            if self._output_bytes:
                told.append(f"{self._input_bytes:,} -> {self._output_bytes:,} bytes")
            else:
                told.append(f"{self._input_bytes:,} bytes")
            told.append(f"{8 * self._rdae_bytes / self._pixels:.3f} bpp")
        told.append(f"{spent_s:.1f} s ({self._pixels / 1e6 / max(spent_s, 1e-9):.2f} MP/s)")
        if self._not_kept:
            told.append(f"some metadata of {self._not_kept:,} not kept (-v says what)")
        click.echo(", ".join(told), err=True)

    def _shown(self, notes: Sequence[str]) -> list[str]:
        """The notes that are printed: unless asked not what most photographs would have, which lose nothing by it.

        Of many files those that had metadata for which there is no place are counted in the summary, unless an input
        was not removed for it.
        """
        if self._quiet or not notes:
            return []
        from rdae.pictures import NOT_KEPT, SRGB_LEFT_OUT

        if self._verbose:
            return list(notes)
        counted = [note for note in notes if note.startswith(NOT_KEPT)]
        if self._total == 1 or any(note.startswith(NOT_REMOVED) for note in notes):
            counted = []
        self._not_kept += bool(counted)
        return [note for note in notes if note != SRGB_LEFT_OUT and note not in counted]

    def _tell(self, outcome: Outcome) -> None:
        self._line.clear()
        source = _named(outcome.job.input, "standard input")
        goes_to = _named(outcome.job.output, "standard output")
        names = f"{source} -> {goes_to}" if goes_to else source
        words = "skipped, as it is there" if outcome.facts is None else self._words(outcome.facts)
        if self._verbose and outcome.facts is not None:
            stages = "".join(f", {stage} {seconds:.3f}" for stage, seconds in outcome.stages.items())
            model, quality = outcome.facts.model, f"quality {outcome.facts.quality:g}"
            made = f"{model}, {quality}" if model else "pixels alone, no model"
            words += f"  {made}  {outcome.seconds:.3f} s{stages}"
        # A command without outputs has these lines as its results.
        click.echo(f"{one_line(names)}  {words}", err=bool(outcome.job.output))


def _named(location: str, stream: str) -> str:
    """A location for people, who need not know that - is a standard stream."""
    return stream if location == STANDARD else location


def _as_json(outcome: Outcome, *, verbose: bool) -> dict[str, Any]:
    """One line of --json. Other programs read these keys."""
    told: dict[str, Any] = {"input": outcome.job.input}
    if outcome.job.output:
        told["output"] = outcome.job.output
    facts = outcome.facts
    if facts is not None:
        told |= {"bytes": facts.rdae_bytes, "bpp": facts.bpp, "width": facts.width, "height": facts.height}
        told |= {"quality": facts.quality, "model": facts.model, "input_bytes": facts.input_bytes}
        if outcome.job.output:
            told |= {"output_bytes": facts.output_bytes}
        told |= {"seconds": outcome.seconds}
    if verbose and facts is not None:
        told["stages"] = outcome.stages
    if outcome.skipped:
        told["skipped"] = True
    if outcome.notes:
        told["notes"] = list(outcome.notes)
    if outcome.error:
        told["error"] = one_line(outcome.error)
    return told
