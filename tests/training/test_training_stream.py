"""Sources of pictures, decoding beside the training, and the window that slides over a corpus larger than memory."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import dying_decoder
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install -e '.[train]'")

import torch
import training_kit
from PIL import Image

from rdae.errors import MissingExtraError, TrainingError
from rdae.training.data import decode
from rdae.training.data.decode import Decoder
from rdae.training.data.pool import Pictures, Pool
from rdae.training.data.sources import expand, members, units
from rdae.training.data.stream import Stream

CPU = torch.device("cpu")


def plain(folder: Path, count: int, side: int = 64) -> list[Path]:
    """Pictures of one colour each, which tells them apart."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:03}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("RGB", (side, side), (number, 0, 0)).save(path)
    return paths


def shard(path: Path, pictures: list[Path]) -> str:
    """A tar as WebDataset writes it: the files of a sample share a key, and not all are pictures."""
    with tarfile.open(path, "w") as archive:
        for picture in pictures:
            archive.add(picture, arcname=picture.name)
            archive.addfile(tarfile.TarInfo(f"{picture.stem}.cls"))
    return str(path)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("corpus")
    paths = plain(folder / "plain", 24)
    return [shard(folder / f"{n}.tar", paths[6 * n : 6 * n + 6]) for n in range(4)]


def stream(sources: list[str], hold: int = 8, **settings: object) -> Stream:
    made = Stream(tuple(sources), CPU, 64, **{"hold": hold * 64**2, "reuse": 1.0, "seed": 5, **settings})  # type: ignore[arg-type]
    made.fill()
    return made


def colours(pool: Pool) -> list[int]:
    return [int(picture[0, 0, 0]) for picture in pool.pictures]


# -- sources -----------------------------------------------------------------------------------------------------


def test_a_list_names_sources_relative_to_itself(tmp_path: Path) -> None:
    (a, b, c) = plain(tmp_path / "pictures", 3)
    listed = tmp_path / "lists" / "some.txt"
    listed.parent.mkdir()
    listed.write_text(f"# of the first visit\n../pictures/{b.name}\n\n{c}\ns3://bucket/x.tar\n")
    assert expand([str(a), f"@{listed}"]) == [
        *(str(a), str(listed.parent / ".." / "pictures" / b.name), str(c), "s3://bucket/x.tar"),
    ]
    listed.write_text(f"../pictures/{b.name}\n{c}\n")
    assert colours(Pictures((f"@{listed}",), CPU, 64)) == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"), [("@other.txt", "another list"), ("absent.png", "absent.png: no such")]
)
def test_a_list_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(TrainingError, match=message):
        expand([f"@{tmp_path / 'list.txt'}"])
    with pytest.raises(TrainingError, match=r"absent\.txt: No such file or directory$"):
        expand([f"@{tmp_path / 'absent.txt'}"])
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TrainingError, match=r"binary\.txt: not a list of pictures"):
        expand([f"@{tmp_path / 'binary.txt'}"])


def test_units_are_shards_and_single_pictures_and_can_be_entered_in_the_middle(shards: list[str]) -> None:
    folder = Path(shards[0]).parent
    assert units([str(folder)]) == [*shards, *map(str, sorted((folder / "plain").iterdir()))]
    whole = list(members(shards[0]))
    assert [name for _, name, _ in whole] == [f"{shards[0]}:{n:03}.png" for n in range(6)]
    assert [place for place, _, _ in whole] == [0, 2, 4, 6, 8, 10]
    assert list(members(shards[0], 5)) == whole[3:]


