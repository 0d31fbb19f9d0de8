"""How many processors this process may use, which in a container is often fewer than the machine has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUPS = "sys/fs/cgroup"

MAX_THREADS = 256
"""Of one network: more help none of ours, and a system that cannot start as many may wait for ever."""

SPINS = "5000"
"""How often a thread of GNU's OpenMP looks for work before it sleeps, where rdae decides."""

SPIN_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""By which a user decides."""


def spin_briefly() -> None:
    """Let threads of OpenMP that wait give their processor away soon; to be called before PyTorch is imported.

    By default they look for work for a millisecond or so. On a processor that something else wants too, a thread that
    others wait for then often stands behind one that waits for it, and training takes ten times as long. Where all
    processors are free, SPINS is as fast as the default; not to spin at all (OMP_WAIT_POLICY=passive) is slower.
    """
    if not any(name in os.environ for name in SPIN_VARIABLES):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def available_processors(root: Path = Path("/")) -> int:
    """The processors that this process may run on, or as many as the quota of its control group is worth, if fewer.

    root: where the system's files are, for tests.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    count = (os.cpu_count() or 1) if affinity is None else len(affinity(0))
    # One and a half processors are worth two threads: the one too many costs less than half a processor that idles.
    return max(1, min([count, *map(math.ceil, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Processors' worth of time that each control group of this process, and each above it, allows."""
    for hierarchy, controllers, path in _memberships(root / "proc/self/cgroup"):
        if hierarchy == "0":  # version 2
            mount = root / CGROUPS
        elif "cpu" in controllers:
            mount = root / CGROUPS / "cpu"
        else:
            continue
        # In a container the path may be that of the host, where nothing is found: then only the mount's own counts.
        for folder in (path, *path.parents):
            group = mount / folder.relative_to("/")
            quota = _quota_2(group) if hierarchy == "0" else _quota_1(group)
            if quota is not None:
                yield quota


def _memberships(file: Path) -> Iterator[tuple[str, list[str], PurePosixPath]]:
    """The lines "hierarchy:controllers:path" of /proc/self/cgroup."""
    for line in _text(file).splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        outside = not path.startswith("/") or ".." in PurePosixPath(path).parts  # of what is mounted here
        yield hierarchy, controllers.split(","), PurePosixPath("/" if outside else path)


def _quota_2(group: Path) -> float | None:
    """Of version 2: "quota period" in microseconds, or "max period"."""
    quota, _, period = _text(group / "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_1(group: Path) -> float | None:
    """Of version 1: a file each, with a quota of -1 if there is none."""
    return _ratio(_text(group / "cpu.cfs_quota_us").strip(), _text(group / "cpu.cfs_period_us").strip())


def _ratio(quota: str, period: str) -> float | None:
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return int(quota) / int(period)


def _text(file: Path) -> str:
    """What a file says; nothing if there is none, or none that may be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
