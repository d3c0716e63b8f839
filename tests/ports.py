"""Ports for servers of the tests."""

from __future__ import annotations

import random
import socket

# Below those that systems give to outgoing connections: none of these takes a port in the moment
# between its choice and its server's start, nor while a server is restarted.
_PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Choose a port of the loopback interface that nobody listens at."""
    while True:
        port = random.SystemRandom().choice(_PORTS)
        with socket.socket() as probe:
            # As servers do: a connection that has just ended is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
