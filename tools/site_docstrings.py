"""An extension for Griffe, named in mkdocs.yml: shows docstrings of rdae as they are written on the site's API page.

A docstring is a promise, then lines such as `quality: 0 to 100. target: a size in bytes.`, which Markdown would run
together.  Here each parameter becomes an item of a list, and a line of errors a paragraph.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

ERRORS = re.compile(r"(?:^|(?<=\. ))(?=(?:a )?\w*Error(?:, \w+ or \w*Error)? (?:if|for)\b)", re.MULTILINE)


class Parameters(griffe.Extension):
    """Makes lists of what docstrings say of parameters."""

    def on_function(self, *, func: griffe.Function, **_: Any) -> None:
        """Rewrite a function's docstring."""
        if func.docstring:
            func.docstring.value = listed(func.docstring.value, [each.name for each in func.parameters])


def listed(docstring: str, parameters: list[str]) -> str:
    """Return a docstring in Markdown, with an item for each parameter that it explains.

    >>> print(listed("Read it.\\n\\nsize: bytes. kind: a\\nword. ValueError if odd.", ["size", "kind"]))
    Read it.
    <BLANKLINE>
    - `size`: bytes.
    - `kind`: a
      word.
    <BLANKLINE>
    ValueError if odd.
    """
    if not parameters:
        return docstring
    names = "|".join(map(re.escape, parameters))
    begin = re.compile(rf"(?:^|(?<=\. ))(?=(?:{names}): )", re.MULTILINE)
    blocks = []
    for paragraph in docstring.split("\n\n"):
        if not begin.search(paragraph):
            blocks.append(paragraph)
            continue
        head, *items = begin.split(paragraph)
        lines = [head.rstrip(), ""] if head.strip() else []
        rest: list[str] = []
        for item in items:
            name, _, words = item.partition(": ")
            words, *errors = ERRORS.split(words)
            lines.append(f"- `{name}`: " + words.strip().replace("\n", "\n  "))
            rest += [error.strip() for error in errors]
        blocks += ["\n".join(lines), *rest]
    return "\n\n".join(blocks)
