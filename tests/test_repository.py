"""What stands at the root for people: links lead somewhere, programs exist, and the workflow runs what is here."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / ".github").rglob("*.md")),
]
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if "://" not in target and not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", [*PAGES, WORKFLOW, ROOT / "docs" / "policy.md"], ids=lambda page: page.name)
def test_programs_and_tests_that_are_named_are_there(page: Path) -> None:
    named = re.findall(r"\b((?:tools|tests)/[\w/.]+\.py|\.ci/run)\b", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_the_workflow_runs_the_checks_and_the_exchange_on_three_systems() -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    assert "- run: bash .ci/run\n" in text
    assert re.findall(r"exchange\.py (write|read)", text) == ["write", "read"]
    lists = re.findall(r"system: \[(.+)\]", text)
    assert len(lists) == 3
    for systems in lists:
        assert {"ubuntu-latest", "macos-latest", "windows-latest"} <= set(systems.split(", "))


def test_no_bytes_change_on_their_way_through_git() -> None:
    lines = (ROOT / ".gitattributes").read_text(encoding="utf-8").splitlines()
    assert "* -text" in lines  # else a checkout on Windows breaks the sums of the golden files


def test_the_changelog_begins_each_version_with_the_bitstream() -> None:
    parts = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert parts
    allowed = ["Bitstream", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    for part in parts:
        headings = re.findall(r"^### (.+)$", part, re.MULTILINE)
        assert headings[:1] == ["Bitstream"]
        assert headings == [name for name in allowed if name in headings]
