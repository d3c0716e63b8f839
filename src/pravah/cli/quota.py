"""What control groups leave of this machine to its process: CPUs and memory. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def cpus(root: Path = _ROOT, own: Path = _OWN) -> float:
    """Give the CPUs that this process may use: affinity, or a smaller quota."""
    known = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for group in _groups(root, own) if (quota := _cpu_quota(group)) is not None]
    return min([float(known or 1), *quotas])


def memory_bytes(root: Path = _ROOT, own: Path = _OWN) -> int:
    """Give the memory that this process may use: the machine's, or a smaller limit."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    files = ("memory.max", "memory.limit_in_bytes")
    limits = [_number(group / name) for group in _groups(root, own) for name in files]
    return min([installed, *(limit for limit in limits if limit is not None)])


def _groups(root: Path, own: Path) -> Iterator[Path]:
    """Give this process's groups and those above them, of versions 2 and 1: each may limit."""
    lines = []
    with suppress(OSError):
        lines = own.read_text("utf-8").splitlines()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        places = [root / name for name in controllers.split(",")] if controllers else [root]
        for place in places:
            path = place / group.lstrip("/")
            yield path
            yield from (above for above in path.parents if above.is_relative_to(place))


def _cpu_quota(group: Path) -> float | None:
    with suppress(OSError, ValueError):
        quota, period = (group / "cpu.max").read_text("ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    quota_us, period_us = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and period_us and quota_us > 0 else None


def _number(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        return int(path.read_text("ascii"))
    return None
