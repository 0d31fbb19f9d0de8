"""The models of many files, each opened when the first file needs it, so that errors that need none come first."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rdae.codec.container import Header
from rdae.errors import BatchError, DeviceError, RdaeError, WeightsError, describe
from rdae.networks import registry

if TYPE_CHECKING:
    from rdae.api import Model


class ModelOpener:
    """Opens the model that was asked for, or those that files name, each once.

    model: a name or a weights file; None: that of the tune for what is compressed, else what a file names. tune,
    device, threads: as `rdae.open_model` takes them.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        tune: str | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> None:
        self._asked = model
        self._tune = tune
        self._device = device
        self._threads = threads
        self._by_id: dict[bytes, Model] = {}

    @cached_property
    def chosen(self) -> Model:
        """The model that was asked for, or that of the tune; BatchError if it cannot be had."""
        try:
            return self._open(self._asked, self._tune)
        except BatchError:
            raise
        except (RdaeError, OSError) as error:
            message = describe(error, self._asked)
            if self._asked is not None and str(self._asked) not in message:
                message = f"{self._asked}: {message}"
            raise BatchError(message) from error

    def for_file(self, header: Header) -> Model:
        """The model that an .rdae file's header names, of all that are installed, unless one was asked for.

        WeightsError if there is none, or if the one that was asked for is another; BatchError if that cannot be had.
        """
        needed = header.model
        if self._asked is None:
            if needed not in self._by_id:
                self._by_id[needed] = self._open(registry.find_by_id(needed))
            return self._by_id[needed]
        if self.chosen.model_id != needed:
            known = registry.name_of(needed)
            hint = f" ({known}, which is installed)" if known else ""
            raise WeightsError(
                f"needs model {needed.hex()}{hint}, but {self.chosen.name} is {self.chosen.model_id.hex()}"
            )
        return self.chosen

    def _open(self, name_or_path: str | Path | None, tune: str | None = None) -> Model:
        from rdae import open_model  # which loads the runtime

        try:
            path = None if name_or_path is None else Path(name_or_path)
            return open_model(path, tune=tune, device=self._device, threads=self._threads)
        except DeviceError as error:
            raise BatchError(str(error)) from error  # no file can do without
