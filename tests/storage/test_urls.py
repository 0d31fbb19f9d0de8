"""Objects by their URLs: whole or not at all, found in order, and errors of one line whatever a backend raises."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rdae.errors import MissingExtraError, OutputExistsError, PictureError, StreamError
from rdae.storage import urls
from rdae.storage.files import Terms
from rdae.storage.urls import (
    RemoteObject,
    is_folder,
    is_passing,
    is_read_only,
    objects_below,
    objects_matching,
)


@pytest.fixture(autouse=True)
def memory() -> Iterator[Any]:
    """An empty store, memory://."""
    yield fsspec.filesystem("memory")
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def read(url: str) -> bytes:
    with RemoteObject(url).open(PictureError, StreamError) as file:
        return file.read()


def test_what_is_written_is_read_and_not_replaced_unless_forced() -> None:
    made = RemoteObject("memory://x/a.rdae")
    assert not made.is_there()
    assert made.write(iter([b"one ", b"two"]), force=False) == 7
    assert (made.is_there(), made.size(), read("memory://x/a.rdae")) == (True, 7, b"one two")
    with pytest.raises(OutputExistsError, match="already there; --force replaces it"):
        made.write(b"other", force=False)
    made.write(b"other", force=True)
    assert read("memory://x/a.rdae") == b"other"
    with pytest.raises(OutputExistsError, match="never overwritten"):
        made.check(force=True, inputs=made.identity())


def test_objects_are_found_below_folders_and_by_patterns_in_order(memory: Any) -> None:
    for name in ("b", "a", "deep/c"):
        memory.pipe_file(f"/x/{name}.png", b"")
    assert is_folder("memory://x")
    assert not is_folder("memory://x/a.png")
    assert [(url, path.as_posix()) for url, path in objects_below("memory://x")] == [
        ("memory:///x/a.png", "a.png"),
        ("memory:///x/b.png", "b.png"),
        ("memory:///x/deep/c.png", "deep/c.png"),
    ]
    assert objects_matching("memory://x/*.png") == ["memory:///x/a.png", "memory:///x/b.png"]


def test_no_object_is_read_beyond_the_most_that_is(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe_file("/x", b"12345")
    monkeypatch.setattr(urls, "MAX_FILE_BYTES", 4)
    with pytest.raises(StreamError, match="5 bytes, expected at most 4"):
        read("memory://x")


def test_a_store_that_shows_half_objects_gets_a_new_name_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    class Halves(MemoryFileSystem):  # type: ignore[misc]
        """A store that shows what has come so far."""

        protocol = "halves"
        fails = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return str(super()._strip_protocol(path.replace("halves://", "memory://")))

        def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
            super().pipe_file(path, value[: len(value) // 2] if self.fails else value, **options)
            if self.fails:
                raise OSError("the line is cut")

    fsspec.register_implementation("halves", Halves, clobber=True)
    store = fsspec.filesystem("halves")
    for force in (False, True):
        RemoteObject("halves://x/a.rdae").write(b"whole", force=force)
    assert store.cat_file("/x/a.rdae") == b"whole"
    monkeypatch.setattr(Halves, "fails", True)
    with pytest.raises(OSError, match="the line is cut"):
        RemoteObject("halves://x/a.rdae").write(b"another", force=True)
    assert store.find("/x") == ["/x/a.rdae"]
    assert store.cat_file("/x/a.rdae") == b"whole"


def test_errors_of_backends_are_of_one_kind(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError) as none:
        read("memory://none")
    assert (none.value.strerror, none.value.filename) == ("No such file or directory", "memory://none")

    def strange(*_: object, **__: object) -> None:
        raise RuntimeError("odd")

    monkeypatch.setattr(type(memory), "exists", strange)
    with pytest.raises(OSError, match="RuntimeError: odd"):
        RemoteObject("memory://x").is_there()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match="s3 URLs need another package"):
        read("s3://bucket/a")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rdae\[fsspec\]'"):
        read("memory://x")


@pytest.mark.parametrize(
    ("url", "name", "read_only"),
    [
        ("memory://made/a.rdae", "a.rdae", False),
        ("s3://bucket/a?versionId=1.png", "a?versionId=1.png", False),
        ("https://example.org/deep/a.png?width=100&x=/y.z#top", "a.png", True),
        ("https://example.org/a%20b%5B1%5D.png", "a b[1].png", True),
        ("https://example.org/..%2F..%2Fetc%2Fpasswd", "passwd", True),
        ("https://example.org/%2E%2E", "download", True),
        ("https://example.org", "download", True),
        ("HTTP://example.org/a.png", "a.png", True),
        ("zip://in/a.png::folder/z.zip", "a.png", True),
        ("zip://a.png::s3://bucket/z.zip", "a.png", True),
        ("simplecache::s3://bucket/deep/a.png", "a.png", True),
        ("filecache::zip://in/a.png::https://example.org/z.zip", "a.png", True),
    ],
)
def test_a_url_has_the_name_of_what_it_leads_to(url: str, name: str, read_only: bool) -> None:
    assert (RemoteObject(url).name, is_read_only(url)) == (name, read_only)


def test_what_is_in_an_archive_is_found_and_read_by_its_chained_url(tmp_path: Path) -> None:
    archive = tmp_path / "z.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("in/1.png", "in/2.png", "in/deep/3.png", "[x].png"):
            file.writestr(name, name)
    matching = objects_matching(f"zip://in/*.png::{archive}")
    assert matching == [f"zip://in/1.png::{archive}", f"zip://in/2.png::{archive}"]
    assert [read(url) for url in matching] == [b"in/1.png", b"in/2.png"]
    assert [path.as_posix() for _, path in objects_below(f"zip://in::{archive}")] == [
        "1.png",
        "2.png",
        "deep/3.png",
    ]
    (cached,) = objects_matching(f"simplecache::file://{tmp_path.as_posix()}/*.zip")
    assert read(cached).startswith(b"PK")


def test_names_that_look_like_patterns_can_be_written(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "_WHOLE_OBJECTS", frozenset())  # by another name first
    made = RemoteObject("memory://a[1]/b*.rdae")
    for force in (False, True):
        made.write(b"x", force=force)
    assert memory.find("/") == ["/a[1]/b*.rdae"]


def test_no_object_is_known_to_be_rdaes_own() -> None:
    made = RemoteObject("memory://x/a.png")
    own = Terms(only_own=True, marked=True)
    made.write(b"x", force=False, terms=own)
    for force in (False, True):
        with pytest.raises(OutputExistsError, match="may be the original"):
            made.write(b"y", force=force, terms=own)
    assert made.remove(made.attributes()) == "it is not a file of this machine"
    assert read("memory://x/a.png") == b"x"


@pytest.mark.parametrize(
    ("url", "passing"),
    [
        ("memory://made/a.rdae", True),
        ("MEMORY://a.rdae", True),
        ("s3://memory/a.rdae", False),
        ("memory", False),
        ("simplecache::s3://bucket/a.rdae", False),
    ],
)
def test_what_is_in_memory_ends_with_the_program(url: str, passing: bool) -> None:
    assert is_passing(url) == passing
