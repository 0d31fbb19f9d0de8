"""rdae compress: pictures to .rdae files."""

from __future__ import annotations

import functools
import itertools
import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
from click.core import ParameterSource

from rdae.batch import Compress, Facts, Job
from rdae.clock import Clock
from rdae.storage.locations import STANDARD
from rdae.storage.names import SUFFIX
from rdae.targets import Kind, Target

from .batch import Request, many_files
from .options import effort_option, finite, one_of_model_and_tune, tune_option
from .signals import Interruption, finishing

POSITIVE = click.FloatRange(0, min_open=True, max=1e12)

# K is 1000, as in KB: who means 1024 gets a file that is small enough too.
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}


def in_bytes(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A callback that turns "40KB", or "40k", into 40000."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+|\d*\.\d+)\s*([kmg]?i?)b?", value.strip().lower(), re.ASCII)
    if found is None or found[2] not in UNITS or not 0 < float(found[1]) < math.inf:
        raise click.BadParameter(f"{value!r} is no size such as 40K, 1.5MB, 32KiB or 1000.")
    return float(found[1]) * UNITS[found[2]]


def colour(value: str | None) -> str | None:
    """The name of a colour, which is one; wrong usage if it is not."""
    if value is not None:
        from rdae.pictures.transparency import colour_of

        try:
            colour_of(value)
        except ValueError as error:
            raise click.BadParameter(
                f"{value!r} is no colour such as white, #ffcc00 or rgb(255,204,0)."
            ) from error
    return value


KINDS = ("icc", "exif", "xmp")
"""Of metadata, as the library names them."""


class CompressCommand(click.Command):
    """A command whose --strip may stand alone, or before kinds of metadata; any other word after it is a file."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the command line, in which --strip alone means all kinds."""
        end = args.index("--") if "--" in args else len(args)
        read: list[str] = []
        taken = False
        for word, following in itertools.pairwise([*args[:end], ""]):
            if taken:  # with the word before
                taken = False
            elif word == "--strip":
                taken = _are_kinds(following) or _are_nearly_kinds(following)
                read.append(f"--strip={following if taken else ','.join(KINDS)}")
            else:
                read.append(word)
        return super().parse_args(context, [*read, *args[end:]])


def _are_kinds(text: str) -> bool:
    return set(text.lower().split(",")) <= {*KINDS}


def _are_nearly_kinds(text: str) -> bool:
    """Whether a list that names no file has a kind of metadata among others, or a misspelt one: it is refused."""
    if os.path.lexists(text):
        return False
    from difflib import get_close_matches  # which no other command line needs

    return any(word.isalpha() and get_close_matches(word, KINDS) for word in text.lower().split(","))


def kept_kinds(
    _context: click.Context, _option: click.Parameter, values: tuple[str, ...]
) -> bool | tuple[str, ...]:
    """A callback that turns what --strip leaves out into what is kept: all, none, or some by name."""
    for value in values:
        if not _are_kinds(value):
            unknown = ", ".join(repr(word) for word in value.split(",") if word.lower() not in KINDS)
            raise click.BadParameter(f"{unknown}, expected one or more of {','.join(KINDS)}.")
    stripped = {kind for value in values for kind in value.lower().split(",")}
    kept = tuple(kind for kind in KINDS if kind not in stripped)
    return bool(kept) if kept in ((), KINDS) else kept


def words_of(facts: Facts, target: Target | None = None) -> str:
    """Size and rate; and where these may be larger than the best quality makes them, that."""
    words = f"{facts.rdae_bytes:,} bytes  {facts.bpp:.3f} bpp"
    stored = not facts.model  # as pixels, exactly: no quality has more
    if target is None or not target.at_most or facts.quality != 100 or stored:
        return words
    found = facts.rdae_bytes if target.kind == "size" else facts.bpp
    return words if target.close(found) else f"{words}  quality 100, the best, takes no more"


@dataclass(frozen=True)
class UntilAsked:
    """A task that begins with no more files after Ctrl-C asked for what there is."""

    task: Compress
    interruption: Interruption

    @property
    def threads(self) -> int | None:
        """Those of the task."""
        return self.task.threads

    def __call__(self, job: Job, clock: Clock, note: Callable[[str], None]) -> Facts:
        """Do one job, or raise KeyboardInterrupt."""
        if self.interruption.asked:
            raise KeyboardInterrupt
        return self.task(job, clock, note)


