"""The runner, as the supervisor sees it: a process behind a socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

from pravah.failpoints import VARIABLE
from pravah.runner.frames import Decoder, Message, encode

# A runner reads at once what it is sent; less than the 30 s after which this worker counts as hung.
SEND_TIMEOUT_S = 20.0
_RECEIVED_AT_ONCE = 1 << 20
# What is kept of the last words of a runner that died.
_LAST_WORDS_BYTES = 2000


class RunnerProcess:
    """A started runner. It dies with the thread that starts it, which therefore must not end."""

    def __init__(self, inherited_fds: Sequence[int], *, failpoints: bool = True) -> None:
        """Start a process that holds `inherited_fds`; only the first one passes failpoints."""
        ours, theirs = socket.socketpair()
        # A runner prints nothing; what libraries and panics print is kept for the error.
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the runner
        environment = dict(os.environ)
        if not failpoints:
            environment.pop(VARIABLE, None)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pravah.runner", str(theirs.fileno()), str(os.getpid())],
                pass_fds=(theirs.fileno(), *inherited_fds),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._words,
                env=environment,
                # The terminal's Ctrl-C is for the supervisor.
                process_group=0,
            )
        ours.settimeout(SEND_TIMEOUT_S)
        self._socket = ours
        self._decoder = Decoder()
        self._begun = False

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

    def end(self) -> str:
        """Make sure that the process is gone; tell how it ended, and its last words.

        A second call does nothing.
        """
        if self._words.closed:
            return "it has ended"
        self._socket.close()
        # It ends by itself at the end of the socket; what is stuck in a system call does not.
        self._process.kill()
        code = self._process.wait()
        with self._words:
            self._words.seek(0, os.SEEK_END)
            self._words.seek(max(0, self._words.tell() - _LAST_WORDS_BYTES))
            words = self._words.read().decode("utf-8", "replace").strip()
        return f"{_how(code)}{': ' + words if words else ''}"


def _how(code: int) -> str:
    if code >= 0:
        return f"it ended with code {code}"
    return f"it was killed by {signal.Signals(-code).name}"
