"""rdae.networks.runtime: exact or refused, and at work in threads, in children of a fork and in other processes."""

import importlib.util
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny_model

from rdae.api import Model
from rdae.errors import WeightsError
from rdae.networks import graphs, runtime, weights
from rdae.networks import model as networks
from rdae.networks.runtime import Graph

LIMIT_S = 600.0
"""For programs that take a second or two, on a machine in use: what hangs, hangs for ever."""

Array = npt.NDArray[Any]


def rounded_to(bits: int, x: Array) -> Array:
    """float32 with so many bits of the 23 behind the point left, the nearest: 7 for bfloat16, 10 for TF32."""
    if x.dtype != np.float32:
        return x
    unit = np.uint32(1 << (23 - bits))
    return ((np.ascontiguousarray(x).view(np.uint32) + unit // 2) & ~(unit - np.uint32(1))).view(np.float32)


@pytest.mark.parametrize("bits", [7, 10], ids=["bfloat16", "TF32"])
def test_a_runtime_that_computes_at_lower_precision_is_refused(
    bits: int, tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Graph.run

    def inexact(graph: Graph, **inputs: Array) -> list[Array]:
        return exact(graph, **{name: rounded_to(bits, value) for name, value in inputs.items()})

    weights.load(tiny_path)
    monkeypatch.setattr(Graph, "run", inexact)
    with pytest.raises(WeightsError, match="float32 products are computed at lower precision here"):
        weights.load(tiny_path)


@pytest.mark.parametrize("output", [0, 1])
def test_one_wrong_sum_is_enough(tiny: networks.Model, output: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 1x1 convolution, which is the first output, and of the depthwise one."""
    exact = Graph.run

    def inexact(graph: Graph, **inputs: Array) -> list[Array]:
        found = exact(graph, **inputs)
        found[output][0, 5, 3, 2] += 1
        return found

    check = tiny.graphs[graphs.CHECK]
    runtime.check(check)
    monkeypatch.setattr(Graph, "run", inexact)
    with pytest.raises(ArithmeticError):
        runtime.check(check)


def test_the_check_s_sums_need_most_of_the_bits_of_float32_and_no_more() -> None:
    channels, side = runtime.CHECK_CHANNELS, runtime.CHECK_SIDE
    for sums in runtime._expected_sums():
        assert np.abs(sums).max() > 2**23
        assert (sums % 2).any()
    # In whatever order they are summed, nothing is lost on the way.
    x = np.abs(runtime.CHECK_INPUT.array(channels, side, side))
    mix = np.abs(runtime.CHECK_MIX.array(channels, channels))
    assert (mix @ x.reshape(channels, -1)).max() < 2**24
    spread = np.abs(runtime.CHECK_SPREAD.array(channels, 1, 1, 3, 3))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2)
    )
    assert (windows * spread).sum(axis=(3, 4)).max() < 2**24


def test_graphs_open_when_they_are_needed(tiny_path: Path) -> None:
    model = weights.load(tiny_path, threads=1)

    def opened() -> set[str]:
        return {name for name, graph in model.graphs.items() if graph._session is not None}

    assert opened() == {graphs.CHECK}
    y64 = np.zeros((model.architecture.latents, 1, 1), np.int32)
    list(model.transforms.synthesise([y64], 0))
    assert opened() == {graphs.CHECK, "synthesis", "levels.1"}


def wait_for_openers() -> None:
    for opener in list(runtime._openers):
        opener.join()


def in_order_of_opening(model: networks.Model) -> list[str]:
    """A list to which each graph's name is added when it is read, to be opened."""
    order: list[str] = []

    def noted(name: str, read: Callable[[], Any]) -> Callable[[], Any]:
        def noting() -> Any:
            order.append(name)
            return read()

        return noting

    for name, graph in model.graphs.items():
        graph._read = noted(name, graph._read)
    return order


def test_graphs_open_ahead_in_their_order_while_others_go_on(tiny_path: Path) -> None:
    model = weights.load(tiny_path, threads=2)
    order = in_order_of_opening(model)
    first, second, *_ = graphs.DECODING
    with model.graphs[second]._lock:  # as if another thread were opening it
        model.open_ahead(graphs.DECODING)
        z = np.zeros(model.prior.z_shape((1, 1)), np.int32)
        model.prior.begin(z, 0, (1, 1))  # which the first graph computes
        assert order == [first]
    wait_for_openers()
    assert order == list(graphs.DECODING)
    assert all(model.graphs[name].is_open for name in graphs.DECODING)
    model.open_ahead(graphs.DECODING)
    wait_for_openers()
    assert order == list(graphs.DECODING)


def test_one_thread_opens_nothing_ahead(tiny_path: Path) -> None:
    model = weights.load(tiny_path, threads=1)
    model.open_ahead(graphs.DECODING)
    wait_for_openers()
    assert not model.graphs["synthesis"].is_open


def test_a_graph_that_cannot_be_opened_is_told_to_whoever_runs_it(
    tiny_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = weights.load(tiny_path, threads=2)

    def damaged() -> tuple[bytes, dict[str, Array]]:
        raise WeightsError("this one is damaged")

    model.graphs["synthesis"]._read = damaged
    model.open_ahead(graphs.DECODING)
    wait_for_openers()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(WeightsError, match="this one is damaged"):
        list(model.transforms.synthesise([np.zeros((model.architecture.latents, 1, 1), np.int32)], 0))


def test_without_another_thread_the_caller_opens_what_it_runs(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_for_openers()  # of other tests
    model = weights.load(tiny_path, threads=2)

    def refused(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refused)
    model.open_ahead(graphs.DECODING)
    assert not runtime._openers
    list(model.transforms.synthesise([np.zeros((model.architecture.latents, 1, 1), np.int32)], 0))
    assert model.graphs["synthesis"].is_open


def test_what_is_being_opened_is_not_opened_by_another(tiny_path: Path) -> None:
    wait_for_openers()  # of other tests
    model = weights.load(tiny_path, threads=2)
    with model.graphs[graphs.DECODING[0]]._lock:
        model.open_ahead(graphs.DECODING)
        model.open_ahead(graphs.DECODING)
        assert len(runtime._openers) == 1
    wait_for_openers()
    assert not runtime._openers
    assert all(model.graphs[name].is_open for name in graphs.DECODING)


@pytest.mark.parametrize(
    ("work", "names"),
    [
        (lambda model, data, _: model.decompress(data), graphs.DECODING),
        (lambda model, data, _: model.decompress(data, exact=True), graphs.VERIFYING),
        (lambda model, _, picture: model.compress(picture, effort=0, exact=False), graphs.ENCODING),
        (lambda model, _, picture: model.compress(picture, effort=1, exact=False), graphs.SEARCHING),
    ],
)
def test_what_is_opened_ahead_is_what_is_run_in_this_order(
    work: Callable[[Model, bytes, Array], object], names: tuple[str, ...], tiny_path: Path
) -> None:
    """With one thread, which opens each graph when it is first run."""
    picture = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    data = Model(weights.load(tiny_path, threads=1)).compress(picture, effort=0, exact=False)
    loaded = weights.load(tiny_path, threads=1)
    order = in_order_of_opening(loaded)
    work(Model(loaded), data, picture)
    assert tuple(order) == names


def test_a_model_uses_the_processors_there_are_unless_told_otherwise(
    tiny_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "available_processors", lambda: 3)
    assert weights.load(tiny_path).source.threads == 3
    assert weights.load(tiny_path, threads=2).source.threads == 2


PROLOGUE = """
import copy, multiprocessing, os, pickle, sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import numpy as np
import rdae
PICTURE = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
MODEL = rdae.open_model({path!r}, threads={threads})
def through(number):
    quality = 10 + 10 * (number % 5)
    data = MODEL.compress(PICTURE, quality, effort=0)
    return data, MODEL.decompress(data).tobytes()
"""


def run(code: str) -> str:
    """What a program prints; it fails if the program fails or does not end."""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def run_with_model(path: Path, code: str, threads: int = 2) -> str:
    """What a program prints that has a model and `through`, which takes a picture through a file, in its module."""
    return run(PROLOGUE.format(path=str(path), threads=threads) + textwrap.dedent(code))


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@forks
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_model_of_a_module_works_in_a_forked_pool(tiny_path: Path, threads: int, used: bool) -> None:
    code = f"""
    if {used}:
        through(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(through, range(10))
    assert found == [through(number) for number in range(10)]
    print("same")
    """
    assert run_with_model(tiny_path, code, threads) == "same"


@forks
def test_a_model_of_a_module_works_in_a_pool_of_processes(tiny_path: Path) -> None:
    code = """
    expected = [through(number) for number in range(6)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(through, range(6))) == expected
    print("same")
    """
    assert run_with_model(tiny_path, code) == "same"


@forks
def test_a_child_of_a_child_works_and_so_does_a_fork_amid_work(tiny_path: Path) -> None:
    """While another thread computes, and may hold locks that nobody will ever give back in the child."""
    code = """
    expected = through(1)
    def child(depth):
        if depth and os.fork() == 0:
            child(depth - 1)
            os._exit(0 if through(1) == expected else 1)
        if depth:
            assert os.wait()[1] == 0
    with ThreadPoolExecutor(2) as pool:
        busy = [pool.submit(through, number) for number in range(40)]
        for _ in range(4):
            child(2)
        assert through(1) == expected
        for each in busy:
            each.result()
    print("all")
    """
    assert run_with_model(tiny_path, code) == "all"


@forks
def test_a_child_opens_its_sessions_anew(tiny_path: Path) -> None:
    """It has none of the threads that the parent's sessions share their work among; the parent keeps its own."""
    code = """
    through(1)
    before = {name: graph._session for name, graph in MODEL.loaded.graphs.items()}
    assert sum(session is not None for session in before.values()) > 10
    child = os.fork()
    if child == 0:
        forgotten = all(graph._session is None for graph in MODEL.loaded.graphs.values())
        os._exit(0 if forgotten else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert all(graph._session is before[name] for name, graph in MODEL.loaded.graphs.items())
    print("anew")
    """
    assert run_with_model(tiny_path, code) == "anew"


@forks
@pytest.mark.parametrize("holder", ["MODEL.loaded.graphs['synthesis']._lock", "rdae.api._lock"])
def test_a_fork_while_another_thread_opens_something_leaves_a_child_that_works(
    tiny_path: Path, holder: str
) -> None:
    """Whatever that thread has locked, nobody would ever give back in the child."""
    code = f"""
    import signal, threading
    locked, finished = threading.Event(), threading.Event()
    def open_slowly():
        with {holder}:
            locked.set()
            finished.wait()
    thread = threading.Thread(target=open_slowly)
    thread.start()
    locked.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        through(1)
        rdae.compress(PICTURE, 10, effort=0)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    finished.set()
    thread.join()
    print(status)
    """
    assert run_with_model(tiny_path, code) == "0"


@forks
def test_ctrl_c_during_a_fork_leaves_a_child_that_works(tiny_path: Path) -> None:
    """Python ignores what is raised before a fork, and goes on."""
    code = """
    import signal, threading
    from rdae.networks import graphs, runtime
    through(1)
    class Slow(threading.Thread):
        def join(self, timeout=None):
            raise KeyboardInterrupt
    waited_for = Slow(target=threading.Event().wait, args=(2,))
    waited_for.start()
    runtime._openers.add(waited_for)
    sys.unraisablehook = lambda _: None
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        through(1)
        MODEL.loaded.open_ahead(graphs.SEARCHING)
        for opener in [*runtime._openers]:
            opener.join()
        os._exit(0 if all(MODEL.loaded.graphs[name].is_open for name in graphs.SEARCHING) else 1)
    print(os.waitpid(child, 0)[1])
    runtime._openers.discard(waited_for)
    through(1)
    """
    assert run_with_model(tiny_path, code) == "0"


@forks
def test_a_fork_waits_for_one_graph_and_not_for_all(tiny_path: Path) -> None:
    """And the next work goes on to open them."""
    code = """
    import time
    from rdae.networks import graphs, runtime
    order = []
    def slowly(graph, read):
        def again():
            order.append(graph)
            time.sleep(0.3)
            return read()
        return again
    for graph in MODEL.loaded.graphs.values():
        graph._read = slowly(graph, graph._read)
    MODEL.loaded.open_ahead(graphs.SEARCHING)
    while not order:
        time.sleep(0.01)
    if os.fork() == 0:
        os._exit(0)
    assert os.wait()[1] == 0
    print(len(order) < len(graphs.SEARCHING))
    MODEL.loaded.open_ahead(graphs.DECODING)
    for opener in [*runtime._openers]:
        opener.join()
    assert all(MODEL.loaded.graphs[name].is_open for name in graphs.DECODING)
    """
    assert run_with_model(tiny_path, code) == "True"


def test_a_program_may_end_while_graphs_are_opened(tiny_path: Path) -> None:
    code = """
    from rdae.networks import graphs
    MODEL.loaded.open_ahead(graphs.SEARCHING)
    print("end")
    """
    assert run_with_model(tiny_path, code) == "end"


def test_threads_share_a_model(tiny_path: Path) -> None:
    """Also when the first use of each graph is by several at once."""
    code = """
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(through, range(40)))
    assert found == [through(number) for number in range(40)]
    print("same")
    """
    assert run_with_model(tiny_path, code) == "same"


@pytest.mark.parametrize(
    "again", ["pickle.loads(pickle.dumps(MODEL))", "copy.deepcopy(MODEL)", "copy.copy(MODEL)"]
)
@pytest.mark.parametrize("used", [False, True], ids=["unused", "used"])
def test_a_model_can_be_pickled_and_copied(tiny_path: Path, again: str, used: bool) -> None:
    code = f"""
    if {used}:
        through(1)
    other = {again}
    data, pixels = through(1)
    assert other.compress(PICTURE, 20, effort=0) == data
    assert other.decompress(data).tobytes() == pixels
    assert other.loaded.source == MODEL.loaded.source
    print(len(pickle.dumps(MODEL)) < 2000)
    """
    assert run_with_model(tiny_path, code) == "True"


def test_a_pickled_model_works_in_a_process_that_was_started_afresh(tiny_path: Path, tmp_path: Path) -> None:
    store = f"from pathlib import Path; stored = Path({str(tmp_path / 'stored')!r})\n"
    run_with_model(tiny_path, store + "stored.write_bytes(pickle.dumps((MODEL, through(1))))")
    code = "import pickle; model, (data, pixels) = pickle.loads(stored.read_bytes())\n"
    assert run(store + code + "print(model.decompress(data).tobytes() == pixels)") == "True"


def test_a_pickled_model_of_which_the_file_changed_is_refused(tmp_path: Path) -> None:
    path = tiny_model.write(tmp_path / "changing.safetensors", seed=1)
    model = weights.load(path)
    pickled = pickle.dumps(model)
    assert pickle.loads(pickled).sha256 == model.sha256  # noqa: S301 - just made
    tiny_model.write(path, seed=2)
    with pytest.raises(
        WeightsError, match=rf"changing\.safetensors: is [0-9a-f]{{8}} now, and was {model.sha256[:8]}"
    ):
        pickle.loads(pickled)  # noqa: S301


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: pip install -e '.[train]'"
)
def test_settings_of_pytorch_do_not_matter(tiny_path: Path) -> None:
    """A host program's inference mode, default type and device, and precision, at the first call of all."""
    code = """
    import torch
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_float32_matmul_precision("medium")
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        inside = through(1)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device("cpu")
    assert inside == through(1)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(through, [1]) == [inside]
    print("same")
    """
    assert run_with_model(tiny_path, code) == "same"


@pytest.mark.parametrize("said", [None, "0"])
def test_the_runtime_reports_nothing_and_leaves_nothing_at_home(
    said: str | None, tiny_path: Path, tmp_path: Path
) -> None:
    """Unless it was told to before; a number of the machine and a database are what ONNX Runtime 1.29 leaves."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    silencing = {"CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME"}
    env = {name: value for name, value in os.environ.items() if name not in silencing}
    env |= {"HOME": str(home), "TMPDIR": str(temporary)} | (
        {} if said is None else {"ORT_DISABLE_TELEMETRY": said}
    )
    code = f"""
        import os, numpy, rdae
        model = rdae.open_model({str(tiny_path)!r})
        noise = numpy.random.default_rng(0).integers(0, 256, (64, 64, 3), numpy.uint8)
        model.decompress(model.compress(noise, exact=False))
        print(os.environ["ORT_DISABLE_TELEMETRY"])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=env,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT_S,
    )
    assert done.stdout.strip() == (said or "1")
    if said is None:
        assert [*home.iterdir(), *temporary.iterdir()] == []
