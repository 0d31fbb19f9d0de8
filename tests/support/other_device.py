"""A device that is not the CPU, on any machine: tensors "there" keep their numbers on the CPU, and mix with none here.

What goes wrong first on a GPU, a tensor made on the wrong device or used without having been brought over, goes wrong
here too.  The device is called meta, as torch makes tensors there without asking for a driver; inside of
`other_device` they have numbers, and an operation on tensors from both sides is an error, as on a GPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

THERE, HERE = torch.device("meta"), torch.device("cpu")


class There(torch.Tensor):
    """A tensor on the other device, whose numbers are in `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls: type[There], held: Tensor) -> There:  # noqa: PYI034 - as torch has it
        made: There = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=THERE,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise AssertionError("the other device is there inside of other_device() only")


class _Crossing(TorchDispatchMode):
    """Runs every operation on the CPU, and keeps apart which tensors are there."""

    operations = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        leaves = tree_flatten((args, kwargs or {}))[0]
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        asked = [leaf for leaf in leaves if isinstance(leaf, torch.device)]
        theirs = {id(each.held): each for each in tensors if isinstance(each, There)}
        there = bool(theirs)
        if function is torch.ops.aten._has_compatible_shallow_copy_type.default:
            return len(theirs) != 1
        if function is torch.ops.aten.copy_.default:
            there = isinstance(args[0], There)
        elif asked:
            there = asked == [THERE]
        elif theirs and any(not isinstance(each, There) and each.dim() > 0 for each in tensors):
            raise RuntimeError(f"{function} of tensors on two devices")
        self.operations += there
        args, kwargs = tree_map_only(There, lambda tensor: tensor.held, (args, kwargs or {}))
        args, kwargs = tree_map_only(torch.device, lambda _device: HERE, (args, kwargs))
        # Tensors of inference mode could not be wrapped.
        with torch.inference_mode(mode=False), torch.no_grad():
            found = function(*args, **kwargs)
            if not there:
                return found
            return tree_map_only(
                Tensor, lambda held: theirs[id(held)] if id(held) in theirs else There(held), found
            )


@contextmanager
def other_device() -> Iterator[_Crossing]:
    """Inside, tensors on THERE have numbers; the `operations` of what is given counts what was done there."""
    with _Crossing() as crossing:  # type: ignore[no-untyped-call]
        yield crossing
