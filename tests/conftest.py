"""What all tests share: few threads, and property tests that a busy machine cannot fail by being slow."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from rdae.networks.model import Model

# For numpy's products of matrices, and PyTorch where it is; also in processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("rdae", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rdae")


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights file of a tiny random model, its manifest beside it."""
    import tiny_model

    return tiny_model.write(tmp_path_factory.mktemp("weights") / "tiny.safetensors")


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> "Model":
    """The tiny random model, loaded."""
    from rdae.networks import weights

    return weights.load(tiny_path, threads=1)  # its networks have nothing to share
