"""rdae.codec on a tiny random model: what goes in comes out as the encoder said, and damage is an RdaeError."""

import contextlib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tiny_model import noise, photo, write

from rdae.codec import decode, encode, encoding, latents
from rdae.codec.container import CHECKSUM_BYTES, Container, Header, Section, SectionType, pack, parse
from rdae.codec.range_coding import SymbolEncoder
from rdae.errors import (
    CorruptError,
    RdaeError,
    StreamError,
    TruncatedError,
    VerifyError,
    WeightsError,
)
from rdae.networks import weights
from rdae.networks.model import Model
from rdae.networks.prior import SYMBOL_MAX, Prediction, Progress
from rdae.networks.transforms import Transforms
from rdae.pictures.raster import Raster

Picture = npt.NDArray[np.uint8]

SIZES = [(1, 1), (1, 17), (17, 1), (16, 16), (15, 33), (65, 64), (3, 200), (200, 3)]
HEADER = 28  # bytes at most around a plain picture's payload (DESIGN, section 5)


def flat(level: int) -> Picture:
    return np.full((37, 50, 3), level, np.uint8)


def gradient() -> Picture:
    rows, columns = np.mgrid[:48, :80]
    return np.stack([rows * 5, columns * 3, 255 - rows * 2 - columns], axis=2).astype(np.uint8)


def checkerboard(side: int) -> Picture:
    rows, columns = np.mgrid[:64, :64] // side
    return np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[:, :, None], 3, axis=2)


PICTURES = {
    "black": flat(0),
    "white": flat(255),
    "gradient": gradient(),
    "pixel checkerboard": checkerboard(1),
    "checkerboard of 8": checkerboard(8),
    "noise": noise(5, 50, 61),
    "photo": photo(60, 70),
}


def with_crc(body: bytes) -> bytes:
    """A file whose CRC-32 fits its bytes again."""
    return body + zlib.crc32(body).to_bytes(CHECKSUM_BYTES, "little")


def assert_round_trip(picture: Picture, model: Model, index: int) -> encode.Encoded:
    encoded = encode.encode(picture, model, index)
    decoded = decode.decode(encoded.data, model)
    assert decoded.picture.dtype == encoded.reconstruction.dtype == np.uint8
    assert decoded.picture.shape == encoded.reconstruction.shape == picture.shape
    assert np.array_equal(decoded.picture, encoded.reconstruction)
    assert decoded.latents_sha256 == encoded.latents_sha256
    return encoded


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("index", [0, 333, 800])
def test_any_size_round_trips(tiny: Model, height: int, width: int, index: int) -> None:
    encoded = assert_round_trip(photo(height, width), tiny, index)
    header = parse(encoded.data).header
    assert (header.width, header.height, header.quality_index) == (width, height, index)
    assert header.model == tiny.model_id


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("index", [0, 400, 800])
def test_any_content_round_trips(tiny: Model, name: str, index: int) -> None:
    assert_round_trip(PICTURES[name], tiny, index)


@settings(max_examples=30)
@given(
    picture=arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))),
    index=st.integers(0, 800),
)
def test_any_picture_round_trips(tiny: Model, picture: Picture, index: int) -> None:
    assert_round_trip(picture, tiny, index)


@pytest.mark.parametrize("index", [0, 250, 800])
def test_real_bytes_are_the_estimated_bits(tiny: Model, index: int) -> None:
    encoded = encode.encode(photo(420, 610), tiny, index)
    estimated = encoded.rate_bits / 8
    assert estimated > 5000
    (payload,) = parse(encoded.data).payloads(SectionType.LATENTS)
    assert estimated - 1 <= len(payload) <= 1.01 * estimated
    assert len(encoded.data) <= len(payload) + HEADER


@pytest.mark.parametrize(("height", "width"), [(1, 1), (40, 50)])
def test_a_small_file_costs_little_more_than_its_bits(tiny: Model, height: int, width: int) -> None:
    encoded = encode.encode(noise(1, height, width), tiny, 400)
    assert len(encoded.data) <= 1.01 * encoded.rate_bits / 8 + 4 + HEADER


