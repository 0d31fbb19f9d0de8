"""What of the page no script draws, as HTML: text and numbers, with everything from outside escaped."""

from __future__ import annotations

import csv
import io
import shlex
from collections.abc import Mapping, Sequence
from html import escape

from rdae.evaluation.five_measures import DB, FIVE
from rdae.reporting.page.compare import pillow_codec_of
from rdae.reporting.page.embed import data_uri
from rdae.reporting.page.gather import (
    JUDGED_BY,
    PAGE_METRICS,
    CodecResults,
    Comparison,
    Verdict,
    mean_saving,
    values_of,
)
from rdae.storage.files import encoded

Facts = Mapping[str, object]


def verdict_line(comparison: Comparison) -> str:
    """What it comes to, in a sentence or two by PSNR and as many by SSIMULACRA2, whichever there is."""
    metrics = [metric for metric in comparison.judged_by if metric in JUDGED_BY[:2]]
    sentences = [words for metric in metrics for words in _verdict_by(comparison, metric)]
    if not sentences:
        return f"{escape(comparison.tested.name)}: there is no other codec here that it can be compared with."
    return " ".join(sentences)


def _verdict_by(comparison: Comparison, metric: str) -> list[str]:
    name = escape(comparison.tested.name)
    known = [
        (verdict.rates[metric].value, named(other))
        for other, verdict in zip(comparison.codecs[1:], comparison.verdicts, strict=True)
        if metric in verdict.rates
    ]
    sentences: list[str] = []
    for word, chosen in (
        ("fewer", sorted((pair for pair in known if pair[0] < 0), key=lambda pair: pair[0])),
        ("more", sorted((pair for pair in known if pair[0] >= 0), key=lambda pair: pair[0])),
    ):
        if chosen:
            start = "It needs" if sentences else f"For the same {short(metric)}, {name} needs"
            phrases = [f"<b>{abs(value):.1f}&nbsp;%</b> {word} than {other}" for value, other in chosen]
            phrases[0] = phrases[0].replace(f" {word} than ", f" {word} bits than ", 1)
            sentences.append(f"{start} {_listed(phrases)}.")
    return sentences


def short(metric: str) -> str:
    """What a measure is called in a sentence: PSNR is that of RGB unless luma is said."""
    return PAGE_METRICS[metric][0].removesuffix(", RGB")


def facts_line(comparison: Comparison) -> str:
    """On how many pictures, over which rates, with which weights, when."""
    tested = comparison.tested
    rates = [rate for rate in tested.means["bpp"] if rate is not None]
    count = len(comparison.pictures)
    facts = [
        f"mean of {count} picture{'s' if count != 1 else ''}" if count > 1 else "one picture",
        f"{min(rates):.2f} to {max(rates):.2f} bits per pixel",
    ]
    meta = tested.evaluation.meta if tested.evaluation is not None else {}
    if meta.get("model"):
        facts.append(f"weights {meta['model']}")
    if comparison.metrics[0] != "psnr-rgb":
        facts.append(f"trained for {short(comparison.metrics[0])}")
    if meta.get("rdae"):
        facts.append(f"rdae {meta['rdae']}")
    if meta.get("date"):
        facts.append(f"measured {meta['date']}")
    return " · ".join(escape(str(fact)) for fact in facts)


def named(codec: CodecResults) -> str:
    """A codec's name; a published curve says that it is one."""
    return escape(codec.name) + (" (published)" if codec.is_published else "")


def rate_rows(comparison: Comparison) -> str:
    """The rows of the table of bits saved, most saved first."""
    rows = sorted(
        zip(range(1, len(comparison.codecs)), comparison.codecs[1:], comparison.verdicts, strict=True),
        key=lambda row: row[2].rate.value if row[2].rate else float("inf"),
    )
    most = max((abs(v.rate.value) for v in comparison.verdicts if v.rate), default=1.0)
    return "\n".join(_rate_row(comparison, i, codec, verdict, most) for i, codec, verdict in rows)