@click.command(cls=CompressCommand)
@many_files(outputs=True)
@click.option(
    "--keep-suffix", is_flag=True, help="Make a.png.rdae of a.png, not a.rdae: for folders with an a.jpg too."
)
@click.option(
    "-q",
    "--quality",
    type=click.FloatRange(0, 100),
    default=50.0,
    show_default=True,
    callback=finite,
    help="0: smallest file; 100: best picture.",
)
@tune_option
@click.option(
    "--bpp", type=POSITIVE, callback=finite, help="Instead of a quality: at most so many bits per pixel."
)
@click.option(
    "--size",
    metavar="BYTES",
    callback=in_bytes,
    help="Instead of a quality: at most so much.  K, M and G are thousands, as KB, MB and GB are; KiB, MiB and GiB are "
    "of 1024: 40K, 1.5MB, 32KiB.",
)
@click.option("--psnr", type=POSITIVE, callback=finite, help="Instead of a quality: at least so many dB.")
@click.option(
    "--ms-ssim",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    callback=finite,
    help="Instead of a quality: at least so much, 0.98 for example.",
)
@click.option(
    "--ssimulacra2",
    type=click.FloatRange(0, 100, min_open=True, max_open=True),
    callback=finite,
    help="Instead of a quality: at least such a score; 70 is good, 90 hardly told from the original.",
)
@effort_option("0: fastest; 9: smallest files, for minutes a picture. Decoding takes as long as ever.")
@click.option(
    "--on-interrupt",
    type=click.Choice(["discard", "finish"]),
    default="discard",
    show_default=True,
    help="What Ctrl-C does amid a picture: leave nothing of it, or write the best that was found so far.",
)
@click.option(
    "--lossless",
    is_flag=True,
    help="Keep the picture exactly, whatever it takes; with -e 2 or more large pictures get all the time they need.",
)
@click.option(
    "--no-exact",
    is_flag=True,
    help="Code graphics like photographs, too.  [default: store them as pixels, exactly or with fewer colours, where "
    "that costs less]",
)
@click.option(
    "--strip",
    "metadata",
    multiple=True,
    metavar="[KIND,…]",
    callback=kept_kinds,
    help="Leave out these kinds of metadata: icc, exif, xmp; alone: all of them.  Without its profile a picture is "
    "converted to sRGB.",
)
@click.option(
    "--rm",
    "remove",
    is_flag=True,
    help="Remove each input after its output was verified and read back.  Kept are links, URLs, what --skip-existing "
    "leaves out, and pictures of which something could not be taken.",
)
@click.option(
    "--alpha-quality",
    type=click.IntRange(0, 100),
    default=100,
    show_default=True,
    help="100 keeps transparency exactly; less leaves it fewer levels, and 0 only none and all.",
)
@click.option("--no-alpha", is_flag=True, help="Put the picture over a background, without transparency.")
@click.option(
    "--background",
    metavar="COLOUR",
    callback=lambda _context, _option, value: colour(value),
    help="That of --no-alpha: a name, or #ffcc00.  [default: white]",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode what was encoded, up to the latents, and compare, before it is written.",
)
@click.pass_context
def compress(
    context: click.Context,
    /,
    *,
    request: Request,
    model: str | None,
    tune: str | None,
    device: str | None,
    quality: float,
    bpp: float | None,
    size: float | None,
    psnr: float | None,
    ms_ssim: float | None,
    ssimulacra2: float | None,
    effort: int,
    on_interrupt: str,
    lossless: bool,
    no_exact: bool,
    alpha_quality: int,
    no_alpha: bool,
    background: str | None,
    metadata: bool | tuple[str, ...],
    remove: bool,
    verify: bool,
) -> None:
    """Compress pictures, each to an .rdae file beside it.

    An INPUT is a picture in any format that Pillow reads, a folder (with -r), a pattern in quotes such as
    'photos/**/*.jpg', a URL that fsspec knows, or - for standard input, which goes to standard output.
    """
    from rdae.pictures import formats
    from rdae.pictures.transparency import EXACT

    wanted: dict[Kind, float | None] = {
        "bpp": bpp,
        "size": size,
        "psnr": psnr,
        "ms-ssim": ms_ssim,
        "ssimulacra2": ssimulacra2,
    }
    targets = [Target(kind, value) for kind, value in wanted.items() if value is not None]
    chosen = context.get_parameter_source("quality") is ParameterSource.COMMANDLINE
    if len(targets) + chosen > 1:
        raise click.UsageError(
            "Give only one of --quality, --bpp, --size, --psnr, --ms-ssim and --ssimulacra2."
        )
    if background is not None and not no_alpha:
        raise click.UsageError("--background is for --no-alpha.")
    if lossless and (targets or chosen or no_exact):
        raise click.UsageError("--lossless leaves no quality, size or distortion to choose, nor how.")
    if lossless and (model is not None or tune is not None):
        raise click.UsageError("--lossless takes no model: leave out --model and --tune.")
    fewer_levels = alpha_quality != EXACT
    if fewer_levels and (lossless or no_alpha):
        other = "--lossless keeps alpha exactly" if lossless else "--no-alpha leaves no alpha"
        raise click.UsageError(f"{other}: leave out --alpha-quality.")
    target = targets[0] if targets else None
    one_of_model_and_tune(model, tune)
    if remove and not verify:
        raise click.UsageError("--rm removes only what was verified: leave out --no-verify.")
    if remove and (request.inputs == (STANDARD,) or request.to_standard_output):
        raise click.UsageError("--rm removes files that became files: not with a standard stream.")
    interruption = Interruption()
    task = Compress(
        quality=quality,
        target=(target.kind, target.value) if target else None,
        effort=effort,
        exact=not no_exact,
        lossless=lossless,
        verify=verify,
        alpha_quality=alpha_quality,
        background=(background or "white") if no_alpha else None,
        metadata=metadata,
        keep_time=request.keep_time,
        remove=remove,
        model=model,
        tune=tune,
        device=device,
        threads=request.threads_each,
        watch=request.watch(interruption if on_interrupt == "finish" else None),
    )
    suffixes = formats.readable_suffixes()

    def epilogue(left_out: Sequence[str]) -> str:
        return formats.unread_words(filter(formats.is_unread, left_out))

    words = functools.partial(words_of, target=target)
    if on_interrupt == "discard":
        request.run(task, suffixes, SUFFIX, words, epilogue)
        return
    if not request.alone:
        raise click.UsageError("--on-interrupt finish needs this process to do the work: leave -j out.")
    with finishing(interruption):
        request.run(UntilAsked(task, interruption), suffixes, SUFFIX, words, epilogue)
