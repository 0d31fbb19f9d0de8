"""The models of a command, each opened when the first file needs it, so that errors that need none come first."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rdae import container, registry
from rdae.errors import RdaeError, WeightsError

from .report import Failure, describe

if TYPE_CHECKING:
    from rdae.api import Model


class LazyModel:
    """The model that was asked for, or those that files name.

    threads: of torch, from the first opening on; None: as many as torch chooses.
    """

    def __init__(self, weights: str | Path | None, threads: int | None = None) -> None:
        self._weights = weights
        self._threads = threads
        self._by_id: dict[bytes, Model] = {}

    @cached_property
    def opened(self) -> "Model":
        """The model that was asked for, or the default; Failure, which ends the command, if it cannot be had."""
        try:
            return self._open(self._weights)
        except (RdaeError, OSError) as error:
            message = describe(error, self._weights)
            if self._weights is not None and str(self._weights) not in message:
                message = f"{self._weights}: {message}"
            raise Failure(message) from error

    def for_file(self, data: bytes) -> "Model":
        """The model that the bytes of an .rdae file name, of all that are installed, unless one was asked for.

        WeightsError if there is none, or if the one that was asked for is another.
        """
        needed = container.parse(data, max_pixels=None).header.model
        if self._weights is None:
            if needed not in self._by_id:
                self._by_id[needed] = self._open(registry.find_by_id(needed))
            return self._by_id[needed]
        if self.opened.model_id != needed:
            known = registry.name_of(needed)
            hint = f" ({known}, which is installed)" if known else ""
            raise WeightsError(
                f"needs model {needed.hex()}{hint}, but {self.opened.name} is {self.opened.model_id.hex()}"
            )
        return self.opened

    def _open(self, weights: str | Path | None) -> "Model":
        import rdae

        if self._threads is not None:
            import torch

            torch.set_num_threads(self._threads)
        return rdae.open_model(None if weights is None else Path(weights))
