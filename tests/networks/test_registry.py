"""Models side by side: which one a name, a path or a file means, and what is said when there is none."""

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_model
from PIL import Image
from rdae_command import rdae_command

import rdae
import rdae.pillow
from rdae.batch.models import ModelOpener
from rdae.codec import container, encode
from rdae.codec.container import Container, Header, Section, SectionType, pack
from rdae.errors import WeightsError
from rdae.networks import registry, weights
from rdae.networks.model import Model


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A search path of our own: two folders of the environment, the user's and the package's."""
    folders = [tmp_path / name for name in ("first", "second", "user/rdae/models", "package")]
    monkeypatch.setenv(registry.PATH_VARIABLE, os.pathsep.join(map(str, folders[:2])))
    monkeypatch.setattr(registry, "_data_folder", lambda: tmp_path / "user")
    monkeypatch.setattr(registry, "packaged", lambda: folders[3])
    monkeypatch.setattr(registry, "companions", list)
    monkeypatch.chdir(tmp_path)
    for folder in folders:
        folder.mkdir(parents=True)
    return folders


def pretend(folder: Path, name: str, content: bytes = b"numbers", **facts: Any) -> Path:
    """A file that is only as much of a model as finding it needs."""
    return tiny_model.write_bytes(folder / f"{name}.safetensors", content, **facts)


DEFAULT = registry.TUNES[registry.DEFAULT_TUNE]


def copied(source: Path, folder: Path, name: str) -> Path:
    for path in source.parent.glob(f"{source.stem}.*"):
        shutil.copy(path, folder / f"{name}{path.name.removeprefix(source.stem)}")
    return folder / f"{name}.safetensors"


@pytest.fixture(scope="module")
def other_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("other") / "other.safetensors", seed=2)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def one_line(error: BaseException) -> str:
    assert "\n" not in str(error)
    return str(error)


def test_folders_are_searched_in_order(places: list[Path]) -> None:
    assert registry.folders() == places
    for folder in reversed(places):
        made = pretend(folder, "same", folder.name.encode())
        assert registry.find("same") == made
    assert [entry.path.parent for entry in registry.installed()] == places


def test_empty_entries_and_folders_that_are_not_there_hold_nothing(
    places: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = ["", str(places[0] / "nowhere"), str(places[1]), str(places[1]), ""]
    monkeypatch.setenv(registry.PATH_VARIABLE, os.pathsep.join(listed))
    made = pretend(places[1], "there")
    (places[1] / "folder.safetensors").mkdir()
    (places[1] / "note.txt").touch()
    assert [entry.path for entry in registry.installed()] == [made]


@pytest.mark.parametrize(
    ("platform", "variable", "folder"),
    [
        ("linux", ("XDG_DATA_HOME", "/data"), "/data"),
        ("linux", ("XDG_DATA_HOME", "not/absolute"), "/home/someone/.local/share"),
        ("linux", ("XDG_DATA_HOME", ""), "/home/someone/.local/share"),
        ("darwin", ("XDG_DATA_HOME", "/data"), "/home/someone/Library/Application Support"),
        ("win32", ("LOCALAPPDATA", "/local"), "/local"),
        ("win32", ("LOCALAPPDATA", ""), "/home/someone/AppData/Local"),
    ],
)
def test_the_user_folder_is_where_the_platform_keeps_data(
    platform: str, variable: tuple[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/someone"))
    monkeypatch.setenv(*variable)
    assert Path(folder) / "rdae" / "models" in registry.folders()


def test_a_user_without_a_home_has_no_folder(monkeypatch: pytest.MonkeyPatch, places: list[Path]) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(registry, "_data_folder", homeless)
    assert registry.folders() == [*places[:2], places[3]]


def test_what_has_a_slash_or_a_dot_is_a_path(places: list[Path]) -> None:
    pretend(places[0], "base")
    for path in ("./base", "x/base", "base.safetensors", "../base", ".", "/base"):
        assert registry.find(path) == Path(path)


def test_an_unknown_name_is_one_line_with_what_there_is(places: list[Path]) -> None:
    with pytest.raises(
        WeightsError, match="no model is called nobody: installed are nothing; searched "
    ) as caught:
        registry.find("nobody")
    assert all(str(folder) in one_line(caught.value) for folder in places)
    pretend(places[0], "base", b"1")
    pretend(places[2], "old", b"2")
    expected = rf"installed are base \({sha(b'1')[:8]}\), old \({sha(b'2')[:8]}\); searched"
    with pytest.raises(WeightsError, match=expected):
        weights.load("nobody")


def test_a_model_is_found_by_id(places: list[Path]) -> None:
    pretend(places[0], "a", b"1")
    wanted = pretend(places[1], "b", b"2")
    pretend(places[3], "copy-of-b", b"2")
    assert registry.find_by_id(bytes.fromhex(sha(b"2"))[:4]) == wanted
    assert registry.name_of(bytes.fromhex(sha(b"2"))[:4]) == "b"


def test_a_sound_copy_is_preferred(places: list[Path]) -> None:
    pretend(places[0], "b", b"2", bytes=7)
    wanted = pretend(places[1], "b", b"2", bytes=1)
    assert registry.find_by_id(bytes.fromhex(sha(b"2"))[:4]) == wanted


def test_an_absent_model_is_one_line_with_what_there_is(places: list[Path]) -> None:
    pretend(places[0], "base", b"1")
    unknown = (
        f"needs model 00010203, which is not installed, and which rdae {rdae.__version__} does not know: "
    )
    with pytest.raises(WeightsError, match=re.escape(unknown)) as caught:
        registry.find_by_id(b"\0\1\2\3")
    line = one_line(caught.value)
    assert f"; installed are base ({sha(b'1')[:8]}); searched" in line
    assert all(str(folder) in line for folder in places)
    assert registry.name_of(b"\0\1\2\3") is None


def test_two_models_of_one_id_are_told_apart_by_nobody(places: list[Path]) -> None:
    paths = []
    for name, end in (("a", "0"), ("b", "1")):
        path = places[0] / f"{name}.safetensors"
        path.touch()
        path.with_suffix(".json").write_text(json.dumps({"sha256": "00010203" + end * 56}))
        paths.append(path)
    with pytest.raises(
        WeightsError, match=r"several different models begin so: .*; say which with --model"
    ) as caught:
        registry.find_by_id(b"\0\1\2\3")
    assert all(str(path) in one_line(caught.value) for path in paths)


def test_damage_that_shows_without_reading_the_weights_is_seen(places: list[Path]) -> None:
    pretend(places[0], "long", b"12345", bytes=4)
    (places[0] / "bare.safetensors").touch()
    (places[0] / "odd.safetensors").touch()
    (places[0] / "odd.json").write_text("[]")
    bare, long, odd = registry.installed()
    assert bare.problem == "no manifest: No such file or directory"
    assert "not a manifest" in odd.problem
    assert long.problem == "5 bytes, but its manifest says 4: the file is damaged"
    assert (bare.short_id, odd.short_id) == ("", "")


def test_models_are_listed(places: list[Path]) -> None:
    assert rdae_command("models") == (0, "", "".join(f"no models in {folder}\n" for folder in places))
    small = pretend(places[0], "small", b"12")
    base = pretend(places[3], DEFAULT, b"123456789" * 200)
    code, output, _ = rdae_command("models")
    assert code == 0
    assert [line.split()[:4] for line in output.splitlines()] == [
        ["small", sha(b"12")[:8], "2", "bytes"],
        [DEFAULT, sha(b"123456789" * 200)[:8], "1,800", "bytes"],
    ]
    assert [
        path in line for path, line in zip((str(small), str(base)), output.splitlines(), strict=True)
    ] == [True] * 2
    assert [line.endswith(f"  (tune {registry.DEFAULT_TUNE}, default)") for line in output.splitlines()] == [
        False,
        True,
    ]
    code, output, _ = rdae_command("models", "--json")
    told = json.loads(output)
    assert told["searched"] == [str(folder) for folder in places]
    assert told["models"][0] == {
        "name": "small",
        "id": sha(b"12")[:8],
        "sha256": sha(b"12"),
        "bytes": 2,
        "path": str(small),
        "tune": None,
        "default": False,
        "problem": None,
    }
    assert (told["models"][1]["tune"], told["models"][1]["default"]) == (registry.DEFAULT_TUNE, True)


def test_the_tune_of_each_model_is_listed_and_one_is_the_default(places: list[Path]) -> None:
    for number, name in enumerate(registry.TUNES.values()):
        pretend(places[3], name, bytes([number]))
    pretend(places[0], registry.TUNES["visual"], b"another of this name, which --tune does not take")
    told = json.loads(rdae_command("models", "--json")[1])["models"]
    assert [entry["tune"] for entry in told] == [None, *registry.TUNES]
    assert [entry["default"] for entry in told] == [
        False,
        *(tune == registry.DEFAULT_TUNE for tune in registry.TUNES),
    ]


def test_damaged_models_are_found_by_check(places: list[Path], tiny_path: Path) -> None:
    path = copied(tiny_path, places[0], "small")
    code, output, _ = rdae_command("models", "--check")
    assert (code, output.count("(sound)")) == (0, 1)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert "the file is damaged" not in rdae_command("models")[1]
    code, output, _ = rdae_command("models", "--check")
    assert code == 1
    assert "the file is damaged" in output


@pytest.mark.parametrize("name", ["check", "synthesis", "gradient.context.1.back"])
def test_graphs_that_are_missing_or_changed_are_found_by_check(
    places: list[Path], tiny_path: Path, name: str
) -> None:
    path = copied(tiny_path, places[0], "small")
    graph = path.with_name(f"small.{name}.onnx")
    graph.write_bytes(graph.read_bytes() + b"?")
    code, output, _ = rdae_command("models", "--check")
    assert code == 1
    assert f"{graph}: SHA-256 is " in output
    graph.unlink()
    code, output, _ = rdae_command("models", "--check")
    assert code == 1
    assert f"{graph}: No such file or directory" in output


def test_a_model_without_graphs_is_found_by_check(places: list[Path]) -> None:
    path = pretend(places[0], "small")
    code, output, _ = rdae_command("models", "--check")
    assert (code, output.count(f"make them with rdae export {path})")) == (1, 1)


def test_files_of_several_models_decode_in_one_call_each_with_its_own(
    places: list[Path], tiny_path: Path, tiny: Model, other_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(tiny_path, places[0], "old")
    copied(other_path, places[2], "new")
    picture = tiny_model.photo(20, 30)
    for name, model in (("a", tiny), ("b", weights.load(other_path)), ("c", tiny)):
        Path(f"{name}.rdae").write_bytes(encode.compress(picture, model, 300))
    header = Header(1, 1, b"\0\1\2\3", 0)
    Path("d.rdae").write_bytes(pack(Container(header, (Section(SectionType.LATENTS, b"x"),))))
    opened: list[str] = []
    original = rdae.open_model

    def open_model(path: Path, **options: Any) -> object:
        opened.append(path.stem)
        return original(path, **options)

    monkeypatch.setitem(rdae.__dict__, "open_model", open_model)
    code, _, errors = rdae_command("decompress", "a.rdae", "d.rdae", "b.rdae", "c.rdae")
    assert code == 1
    assert [Path(f"{name}.png").exists() for name in "abcd"] == [True, True, True, False]
    (line,) = [line for line in errors.splitlines() if line.startswith("rdae: ")]
    assert line.startswith("rdae: d.rdae: needs model 00010203, which is not installed, and which rdae ")
    assert "; installed are old (" in line
    assert opened == ["old", "new"]
    code, output, _ = rdae_command("info", "b.rdae")
    assert f"model     {sha(other_path.read_bytes())[:8]}, new\n" in output


def test_a_file_that_needs_another_model_than_the_one_asked_for_says_which(
    places: list[Path], tiny_path: Path, tiny: Model, other_path: Path
) -> None:
    Path("a.rdae").write_bytes(encode.compress(tiny_model.photo(20, 30), tiny, 300))
    needed, given = tiny.sha256[:8], sha(other_path.read_bytes())[:8]
    for known in ("", " (old, which is installed)"):
        code, _, errors = rdae_command("decompress", "a.rdae", "--model", str(other_path))
        assert code == 1
        assert errors == f"rdae: a.rdae: needs model {needed}{known}, but other is {given}\n"
        assert not Path("a.png").exists()
        copied(tiny_path, places[1], "old")
    code, _, errors = rdae_command("decompress", "a.rdae", "--model", "old")
    assert (code, errors) == (0, "a.rdae -> a.png  30 x 20\n")
    code, _, errors = rdae_command("compress", "a.png", "--model", "none-such", "-o", "b.rdae")
    assert code == 1
    assert errors.startswith("rdae: no model is called none-such: installed are old (")
    assert errors.count("\n") == 1


def test_a_damaged_model_is_refused_when_a_file_needs_it(
    places: list[Path], tiny_path: Path, tiny: Model
) -> None:
    path = copied(tiny_path, places[0], "old")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    data = encode.compress(tiny_model.photo(20, 30), tiny, 300)
    with pytest.raises(WeightsError, match="the file is damaged"):
        ModelOpener(None).for_file(container.parse(data).header)


def test_the_default_is_the_one_of_the_package(places: list[Path], tiny_path: Path, other_path: Path) -> None:
    missing = f"the weights of the tune {registry.DEFAULT_TUNE} are missing: no model is called {DEFAULT}: "
    with pytest.raises(WeightsError, match=missing) as caught:
        weights.load()
    one_line(caught.value)
    copied(tiny_path, places[0], DEFAULT)
    assert weights.load().sha256 == sha(tiny_path.read_bytes())  # better than none
    copied(other_path, places[3], DEFAULT)
    assert weights.load().sha256 == sha(other_path.read_bytes())
    assert weights.load(DEFAULT).sha256 == sha(tiny_path.read_bytes())


@pytest.fixture
def tuned(places: list[Path], tiny_path: Path, other_path: Path) -> dict[str, bytes]:
    """Two models as if published, and the ids by which files name them; a.png is there too."""
    paths = {"psnr": tiny_path, "visual": other_path}
    Image.fromarray(tiny_model.photo(20, 30)).save("a.png")
    return {
        tune: bytes.fromhex(sha(copied(paths[tune], places[1], name).read_bytes()))[: registry.ID_BYTES]
        for tune, name in registry.TUNES.items()
    }


def test_compress_takes_a_tune_and_decompress_needs_no_word_of_it(tuned: dict[str, bytes]) -> None:
    for tune, model in tuned.items():
        code, _, errors = rdae_command(
            "compress", "a.png", "--tune", tune, "-o", f"{tune}.rdae", "-f", "--no-exact"
        )
        assert code == 0, errors
        assert container.parse(Path(f"{tune}.rdae").read_bytes()).header.model == model
    assert rdae_command("compress", "a.png", "-o", "default.rdae", "--no-exact")[0] == 0
    assert Path("default.rdae").read_bytes() == Path(f"{registry.DEFAULT_TUNE}.rdae").read_bytes()
    assert rdae_command("decompress", "psnr.rdae", "visual.rdae")[0] == 0
    assert Path("psnr.png").read_bytes() != Path("visual.png").read_bytes()


def test_processes_and_the_plug_in_are_told_of_a_tune(tuned: dict[str, bytes]) -> None:
    code, _, errors = rdae_command("compress", "a.png", "--tune", "visual", "-j", "2", "--no-exact")
    assert code == 0, errors
    with Image.open("a.png") as image:
        image.save("b.rdae", rdae.pillow.FORMAT, tune="visual", exact=False)
    for name in ("a.rdae", "b.rdae"):
        assert container.parse(Path(name).read_bytes()).header.model == tuned["visual"]


def test_commands_that_run_one_model_take_a_tune(tuned: dict[str, bytes]) -> None:
    code, _, errors = rdae_command("eval", "a.png", "--tune", "visual", "-q", "50", "-o", "r.json", "--quiet")
    assert code == 0, errors
    assert json.loads(Path("r.json").read_text())["meta"]["model"] == tuned["visual"].hex()
    code, _, errors = rdae_command("inspect", "a.png", "--tune", "visual", "-o", "maps")
    assert code == 0, errors
    assert json.loads(Path("maps/maps.json").read_text())["model_id"] == tuned["visual"].hex()
    rdae_command("compress", "a.png", "--no-exact")
    code, _, errors = rdae_command("inspect", "a.rdae", "--tune", "visual", "-o", "maps", "-f")
    assert (code, errors.splitlines()[-1]) == (
        2,
        "Error: --tune is for a picture; an .rdae file names its model.",
    )


@pytest.mark.parametrize(
    "command",
    [("compress",), ("eval",), ("efforts",), ("benchmark",), ("relaxation",), ("inspect", "-o", "maps")],
)
def test_a_model_and_a_tune_are_wrong_usage(command: tuple[str, ...]) -> None:
    code, _, errors = rdae_command(*command, "a.png", "--model", "x", "--tune", "visual")
    assert (code, errors.splitlines()[-1]) == (2, "Error: Give only one of --model and --tune.")


@pytest.mark.parametrize("command", ["compress", "eval"])
def test_a_tune_whose_weights_are_missing_is_one_line(
    places: list[Path], tiny_path: Path, command: str
) -> None:
    Image.fromarray(tiny_model.photo(20, 30)).save("a.png")
    copied(tiny_path, places[3], registry.TUNES["psnr"])
    code, _, errors = rdae_command(command, "a.png", "--tune", "visual")
    assert code == 1
    assert errors.startswith(
        "rdae: the weights of the tune visual are missing: no model is called rdae-visual: "
    )
    assert errors.count("\n") == 1
