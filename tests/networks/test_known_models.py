"""The published models: what their names promise, where they are, and what is said where one is missing."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rdae_command import rdae_command

from rdae.codec.container import Container, Header, Section, SectionType, pack
from rdae.errors import WeightsError
from rdae.networks import known_models, registry
from rdae.networks.known_models import HISTORY, KNOWN, KnownModel, known

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "docs" / "policy.md"


@pytest.fixture
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No models at all, and the current folder is empty."""
    monkeypatch.setenv(registry.PATH_VARIABLE, "")
    monkeypatch.setattr(registry, "_data_folder", lambda: tmp_path)
    monkeypatch.setattr(registry, "packaged", lambda: tmp_path)
    monkeypatch.setattr(registry, "companions", list)
    monkeypatch.chdir(tmp_path)


def model_id(model: KnownModel) -> bytes:
    return bytes.fromhex(model.sha256)[: registry.ID_BYTES]


def file_of(path: Path, model: bytes) -> Path:
    """A file that says it needs this model."""
    path.write_bytes(pack(Container(Header(1, 1, model, 0), (Section(SectionType.LATENTS, b"x"),))))
    return path


def test_the_repository_has_exactly_the_models_whose_home_it_is() -> None:
    manifests = [path.with_suffix(".json") for path in (ROOT / "weights").glob("*.safetensors")]
    there = {path.stem: json.loads(path.read_text(encoding="utf-8"))["sha256"] for path in manifests}
    assert there == {model.name: model.sha256 for model in KNOWN if model.home == "rdae"}, (
        "enter new weights in rdae/networks/known_models.py, and what they replace as history"
    )


def test_each_model_is_told_from_all_others_by_its_id() -> None:
    assert len({model_id(model) for model in KNOWN}) == len(KNOWN)
    for model in KNOWN:
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
        assert known(model_id(model)) is model
        assert bool(model.commit) == (model.home == HISTORY)
        assert model.home == HISTORY or re.fullmatch(r"rdae|rdae-models(-\d+)?", model.home)
    assert known(b"\0\1\2\3") is None


def test_a_released_name_means_one_model_and_has_a_home() -> None:
    released = [model.name for model in KNOWN if model.released]
    assert len(set(released)) == len(released)
    assert not [model for model in KNOWN if model.released and model.home == HISTORY]


@pytest.mark.parametrize(
    ("name", "released"),
    [
        ("rdae-1", True),
        ("rdae-12", True),
        ("rdae-1-visual", True),
        ("rdae-visual", False),
        ("rdae-base", False),
        ("rdae-0", False),
        ("rdae-01", False),
        ("mine-1", False),
        ("rdae-1-", False),
    ],
)
def test_a_name_with_a_number_is_released(name: str, released: bool) -> None:
    assert KnownModel(name, "0" * 64, "rdae").released is released


def test_the_policy_lists_them_all() -> None:
    rows = re.findall(
        r"^\| `(.+?)` \| `(.+?)` \| (.+?) \| (.+?) \|$", POLICY.read_text(encoding="utf-8"), re.MULTILINE
    )
    homes = {"rdae": "the package `rdae`", HISTORY: "history, commit `{commit}`"}
    assert rows == [
        (
            model.name,
            model.sha256[:8],
            "released" if model.released else "provisional" if model.home != HISTORY else "replaced",
            homes.get(model.home, "the package `{home}`").format(home=model.home, commit=model.commit),
        )
        for model in KNOWN
    ]


@pytest.mark.usefixtures("nothing_installed")
@pytest.mark.parametrize("model", KNOWN, ids=lambda model: model.sha256[:8])
def test_a_file_of_a_published_model_that_is_not_there_says_in_one_line_what_to_install(
    model: KnownModel,
) -> None:
    file_of(Path("a.rdae"), model_id(model))
    code, _, errors = rdae_command("decompress", "a.rdae")
    assert code == 1
    expected = f"rdae: a.rdae: needs model {model.sha256[:8]} ({model.name}), which is not installed: {model.advice}; "
    assert errors.startswith(expected)
    assert errors.count("\n") == 1
    assert not Path("a.png").exists()
    assert (model.commit or f"install the package {model.home}") in errors


@pytest.mark.usefixtures("nothing_installed")
def test_a_model_that_moved_to_another_package_is_asked_for_by_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = KnownModel("rdae-1", "ab" * 32, "rdae-models")
    monkeypatch.setattr(known_models, "KNOWN", (moved,))
    with pytest.raises(
        WeightsError, match=r"\(rdae-1\), which is not installed: install the package rdae-models, "
    ):
        registry.find_by_id(model_id(moved))


@pytest.mark.usefixtures("nothing_installed")
def test_a_file_of_an_unknown_model_says_that_it_is_unknown() -> None:
    file_of(Path("a.rdae"), b"\0\1\2\3")
    code, _, errors = rdae_command("decompress", "a.rdae")
    assert code == 1
    assert " does not know: install a newer rdae, or ask whoever wrote the file for its weights; " in errors
    assert errors.endswith("; where its weights are, --model FILE says, or their folder in RDAE_MODEL_PATH\n")
    assert errors.count("\n") == 1


def info(path: Path) -> tuple[list[str], object]:
    """The lines of `rdae info` about the model, and what --json says about its release."""
    text, told = (rdae_command("info", str(path), *more).stdout for more in ((), ("--json",)))
    return [line for line in text.splitlines() if line.startswith("model")], json.loads(told)[
        "model_released"
    ]


@pytest.mark.usefixtures("nothing_installed")
def test_info_says_so_of_files_whose_model_is_not_released(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    provisional = KNOWN[0]
    assert info(file_of(Path("a.rdae"), model_id(provisional))) == (
        [
            f"model     {provisional.sha256[:8]}, {provisional.name}, not installed",
            f"model not released: {provisional.name} is provisional, and later versions of rdae may not read its files",
        ],
        False,
    )
    lines, released = info(file_of(Path("b.rdae"), b"\0\1\2\3"))
    assert lines[0] == "model     00010203, not installed"
    assert lines[1].startswith("model not released: no version of rdae brings it")
    assert released is False
    monkeypatch.setattr(known_models, "KNOWN", (replace(provisional, name="rdae-1"),))
    assert info(Path("a.rdae")) == ([f"model     {provisional.sha256[:8]}, rdae-1, not installed"], True)


def test_info_says_nothing_of_models_where_a_file_needs_none(tmp_path: Path) -> None:
    from PIL import Image

    import rdae

    path = tmp_path / "a.rdae"
    path.write_bytes(rdae.compress(Image.new("RGB", (9, 7), (1, 2, 3)), lossless=True))
    assert info(path) == ([], None)
