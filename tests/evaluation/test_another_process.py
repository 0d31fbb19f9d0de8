import sys

import pytest

from rdae.errors import ResultsError
from rdae.evaluation.another_process import ask

REPLY = """
import sys
from rdae.errors import ResultsError
from rdae.evaluation.another_process import answer
def reply(question):
    if question["fail"]:
        raise ResultsError("no answer to that")
    return {"double": 2 * question["number"]}
sys.exit(answer(reply))
"""
COMMAND = (sys.executable, "-c", REPLY)


def test_what_a_process_answers_is_what_its_function_returns() -> None:
    assert ask(COMMAND, {"number": 21, "fail": False}, "doubling") == {"double": 42}


def test_an_error_there_is_one_line_here_that_says_what_was_being_done() -> None:
    with pytest.raises(ResultsError, match=r"^doubling failed: no answer to that$"):
        ask(COMMAND, {"fail": True}, "doubling")
    with pytest.raises(ResultsError, match=r"^doubling failed: no message$"):
        ask((sys.executable, "-c", "raise SystemExit(3)"), {}, "doubling")