def rate_titles(comparison: Comparison) -> str:
    """The headings of that table: by the first measure, by others, and the mean of the five where there is one."""
    lead, *others = comparison.judged_by
    titles = [f"BD-{short(lead)}", *(f"bits, by {short(metric)}" for metric in others)]
    titles += ["bits, mean of five"] if _has_five(comparison) else []
    titles = [f"bits, by {short(lead)}", "", *titles, "better on", "over"]
    cells = [f'<th scope="col" class="n">{title}</th>' if title else "<td></td>" for title in titles]
    return '<th scope="col">against</th>' + "".join(cells).replace("SSIMULACRA 2", "SSIMULACRA&nbsp;2")


def _has_five(comparison: Comparison) -> bool:
    return all(key + DB in comparison.metrics for key in FIVE)


def _rate_row(comparison: Comparison, index: int, codec: CodecResults, verdict: Verdict, most: float) -> str:
    head = f'<th scope="row"><span class="key" data-codec="{index}"></span>{named(codec)}</th>'
    lead, *others = comparison.judged_by
    rates = [verdict.rates[metric].value if metric in verdict.rates else None for metric in others]
    rates += [verdict.mean_of_five] if _has_five(comparison) else []
    by_others = "".join(
        f'<td class="n">{"–" if value is None else f"{_signed(value, 1)} %"}</td>' for value in rates
    )
    if verdict.rate is None:
        problem = f'<td colspan="3" class="quiet">{escape(verdict.problem)}</td>'
        return f'<tr>{head}{problem}{by_others}<td class="n">–</td><td class="n">–</td></tr>'
    value = verdict.rate.value
    length = 50 * abs(value) / max(most, 1e-9)
    bar = (
        '<svg class="bar two" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="{"good" if value < 0 else "bad"}" x="{50 - length if value < 0 else 50:.2f}" '
        f'width="{length:.2f}" height="10"/><path d="M50 0V10"/></svg>'
    )
    better, count, _ = mean_saving(verdict)
    unit = f" {PAGE_METRICS[lead][1]}".rstrip()
    gain = "–" if verdict.gain is None else f"{_signed(verdict.gain.value, 2)}{unit}"
    return (
        f'<tr>{head}<td class="n">{_signed(value, 1)} %</td><td class="barcell">{bar}</td>'
        f'<td class="n">{gain}</td>{by_others}'
        f'<td class="n">{f"{better} of {count}" if count else "–"}</td>'
        f'<td class="n quiet">{_number(verdict.rate.low)} to {_number(verdict.rate.high)}{unit}</td></tr>'
    )


def speed_rows(comparison: Comparison) -> str:
    """The rows of the table of seconds and memory; empty if no file says any."""
    found = []
    for index, codec in enumerate(comparison.codecs):
        times = [_mean(codec.means.get(key, ())) for key in ("encoding_time", "decoding_time")]
        memory = codec.evaluation.memory if codec.evaluation is not None else None
        peaks = [None, None] if memory is None else [memory.encoding_bytes / 1e6, memory.decoding_bytes / 1e6]
        if any(value is not None for value in (*times, *peaks)):
            found.append((index, codec, [*times, *peaks]))
    most = [max((row[2][i] or 0 for row in found), default=0) or 1 for i in range(4)]
    rows = []
    for index, codec, values in found:
        cells = "".join(
            f'<td class="n">{_amount(value, unit)}</td><td class="barcell">{_bar(value, longest)}</td>'
            for value, longest, unit in zip(values, most, ("s", "s", "MB", "MB"), strict=True)
        )
        head = f'<th scope="row"><span class="key" data-codec="{index}"></span>{named(codec)}</th>'
        rows.append(f"<tr>{head}{cells}</tr>")
    return "\n".join(rows)


