"""The processes of one training: torch.distributed under torchrun, or one process that has nobody to agree with.

Gradients are averaged by DistributedDataParallel, over NCCL between GPUs and Gloo between CPUs.  What the processes
decide together, the time spent and whether to stop, goes over Gloo as numbers of the host, so that no GPU is waited
for.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import sys
import warnings
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rdae.errors import TrainingError

_kept: list[nn.Module] = []
"""Wrapped models, which must not be freed: that holds Python's lock while it waits for Gloo's thread to end, and the
thread may want the lock to free the tensor of its last sum (seen with torch 2.13 on a busy machine).  So processes of a
group keep their models, and leave by `os._exit`."""


@dataclasses.dataclass(frozen=True)
class Group:
    """One process' place: `rank` of `world`, `local_rank` on its machine.  The default is a process by itself."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """Return this process' own device of a kind: with several GPUs on a machine, each process has one."""
        return f"cuda:{self.local_rank}" if name == "cuda" and self.world > 1 else name

    def rows(self, batch: int) -> range:
        """Return this process' crops of a batch; TrainingError if the batch cannot be divided evenly."""
        if batch % self.world:
            raise TrainingError(f"a batch of {batch} crops cannot be shared evenly by {self.world} processes")
        part = batch // self.world
        return range(self.rank * part, (self.rank + 1) * part)

    def wrap(self, model: nn.Module) -> nn.Module:
        """Return the model as one whose gradients are the mean over all processes."""
        if self.world == 1:
            return model
        # Depthwise weights have an axis of size 1, whose stride is anything.
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        parallel: Any = nn.parallel.DistributedDataParallel
        # Buffers are constants here, not to be sent at each step; newer versions of torch have another name for that.
        known = inspect.signature(parallel.__init__).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
        wrapped = parallel(model, gradient_as_bucket_view=True, **{buffers: False})
        _kept.append(wrapped)
        found: nn.Module = wrapped
        return found

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean over all processes of a tensor on the training device."""
        if self.world > 1:
            dist.all_reduce(values)
            values /= self.world
        return values

    def total(self, numbers: list[float]) -> list[float]:
        """Return the sums over all processes of numbers of the host."""
        if self.world == 1:
            return numbers
        values = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(values)
        found: list[float] = values.tolist()
        return found

    def gathered(self, numbers: list[float]) -> list[list[float]]:
        """Return the numbers of each process, as many from each."""
        if self.world == 1:
            return [numbers]
        mine = torch.tensor(numbers, dtype=torch.float64)
        received = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(received, mine)
        return [one.tolist() for one in received]

    def align(self, tensors: list[Tensor]) -> None:
        """Give all processes the first one's values of these tensors, in place."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def close(self) -> None:
        """Leave the group."""
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def end(self, status: int) -> None:
        """End this process with an exit status, if it is one of several: nothing is freed."""
        if self.world > 1:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def join(device: str) -> Group:
    """Join the group that torchrun describes in the environment; without torchrun, be a group of one.

    device: "cpu" or "cuda", which each process takes its own of.  TrainingError if the group cannot be formed.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1 or "RANK" not in os.environ:
        return Group()
    group = Group(int(os.environ["RANK"]), world, int(os.environ.get("LOCAL_RANK", "0")))
    try:
        if device.startswith("cuda"):
            torch.cuda.set_device(group.device(device))
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    except (RuntimeError, ValueError, AssertionError) as error:
        raise TrainingError(f"process {group.rank} of {world}: {error}".splitlines()[0]) from error
    return group
