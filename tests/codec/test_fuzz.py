"""Ten thousand hostile files, the same ones each time; and that the machinery notices what it is there to notice."""

import collections
import sys

import fuzz
import pytest
from fuzz import Command, worker_command
from fuzzing import FEW_PIXELS, RECIPES, Mutants, frozen_model, varint

from rdae.codec import container, decode
from rdae.errors import RdaeError
from rdae.networks.model import Model

NUMBER = 10_000
BOX_S = 180.0  # a machine in use by others may not get through in it: then the test says how far it got


@pytest.fixture(scope="module")
def model() -> Model:
    return frozen_model()


@pytest.fixture(scope="module")
def mutants(model: Model) -> Mutants:
    return Mutants(model)


def test_ten_thousand_mutants_end_in_a_picture_or_an_error_of_the_closed_list() -> None:
    report = fuzz.fuzz(NUMBER, worker_command(seed=1), stop_after_s=BOX_S)
    assert report.failures == []
    assert sum(report.outcomes.values()) == report.number
    # Were nearly all refused for one reason, they would test nothing else.
    for outcome in (fuzz.DECODED, *(error.__name__ for error in fuzz.CLOSED_LIST)):
        assert report.outcomes[outcome] > report.number / 500, report.outcomes
    if report.number < NUMBER:
        pytest.skip(f"time box of {BOX_S:.0f} s: {report.number} of {NUMBER} mutants run, none failed")


def test_a_mutant_depends_on_seed_and_number_alone(model: Model, mutants: Mutants) -> None:
    others = Mutants(model)
    forwards = [mutants.mutant(1, index) for index in range(60)]
    assert [others.mutant(1, index) for index in reversed(range(60))] == forwards[::-1]
    assert mutants.mutant(2, 0) != forwards[0]
    assert len({mutant.data for mutant in forwards}) > 50


def test_the_files_that_mutants_start_from_are_sound(model: Model, mutants: Mutants) -> None:
    for base in (*mutants.bases, *mutants.stored):
        picture = decode.decode(base.draft.to_bytes(), model).picture
        assert picture.shape == (base.height, base.width, 3)


def test_each_recipe_is_used_and_reaches_the_inside(model: Model, mutants: Mutants) -> None:
    """Of each, some mutants pass the CRC-32: they end in a picture or are refused for what they say."""
    inside: collections.Counter[str] = collections.Counter()
    for index in range(400):
        mutant = mutants.mutant(3, index)
        try:
            decode.decode(mutant.data, model, max_pixels=FEW_PIXELS)
            inside[mutant.recipe] += 1
        except RdaeError as error:
            inside[mutant.recipe] += "checksum does not match" not in str(error)
    assert set(inside) == {recipe.__name__.strip("_") for _, recipe in RECIPES}
    assert min(inside.values()) >= 3, inside


def test_varints_are_those_of_the_format() -> None:
    for value in (0, 1, 127, 128, 300, 1 << 30, (1 << 63) - 1):
        assert varint(value) == container._varint(value)


def misbehaving(at: int, how: str) -> Command:
    """A process that works through numbers as the real one does, but for one of them."""
    code = f"""
import ctypes, os, sys, time
for index in range(int(sys.argv[1]), int(sys.argv[2])):
    print(index, flush=True)
    if index == {at}:
        {how}
    print(index, "decoded", 0.001, flush=True)
"""
    return lambda start, end: [sys.executable, "-c", code, str(start), str(end)]


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("ctypes.string_at(0)", "status -11"),
        ("os.abort()", "status -6"),
        ("raise KeyError('out of nowhere')", "KeyError"),
        ("os._exit(0)", "status 0"),
        ("time.sleep(60)", "no end after 1.0 s"),
        ("print(index, 'IndexError', 0.001, flush=True); continue", "IndexError"),
        ("print(index, 'decoded', 3.5, flush=True); continue", "took 3.5 s"),
    ],
)
def test_a_crash_a_hang_or_a_strange_error_is_laid_to_its_mutant(how: str, word: str) -> None:
    report = fuzz.fuzz(6, misbehaving(3, how), hang_s=1.0)
    assert report.number == 6
    (failure,) = report.failures
    assert failure.index == 3
    assert word in failure.what
    assert report.outcomes[fuzz.DECODED] >= 5


def test_a_process_that_cannot_start_is_no_mutants_fault() -> None:
    with pytest.raises(RuntimeError, match="does not work"):
        fuzz.fuzz(3, lambda _start, _end: [sys.executable, "-c", "raise SystemExit('broken')"])


def test_a_time_box_says_how_many_were_run() -> None:
    report = fuzz.fuzz(100_000, misbehaving(-1, "pass"), stop_after_s=0.05)
    assert 0 < report.number < 100_000
    assert report.number == report.outcomes[fuzz.DECODED]