def memory_note(comparison: Comparison) -> str:
    """Of what the memory was measured."""
    for codec in comparison.codecs:
        memory = codec.evaluation.memory if codec.evaluation is not None else None
        if memory is not None:
            what = f"{memory.picture}, {memory.width} × {memory.height}"
            return f"Memory: the peak of a process of its own beyond the loaded program, on {escape(what)}."
    return ""


def commands(comparison: Comparison, line: Sequence[str]) -> str:
    """What to run to get these numbers and this page."""
    lines, peers = [], []
    extra = " --ssimulacra2" if "ssimulacra2" in comparison.metrics else ""
    extra += " --perceptual" if _has_five(comparison) else ""
    for codec in comparison.codecs:
        if codec.source is None:
            continue
        if codec.evaluation is not None and codec.evaluation.meta.get("model"):
            qualities = ",".join(f"{quality:g}" for quality in codec.evaluation.qualities)
            lines.append(f"rdae eval PICTURES -q {qualities}{extra} -o {shlex.quote(codec.source.name)}")
        elif (peer := pillow_codec_of(codec)) is not None:
            peers.append(peer.name)
    if peers:
        # A file for each, beside the one named: peers.jpeg.json and so on.
        lines.append(f"rdae eval PICTURES --peers-only --peers {','.join(peers)}{extra} -o peers.json")
    lines.append(shlex.join(line))
    return escape("\n".join(lines))


def versions(comparison: Comparison) -> str:
    """Rows of what each file says of the programs and settings that made it."""
    rows = []
    for codec in comparison.codecs:
        facts: dict[str, object] = {}
        if codec.evaluation is not None:
            facts = {**codec.evaluation.meta, **codec.evaluation.codec}
        words = ", ".join(f"{key} {_flat(value)}" for key, value in facts.items())
        told = "; ".join(escape(part) for part in (codec.description, words) if part)
        rows.append(f'<tr><th scope="row">{named(codec)}</th><td>{told or "–"}</td></tr>')
    return "\n".join(rows)


def downloads(comparison: Comparison) -> str:
    """Links to all data of the page, which are in the page."""
    sources = [codec.source for codec in comparison.codecs if codec.source is not None]
    links = [_link(source.name, source.data, "application/json") for source in sources]
    links.append(_link("points.csv", encoded(points_csv(comparison)), "text/csv"))
    return "\n".join(f"<li>{link}</li>" for link in links)


def points_csv(comparison: Comparison) -> str:
    """All points of all pictures as a table: a line for each codec, picture and quality."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    keys = ["quality", "bpp", *PAGE_METRICS, "encoding_time", "decoding_time"]
    writer.writerow(["codec", "picture", "width", "height", "bytes", *keys])
    for codec in comparison.codecs:
        for picture in codec.evaluation.pictures if codec.evaluation is not None else ():
            for point in picture.points:
                values = values_of(point)
                numbers = [f"{values[key]:.9g}" if values[key] is not None else "" for key in keys]
                writer.writerow(
                    [codec.name, picture.name, picture.width, picture.height, point.file_bytes, *numbers]
                )
    return text.getvalue()


def notes(lines: Sequence[str]) -> str:
    """Lines as paragraphs."""
    return "\n".join(f'<p class="quiet">{escape(line)}</p>' for line in lines)


def _link(name: str, data: bytes, kind: str) -> str:
    size = f'<span class="quiet">{len(data) / 1000:,.0f} kB</span>'
    return f'<a download="{escape(name)}" href="{data_uri(data, kind)}">{escape(name)}</a> {size}'


def _listed(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"


def _signed(value: float, digits: int) -> str:
    """With a real minus sign, which is as wide as a plus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _amount(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.3f} {unit}" if unit == "s" else f"{value:,.0f} {unit}"


def _bar(value: float | None, longest: float) -> str:
    if value is None:
        return ""
    return (
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{100 * value / longest:.2f}" height="10"/></svg>'
    )


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key} {_flat(part)}" for key, part in value.items()) + ")"
    if isinstance(value, list):
        return ",".join(_flat(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
