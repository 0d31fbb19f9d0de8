"""What a profile is about is found out once, and the profile itself is not kept."""

import sys

import pytest
from PIL import Image
from sample_profiles import SRGB, gamma_profile

from rdae.pictures import profiles
from rdae.pictures.profiles import Kind, kind


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "_known", {}, raising=False)


def test_a_profile_is_not_held_when_its_kind_is_known() -> None:
    """Some have megabytes, and a process may see many."""
    profile = gamma_profile(1.8) + bytes(1 << 20)
    references = sys.getrefcount(profile)
    assert kind(profile) is Kind.OTHER
    assert sys.getrefcount(profile) == references


def test_equal_profiles_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[bytes | None] = []
    to_srgb = profiles.to_srgb

    def counted(image: Image.Image, profile: bytes | None) -> Image.Image:
        looked.append(profile)
        return to_srgb(image, profile)

    monkeypatch.setattr(profiles, "to_srgb", counted)
    for _ in range(3):
        assert kind(bytes(bytearray(SRGB))) is Kind.SRGB
    assert len(looked) == 1
    assert kind(gamma_profile(2.6)) is Kind.OTHER
    assert len(looked) == 2


def test_what_is_known_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "MOST_KNOWN", 3, raising=False)
    for number in range(8):
        assert kind(b"no profile %d" % number) is Kind.BROKEN
        assert len(profiles._known) <= 3
