"""The process that serves the API: its socket, its patience with slow clients, its end.

Uvicorn waits for a request's head without end, and for a client that never reads, too. Here both
have a time, and connections a number, so that a few thousand sockets do not shut out everybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pravah.api.application import application as put_together
from pravah.api.problems import MEDIA_TYPE, Problem
from pravah.api.service import Service
from pravah.errors import SettingError
from pravah.jobs import log

if TYPE_CHECKING:
    from pravah.api.crew import Workers
    from pravah.bootstrap import Application

HEAD_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 30.0
KEEP_ALIVE_S = 30
MOST_CONNECTIONS = 8_000
# Descriptors that are no client's: the ledger, logs, workers, files of long answers and of uploads.
_OWN_DESCRIPTORS = 500
_HEAD_BYTES = 32 << 10
# Requests that have begun get so long to end; streams of events end at once.
DRAIN_S = 10
_BACKLOG = 2048
# How long a thread that computes keeps the interpreter while the event loop wants it.
_TURN_S = 0.0005


class PatientProtocol(H11Protocol):
    """HTTP/1.1 with a time for heads, and for readers."""

    most_connections = MOST_CONNECTIONS
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio's own
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > PatientProtocol.most_connections:
            transport.abort()
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Take what has come; a head that is whole stops its clock."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self._head_timer is None:
            self._await_head()

    def on_response_complete(self) -> None:
        """Wait for the next request; its head gets its time with its first byte."""
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()  # it had been sent behind the first one

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all clocks."""
        self._stop_waiting()
        self._stop_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait until the client reads; not for ever."""
        super().pause_writing()
        self._stop_writing()
        self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        self._stop_writing()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP in the form of every other error."""
        problem = Problem(400, "invalid_http", msg.lower().rstrip(".") or "this is no HTTP")
        body = json.dumps(problem.to_dict("")).encode("ascii")
        head = (
            "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: who calls it has some."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing."""
        yield


def serve(application: Application, listener: socket.socket, crew: Workers) -> None:
    """Serve until SIGTERM or SIGINT; a second one ends it at once."""
    PatientProtocol.most_connections = _room_for_connections()
    asyncio.run(_serve(application, listener, crew))


async def _serve(application: Application, listener: socket.socket, crew: Workers) -> None:
    host, port = listener.getsockname()[:2]
    service = Service.of(application, loopback=is_loopback(host))
    config = uvicorn.Config(
        put_together(service),
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
        h11_max_incomplete_event_size=_HEAD_BYTES,
        backlog=_BACKLOG,
    )
    server = _Uvicorn(config)

    def stop() -> None:
        server.force_exit = server.should_exit
        server.should_exit = True
        service.feeds.close()
        crew.drain()

    _answer_at_once()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    log.info("the API listens", address=f"http://{_shown(host)}:{port}", pid=os.getpid())
    watching = [asyncio.create_task(each.watch()) for each in (crew, service.uploads)]
    try:
        await server.serve(sockets=[listener])
    finally:
        for task in watching:
            task.cancel()
        await crew.end()
        service.close()
    log.info("the API has stopped")


def _answer_at_once() -> None:
    """Keep what makes single answers late from happening.

    What was imported and built stays until the end: looking through it for garbage again and again
    stopped everything for a tenth of a second.
    """
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_TURN_S)


def listen(host: str, port: int) -> socket.socket:
    """Open the socket; SettingError that says who has the port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise SettingError(
            f"APP_HOST is `{host}`, no address of this machine",
            causes=(str(error.strerror or error).lower(),),
        ) from error
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        owner = _owner(port)
        raise SettingError(
            f"port {port} on {host} is taken by {owner}"
            if owner
            else f"can't listen on {host}:{port}: {str(error.strerror).lower()}",
            kind="port_taken" if owner else "invalid_setting",
            hint="choose another with APP_PORT or --port",
        ) from error
    listener.settimeout(0)
    return listener


def _room_for_connections() -> int:
    """Raise the limit of open files as far as it may be; give how many of them clients may take.

    The usual limit is 1,024: behind it nobody could connect, and no log or file could be opened.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OWN_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(soft // 2, soft - _OWN_DESCRIPTORS))


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    return host == "::1" or host.startswith("127.")


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _owner(port: int) -> str | None:
    """Give the process that listens on a port, as far as this user may know."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            rows = [line.split() for line in Path(table).read_text("ascii").splitlines()[1:]]
            listening = "0A"
            inodes |= {
                f"socket:[{row[9]}]"
                for row in rows
                if row[3] == listening and int(row[1].rpartition(":")[2], 16) == port
            }
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):
            if any(str(each.readlink()) in inodes for each in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                return f"pid {process.name} ({name})"
    return None
