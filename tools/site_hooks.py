"""What turns the repository's Markdown files into a site: `mkdocs build --strict` calls the functions `on_…` below.

Pages link to each other, and to files anywhere in the repository, by relative paths that work wherever the repository
is looked at.  docs/ alone would make a site with dead links.  So README.md becomes the first page of the site, files
that a page links to beyond docs/ become pages or downloads below repository/, and links are rewritten to where things
are on the site.  What does not exist is left as it is, for MkDocs to complain about.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parent.parent
FRONT = "README.md"
BEYOND = "repository"
"""The folder of the site for what is not in docs/."""

CODE = {".py": "python", ".json": "json", ".sh": "sh"}
"""Shown as pages, up to so many bytes; what is longer or of another kind is a download."""
LONGEST = 20_000

FENCE = re.compile(r"^ *(```+|~~~+)")
IMAGE = re.compile(r'<img src="(?P<source>[^"]+)" alt="(?P<words>[^"]*)" width="(?P<width>\d+)">')
"""An image with a width: forges know it as HTML only, and MkDocs looks after links in Markdown only."""
LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s#]*)(?P<anchor>#[^)\s]*)?(?=\)|\s+\")")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add README.md and, again and again, what the pages so far link to beyond docs/."""
    waiting = [FRONT, *(f"docs/{file.src_uri}" for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            files.append(_beyond(path, config))
        if path.endswith(".md"):
            new = {target for target in _targets(path) if not target.startswith("docs/")} - seen
            seen |= new
            waiting += sorted(new)
    return files


def on_page_markdown(markdown: str, *, page: Any, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Return the text of a page with links as they are on the site."""
    here = page.file.src_uri
    path = _path_of(here)
    if path == FRONT:
        page.meta["hide"] = ["navigation"]

    def moved(target: str) -> str:
        found = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        if not (ROOT / found).is_file():
            return target
        return posixpath.relpath(_uri_of(found), posixpath.dirname(here) or ".")

    return linked(markdown, moved)


def linked(markdown: str, moved: Callable[[str], str]) -> str:
    """Return a text in which the path of each relative link, outside of blocks of code, is what `moved` says."""

    def replaced(match: re.Match[str]) -> str:
        path, anchor = match["path"], match["anchor"] or ""
        return (moved(path) if path and ":" not in path else path) + anchor

    lines, fence = [], ""
    for line in markdown.splitlines(keepends=True):
        mark = FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        if not (fence or mark):
            line = LINK.sub(replaced, IMAGE.sub(r"![\g<words>](\g<source>){ width=\g<width> }", line))  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)


def _targets(path: str) -> Iterator[str]:
    """The files of the repository that a page links to."""
    found: list[str] = []

    def noted(target: str) -> str:
        found.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), target)))
        return target

    linked((ROOT / path).read_text(encoding="utf-8"), noted)
    for target in found:
        if not target.startswith("..") and (ROOT / target).is_file():
            yield target


def _beyond(path: str, config: MkDocsConfig) -> File:
    """A file of the repository as one of the site."""
    uri = _uri_of(path)
    kept = {"inclusion": InclusionLevel.INCLUDED if path == FRONT else InclusionLevel.NOT_IN_NAV}
    if path.endswith(".md") or not uri.endswith(".md"):
        return File.generated(config, uri, abs_src_path=os.fspath(ROOT / path), **kept)
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * (3 + max(map(len, re.findall(r"^`{3,}", text, re.MULTILINE)), default=0))
    shown = f"# {path}\n\n{fence}{CODE.get(Path(path).suffix, 'text')}\n{text}{fence}\n"
    return File.generated(config, uri, content=shown, **kept)


def _uri_of(path: str) -> str:
    """Where a file of the repository is among the sources of the site."""
    if path == FRONT:
        return "index.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    uri = f"{BEYOND}/{path}"
    code = Path(path).suffix in CODE or not Path(path).suffix
    return f"{uri}.md" if code and (ROOT / path).stat().st_size <= LONGEST else uri


def _path_of(uri: str) -> str:
    """The file of the repository that a source of the site is."""
    if uri == "index.md":
        return FRONT
    return uri.removeprefix(f"{BEYOND}/") if uri.startswith(f"{BEYOND}/") else f"docs/{uri}"
