"""Settings of a run as people write them."""

import dataclasses

import pytest

from rdae.networks.architecture import Architecture
from rdae.training import settings
from rdae.training.config import TrainingConfig


def test_what_is_written_is_read() -> None:
    assert settings.quality_range(None, None) == (0, 800)
    assert settings.quality_range((10.0, 20.0), None) == (80, 160)
    low, high = settings.quality_range(None, 0.004)
    assert low == high
    assert settings.crops("256") == {"crop": 256, "crops": ()}
    assert settings.crops("128:0.3, 192:0.6,256") == {"crop": 256, "crops": ((128, 0.3), (192, 0.6))}
    assert settings.weights(("a=b*=2", "*=0.5")) == (("a=b*", 2.0), ("*", 0.5))
    assert settings.parts(" prior, synthesis,") == ("prior", "synthesis")
    assert settings.parts(None) == ()
    base = Architecture()
    assert settings.sizes(None, base) == base.to_dict()
    assert settings.sizes("latents=320", base) == {**base.to_dict(), "latents": 320}


@pytest.mark.parametrize(
    ("read", "words"),
    [
        (lambda: settings.quality_range(None, 4.0), "expected 0.0004 to 0.4"),
        (lambda: settings.quality_range(None, float("nan")), "expected 0.0004 to 0.4"),
        (lambda: settings.quality_range((20.0, 10.0), None), "20.0 is above 10.0"),
        (lambda: settings.quality_range((20.0, 110.0), None), "expected 0 to 100"),
        (lambda: settings.crops("128:0.3:1,256"), "expected SIDE"),
        (lambda: settings.weights(("a",)), "expected PATTERN=NUMBER"),
        (lambda: settings.weights(("=1",)), "expected PATTERN=NUMBER"),
        (lambda: settings.sizes("depth=3", Architecture()), "expected NAME=NUMBER with a name of"),
    ],
)
def test_what_makes_no_sense_is_a_value_error(read: object, words: str) -> None:
    assert callable(read)
    with pytest.raises(ValueError, match=words.replace("=", ".")):
        read()


def test_a_warm_up_is_no_longer_than_the_run() -> None:
    config = TrainingConfig(data=("a",), steps=10, warmup_steps=10)
    settings.check_warm_up(config)
    settings.check_warm_up(dataclasses.replace(config, steps=None, hours=1.0))  # its steps are not known yet
    with pytest.raises(
        ValueError, match="a warm-up of 11 steps is longer than the run of 10; --warmup-steps"
    ):
        settings.check_warm_up(dataclasses.replace(config, warmup_steps=11))


def test_a_run_goes_on_with_its_settings_wherever_its_data_are_now() -> None:
    saved = TrainingConfig(data=("a",), steps=10, warmup_steps=5)
    settings.check_same(dataclasses.replace(saved, data=("b",), steps=None, hours=2.0), saved)
    with pytest.raises(ValueError, match="The run goes on with batch 16, not 8"):
        settings.check_same(dataclasses.replace(saved, batch=8), saved)