def test_pictures_are_extended_by_repeating_their_edge(tiny: Model) -> None:
    """Which costs fewer bits than black would."""
    picture = photo(30, 40)
    extended = np.pad(picture, ((0, 2), (0, 8), (0, 0)), mode="edge")
    payloads = [parse(encode.encode(p, tiny, 400).data).sections for p in (picture, extended)]
    assert payloads[0] == payloads[1]


def test_encoding_twice_gives_the_same_bytes(tiny: Model) -> None:
    assert encode.encode(photo(50, 60), tiny, 400).data == encode.encode(photo(50, 60), tiny, 400).data


def test_the_seconds_of_each_stage_are_told(tiny: Model) -> None:
    encoded = encode.encode(photo(50, 60), tiny, 400)
    decoded = decode.decode(encoded.data, tiny)
    assert set(encoded.seconds) == {"analysis", "prior", "coding", "account", "synthesis"}
    assert set(decoded.seconds) == {"coding", "prior", "synthesis"}
    assert min(*encoded.seconds.values(), *decoded.seconds.values()) > 0


def test_the_pictures_arrays_are_not_touched_and_need_not_be_contiguous(tiny: Model) -> None:
    picture = photo(40, 60)
    mirrored = picture[:, ::-1]
    kept = picture.copy()
    encoded = encode.encode(mirrored, tiny, 400)
    assert np.array_equal(picture, kept)
    assert encoded.data == encode.encode(np.ascontiguousarray(mirrored), tiny, 400).data
    picture.flags.writeable = False
    assert encode.encode(picture, tiny, 400).data != encoded.data


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_picture_is_a_value_error(tiny: Model, picture: Picture) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 \(h, w, 3\)"):
        encode.encode(picture, tiny, 400)


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tiny: Model) -> encode.Encoded:
    return encode.encode(photo(50, 70), tiny, 300)


def test_a_cut_file_is_truncated_or_corrupt(tiny: Model, file: encode.Encoded) -> None:
    for length in [*range(0, len(file.data), 10), len(file.data) - 1]:
        with pytest.raises(StreamError):
            decode.decode(file.data[:length], tiny)
    with pytest.raises(TruncatedError):
        decode.decode(file.data[:10], tiny)


def test_a_cut_file_with_a_right_crc_is_an_error(tiny: Model, file: encode.Encoded) -> None:
    for length in range(0, len(file.data) - CHECKSUM_BYTES, 10):
        with pytest.raises(StreamError):
            decode.decode(with_crc(file.data[:length]), tiny)


