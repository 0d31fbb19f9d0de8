"""Importing a part of a package whose own __init__ cannot be run, because it imports more than the part needs.

PyPI's torchvision, for one, does not load beside a CPU build of torch, and packages import it for what stays unused.
"""

from __future__ import annotations

import importlib.machinery
import sys
import types
from typing import Any


def stand_in(name: str) -> Any:
    """Put a module in the place of a package, whose modules it finds but whose __init__ never runs.

    The packages above must be loaded, or stand-ins too. ModuleNotFoundError if there is no such package.
    """
    parent, _, _ = name.rpartition(".")
    path = sys.modules[parent].__path__ if parent else None
    spec = importlib.machinery.PathFinder.find_spec(name, path)
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    package: Any = types.ModuleType(name)
    package.__spec__, package.__path__ = spec, list(spec.submodule_search_locations)
    package.is_stand_in = True
    sys.modules[name] = package
    return package


def forget(package: str) -> None:
    """Take a package and its modules out of those that are loaded."""
    for loaded in [module for module in sys.modules if module.split(".")[0] == package]:
        del sys.modules[loaded]
