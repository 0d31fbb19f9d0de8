"""What texts locate, that they survive the way to another process, and what outputs are called."""

from pathlib import Path, PurePath

import pytest

from rdae.storage.locations import LocalFile, StandardStream, locate
from rdae.storage.names import output_name
from rdae.storage.urls import RemoteObject, is_url


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a/b.png", LocalFile),
        ("-", StandardStream),
        ("./-", LocalFile),
        ("memory://x/a.rdae", RemoteObject),
        ("simplecache::memory://x", RemoteObject),
        ("C:/a", LocalFile),
        ("C://a", LocalFile),
        ("a:b", LocalFile),
        ("file:///a/b.png", LocalFile),
    ],
)
def test_a_location_written_as_text_is_the_same_location(text: str, kind: type) -> None:
    location = locate(text)
    assert isinstance(location, kind)
    assert locate(str(location)) == location
    assert is_url(text) is (kind is RemoteObject)


@pytest.mark.parametrize(
    ("location", "relative", "suffix", "options", "expected"),
    [
        ("in/a.png", "a.png", ".rdae", {}, "in/a.rdae"),
        ("in/a.v2.png", "a.v2.png", ".rdae", {}, "in/a.v2.rdae"),
        ("in/a.png", "a.png", ".rdae", {"keep_suffix": True}, "in/a.png.rdae"),
        ("a.png.rdae", "a.png.rdae", ".png", {}, "a.png"),
        ("a.jpg.rdae", "a.jpg.rdae", ".png", {}, "a.jpg.png"),
        ("in/deep/a.png", "deep/a.png", ".rdae", {"directory": "out"}, "out/deep/a.rdae"),
        ("in/deep/a.png", "deep/a.png", ".rdae", {"directory": "memory://out/"}, "memory://out/deep/a.rdae"),
        ("memory://in/a.png", "a.png", ".rdae", {}, "memory://in/a.rdae"),
        ("-", "-", ".rdae", {"directory": "out"}, "out/stdin.rdae"),
        ("-", "-", ".rdae", {}, "-"),
    ],
)
def test_an_output_is_called_after_its_input(
    location: str, relative: str, suffix: str, options: dict[str, object], expected: str
) -> None:
    named = output_name(location, PurePath(relative), suffix, **options)  # type: ignore[arg-type]
    assert named == (expected if "://" in expected else str(Path(expected)))
