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
        name = outcome.job.input if outcome.job.input != "-" else "standard input"
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
        tried = self._ended - self._skipped  # those that were skipped took no time
        if tried:
            line += f", {clock_time(spent_s * (self._total - self._ended) / tried)} left"
        self._line.passing(line)

    def close(self) -> None:
        """Leave the bar's line to others."""
        self._line.clear()

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
        click.echo(", ".join(told), err=True)

    def _shown(self, notes: Sequence[str]) -> list[str]:
        """The notes that are printed: unless asked not what most photographs would have, which lose nothing by it."""
        if self._quiet or not notes:
            return []
        from rdae.pictures import SRGB_LEFT_OUT

        return [note for note in notes if self._verbose or note != SRGB_LEFT_OUT]

    def _tell(self, outcome: Outcome) -> None:
        self._line.clear()
        names = f"{outcome.job.input} -> {outcome.job.output}" if outcome.job.output else outcome.job.input
        words = "skipped, as it is there" if outcome.facts is None else self._words(outcome.facts)
        if self._verbose and outcome.facts is not None:
            stages = "".join(f", {stage} {seconds:.3f}" for stage, seconds in outcome.stages.items())
            model, quality = outcome.facts.model, f"quality {outcome.facts.quality:g}"
            made = f"{model}, {quality}" if model else "pixels alone, no model"
            words += f"  {made}  {outcome.seconds:.3f} s{stages}"
        # A command without outputs has these lines as its results.
        click.echo(f"{one_line(names)}  {words}", err=bool(outcome.job.output))


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
