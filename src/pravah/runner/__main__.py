"""`python -m pravah.runner FD PARENT NOTES`: serves the supervisor at the other end of a socket.

The first frame, `begin`, gives threads and memory; then come `known` and
`scan`, `task`, `verdict`, `drain`, `finish_begun`, `rates`.
The end of the socket is the end of this process, at once: nothing may outlive its lease.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

from pravah import failpoints
from pravah.engine import Engine, build_profile, die_with_parent, version
from pravah.runner.calls import Call, Channel
from pravah.runner.frames import Decoder, Message

# How often the supervisor hears how far the work is: a bar looks alive at five times a second.
PROGRESS_S = 0.2
_RECEIVED_AT_ONCE = 1 << 20


class Runner:
    """Starts calls, hands verdicts to them, and tells how far they are."""

    def __init__(self, connection: socket.socket, notes_path: str) -> None:
        self._connection = connection
        self._notes_path = notes_path
        self._channel = Channel(connection)
        self._calls: dict[int, Call] = {}
        self._known: dict[int, list[bytes]] = {}
        self._engine: Engine | None = None

    def serve(self) -> None:
        """Do what the supervisor says until it is gone."""
        decoder = Decoder()
        while piece := self._connection.recv(_RECEIVED_AT_ONCE):
            for message in decoder.feed(piece):
                failpoints.passing(f"runner.{message['type']}.received")
                self._take(message)

    def _take(self, message: Message) -> None:
        if message["type"] == "begin":
            self._engine = Engine(
                threads=message["threads"],
                memory_bytes=message["memory_bytes"],
                notes_path=self._notes_path,
            )
            self._tell_start(message)
            threading.Thread(target=self._tell_progress, args=(self._engine,), daemon=True).start()
        elif message["type"] == "verdict":
            self._calls[message["call"]].answer(message["verdict"])
        elif message["type"] in ("drain", "finish_begun"):
            call = self._calls.get(message["call"])
            if call is not None and message["type"] == "drain":
                call.control.drain()
            elif call is not None:
                call.control.finish_begun()
        elif message["type"] == "rates" and self._engine is not None:
            self._engine.set_rates(message["job"], message["read_rate"], message["write_rate"])
        elif message["type"] == "known":
            self._known.setdefault(message["call"], []).append(message["manifest"])
        elif self._engine is not None:
            known = self._known.pop(message["call"], [])
            call = Call(self._engine, self._channel, message, known)
            self._calls[message["call"]] = call
            call.start(self._forget)

    def _tell_start(self, begin: Message) -> None:
        self._channel.log(
            "DEBUG",
            "the engine has started",
            pid=os.getpid(),
            core=version,
            build=build_profile,
            threads=begin["threads"],
            memory_bytes=begin["memory_bytes"],
        )

    def _forget(self, call_id: int) -> None:
        del self._calls[call_id]

    def _tell_progress(self, engine: Engine) -> None:
        while True:
            time.sleep(PROGRESS_S)
            moved = [(call_id, call.control.moved()) for call_id, call in list(self._calls.items())]
            self._channel.send({"type": "progress", "moved": moved, **engine.progress()})


def main() -> None:
    """Serve until the supervisor is gone."""
    descriptor, parent, notes = map(int, sys.argv[1:])
    # Ctrl-C and `kill` of the group are for the supervisor to handle: it drains.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent()
    # The supervisor may have died before the kernel was told.
    if os.getppid() != parent:
        os._exit(0)
    with suppress(ConnectionResetError):
        Runner(socket.socket(fileno=descriptor), f"/dev/fd/{notes}").serve()
    # At once: threads in the middle of a file must not go on.
    os._exit(0)


main()