def test_shards_come_from_urls_too(shards: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe("/corpus/0.tar", Path(shards[0]).read_bytes())
    memory.pipe("/corpus/one.png", (Path(shards[0]).parent / "plain" / "007.png").read_bytes())
    found = Pictures(("memory://corpus/0.tar", "memory://corpus/one.png"), CPU, 64)
    assert colours(found) == [0, 1, 2, 3, 4, 5, 7]
    with pytest.raises(TrainingError, match=r"memory://corpus/absent\.tar"):
        Pictures(("memory://corpus/absent.tar",), CPU, 64)
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[fsspec\]'"):
        Pictures(("memory://corpus/0.tar",), CPU, 64)


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [
        (ImportError("HTTPFileSystem needs aiohttp"), MissingExtraError, "HTTPFileSystem needs aiohttp"),
        (ValueError("odd bucket"), TrainingError, "ValueError: odd bucket"),
    ],
)
def test_what_a_backend_raises_is_one_line_that_names_the_url(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, kind: type[Exception], words: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise raised

    monkeypatch.setattr(pytest.importorskip("fsspec"), "open", fail)
    with pytest.raises(kind) as caught:
        Pictures(("http://there/x.tar",), CPU, 64)
    assert str(caught.value) == f"http://there/x.tar: {words}"


# -- drawing -----------------------------------------------------------------------------------------------------


def test_pictures_are_drawn_by_their_area_times_their_weight(tmp_path: Path) -> None:
    plain(tmp_path, 3)
    Image.new("RGB", (128, 128), (9, 0, 0)).save(tmp_path / "gfx_9.png")
    weights = (("gfx_*", 2.0), ("001*", 0.0), ("*", 1.0))
    pool = Pictures((str(tmp_path),), CPU, 64, weights=weights)
    assert colours(pool) == [0, 2, 9]  # one that is never drawn is not held either
    assert pool.skipped == []
    drawn = pool.crops(2000, 64, torch.Generator().manual_seed(0))[:, 0, 0, 0].tolist()
    counts = [drawn.count(colour) / 2000 for colour in (0, 2, 9)]
    assert counts == pytest.approx([0.1, 0.1, 0.8], abs=0.03)


def test_weights_that_match_nothing_or_leave_nothing_are_told_of(tmp_path: Path) -> None:
    plain(tmp_path, 2)
    assert Pictures((str(tmp_path),), CPU, 64, weights=(("gfx_*", 2.0), ("0*", 1.0))).unmatched == ["gfx_*"]
    Image.new("RGB", (63, 200)).save(tmp_path / "small.png")
    with pytest.raises(
        TrainingError, match=r"--weight leaves out every picture with both sides of at least 64"
    ):
        Pictures((str(tmp_path),), CPU, 64, weights=(("*", 0.0),))
    with pytest.raises(
        TrainingError, match=r"--weight leaves out every picture with both sides of at least 64"
    ):
        stream([str(tmp_path)], weights=(("*", 0.0),))


def test_some_crops_are_of_pictures_halved_in_size(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128]
    Image.fromarray(np.stack([y, x, 0 * x], axis=2).astype(np.uint8)).save(tmp_path / "large.png")
    large = Pictures((str(tmp_path),), CPU, 64)
    crops = large.crops(200, 64, torch.Generator().manual_seed(0), reduce=0.3).int()
    steps = (crops[:, 0, 1, 0] - crops[:, 0, 0, 0]).tolist()  # from a row to the next
    assert set(steps) == {1, 2}
    assert 30 < steps.count(2) < 90
    halved = crops[steps.index(2)]
    assert halved[0, 0, 0] in (0, 1)  # the mean of 0 and 1, as the one area large enough is the whole
    Image.new("RGB", (127, 300)).save(tmp_path / "large.png")
    narrow = Pictures((str(tmp_path),), CPU, 64)
    assert narrow.crops(8, 64, torch.Generator().manual_seed(0), reduce=1.0).shape == (8, 3, 64, 64)


def test_a_part_of_the_rows_is_that_part_of_all(shards: list[str]) -> None:
    pool = Pictures((shards[0],), CPU, 64)
    whole = pool.crops(6, 64, torch.Generator().manual_seed(3))
    parts = [pool.crops(6, 64, torch.Generator().manual_seed(3), rows=range(n, n + 3)) for n in (0, 3)]
    assert torch.equal(torch.cat(parts), whole)


# -- decoding ----------------------------------------------------------------------------------------------------


def items(folder: Path) -> Iterator[tuple[int, str, bytes | None]]:
    for number, path in enumerate(sorted(folder.iterdir())):
        yield number, str(path), path.read_bytes() if number % 2 else None


def test_processes_decode_what_threads_do_in_the_same_order(tmp_path: Path) -> None:
    plain(tmp_path, 5)
    (tmp_path / "002.png").write_bytes(b"broken")
    found = []
    for workers in (0, 1):
        decoder = Decoder(workers)
        found.append(
            [(n, None if p is None else int(p[0, 0, 0])) for n, _, p in decoder.decoded(items(tmp_path))]
        )
        decoder.close()
    assert found[0] == found[1] == [(0, 0), (1, 1), (2, None), (3, 3), (4, 4)]


@pytest.mark.slow
def test_a_picture_that_kills_its_decoder_costs_itself_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain(tmp_path, 7)
    monkeypatch.setattr(decode, "decode", dying_decoder.dies_of_three)
    decoder = Decoder(2)
    found = [(n, p is None) for n, _, p in decoder.decoded(items(tmp_path))]
    decoder.close()
    assert found == [(n, n == 3) for n in range(7)]


# -- the window --------------------------------------------------------------------------------------------------


def test_the_window_goes_through_every_picture_once_an_epoch_in_an_order_of_its_own(
    shards: list[str],
) -> None:
    window = stream(shards, hold=1)
    seen = []
    for _ in range(48):
        assert len(window.pictures) == 1
        seen += colours(window)
        window.advance(64**2)
    assert sorted(seen[:24]) == sorted(seen[24:]) == list(range(24))
    assert seen[:24] != seen[24:]
    assert seen[:24] != list(range(24))
    again = stream(shards, hold=1)
    assert colours(again) == seen[:1]
    assert colours(stream(shards, hold=24)) == seen[:24]


def test_pictures_stay_until_they_gave_what_they_have_to_give(shards: list[str]) -> None:
    window = stream(shards, reuse=3.0)
    before = colours(window)
    assert len(before) == 8
    window.advance(64**2)
    window.advance(64**2)
    assert colours(window) == before
    window.advance(64**2)
    assert colours(window)[:7] == before[1:]
    assert len(window.pictures) == 8


@pytest.mark.parametrize("steps", [3, 11, 40])
def test_a_window_that_is_put_back_goes_on_as_if_it_had_never_ended(shards: list[str], steps: int) -> None:
    unbroken = stream(shards)
    for _ in range(steps):
        unbroken.advance(5000)
    resumed = Stream(tuple(shards), CPU, 64, hold=8 * 64**2, reuse=1.0, seed=5)
    resumed.restore(unbroken.state())
    for _ in range(20):
        assert colours(resumed) == colours(unbroken)
        assert resumed.state() == unbroken.state()
        drawn = [pool.crops(3, 64, torch.Generator().manual_seed(steps)) for pool in (resumed, unbroken)]
        assert torch.equal(*drawn)
        unbroken.advance(5000)
        resumed.advance(5000)


@pytest.mark.parametrize("world", [2, 5])
def test_processes_share_the_shards_or_where_there_are_fewer_the_pictures(
    shards: list[str], world: int
) -> None:
    parts = []
    for rank in range(world):
        window = stream(shards, hold=1, rank=rank, world=world)
        part = []
        while window.state()[0] == 0:
            part += colours(window)
            window.advance(64**2)
        parts.append(part)
    assert sorted(colour for part in parts for colour in part) == list(range(24))
    assert min(map(len, parts)) >= 4


def test_what_is_broken_is_counted_and_passed(shards: list[str], tmp_path: Path) -> None:
    broken, empty = tmp_path / "broken.tar", tmp_path / "empty.tar"
    broken.write_bytes(Path(shards[0]).read_bytes()[:2000])
    empty.write_bytes(b"no tar" * 200)
    (tmp_path / "bad.png").write_bytes(b"x")
    Image.new("RGB", (63, 200)).save(tmp_path / "small.png")
    told: list[str] = []
    window = stream([str(tmp_path), shards[1]], hold=1, tell=told.append)
    seen = []
    while window.state()[0] < 2:
        seen += colours(window)
        window.advance(64**2)
    assert set(range(6, 12)) <= set(seen) <= set(range(12))
    assert sorted(Path(name).name for name in window.skipped)[-2:] == ["bad.png", "small.png"]
    assert len(window.skipped) <= 3  # each once, in whatever many epochs
    assert {Path(name).name for name in window.broken} == {"broken.tar", "empty.tar"}
    assert len(told) == 2
    assert f"{broken}: unexpected end of data; the rest of this shard is left out" in told


def test_pixels_of_a_picture_that_is_held_more_than_once_count_once(shards: list[str]) -> None:
    window = stream(shards[:1], hold=20)
    assert len(window.names) == 20
    assert window.pixels == 6 * 64**2


def test_a_corpus_without_a_usable_picture_ends_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"x")
    (tmp_path / "empty.tar").write_bytes(b"\0" * 10240)
    for sources in ([str(tmp_path)], [str(tmp_path / "empty.tar")]):
        with pytest.raises(TrainingError, match="no picture with both sides of at least 64 pixels"):
            stream(sources)
    (tmp_path / "nothing").mkdir()
    (tmp_path / "cut.tar").write_bytes(b"no tar" * 200)
    with pytest.raises(TrainingError, match=r"both sides of at least 64 pixels, and .*cut\.tar: "):
        stream([str(tmp_path / "cut.tar")])
    with pytest.raises(TrainingError, match="no tar shard and no picture"):
        stream([str(tmp_path / "nothing")])


