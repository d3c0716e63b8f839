"""Small file systems of a test's own, and faults that strace injects into system calls."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.kills import strace_works


@contextmanager
def mounted(directory: Path, *limits: str, kind: str = "tmpfs") -> Iterator[None]:
    """Mount a file system in memory, with limits such as `size=8m` or `nr_inodes=60`."""
    if os.geteuid() != 0:
        pytest.skip("a file system of its own needs root")
    directory.mkdir(parents=True, exist_ok=True)
    options = ("-o", ",".join(limits)) if limits else ()
    made = _mount("-t", kind, *options, kind, str(directory))
    if made.returncode:
        pytest.skip(f"nothing can be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily: whoever still holds a file there shall not keep the test from its end.
        subprocess.run(["umount", "-l", str(directory)], check=True)


def resize(directory: Path, *limits: str) -> None:
    """Give a mounted file system other limits."""
    _mount("-o", ",".join(("remount", *limits)), str(directory)).check_returncode()


def fill(filler: Path) -> None:
    """Write until the disk takes nothing more."""
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@dataclass(frozen=True)
class Injection:
    """Runs a command under strace, which makes system calls fail and writes down what was made."""

    log: Path
    fault: str
    calls: tuple[str, ...]
    path: Path | None = None
    also: tuple[str, ...] = ()

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command before the command; skips the test where strace can't inject."""
        if not strace_works():
            pytest.skip("no strace that injects faults")
        calls = ",".join(self.calls)
        traced = ",".join((*self.calls, *self.also))
        near = ("-P", str(self.path)) if self.path else ()
        inject = f"inject={calls}:{self.fault}"
        return (
            "strace",
            "-f",
            "-qq",
            "-o",
            str(self.log),
            *near,
            "-e",
            f"trace={traced}",
            "-e",
            inject,
        )

    def of_each_thread(self) -> list[list[str]]:
        """Give what each thread called, in order; an interrupted line is followed by its rest."""
        threads: dict[str, list[str]] = {}
        for line in self.log.read_text(errors="replace").splitlines():
            thread, _, call = line.partition(" ")
            threads.setdefault(thread, []).append(call.strip())
        return list(threads.values())

    @property
    def injected(self) -> int:
        """How often the fault was injected."""
        return self.log.read_text(errors="replace").count("(INJECTED)")


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True)
