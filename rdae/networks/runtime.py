"""Sessions of ONNX Runtime on a model's graphs: opened when first needed, shared by threads, opened anew after a fork.

Nothing that decides how a file is read rests on promises of the runtime, which makes none: the prior's graphs hold
integers whose sums float32 computes exactly in any order, and `check` tries that here before a model is used.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rdae.networks import memory, onnx_runtime
from rdae.networks.devices import Device

if TYPE_CHECKING:
    import onnxruntime

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class KnownNumbers:
    """Integers that anyone can make again: number i is (factor * i mod modulus) - offset."""

    factor: int
    modulus: int
    offset: int

    def array(self, *shape: int) -> npt.NDArray[np.int64]:
        """Return as many as an array of such a shape holds."""
        numbers = np.arange(np.prod(shape), dtype=np.int64) * self.factor % self.modulus - self.offset
        return numbers.reshape(shape)


CHECK_CHANNELS, CHECK_SIDE = 64, 16
CHECK_INPUT = KnownNumbers(37, 4096, 0)
CHECK_MIX = KnownNumbers(53, 301, 75)
CHECK_SPREAD = KnownNumbers(71, 1201, 400)
"""What the graph `check` convolves: its sums come close to 2^24, with all bits in use.

The input has 12 bits, so that not only bfloat16's 8 are too few but TF32's and float16's 11, too.
"""


class Graph:
    """One graph of a model, and its session."""

    def __init__(
        self,
        read: Callable[[], tuple[bytes, Mapping[str, Array]]],
        threads: int,
        device: Device,
        was_read: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to open a graph.

        read: returns the graph and the tensors that it needs, by name; called when a session is opened.  was_read:
        called when the session has made of the tensors what it needs.
        threads: that share the work of one operation.
        """
        self._read, self._was_read = read, was_read
        self._threads, self._device = threads, device
        self._session: onnxruntime.InferenceSession | None = None
        self._held: list[Any] = []  # arrays that the session reads as long as it lives
        self._lock = threading.Lock()
        _graphs.add(self)

    def run(self, **inputs: Array) -> list[npt.NDArray[Any]]:
        """Compute all outputs from all inputs; MemoryError if there is no room for it."""
        session = self._opened()
        try:
            found: list[npt.NDArray[Any]] = session.run(None, inputs)
        except Exception as error:
            if memory.is_short(error):
                raise MemoryError(str(error)) from error
            raise
        return found

    def open(self) -> None:
        """Open the session now, if it is not open."""
        self._opened()

    @property
    def is_open(self) -> bool:
        """Whether the session is open."""
        return self._session is not None

    def _opened(self) -> onnxruntime.InferenceSession:
        session = self._session
        if session is None:
            with self._lock:
                session = self._session
                if session is None:
                    session = self._session = self._new_session()
        return session

    def _new_session(self) -> onnxruntime.InferenceSession:
        runtime = onnx_runtime.load()
        graph, tensors = self._read()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Freed memory goes back to the C library, which `memory` tells to keep what it will be asked for again: the
        # arenas of many sessions would each keep their own, and grow by doubling.
        memory.keep_freed()
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.log_severity_level = 3  # errors, which are raised anyway: warnings go to stderr past Python
        # Threads that wait by spinning take the processor from the Python code between two graphs.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if tensors:
            values = [runtime.OrtValue.ortvalue_from_numpy(tensor) for tensor in tensors.values()]
            options.add_external_initializers(list(tensors), values)
            self._held = [values, tensors]
        providers = self._device.providers
        session: onnxruntime.InferenceSession = runtime.InferenceSession(graph, options, providers=providers)
        self._was_read()
        memory.give_back()  # what folding constants has left
        return session

    def forget(self) -> None:
        """Be as if never opened, in a child after a fork, which has none of the session's threads."""
        if self._session is not None:
            _immortal(self._session)  # its end would wait for them
        self._session = None
        self._lock = threading.Lock()


