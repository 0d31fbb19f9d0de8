"""Profiles and notes come back byte for byte, and a few bytes never become gigabytes."""

import contextlib
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import photo

from rdae.codec import decode, encode
from rdae.codec.sections import AuxiliaryData, metadata
from rdae.codec.sections.packing import pack, unpack
from rdae.errors import CorruptError, PictureError, VerifyError
from rdae.networks.model import Model
from rdae.pictures.raster import Raster

XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + (b" " * 99 + b"\n") * 20 + b"</x:xmpmeta>"


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=300), st.integers(1, 9))
def test_any_metadata_comes_back_and_never_takes_more_than_a_byte_more(data: bytes, times: int) -> None:
    payload = metadata.encode(data * times)
    assert metadata.decode(payload) == data * times
    assert len(payload) <= len(data) * times + 1


def test_the_padding_of_xmp_costs_next_to_nothing() -> None:
    assert len(metadata.encode(XMP)) < 110 < len(XMP) // 18


@given(st.binary(max_size=80))
def test_any_payload_is_metadata_or_corrupt(payload: bytes) -> None:
    with contextlib.suppress(CorruptError):
        assert metadata.decode(payload)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit that is tried quickly: a golden file has one for the true limit."""
    bomb = bytes([metadata.PACKED]) + pack(bytes(1 << 25), 0)
    assert len(bomb) < 6000
    monkeypatch.setattr(metadata, "MAX_BYTES", 1 << 23)
    tracemalloc.start()
    with pytest.raises(CorruptError, match="goes on after"):
        metadata.decode(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * metadata.MAX_BYTES
    with pytest.raises(CorruptError, match="goes on after"):
        unpack(bomb[1:], 1000)


def test_more_than_can_be_read_again_is_not_written() -> None:
    with pytest.raises(PictureError, match="67108865 bytes of metadata"):
        metadata.encode(bytes(metadata.MAX_BYTES + 1))


def test_metadata_goes_through_a_file(tiny: Model) -> None:
    raster = Raster(photo(5, 6), icc=b"icc" * 50, exif=b"MM\0*", xmp=XMP)
    plain = encode.compress(Raster(photo(5, 6)), tiny, 300)
    data = encode.compress(raster, tiny, 300, verify=True)
    assert len(data) < len(plain) + 160
    found = decode.decode(data, tiny).raster
    assert (found.icc, found.exif, found.xmp) == (raster.icc, raster.exif, raster.xmp)


def test_verifying_finds_metadata_that_changed(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rdae.codec.sections.read", lambda _: AuxiliaryData(None, None, None, b"other"))
    with pytest.raises(VerifyError, match="metadata"):
        encode.compress(Raster(photo(5, 6), xmp=XMP), tiny, 300, verify=True)
