"""A TCP proxy before PostgreSQL that loses replies and stalls on demand."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator


class Proxy:
    """Passes bytes both ways; `lose_commits` cuts the line once COMMIT has reached the server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lose_commits = 0
        self.commits_lost = 0
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def stall(self) -> None:
        """Pass nothing on, and close nothing: the other side is there and does not answer."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass on again."""
        self._flowing.set()

    def switch(self, port: int) -> None:
        """Cut every line; who comes again meets another server."""
        self._target = port
        for each in self._sockets:
            _shut(each)

    def close(self) -> None:
        self.flow()
        for each in (self._listener, *self._sockets):
            _shut(each)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._sockets):
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                self._start(self._requests, client, server)
                self._start(self._pass, server, client)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _requests(self, source: socket.socket, target: socket.socket) -> None:
        self._pass(source, target, marker=b"COMMIT")

    def _pass(self, source: socket.socket, target: socket.socket, marker: bytes = b"") -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if marker and self.lose_commits and marker in data:
                    self.lose_commits -= 1
                    self.commits_lost += 1
                    # The reply goes nowhere: the client's side is closed before it can come.
                    source.shutdown(socket.SHUT_RDWR)
                    target.sendall(data)
                    target.recv(65536)
                    break
                target.sendall(data)
        _shut(source)
        _shut(target)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """Run a proxy before a server."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
