"""The runner, as the supervisor sees it: a process behind a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import IO

from pravah.errors import MachineError
from pravah.failpoints import VARIABLE
from pravah.jobs.autopsy import Death, Notebook, out_of_memory_kills
from pravah.runner.frames import Decoder, Message, encode

# A runner reads at once what it is sent; less than the 30 s after which this worker counts as hung.
SEND_TIMEOUT_S = 20.0
_RECEIVED_AT_ONCE = 1 << 20
# How long a killed process may take to go: one that a hung file system holds does not.
DYING_S = 2.0
# What is kept of the last words of a runner that died.
_LAST_WORDS_BYTES = 2000


class RunnerProcess:
    """A started runner. It dies with the thread that starts it, which therefore must not end."""

    def __init__(self, inherited_fds: Sequence[int], *, failpoints: bool = True) -> None:
        """Start a process that holds `inherited_fds`; only the first one passes failpoints."""
        self._oom_kills = out_of_memory_kills()
        with ExitStack() as opened:
            try:
                self._open(opened, inherited_fds, failpoints=failpoints)
            except OSError as error:
                what = "can't start the process that runs the core"
                raise MachineError.of(what, error) from error
            opened.pop_all()
        self._decoder = Decoder()
        self._begun = False
        self._death: Death | None = None

    def _open(self, opened: ExitStack, inherited_fds: Sequence[int], *, failpoints: bool) -> None:
        ours, theirs = map(opened.enter_context, socket.socketpair())
        # A runner prints nothing; what libraries and panics print is kept for the error.
        self._words: IO[bytes] = opened.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._notebook = Notebook()
        opened.callback(self._notebook.close)
        environment = dict(os.environ)
        if not failpoints:
            environment.pop(VARIABLE, None)
        numbers = [str(n) for n in (theirs.fileno(), os.getpid(), self._notebook.fd)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pravah.runner", *numbers],
            pass_fds=(theirs.fileno(), self._notebook.fd, *inherited_fds),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            env=environment,
            # The terminal's Ctrl-C is for the supervisor.
            process_group=0,
        )
        theirs.close()
        ours.settimeout(SEND_TIMEOUT_S)
        self._socket = ours

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def fileno(self) -> int:
        """Give the descriptor to select on."""
        return self._socket.fileno()

    def begin(self, *, threads: int | None, memory_bytes: int) -> None:
        """Say what the engine may take; only the first word counts."""
        if not self._begun:
            self._begun = True
            self.send({"type": "begin", "threads": threads, "memory_bytes": memory_bytes})

    def send(self, message: Message) -> None:
        """Send a frame; a runner that is gone is noticed by `receive`."""
        try:
            for part in encode(message):
                self._socket.sendall(part)
        except TimeoutError:
            # Half a frame is on its way to somebody who doesn't read: nothing can follow it.
            self._process.kill()
        except OSError:
            pass

    def receive(self) -> list[Message] | None:
        """Give the messages that have arrived; None when the runner is gone."""
        try:
            piece = self._socket.recv(_RECEIVED_AT_ONCE)
        except OSError:
            return None
        return list(self._decoder.feed(piece)) if piece else None

    def end(self, patience_s: float = DYING_S) -> Death | None:
        """Kill the process; tell how it ended, or None where it is not gone in time.

        It may be asked again.
        """
        if self._death is not None:
            return self._death
        self._socket.close()
        # It ends by itself at the end of the socket; what is stuck in a system call does not.
        self._process.kill()
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            return None
        self._death = Death(code, self._last_words(), self._starved(code), self._notebook.read())
        self._notebook.close()
        return self._death

    def _last_words(self) -> str:
        with self._words:
            self._words.seek(0, os.SEEK_END)
            self._words.seek(max(0, self._words.tell() - _LAST_WORDS_BYTES))
            return self._words.read().decode("utf-8", "replace").strip()

    def _starved(self, code: int) -> bool:
        """Tell whether the kernel has killed it for want of memory, as far as anybody can."""
        return code == -signal.SIGKILL and out_of_memory_kills() > self._oom_kills
