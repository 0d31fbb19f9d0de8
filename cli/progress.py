"""What is seen of a long run: a line that is rewritten, a bar with throughput and time left, a summary, JSON lines.

On a terminal a passing line overwrites the one before; in a log, which is read afterwards, one every ten seconds is
enough, and a bar is not drawn at all.
"""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import click

from .report import complain, one_line
from .work import Done, Task

LOG_EVERY_S = 10.0
DRAW_EVERY_S = 0.1
BAR = 24  # cells


class PassingLine:
    """A place on stderr for lines of which the last one counts."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self._open = False  # a passing line stands there, without its end
        self._last = -math.inf

    def passing(self, line: str) -> None:
        """Show a line that the next one may overwrite, unless there was one a moment ago."""
        now = time.monotonic()
        if now - self._last >= (DRAW_EVERY_S if self.terminal else LOG_EVERY_S):
            self._last = now
            self._write(line, stays=not self.terminal)

    def lasting(self, line: str) -> None:
        """Show a line that stays."""
        self._write(line, stays=True)

    def clear(self) -> None:
        """Take a passing line away, for others to write here."""
        if self._open:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._open = False
            self._last = -math.inf

    def close(self) -> None:
        """End a passing line, which stays."""
        if self._open:
            sys.stderr.write("\n")
            self._open = False

    def _write(self, line: str, *, stays: bool) -> None:
        sys.stderr.write(("\r\x1b[K" if self._open else "") + line + ("\n" if stays else ""))
        sys.stderr.flush()
        self._open = not stays


def clock_time(seconds: float) -> str:
    """Seconds as 1:02:03, or 2:03 below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Report:
    """Tells how each of `total` jobs ended, and all of them together."""

    def __init__(self, task: Task, total: int, *, as_json: bool, quiet: bool, verbose: bool) -> None:
        self._task = task
        self._total = total
        self._json = as_json
        self._quiet = quiet
        self._verbose = verbose
        self._line = PassingLine()
        on_terminal = self._line.terminal and not (as_json and sys.stdout.isatty())
        self._bar = on_terminal and total > 1 and not quiet
        self._began = time.monotonic()
        self._ended = self._failed = self._skipped = 0
        self._input_bytes = self._output_bytes = self._rdae_bytes = self._pixels = 0

    @property
    def failed(self) -> int:
        """How many jobs ended with an error."""
        return self._failed

    def show(self, done: Done) -> None:
        """Tell how a job ended."""
        self._ended += 1
        self._failed += bool(done.error)
        self._skipped += done.skipped
        if done.facts is not None:
            self._input_bytes += done.facts.input_bytes
            self._output_bytes += done.facts.output_bytes
            self._rdae_bytes += done.facts.rdae_bytes
            self._pixels += done.facts.pixels or done.facts.width * done.facts.height
        source = done.job.source if done.job.source != "-" else "standard input"
        if done.error or (done.notes and not self._quiet):
            self._line.clear()
        for note in () if self._quiet else done.notes:
            complain(source, note)
        if done.error:
            complain(source, done.error)
        if self._json:
            self._line.clear()
            click.echo(json.dumps(_as_json(done, verbose=self._verbose)))
        elif (self._verbose or not self._bar) and not self._quiet and not done.error:
            self._tell(done)
        self.tick()

    def tick(self) -> None:
        """Draw the bar anew, if there is one."""
        if not self._bar or self._ended == self._total:
            return
        spent_s = max(time.monotonic() - self._began, 1e-9)
        share = self._ended / self._total
        filled = "#" * round(BAR * share)
        line = f"{self._ended} of {self._total} [{filled:.<{BAR}}] {self._pixels / 1e6 / spent_s:.2f} MP/s"
        tried = self._ended - self._skipped  # those that were skipped took no time
        if tried:
            line += f", {clock_time(spent_s * (self._total - self._ended) / tried)} left"
        self._line.passing(line)

    def close(self) -> None:
        """Leave the bar's line to others."""
        self._line.clear()

    def summary(self) -> None:
        """Sum up, if there were several jobs."""
        self._line.clear()
        if self._quiet or self._total < 2:
            return
        spent_s = time.monotonic() - self._began
        parts = [f"{self._ended:,} files", f"{self._failed:,} failed", f"{self._skipped:,} skipped"]
        if self._pixels:
            if self._output_bytes:
                parts.append(f"{self._input_bytes:,} -> {self._output_bytes:,} bytes")
            else:
                parts.append(f"{self._input_bytes:,} bytes")
            parts.append(f"{8 * self._rdae_bytes / self._pixels:.3f} bpp")
        parts.append(f"{spent_s:.1f} s ({self._pixels / 1e6 / max(spent_s, 1e-9):.2f} MP/s)")
        click.echo(", ".join(parts), err=True)

    def _tell(self, done: Done) -> None:
        self._line.clear()
        names = f"{done.job.source} -> {done.job.target}" if done.job.target else done.job.source
        words = "skipped, as it is there" if done.facts is None else self._task.line(done.facts)
        if self._verbose and done.facts is not None:
            stages = "".join(f", {stage} {seconds:.3f}" for stage, seconds in done.stages.items())
            words += f"  {done.facts.model}, quality {done.facts.quality:g}  {done.seconds:.3f} s{stages}"
        # A command without outputs has these lines as its results.
        click.echo(f"{one_line(names)}  {words}", err=bool(done.job.target))


def _as_json(done: Done, *, verbose: bool) -> dict[str, Any]:
    """One line of --json. Other programs read these keys."""
    told: dict[str, Any] = {"input": done.job.source}
    if done.job.target:
        told["output"] = done.job.target
    facts = done.facts
    if facts is not None:
        told |= {"bytes": facts.rdae_bytes, "bpp": facts.bpp, "width": facts.width, "height": facts.height}
        told |= {"quality": facts.quality, "model": facts.model, "input_bytes": facts.input_bytes}
        if done.job.target:
            told |= {"output_bytes": facts.output_bytes}
        told |= {"seconds": done.seconds}
    if verbose and facts is not None:
        told["stages"] = done.stages
    if done.skipped:
        told["skipped"] = True
    if done.notes:
        told["notes"] = list(done.notes)
    if done.error:
        told["error"] = one_line(done.error)
    return told
