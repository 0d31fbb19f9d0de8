"""Files that one installation writes are read by another: tools/exchange.py, here by one that is both."""

import json
from pathlib import Path

import exchange
import pytest


@pytest.fixture
def written(tmp_path: Path, tiny_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What one installation wrote, of two models whose names begin alike."""
    monkeypatch.setattr(exchange, "MODELS", {"rdae-a": tiny_path, "rdae-b": tiny_path})
    small = {name: exchange.pictures()[name] for name in ("pixel", "strip")}
    monkeypatch.setattr(exchange, "pictures", lambda: small)
    folder = tmp_path / "here"
    exchange.write(folder)
    return folder


def test_files_are_to_the_reader_what_they_were_to_the_writer(written: Path) -> None:
    assert {path.name for path in written.glob("*.rdae")} == {
        f"rdae-{model}-{picture}.rdae" for model in "ab" for picture in ("pixel", "strip", "command")
    }
    assert exchange.read(written)


@pytest.mark.parametrize("fact", ["latents", "pixels"])
def test_a_difference_is_found(written: Path, fact: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = written / exchange.EXPECTED
    described = json.loads(path.read_text())
    described["files"]["rdae-b-command.rdae"][fact] = "0" * 64
    path.write_text(json.dumps(described))
    assert not exchange.read(written)
    assert "rdae-b-command.rdae: " in capsys.readouterr().out
