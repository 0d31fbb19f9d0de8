"""A page on which one flicks from codec to codec at the same place: one HTML file, of which nothing is fetched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from html import escape

import rdae
from rdae.codec.tiles import Region
from rdae.errors import ResultsError
from rdae.reporting.comparison.versions import Compared, Version, bits_per_pixel, numbers
from rdae.reporting.page import template
from rdae.reporting.page.embed import fit
from rdae.targets import Target

PACKAGE = "rdae.reporting.comparison"
ZOOMS = (1, 2, 3, 4, 8)
OWN = 1
"""Which version is shown first: that of rdae, after the original."""


def page_bytes(
    compared: Sequence[Compared],
    crops: Sequence[Region],
    target: Target,
    *,
    zoom: int = 1,
    title: str = "",
    max_bytes: int = 10_000_000,
) -> bytes:
    """The bytes of a page with all pictures, at most `max_bytes`; ResultsError if even small crops do not fit.

    crops: what is in sight first, in the middle of each frame; pictures are whole if they fit into the page, else they
    are cut about it. zoom: at first; 1 is as large as there is room for. title: the heading.
    """
    groups_of_versions = list(zip(*(each.versions for each in compared), strict=True))
    titles = ["original", *(_common([each.title for each in group]) for group in groups_of_versions)]
    descriptions = dict.fromkeys(
        (each.title, each.description) for group in groups_of_versions for each in group
    )
    style = template.read("report.css") + template.read("comparison.css", PACKAGE)
    script = template.read("comparison.js", PACKAGE)

    def page(links: Sequence[Sequence[str]], parts: Sequence[Region | None]) -> bytes:
        fields = {
            "title": escape(title or f"{titles[OWN]} and others"),
            "lead": escape(_lead(target)),
            "first": escape(titles[OWN]),
            "choices": "\n".join(_choice(i, name) for i, name in enumerate(titles)),
            "zooms": _zooms(zoom),
            "keys": f"<kbd>1</kbd> to <kbd>{min(len(titles), 9)}</kbd>",
            "pictures": "\n".join(
                _picture(each, crop, uris, part)
                for each, crop, uris, part in zip(compared, crops, links, parts, strict=True)
            ),
            "codecs": "\n".join(
                f"<dt>{escape(name)}</dt><dd>{escape(description)}</dd>" for name, description in descriptions
            ),
            "rdae": escape(rdae.__version__),
        }
        whole = template.read("comparison.html", PACKAGE)
        return template.filled(whole, fields, style=style, script=script)

    groups = [[each.original, *(version.picture for version in each.versions)] for each in compared]
    without = page([[""] * len(group) for group in groups], [None] * len(groups))
    budget = max_bytes - len(without) - 4096
    if budget < 0:
        raise ResultsError(
            f"the page has {len(without):,} bytes without any picture: allow more than {max_bytes:,}"
        )
    return page(*fit(groups, budget, crops))


def _common(titles: Sequence[str]) -> str:
    """What a codec is called that may be another for each picture: by the words with which all its titles begin."""
    if len(set(titles)) == 1:
        return titles[0]
    words = zip(*(title.split() for title in titles), strict=False)
    return " ".join(group[0] for group in itertools.takewhile(lambda group: len(set(group)) == 1, words))


def _lead(target: Target) -> str:
    if target.kind == "ssimulacra2":
        return f"For each codec, the file that just reaches an SSIMULACRA2 of {target.value:g}."
    most = f"{target.value:,.0f} bytes" if target.kind == "size" else f"{target.value:g} bits per pixel"
    return f"For each codec, the largest file of at most {most}."


def _choice(i: int, title: str) -> str:
    checked = " checked" if i == OWN else ""
    return (
        f'<label><input type="radio" name="version" value="{i}"{checked}><span>{escape(title)}</span></label>'
    )


def _zooms(zoom: int) -> str:
    first = "fit" if zoom == 1 else str(zoom)
    values = ["fit", *(str(each) for each in sorted({*ZOOMS, zoom}))]
    return "".join(
        f'<option value="{value}"{" selected" if value == first else ""}>'
        f"{value if value == 'fit' else f'{value}×'}</option>"
        for value in values
    )


def _picture(compared: Compared, crop: Region, links: Sequence[str], part: Region | None) -> str:
    """A section: the frame with all versions, and the table of their numbers."""
    height, width = compared.original.shape[:2]
    shown = part or Region(0, 0, width, height)
    x = (crop.x + crop.width / 2 - shown.x) / shown.width
    y = (crop.y + crop.height / 2 - shown.y) / shown.height
    size = f"{width} × {height} pixels"
    if part is not None:
        size += f"; shown are {part.width} × {part.height} at {part.x},{part.y}, so that the page stays small"
    titles = ["original", *(each.title for each in compared.versions)]
    images = "".join(
        f'<img alt="{escape(title)}" {"class=shown " if i == OWN else ""}decoding=sync draggable=false src="{link}">'
        for i, (title, link) in enumerate(zip(titles, links, strict=True))
    )
    words = [_original_words(compared), *(numbers(each) for each in compared.versions)]
    now = "".join(
        f"<span{'' if i == OWN else ' hidden'}><strong>{escape(title)}</strong> {escape(', '.join(parts))}</span>"
        for i, (title, parts) in enumerate(zip(titles, words, strict=True))
    )
    rows = [_original_row(compared), *(_row(i, each) for i, each in enumerate(compared.versions, OWN))]
    label = f"{compared.name}: the version that is chosen above"
    return f"""<section class="picture">
