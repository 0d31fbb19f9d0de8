"""Numbers in README, model card and docs are those of the results beside them, and figures show what there is."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def script(name: str) -> ModuleType:
    """A program of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_those_of_the_results() -> None:
    tables = script("tables")
    for page in tables.PAGES:
        text = page.read_text(encoding="utf-8")
        assert text == tables.filled(page), f"{page.name}: run python tools/tables.py"
        assert re.search(r": begin -->\n(.*\n)+<!-- ", text)  # there is something to fill


def test_tables_are_written_anew_and_nothing_else_is_touched(tmp_path: Path) -> None:
    tables = script("tables")
    card = tables.PAGES[1].read_text(encoding="utf-8")
    stale = tmp_path / "README.md"
    stale.write_text(card.replace(" % |", "9 % |").replace("gigapixels", "pixels"), encoding="utf-8")
    assert tables.filled(stale) == card
    stale.write_text("no markers\n", encoding="utf-8")
    assert tables.filled(stale) == "no markers\n"


def test_every_figure_of_the_script_is_in_the_repository_and_shown_on_a_page() -> None:
    figures = script("figures").FIGURES
    assert {path.name for path in (ROOT / "docs").glob("*.svg")} == set(figures)
    pages = [ROOT / "README.md", ROOT / "weights" / "README.md", *(ROOT / "docs").glob("*.md")]
    shown = "".join(page.read_text(encoding="utf-8") for page in pages)
    assert [name for name in figures if f"{name})" not in shown] == []


@pytest.mark.slow
def test_every_figure_is_drawn() -> None:
    pytest.importorskip("matplotlib")
    for name, draw in script("figures").FIGURES.items():
        assert b"<svg" in draw(), name


def test_the_drawing_of_the_architecture_names_files_that_there_are() -> None:
    text = (ROOT / "docs" / "assets" / "architecture.svg").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    there = {path.name for path in (ROOT / "rdae").rglob("*.py")}
    names = set(re.findall(r"\b\w+\.py\b", text))
    assert "latents.py" in names
    assert names <= there
    assert set(re.findall(r"\b\w+\.py\b", page)) <= there | {path.name for path in ROOT.glob("*/*.py")}
