"""The models of a command, each opened when the first file needs it, so that errors that need none come first.

Here too are the options that say which model, and on which device.
"""

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rdae.codec import container
from rdae.errors import DeviceError, RdaeError, WeightsError
from rdae.networks import devices, registry

from .report import Failure, describe

if TYPE_CHECKING:
    from rdae.api import Model


MODEL_HELP = "An installed model's name (see rdae models) or a weights file."


def model_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of commands that run one model: `model`, a Path or None."""
    return click.option(
        "--model",
        metavar="NAME|PATH",
        type=click.Path(path_type=Path),
        help=f"{MODEL_HELP}  [default: rdae-base]",
    )(command)


def _device_name(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and not devices.NAMES.fullmatch(value):
        raise click.BadParameter(f"{value!r}, expected cpu, cuda, or cuda:1 and so on.")
    return value


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option of all that run a model: `device`."""
    return click.option(
        "--device",
        metavar="NAME",
        envvar=devices.VARIABLE,
        show_envvar=True,
        callback=_device_name,
        help="cpu, cuda, or cuda:1 and so on: where the networks run. Files decode to the same latents on each.  "
        "[default: cpu]",
    )(command)


class LazyModel:
    """The model that was asked for, or those that files name.

    threads: of torch, from the first opening on; None: as many as torch chooses.  device: as `devices.find` takes it.
    """

    def __init__(
        self, weights: str | Path | None, threads: int | None = None, device: str | None = None
    ) -> None:
        self._weights = weights
        self._threads = threads
        self._device = device
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
        with _uncollected():
            import rdae

            if self._threads is not None:
                import torch

                torch.set_num_threads(self._threads)
            try:
                return rdae.open_model(None if weights is None else Path(weights), device=self._device)
            except DeviceError as error:
                raise Failure(str(error)) from error  # no file of this command can do without


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Do not look for garbage while torch is imported.

    What it brings stays, and going through all of it time and again takes a tenth of a second or two.  Nor is it gone
    through later.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
