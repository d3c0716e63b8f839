"""The workers beside a server: processes as `pravah worker`, started again when they die.

They end with the server: by SIGTERM when it stops, and by the kernel when it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from pravah.jobs import log

# A drained worker leaves within seconds, also where a step hangs (`jobs.crew`); behind that it is
# killed, which is safe, too.
DRAIN_S = 25.0
LOOK_S = 0.5
# A worker that dies at once is started again ever later.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
_PR_SET_PDEATHSIG = 1
# Where both want the processor, an answer of milliseconds goes before work of hours; where the
# server has nothing to do, workers have it all.
_NICENESS = 10


class Workers:
    """So many processes that work on the ledger of the settings."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._running: list[subprocess.Popen[bytes]] = []
        self._draining = False
        self._pause_s = FIRST_PAUSE_S

    def start(self) -> None:
        """Start them all. They die with this thread, which therefore must not end."""
        for _ in range(self._number):
            self._running.append(self._one())

    async def watch(self) -> None:
        """Start those again that have died."""
        while not self._draining:
            await asyncio.sleep(LOOK_S)
            for place, process in enumerate(self._running):
                if process.poll() is None or self._draining:
                    continue
                log.warning(
                    "a worker has died, and is started again",
                    pid=process.pid,
                    code=process.returncode,
                )
                await asyncio.sleep(self._pause_s)
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
                if not self._draining:
                    self._running[place] = self._one()

    def drain(self) -> None:
        """Have them begin nothing new, and leave; asked again, at once."""
        self._draining = True
        for process in self._running:
            if process.poll() is None:
                process.terminate()

    async def end(self) -> None:
        """Wait until they have left; kill those that do not."""
        if not self._draining:
            self.drain()
        begun_s = time.monotonic()
        while any(process.poll() is None for process in self._running):
            if time.monotonic() - begun_s > DRAIN_S:
                for process in self._running:
                    with contextlib.suppress(OSError):
                        process.kill()
            await asyncio.sleep(0.05)

    def _one(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "pravah", "worker"],
            stdin=subprocess.DEVNULL,
            # The terminal's Ctrl-C is for the server.
            process_group=0,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - no thread runs yet, or only libc is called
        )


def _die_with(parent: int) -> Callable[[], None]:
    """Make what a child does first: step back, and ask to be ended with its parent."""
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

    def ask() -> None:
        os.nice(_NICENESS)
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it has died in between
                os._exit(0)

    return ask
