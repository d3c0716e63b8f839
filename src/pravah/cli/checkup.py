"""The checks of `pravah doctor`, one function each; none of them raises or prints."""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from pravah.cli import quota
from pravah.cli.figures import count, counted, size
from pravah.errors import PravahError
from pravah.settings import Settings

# Below this a job with many directories and pooled files may run out.
FEW_DESCRIPTORS = 1024
# Less than this is used up by one window of outputs.
LITTLE_SPACE_BYTES = 1 << 30
# One write-back of syncfs reports errors since Linux 5.8, and only these were seen to do it.
SYNCFS_FILE_SYSTEMS = ("ext4", "xfs", "btrfs")
SYNCFS_LINUX = (5, 8)
FSYNC_TRIALS = 5
# The default of `limits.memory`, and as much again for the rest.
LITTLE_MEMORY_BYTES = 2 << 30
# File locks, syncs and renames of these do not keep all that local ones promise.
REMOTE_FILE_SYSTEMS = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs")

Verdict = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do where it is not well."""

    name: str
    text: str
    verdict: Verdict = "ok"
    hint: str | None = None
    exit_code: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return asdict(self)


def checks(settings: Settings, directory: str | None) -> Iterator[Check]:
    """Make every check, one after the other."""
    yield check_core()
    yield check_ledger(settings)
    yield check_disk(Path(directory) if directory else _existing(settings.home))
    yield check_limits()


def check_core() -> Check:
    """Load the core, and see how it was built."""
    try:
        from pravah import engine
    except ImportError as error:
        return Check(
            "core",
            f"pravah._core can't be loaded: {error}",
            "failed",
            "`make build-rust` builds it",
            70,
        )
    text = f"pravah._core {engine.version}, {engine.build_profile} build, {_vector_unit()}"
    if engine.build_profile != "release":
        return Check(
            "core",
            text,
            "warning",
            "it is several times slower than a release build: `make build-rust`",
        )
    return Check("core", text)


def check_ledger(settings: Settings) -> Check:
    """Open the ledger and ask it about itself."""
    from pravah.bootstrap import ledger_facts

    try:
        facts = ledger_facts(settings)
    except PravahError as error:
        return Check("ledger", error.message, "failed", error.hint, error.exit_code)
    schema = f"schema {facts.schema} ({'current' if facts.current else 'behind'})"
    about = f"{schema}, {counted(facts.jobs, 'job')}, {size(facts.size_bytes)}"
    text = f"{facts.database}, {_from_home(facts.location)}, {about}"
    if not facts.current:
        return Check("ledger", text, "warning", "`pravah db upgrade` brings it up to date")
    return Check("ledger", text)


def check_disk(directory: Path) -> Check:
    """Measure what makes an output durable on this disk."""
    try:
        stats = os.statvfs(directory)
        fsync_s = _fsync_s(directory)
    except OSError as error:
        text = f"{directory}: {(error.strerror or str(error)).lower()}"
        return Check(
            "disk", text, "failed", "outputs and the ledger need a directory that can be written", 4
        )
    kind = _file_system(directory)
    free_bytes = stats.f_bavail * stats.f_frsize
    how = (
        "syncfs"
        if kind in SYNCFS_FILE_SYSTEMS and _linux() >= SYNCFS_LINUX
        else "fsync of each file"
    )
    speed = f"fsync {fsync_s * 1e3:.1f} ms, group commit by {how}"
    text = f"{directory}: {kind}, {size(free_bytes)} free, {speed}"
    if free_bytes < LITTLE_SPACE_BYTES:
        hint = "make room: a job whose sink is full pauses, a full ledger stops all"
        return Check("disk", text, "warning", hint)
    if kind in REMOTE_FILE_SYSTEMS or kind.startswith("fuse"):
        hint = "PRAVAH_HOME belongs on a local disk: locks and SQLite need one; outputs may go here"
        return Check("disk", text, "warning", hint)
    return Check("disk", text)


def check_limits() -> Check:
    """See what the system lets one process have."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    memory_bytes, cpus = quota.memory_bytes(), quota.cpus()
    processors = "1 CPU" if cpus == 1 else f"{cpus:g} CPUs"
    text = f"open files {count(descriptors)}; memory {size(memory_bytes)}; {processors}"
    if descriptors < FEW_DESCRIPTORS:
        return Check("limits", text, "warning", "`ulimit -n 4096` allows more open files")
    if memory_bytes < LITTLE_MEMORY_BYTES:
        hint = "large files wait for each other: `limits.memory` must fit, 256MiB or so"
        return Check("limits", text, "warning", hint)
    return Check("limits", text)


def _from_home(location: str) -> str:
    """Write a path below the user's own directory from there."""
    home = f"{Path.home()}/"
    return f"~/{location.removeprefix(home)}" if location.startswith(home) else location


def _existing(directory: Path) -> Path:
    """Give the nearest place that this user can see."""
    return next(p for p in (directory, *directory.parents) if os.path.exists(p))  # noqa: PTH110 - Path's raises


def _fsync_s(directory: Path) -> float:
    """Give the median time of a small durable write."""
    trials = []
    # Without a name there is nothing to leave behind, even when this is killed.
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(FSYNC_TRIALS):
            file.write(b"x" * 16_384)
            file.flush()
            start_s = time.perf_counter()
            os.fsync(file.fileno())
            trials.append(time.perf_counter() - start_s)
    return median(trials)


def _file_system(directory: Path) -> str:
    """Give the type of the file system that a directory is on; Linux tells, others don't."""
    try:
        mounts = [
            line.split() for line in Path("/proc/self/mounts").read_text("utf-8").splitlines()
        ]
    except OSError:
        return "unknown file system"
    path = str(directory.resolve())
    points = [(mount[1].replace("\\040", " "), mount[2]) for mount in mounts]
    holding = [
        (point, kind) for point, kind in points if (path + "/").startswith(point.rstrip("/") + "/")
    ]
    return max(holding, key=lambda found: len(found[0]), default=("", "unknown file system"))[1]


def _linux() -> tuple[int, ...]:
    system = os.uname()
    if system.sysname != "Linux":
        return (0,)
    return tuple(int(part) for part in system.release.split("-")[0].split(".")[:2])


def _vector_unit() -> str:
    """Name the widest vector unit that the codecs can use."""
    try:
        flags = Path("/proc/cpuinfo").read_text("utf-8").split()
    except OSError:
        return os.uname().machine
    for flag, name in (
        ("avx512f", "avx512"),
        ("avx2", "avx2"),
        ("asimd", "neon"),
        ("sse4_2", "sse4.2"),
    ):
        if flag in flags:
            return name
    return os.uname().machine
