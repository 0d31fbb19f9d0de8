"""Decoding of training pictures, beside the training: in threads, or in processes of their own.

Pillow decodes without holding Python's lock, so threads serve well; processes also take what Python itself does off
the trainer, and survive a decoder that crashes.  Either way the order is that of the input.
"""

from __future__ import annotations

import concurrent.futures
import io
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from rdae.pictures import to_rgb_array
from rdae.processors import available_processors

Pixels = npt.NDArray[np.uint8]
Place = TypeVar("Place")

_AHEAD = 4
"""Pictures a worker that are asked for before they are needed."""


def decode(name: str, data: bytes | None) -> Pixels | None:
    """Decode a picture, or the file of that name: uint8 (H, W, 3); None if it is no sound picture."""
    try:
        with Image.open(name if data is None else io.BytesIO(data)) as image:
            return to_rgb_array(image)
    except Exception:  # noqa: BLE001  whatever a broken file raises, the others go on without it
        return None


class Decoder:
    """Decodes streams of pictures in `workers` processes, or with 0 in threads."""

    def __init__(self, workers: int = 0) -> None:
        """Start nothing yet."""
        self.workers = workers
        self._pool: concurrent.futures.Executor | None = None

    def decoded(
        self, items: Iterable[tuple[Place, str, bytes | None]]
    ) -> Iterator[tuple[Place, str, Pixels | None]]:
        """Yield (place, name, pixels) for each (place, name, bytes), in order; pixels are None where decoding failed.

        Some pictures ahead of what was asked for are being decoded meanwhile.
        """
        depth = _AHEAD * (self.workers or _threads())
        waiting: deque[tuple[Place, str, bytes | None, concurrent.futures.Future[Pixels | None]]] = deque()
        source = iter(items)
        while True:
            while len(waiting) < depth and (item := next(source, None)) is not None:
                place, name, data = item
                waiting.append((place, name, data, self._submit(name, data)))
            if not waiting:
                return
            place, name, data, future = waiting.popleft()
            try:
                pixels = future.result()
            except BrokenProcessPool:
                pixels = self._alone(name, data)
                again = [(p, n, d, self._submit(n, d)) for p, n, d, _ in waiting]
                waiting = deque(again)
            yield place, name, pixels

    def close(self) -> None:
        """End the workers, without waiting for what they are at."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def _alone(self, name: str, data: bytes | None) -> Pixels | None:
        """Decode after a worker died, maybe of another picture: one that ends a process of its own is a broken one."""
        self.close()
        try:
            return self._submit(name, data).result()
        except BrokenProcessPool:
            self.close()
            return None

    def _submit(self, name: str, data: bytes | None) -> concurrent.futures.Future[Pixels | None]:
        if self._pool is None:
            self._pool = self._start()
        try:
            return self._pool.submit(decode, name, data)
        except BrokenProcessPool:  # known before any result was asked for
            failed: concurrent.futures.Future[Pixels | None] = concurrent.futures.Future()
            failed.set_exception(BrokenProcessPool("a decoding process ended"))
            return failed

    def _start(self) -> concurrent.futures.Executor:
        if not self.workers:
            return concurrent.futures.ThreadPoolExecutor(_threads(), thread_name_prefix="decode")
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads, or CUDA, may hang
        return concurrent.futures.ProcessPoolExecutor(self.workers, mp_context=spawn, initializer=_begin)


def _threads() -> int:
    return min(8, available_processors())


def _begin() -> None:
    """Prepare a worker: signals are the trainer's affair, and without the trainer there is nothing to do."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
