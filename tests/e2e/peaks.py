"""The most memory that processes have taken, as the kernel has noted it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.e2e.cli.harness import Cli

_LOOK_EVERY_S = 0.02


def family(process: int) -> Iterator[int]:
    """Give a process and those below it."""
    yield process
    with suppress(OSError):
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
        for child in children.split():
            yield from family(int(child))


def peak_bytes(process: int) -> int:
    """Give the largest part of a process that was in memory at once; 0: it is gone."""
    with suppress(OSError):
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        for peak in re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE):
            return int(peak) * 1024
    return 0


def job_with_peaks(cli: Cli, *arguments: str | Path) -> tuple[dict[str, Any], list[int]]:
    """Run a job; give its wire form, and the peak of each of its processes."""
    told, peaks = command_with_peaks(cli, "run", *arguments, "--json", "-q")
    return json.loads(told), peaks


def command_with_peaks(cli: Cli, *arguments: str | Path) -> tuple[bytes, list[int]]:
    """Run a command; give what it tells, and the peak of each of its processes."""
    command = cli.command(*arguments)
    running = subprocess.Popen(command, env=cli.env(), cwd=cli.directory, stdout=subprocess.PIPE)
    peaks: dict[int, int] = {}
    while running.poll() is None:
        for process in family(running.pid):
            peaks[process] = max(peaks.get(process, 0), peak_bytes(process))
        time.sleep(_LOOK_EVERY_S)
    assert running.stdout is not None
    with running.stdout as output:
        return output.read(), sorted(peaks.values())