<h2>{escape(compared.name)}</h2>
<p class="now" aria-live="polite">{now}</p>
<div class="frame" tabindex="0" role="group" aria-label="{escape(label)}" data-x="{x:.6f}" data-y="{y:.6f}">
<div class="stack" style="--w:{shown.width};--h:{shown.height}">{images}</div>
</div>
<p class="quiet">{escape(size)}</p>
<div class="wide"><table class="numbers">
<thead><tr><th>Codec</th><th class="n">Bytes</th><th class="n">bpp</th><th class="n">SSIMULACRA2</th>
<th class="n">PSNR, dB</th><th class="n">Quality</th><th></th></tr></thead>
<tbody>
{chr(10).join(rows)}
</tbody></table></div>
</section>"""


def _original_words(compared: Compared) -> list[str]:
    if compared.file_bytes is None:
        return []
    rate = bits_per_pixel(compared.file_bytes, compared.original)
    return [f"{compared.file_bytes:,} bytes", f"{rate:.2f} bpp"]


def _original_row(compared: Compared) -> str:
    size = rate = "–"
    if compared.file_bytes is not None:
        size = f"{compared.file_bytes:,}"
        rate = f"{bits_per_pixel(compared.file_bytes, compared.original):.2f}"
    return _cells(0, "original", [size, rate, "–", "–", "–"], "")


def _row(i: int, version: Version) -> str:
    score = "–" if version.ssimulacra2 is None else f"{version.ssimulacra2:.1f}".replace("-", "−")
    distance = "exact" if version.psnr == float("inf") else f"{version.psnr:.2f}"
    quality = "as pixels" if version.quality is None else f"{version.quality:g}"
    numbers_of = [f"{version.file_bytes:,}", f"{version.bpp:.3f}", score, distance, quality]
    return _cells(i, version.title, numbers_of, version.note)


def _cells(i: int, title: str, values: Sequence[str], note: str) -> str:
    head = f'<th scope="row"><button type="button" value="{i}">{escape(title)}</button></th>'
    cells = "".join(f'<td class="n">{value}</td>' for value in values)
    return f'<tr{" class=chosen" if i == OWN else ""}>{head}{cells}<td class="note">{escape(note)}</td></tr>'
