"""Importing the parts of compressai that are used here, also where the whole of it cannot be imported.

The package's own __init__ imports all it has, with torchvision, torch_geometric, pandas and more.  Where one of these
is missing or broken (PyPI's torchvision does not load beside a CPU build of torch), stand-ins take the place of what
brings them, and the rest is imported below those: it wants nothing but torch, numpy and scipy.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

from rdae.errors import MissingExtraError
from rdae.training.stand_ins import forget, stand_in

PACKAGE = "compressai"

TOO_NEW = (3, 13)
"""The first Python that has neither a wheel of compressai nor one of the numpy that it asks for."""


def import_part(name: str, purpose: str) -> Any:
    """Import and return a module of compressai, such as "compressai.entropy_models".

    MissingExtraError without compressai, which says what for (`purpose`) it is needed.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        try:
            return _import_below_stand_ins(name)
        except ImportError as second:
            raise MissingExtraError(f"{purpose} needs compressai ({second}){remedy()}") from error


def remedy() -> str:
    """What to do about it: the extra brings compressai only to the Pythons that it supports."""
    if sys.version_info >= TOO_NEW:
        version = ".".join(map(str, sys.version_info[:2]))
        return f", which is not to be had for Python {version}: use an older one"
    return ": pip install 'rdae[compressai]'"


def _import_below_stand_ins(name: str) -> Any:
    """Import a module without what the packages above it and the registry of data transforms import."""
    if not hasattr(sys.modules.get(PACKAGE), "is_stand_in"):
        forget(PACKAGE)
        package = stand_in(PACKAGE)
        # What an entropy model asks of its package when it is built; it codes nothing by that.
        package.get_entropy_coder = lambda: "ans"
        package.available_entropy_coders = lambda: ["ans"]
        stand_in(f"{PACKAGE}.models")
        # It imports torchvision and torch_geometric for a table of their classes' names.
        transforms: Any = types.ModuleType(f"{PACKAGE}.registry.transforms")
        transforms.TRANSFORMS, transforms.register_transform = {}, lambda _name: lambda cls: cls
        sys.modules[transforms.__name__] = transforms
    try:
        return importlib.import_module(name)
    except ImportError:
        forget(PACKAGE)
        raise
