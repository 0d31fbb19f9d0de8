"""Training: objective, data, optimiser, trainer, export.  Nothing that decodes a file imports this."""

from __future__ import annotations

from rdae.errors import MissingExtraError


def need_packages(purpose: str) -> None:
    """MissingExtraError, which says what for (`purpose`), unless PyTorch is here."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        raise missing(error, purpose) from error


def missing(error: ModuleNotFoundError, purpose: str) -> MissingExtraError:
    """Say which command brings a package of the extra `train`; what is missing of rdae itself is a bug and raised."""
    if error.name is None or error.name.split(".")[0] == "rdae":
        raise error
    return MissingExtraError(f"{purpose} needs {error.name}: pip install 'rdae[train]'")
