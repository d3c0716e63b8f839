"""A command on a terminal: what it draws, and what a person types meanwhile."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

from tests.e2e.cli.harness import PATIENCE_S, Cli


class Terminal:
    """Runs a command on a pseudo-terminal of its own."""

    def __init__(self, cli: Cli, *arguments: str, columns: int = 110) -> None:
        self.code: int | None = None
        self.text = ""
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
            os.chdir(cli.directory)
            command = cli.command(*arguments)
            environment = cli.env({"TERM": "xterm"})
            environment.pop("COLUMNS", None)
            os.execve(command[0], command, environment)  # noqa: S606 - no shell is wanted

    def type(self, keys: bytes) -> None:
        """Type something: Ctrl-C is the byte 3."""
        os.write(self._descriptor, keys)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command's process."""
        os.kill(self._pid, number)

    def wait_for(self, text: str) -> str:
        """Read until the command has drawn this; give everything so far."""
        until_s = time.monotonic() + PATIENCE_S
        while text not in self.text:
            assert time.monotonic() < until_s, self.text
            if not self._read():
                raise AssertionError(f"ended before it drew {text!r}: {self.text!r}")
        return self.text

    def finish(self) -> str:
        """Read to the end; give everything that was drawn."""
        while self._read():
            pass
        os.close(self._descriptor)
        _, status = os.waitpid(self._pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.text

    def _read(self) -> bool:
        ready, _, _ = select.select([self._descriptor], [], [], 1.0)
        if not ready:
            return True
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # Linux's way to say that the other side is closed
            return False
        self.text += chunk.decode("utf-8", "replace")
        return bool(chunk)
