"""A benchmark in words: for a terminal, and as a table of Markdown for the documentation."""

from __future__ import annotations

from rdae.evaluation.speed.measure import Benchmark, Timing

HEADINGS = (("ms", 9), ("s/MP", 8), ("ratio", 8))
CLOCK_WORDS = {"wall": "", "cpu": ", processor seconds"}
RATIO = "ratio: how many times as long as rdae, each round by itself"
RANDOM = "CompressAI's models have random weights, which is fine for timing; their files mean nothing"


def lines(result: Benchmark) -> list[str]:
    """The codecs beside each other, then where rdae's time goes."""
    own = result.timings[0]
    text = [
        f"{_pictures(result)}, median of {_conditions(result)}",
        result.machine,
        " " * 48 + "encode".center(25) + "decode".center(25),
        f"{'':32}{'quality':>8}{'bpp':>8}" + "".join(h.rjust(w) for h, w in HEADINGS * 2),
    ]
    for timing in result.timings:
        bpp = _bpp(timing, result.pixels)
        cells = f"{timing.title:32}{timing.quality:8g}{bpp:>8}"
        for direction in (timing.encoding, timing.decoding):
            ms, per_megapixel = _rates(direction.total_s, result)
            cells += f"{ms:9.1f}{per_megapixel:8.3f}{direction.ratio:8.2f}"
        text.append(cells)
    text.append(f"ms: of a picture; {RATIO}")
    if any(timing.file_bytes is None for timing in result.timings):
        text.append(RANDOM)
    for title, direction in (("encode", own.encoding), ("decode", own.decoding)):
        # Stages go by the wall clock. By that, what is left is what the codec did not account for: conversions, Python.
        accounted_s = sum(direction.stages_s.values())
        whole_s = max(direction.total_s if result.clock == "wall" else 0.0, accounted_s, 1e-9)
        text.append(f"{title}, {1000 * direction.total_s / result.pictures:.1f} ms a picture:")
        for stage, seconds in [*direction.stages_s.items(), ("other", whole_s - accounted_s)]:
            text.append(f"  {stage:14}{seconds / whole_s:7.1%}")
    text.append("kMAC per pixel: " + ", ".join(f"{k} {v:.2f}" for k, v in result.kmac_per_pixel.items()))
    return text


def markdown(result: Benchmark) -> list[str]:
    """The codecs beside each other, as a table."""
    text = [
        "| codec | quality | bpp | encode, ms | of rdae's time | decode, ms | of rdae's time |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for timing in result.timings:
        cells = [timing.title, f"{timing.quality:g}", _bpp(timing, result.pixels)]
        for direction in (timing.encoding, timing.decoding):
            ms, _ = _rates(direction.total_s, result)
            cells += [f"{ms:.1f}" if ms < 100 else f"{ms:.0f}", f"{direction.ratio:.2f}×"]
        text.append(f"| {' | '.join(cells)} |")
    random = f" {RANDOM}." if any(timing.file_bytes is None for timing in result.timings) else ""
    measured = f"Milliseconds a picture: {_pictures(result)}, median of {_conditions(result)} in turns in one process"
    return [*text, "", f"{measured}; {result.machine}.{random}"]


def _pictures(result: Benchmark) -> str:
    megapixels = result.pixels / 1e6
    return f"{result.pictures} picture{_s(result.pictures)} of together {megapixels:.2f} megapixels"


def _conditions(result: Benchmark) -> str:
    threads = f"{result.threads} thread{_s(result.threads)}"
    return f"{result.rounds} round{_s(result.rounds)}, {threads}{CLOCK_WORDS[result.clock]}"


def _rates(total_s: float, result: Benchmark) -> tuple[float, float]:
    """Milliseconds a picture, seconds a megapixel."""
    return 1000 * total_s / result.pictures, total_s / (result.pixels / 1e6)


def _bpp(timing: Timing, pixels: int) -> str:
    return "-" if timing.file_bytes is None else f"{8 * timing.file_bytes / pixels:.3f}"


def _s(count: int) -> str:
    return "" if count == 1 else "s"