def test_a_run_on_a_stream_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path) -> None:
    from rdae.training import checkpoint
    from rdae.training.export import freeze
    from rdae.training.trainer import Trainer

    folder = training_kit.make_pictures(tmp_path / "pictures", count=6)
    settings = {"stream": 0.04, "reuse": 1.0, "steps": 10, "validation": (), "seed": 2}
    config = training_kit.config(folder, **settings)
    quiet = {"report": lambda _line, _passing: None}
    unbroken = Trainer(config, tmp_path / "a", **quiet)  # type: ignore[arg-type]
    assert unbroken.train()
    first = Trainer(config, tmp_path / "b", **quiet)  # type: ignore[arg-type]
    while first.step < 6:
        first._recent.append(first._train_step())
        first.step += 1
        first.pictures.advance(4 * 64**2)  # type: ignore[attr-defined]
        if first.step % 4 == 0:
            first._recent.clear()
    (tmp_path / "b").mkdir()
    first._save()
    second = Trainer(config, tmp_path / "b", fresh=False, **quiet)  # type: ignore[arg-type]
    second.resume()
    assert second.train()
    a, b = (checkpoint.load(tmp_path / name) for name in "ab")
    assert a["streams"] == b["streams"] != [[0.0, 0.0, 0.0, 0.0]]
    assert all(torch.equal(a["model"][name], b["model"][name]) for name in a["model"])
    freeze.export(tmp_path / "a", tmp_path / "made.safetensors")
