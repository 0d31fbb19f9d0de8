"""rdae.networks.architecture: what a weights file may say of its sizes."""

import dataclasses
import json
from typing import Any

import pytest

from rdae.networks.architecture import TINY, Architecture


def test_an_architecture_survives_json() -> None:
    for architecture in (TINY, Architecture()):
        assert Architecture.from_dict(json.loads(json.dumps(architecture.to_dict()))) == architecture


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fine": 0}, "fine is 0"),
        ({"fine": 193}, "fine is 193"),
        ({"latents": 18}, "latents is 18"),
        ({"latents": 0}, "latents is 0"),
        ({"latents": 68}, "latents is 68"),
        ({"hyper_latents": 0}, "hyper_latents"),
        ({"context_width": -1}, "context_width is -1"),
        ({"analysis_fine": 4097}, "analysis_fine is 4097"),
        ({"hyper_width": 8.0}, r"hyper_width is 8\.0"),
        ({"hyper_width": "8"}, "hyper_width is '8'"),
        ({"context_trunks": 2}, "context_trunks is 2"),
        ({"hyper_width": None}, "hyper_width is None"),
    ],
)
def test_sizes_that_make_no_network_are_a_value_error(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Architecture.from_dict(TINY.to_dict() | change)


def test_a_field_too_few_or_too_many_is_a_value_error() -> None:
    fields = TINY.to_dict()
    for wrong in (fields | {"depth": 3}, {k: v for k, v in fields.items() if k != "fine"}, {}):
        with pytest.raises(ValueError, match="architecture has fields"):
            Architecture.from_dict(wrong)


def test_older_weights_do_not_state_all_of_the_context_model() -> None:
    fields = TINY.to_dict()
    assert (fields.pop("context_deeper"), fields.pop("context_trunks")) == (0, 1)
    assert Architecture.from_dict(fields) == TINY


def test_blocks_may_be_left_out() -> None:
    assert dataclasses.replace(TINY, analysis_fine=0, synthesis_coarse=0).analysis_fine == 0
