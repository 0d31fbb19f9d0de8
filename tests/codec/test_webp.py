"""Lossless WebP bitstreams: what is stored comes back, and what ends early is refused."""

import _thread
import signal
import threading

import numpy as np
import pytest

from rdae.codec.sections import webp
from rdae.errors import CorruptError

SEED = 41


def pictures(count: int) -> list[webp.Levels]:
    """Pictures of few levels, which end in streams of all lengths."""
    rng = np.random.default_rng(SEED)
    found = []
    for _ in range(count):
        height, width = (int(side) for side in rng.integers(16, 60, size=2))
        levels = rng.integers(0, 12, size=(height, width, 3), dtype=np.uint8) * 20
        found.append(levels)
    return found


def decode(stream: bytes, levels: webp.Levels, *, checked: bool = False) -> webp.Levels:
    height, width = levels.shape[:2]
    return webp.decode(stream, width, height, alpha=False, what="pixels", checked=checked)


def test_a_signal_is_heard_while_libwebp_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what goes wrong there is the caller's."""
    working, over, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        working.set()
        over.wait(60)
        ended.set()
        raise ValueError("too late for anybody")

    monkeypatch.setattr(webp, "_file_of", slow)

    def interrupt() -> None:
        working.wait(60)
        _thread.interrupt_main()

    threading.Thread(target=interrupt).start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs the tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            webp.encode(pictures(1)[0], method=4, quality=0)
        assert not ended.is_set()
    finally:
        over.set()
        signal.signal(signal.SIGINT, before)
    with pytest.raises(ValueError, match="too late for anybody"):
        webp.encode(pictures(1)[0], method=4, quality=0)


@pytest.mark.parametrize("checked", [False, True])
def test_streams_of_odd_and_of_even_length_come_back(checked: bool) -> None:
    lengths = set()
    for levels in pictures(12):
        stream = webp.encode(levels, method=2, quality=50)
        lengths.add(len(stream) % 2)
        assert np.array_equal(decode(stream, levels, checked=checked), levels)
        for after in (b"\0", b"\xff", b"abc"):  # it has no meaning
            assert np.array_equal(decode(stream + after, levels, checked=checked), levels)
    assert lengths == {0, 1}


def test_a_stream_without_its_last_bytes_is_refused_though_riff_pads_it() -> None:
    ended_in_zero = 0
    for levels in pictures(60):
        stream = webp.encode(levels, method=2, quality=50)
        ended_in_zero += stream.endswith(b"\0")
        for missing in (1, 2, 3):
            with pytest.raises(CorruptError, match=r"ends too early|no lossless WebP"):
                decode(stream[:-missing], levels)
    assert ended_in_zero > 0


def test_a_last_byte_of_zero_is_missed_with_a_checksum_too() -> None:
    found = 0
    for levels in pictures(200):
        stream = webp.encode(levels, method=2, quality=50)
        if not stream.endswith(b"\0") or len(stream) % 2:  # without it the bitstream's length is odd
            continue
        found += 1
        try:
            short = decode(stream[:-1], levels, checked=True)
        except CorruptError:
            continue
        assert not np.array_equal(short, levels)  # which the checksum shows
    assert found > 0