def flipped(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The data with one bit turned over: all bits of the first 40 bytes, then a bit of every byte."""
    for bit in [*range(320), *range(320, 8 * len(data), 9)]:
        if bit // 8 < len(data):
            changed = bytearray(data)
            changed[bit // 8] ^= 1 << bit % 8
            yield bit, bytes(changed)


def test_a_flipped_bit_is_an_error(tiny: Model, file: encode.Encoded) -> None:
    for _, data in flipped(file.data):
        with pytest.raises(StreamError):
            decode.decode(data, tiny)


def test_a_flipped_bit_under_a_right_crc_is_an_error_or_a_sound_picture(
    tiny: Model, file: encode.Encoded
) -> None:
    sound = 0
    for bit, body in flipped(file.data[:-CHECKSUM_BYTES]):
        with contextlib.suppress(RdaeError):
            decoded = decode.decode(with_crc(body), tiny, max_pixels=100_000)
            # The latents' checksum holds, so only the size or the gains may differ.
            assert decoded.latents_sha256 == file.latents_sha256, bit
            header = parse(with_crc(body)).header
            assert decoded.picture.shape == (header.height, header.width, 3)
            sound += 1
    assert sound > 0


def test_a_payload_of_anything_is_an_error_or_a_picture(tiny: Model) -> None:
    rng = np.random.default_rng(0)
    header = Header(40, 20, tiny.model_id, 400)
    for length in [1, 2, 3, 4, 5, 8, 20, 100, 1000]:
        for byte in (None, 0, 255):
            payload = rng.bytes(length) if byte is None else bytes([byte]) * length
            data = pack(Container(header, (Section(SectionType.LATENTS, payload),)))
            with contextlib.suppress(StreamError):
                assert decode.decode(data, tiny).picture.shape == (20, 40, 3)


def test_another_models_file_names_both_models(
    tiny: Model, file: encode.Encoded, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = weights.load(write(tmp_path_factory.mktemp("other") / "other.safetensors", seed=2))
    with pytest.raises(WeightsError) as caught:
        decode.decode(file.data, other)
    assert tiny.model_id.hex() in str(caught.value)
    assert other.model_id.hex() in str(caught.value)
    assert "\n" not in str(caught.value)


def test_latents_that_do_not_match_their_checksum_are_noticed(tiny: Model, file: encode.Encoded) -> None:
    parsed = parse(file.data)
    assert parsed.latent_checksum is not None
    wrong = Container(parsed.header, parsed.sections, parsed.latent_checksum ^ 1)
    with pytest.raises(CorruptError, match="decoded latents are not those that were encoded"):
        decode.decode(pack(wrong), tiny)


@pytest.mark.parametrize("what", ["means", "scales"])
def test_a_machine_whose_prior_differs_is_noticed(tiny_path: Path, what: str) -> None:
    """One integer that is off by one, as arithmetic that is not exact might have it, and no silent wrong picture."""
    sound, off = weights.load(tiny_path), weights.load(tiny_path)
    right = off.prior.predict

    def wrong(progress: Progress, step: int) -> Prediction:
        found = right(progress, step)
        if step == 2:
            getattr(found, what)[len(found.means) // 2] += 1
        return found

    off.prior.predict = wrong  # type: ignore[method-assign]
    data = encode.encode(photo(90, 90), sound, 400).data
    with pytest.raises(CorruptError):
        decode.decode(data, off)


def test_a_file_without_a_latent_checksum_is_read(tiny: Model, file: encode.Encoded) -> None:
    parsed = parse(file.data)
    data = pack(Container(parsed.header, parsed.sections, None))
    assert np.array_equal(decode.decode(data, tiny).picture, file.reconstruction)


def test_what_a_file_has_beside_latents_leaves_its_pixels_as_they_are(
    tiny: Model, file: encode.Encoded
) -> None:
    parsed = parse(file.data)
    more = (*parsed.sections, Section(SectionType.ICC, b"\0profile"), Section(SectionType.ALPHA, b"\0\7"))
    decoded = decode.decode(pack(Container(parsed.header, more, parsed.latent_checksum)), tiny)
    assert np.array_equal(decoded.picture, file.reconstruction)
    assert decoded.raster.icc == b"profile"
    assert decoded.raster.alpha is not None
    assert decoded.raster.alpha.shape == (50, 70)
    assert (decoded.raster.alpha == 7).all()


def test_more_pixels_than_allowed_are_refused_before_any_work(tiny: Model, file: encode.Encoded) -> None:
    with pytest.raises(
        StreamError, match="70 x 50 pixels, which count as 70 x 64, more than the 4479 allowed"
    ):
        decode.decode(file.data, tiny, max_pixels=4479)
    huge = Header(2**29, 2**29, tiny.model_id, 0)
    whole = Container(Header(1, 1, tiny.model_id, 0), (Section(SectionType.LATENTS, b"x"),))
    object.__setattr__(whole, "header", huge)  # what no writer can write
    with pytest.raises(StreamError, match=r"allowed|expected at least"):
        decode.decode(pack(whole), tiny)


def test_symbols_that_no_encoder_writes_are_refused(tiny: Model) -> None:
    """Hyper-latents beyond 127 and residuals beyond 2**20 can be said, as escapes, but not by this encoder."""
    of_z, of_first, *_ = encode.quantise(photo(20, 20), tiny, 400).symbols
    big = of_z.symbols.copy()
    big[0] = 128
    for z, first, words in (
        (big, of_first.symbols, "hyper-latent"),
        (of_z.symbols, np.full_like(of_first.symbols, SYMBOL_MAX + 1), "a latent"),
    ):
        coder = SymbolEncoder()
        coder.put(z, of_z.rows, tiny.prior.z_tables)
        coder.put(first, of_first.rows, tiny.prior.y_tables)
        header = Header(20, 20, tiny.model_id, 400)
        data = pack(Container(header, (Section(SectionType.LATENTS, coder.finish()),)))
        with pytest.raises(CorruptError, match=f"{words} is out of range"):
            decode.decode(data, tiny)


# -- what is coded ---------------------------------------------------------------------------------------------------


def test_latents_of_small_scale_are_not_coded(tiny: Model) -> None:
    coded = encode.quantise(photo(100, 100), tiny, 0)
    rows = np.concatenate([step.rows for step in coded.symbols[1:]])
    assert rows.min() >= tiny.prior.skip_below
    assert 0 < len(rows) < coded.latents.y64.size


def test_latents_are_nearest_to_what_was_analysed(tiny: Model) -> None:
    """ŷ is k + μ, μ in 1/64, so y lies within half a step of ŷ wherever it was coded."""

    picture, index = photo(64, 64), 800  # at which this model codes everything
    coded = encode.quantise(picture, tiny, index)
    latents = coded.latents
    assert sum(len(step.rows) for step in coded.symbols[1:]) == latents.y64.size
    (y,) = encoding.prepare(picture, tiny, tile=None).rows_of_tiles(index)
    z = tiny.hyper_analyse(y, index)
    assert np.abs(y - latents.y64 / 64).max() < 0.5 + 1e-3
    assert np.array_equal(latents.z, z.clip(-127, 127))


def test_bits_grow_with_quality(tiny: Model) -> None:
    rates = [encode.encode(photo(100, 100), tiny, index).rate_bits for index in range(0, 801, 100)]
    assert rates == sorted(rates)


def test_a_stream_shorter_than_the_least_is_filled_with_zeros() -> None:
    """A model that needs less than a byte for 64 x 64 pixels writes no shorter files, and reads its own only."""
    calm = weights.load(Path(__file__).parents[1] / "golden" / "v1.0" / "calm.safetensors")
    picture = np.zeros((200, 300, 3), np.uint8)
    data = encode.compress(picture, calm, 0, verify=True)
    (payload,) = parse(data).payloads(SectionType.LATENTS)
    assert len(payload) == 4 * 5
    assert payload.endswith(bytes(8))
    header = Header(300, 200, calm.model_id, 0)
    for wrong in (payload + b"\0", payload[:-1] + b"\1"):
        with pytest.raises(CorruptError):
            decode.decode(pack(Container(header, (Section(SectionType.LATENTS, wrong),))), calm)


def test_an_encoder_that_computes_wrongly_notices(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = photo(40, 40)
    assert encode.compress(picture, tiny, 400, verify=True) == encode.compress(picture, tiny, 400)
    right = latents.read

    def wrong(*arguments: Any, **options: Any) -> latents.Latents:
        found = right(*arguments, **options)
        found.y64[0, 0, 0] += 1
        return found

    monkeypatch.setattr(latents, "read", wrong)
    encode.compress(picture, tiny, 400)
    with pytest.raises(VerifyError, match="does not decode here to what was meant"):
        encode.compress(picture, tiny, 400, verify=True)


def calls(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[str]:
    """A list that gets an entry with each call of a function from now on."""
    right, found = getattr(owner, name), list[str]()

    def counted(*arguments: Any, **options: Any) -> Any:
        found.append(name)
        return right(*arguments, **options)

    monkeypatch.setattr(owner, name, counted)
    return found


@pytest.mark.parametrize(
    ("size", "tile", "keeps"), [((70, 90), None, True), ((300, 290), 4, True), ((70, 90), 4, False)]
)
def test_encodings_share_the_analysis_and_change_no_byte(
    tiny: Model, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], tile: int | None, keeps: bool
) -> None:
    alpha = np.full(size, 255, np.uint8)
    alpha[:20, :30] = 0
    raster = Raster(photo(*size), alpha=alpha, xmp=b"<x/>")
    expected = {index: encode.encode(raster, tiny, index, tile=tile) for index in (100, 400, 700)}
    if not keeps:
        monkeypatch.setattr(encoding, "KEEP_PIXELS", size[0] * size[1] - 1)
    analysed, decoded = calls(monkeypatch, Transforms, "features"), calls(monkeypatch, latents, "read")
    prepared = encoding.prepare(raster, tiny, tile=tile, keep=True)
    for index, encoded in expected.items():
        made = encoding.searched_encoding(prepared, index, keep=True)
        assert encoding.file_of(made) == encoded.data
        np.testing.assert_array_equal(encoding.reconstruct(made), encoded.reconstruction)
    assert len(analysed) == (1 if keeps else 3)
    assert (not decoded) is keeps  # what was encoded is known, and decoded where it was too large to be kept
