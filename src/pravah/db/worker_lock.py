"""The file lock behind the leases of an embedded ledger.

A worker holds an exclusive `flock`; its runner inherits the descriptor, and nobody else does.
So the lock is gained by another process only when worker and runner are both dead: taking over
means the lock gained. Nothing here talks to a database.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pravah.errors import LedgerError
from pravah.model.ids import new_id

SUFFIX = ".lock"
# How long a killed process may take to free its memory and descriptors.
DYING_S = 2.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """What tells a process from a later one that got its pid."""

    pid: int
    started_ticks: int | None
    boot_id: str | None

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """Look at a process; what the system does not tell is None."""
        return cls(pid, _started_ticks(pid), _boot_id())


class WorkerLock:
    """A held lock: this process is the worker of that id."""

    def __init__(self, worker_id: str, path: Path, fd: int) -> None:
        self.worker_id = worker_id
        self.path = path
        self.fd = fd

    @classmethod
    def create(cls, directory: Path) -> WorkerLock:
        """Make a new worker's lock file and hold its lock."""
        worker_id = new_id()
        path = directory / f"{worker_id}{SUFFIX}"
        fresh = path.with_suffix(".new")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Named only when held: a lock that can be gained has no living holder.
            fresh.rename(path)
        except OSError as error:
            raise LedgerError(
                f"can't make the lock file {path}",
                kind="ledger_read_only",
                causes=(f"{error.strerror} (errno {error.errno})",),
                hint="PRAVAH_HOME chooses another data directory",
            ) from error
        return cls(worker_id, path, fd)

    def remove(self) -> None:
        """Give up the lock and its file; a second call does nothing."""
        if self.fd >= 0:
            self.path.unlink(missing_ok=True)
            os.close(self.fd)
            self.fd = -1


def gain(path: Path) -> int | None:
    """Try to gain the lock of another worker: a descriptor means that its processes are gone.

    A lock file that was removed belongs to nobody any more; it is made again to be gained.
    """
    with suppress(OSError):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd
    return None


def gain_soon(path: Path) -> int | None:
    """Try to gain the lock of a worker that was just killed: its processes need a moment to go."""
    give_up_s = time.monotonic() + DYING_S
    while (fd := gain(path)) is None and time.monotonic() < give_up_s:
        time.sleep(0.02)
    return fd


def kill(identity: ProcessIdentity) -> bool:
    """Kill a hung worker, if the process of that pid is still the one that was recorded."""
    if identity.boot_id != _boot_id() or not hasattr(os, "pidfd_open"):
        return False
    try:
        pidfd = os.pidfd_open(identity.pid)
    except OSError:
        return False
    try:
        # Compared only now: the descriptor keeps the pid from meaning another process.
        if _started_ticks(identity.pid) != identity.started_ticks:
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return False
    finally:
        os.close(pidfd)
    return True


def boot_clock_s() -> int:
    """Give seconds of a clock that is never set and goes on while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return int(time.clock_gettime(clock))


def _boot_id() -> str | None:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return None


def _started_ticks(pid: int) -> int | None:
    with suppress(OSError, IndexError, ValueError):
        # Field 22; the process's name, field 2, may hold spaces and brackets itself (proc(5)).
        stat = Path(f"/proc/{pid}/stat").read_bytes()
        return int(stat.rpartition(b")")[2].split()[19])
    return None