def open_ahead(wanted: Sequence[Graph]) -> None:
    """Begin to open graphs in their order, while the caller goes on, and waits only for the one that it runs next.

    What goes wrong is raised to whoever runs the graph.
    """
    with _ahead:
        closed = [graph for graph in wanted if not (graph.is_open or graph in _being_opened)]
        if not closed or _ending():
            return
        # No daemon: at the interpreter's end it would be stopped within the runtime, which aborts the process.
        opener = threading.Thread(target=_open_all, args=(closed,), name="rdae opens graphs")
        with contextlib.suppress(RuntimeError):  # where there may be no more threads, the caller opens them
            opener.start()
            _openers.add(opener)
            _being_opened.update(closed)


def _open_all(wanted: Sequence[Graph]) -> None:
    try:
        with contextlib.suppress(Exception):
            for graph in wanted:
                if _ending() or _forks:
                    break
                graph.open()
    finally:
        with _ahead:
            _being_opened.difference_update(wanted)
            _openers.discard(threading.current_thread())


def _ending() -> bool:
    """Whether the program waits for its last threads to end."""
    return not threading.main_thread().is_alive()


_ahead = threading.RLock()  # guards what is below
_openers: set[threading.Thread] = set()
_being_opened: weakref.WeakSet[Graph] = weakref.WeakSet()
_forks = 0  # that are being made


def _hold_openers() -> None:
    """Before a fork: let the openers end and begin no other, as nobody would release the runtime's locks in the child.

    Python ignores what is raised here, such as by Ctrl-C, and forks all the same: what comes after relies on nothing.
    """
    global _forks  # noqa: PLW0603
    with _ahead:
        _forks += 1
    while True:
        _ahead.acquire()
        waited_for = [opener for opener in _openers if opener.is_alive()]
        if not waited_for:
            return
        _ahead.release()
        for opener in waited_for:
            opener.join()


def _go_on() -> None:
    """After a fork, in the parent."""
    global _forks  # noqa: PLW0603
    with _ahead:
        _forks = max(0, _forks - 1)
    with contextlib.suppress(RuntimeError):  # it is not held
        _ahead.release()


_graphs: weakref.WeakSet[Graph] = weakref.WeakSet()


def _forget_all() -> None:
    """After a fork, in the child, where no other thread is left."""
    global _ahead, _forks
    _ahead, _forks = threading.RLock(), 0  # whoever held the lock is gone
    _openers.clear()
    _being_opened.clear()
    for graph in list(_graphs):
        graph.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_openers, after_in_parent=_go_on, after_in_child=_forget_all)


def _immortal(thing: object) -> None:
    """Never destroy an object."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def check(graph: Graph) -> None:
    """Raise ArithmeticError unless the graph `check` gives the sums that integers give.

    Settings from outside of Python could make float32 products inexact, and then an encoder would write files that
    decode nowhere else.
    """
    x = CHECK_INPUT.array(1, CHECK_CHANNELS, CHECK_SIDE, CHECK_SIDE)
    mixed, spread = graph.run(x=x.astype(np.float32))
    expected_mixed, expected_spread = _expected_sums()
    if not (np.array_equal(mixed[0], expected_mixed) and np.array_equal(spread[0], expected_spread)):
        raise ArithmeticError(
            "float32 products are computed at lower precision here, so files could not be decoded elsewhere"
        )


@cache
def _expected_sums() -> Sequence[npt.NDArray[np.int64]]:
    """What a 1x1 and a depthwise 3x3 convolution give, zeros around: (channels, side, side) each."""
    x = CHECK_INPUT.array(CHECK_CHANNELS, CHECK_SIDE, CHECK_SIDE)
    # In float64, whose product of matrices is quick, and exact for sums below 2^53.
    mixed = CHECK_MIX.array(CHECK_CHANNELS, CHECK_CHANNELS).astype(np.float64) @ x.reshape(CHECK_CHANNELS, -1)
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    spread = (windows * CHECK_SPREAD.array(CHECK_CHANNELS, 1, 1, 3, 3)).sum(axis=(3, 4))
    return mixed.astype(np.int64).reshape(x.shape), spread
