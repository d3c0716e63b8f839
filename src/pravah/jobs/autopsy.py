"""What is known when a runner has died: of what, and which entries were in flight.

Only a crash that was witnessed makes suspects (protocol, rule 22): a fatal signal, or a SIGKILL
while the kernel counted another process killed for want of memory. A SIGKILL by itself is a
person's, and says nothing about files.
"""

from __future__ import annotations

import os
import signal
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# One note is a task's number + 1 and an entry's position, 8 bytes each; far more than threads.
_SLOT = struct.Struct("=QQ")
_SLOTS = 1024
_RESERVED = (1 << 64) - 1

# Signals that a process gets for what it does itself.
_FATAL = {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGILL,
    signal.SIGFPE,
    signal.SIGSYS,
    signal.SIGTRAP,
    signal.SIGXCPU,
}
_VMSTAT = Path("/proc/vmstat")
_CGROUP_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Note:
    """An entry in flight: its task and its position in the manifest."""

    task_id: int
    index: int


class Notebook:
    """Memory that is shared with a runner, who notes its entries there, and outlives it."""

    def __init__(self) -> None:
        self._file: IO[bytes]
        if hasattr(os, "memfd_create"):
            self._file = open(os.memfd_create("pravah-notes"), "r+b", buffering=0)  # noqa: SIM115, PTH123 - a descriptor, closed with the runner
        else:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._file.truncate(_SLOT.size * _SLOTS)

    @property
    def fd(self) -> int:
        """The descriptor, for the runner to inherit."""
        return self._file.fileno()

    def read(self) -> tuple[Note, ...]:
        """Give what was noted last; to be read when the runner is gone."""
        content = os.pread(self.fd, _SLOT.size * _SLOTS, 0)
        pairs = _SLOT.iter_unpack(content)
        return tuple(Note(task - 1, index) for task, index in pairs if task not in (0, _RESERVED))

    def close(self) -> None:
        """Give it back."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class Death:
    """How a runner ended: its exit code as `subprocess` gives it, and its last words."""

    code: int
    words: str
    out_of_memory: bool
    notes: tuple[Note, ...] = ()

    @property
    def crashed(self) -> bool:
        """Whether what it worked on may be the reason."""
        return self.out_of_memory or -self.code in _FATAL

    @property
    def killed(self) -> bool:
        """Whether somebody outside ended it."""
        return self.code < 0 and not self.crashed

    @property
    def how(self) -> str:
        """Say it for people."""
        if self.code >= 0:
            how = f"it ended with code {self.code}"
        else:
            how = f"it was killed by {signal.Signals(-self.code).name}"
        if self.out_of_memory:
            how += ", as the system was out of memory"
        return f"{how}: {self.words}" if self.words else how


def out_of_memory_kills() -> int:
    """Count the processes that the kernel has killed here for want of memory."""
    return sum(_counter(path) for path in (_VMSTAT, *_cgroup_files()))


def _counter(path: Path) -> int:
    with suppress(OSError, ValueError):
        for line in path.read_text("ascii").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0


def _cgroup_files() -> list[Path]:
    """Find the counters of this process's own control groups, version 2 and 1."""
    found = []
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text("utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            below = group.lstrip("/")
            if not controllers:
                found.append(_CGROUP_ROOT / below / "memory.events")
            elif "memory" in controllers.split(","):
                found.append(_CGROUP_ROOT / "memory" / below / "memory.oom_control")
    return found
