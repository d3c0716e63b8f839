"""pg8000 as the ledger needs it: a statement is one packet and one answer.

The driver asks the server three times for each statement and waits for each answer; with the few
statements of a window that was two thirds of a worker's time. It also splits a statement into
writes, of which the later ones wait 40 ms for the acknowledgement of the earlier (RFC 896 against
RFC 1122, section 4.2.3.2), and it reads the statement letter by letter whenever it runs.
A transaction's BEGIN asks nothing that anybody waits for: it goes with the first statement.
Statements have no names in the server, so poolers between may give each transaction another one.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import pg8000.core
import pg8000.dbapi
from pg8000.converters import make_params
from pg8000.exceptions import InterfaceError

_UNNAMED = pg8000.core.NULL_BYTE
# PostgreSQL 15 documentation, section 55.2.10.
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)


class Connection(pg8000.dbapi.Connection):  # type: ignore[misc]
    """A connection that sends a statement whole (PostgreSQL 15 documentation, section 55.2.3)."""

    _begin = ""
    """What begins a transaction of which no statement was sent yet."""

    def execute_simple(self, statement: str) -> pg8000.core.Context:
        """Execute a statement without values; keep a BEGIN until there is something to do."""
        if statement.startswith("BEGIN"):
            self._begin = statement
            return pg8000.core.Context(statement)
        begin, self._begin = self._begin, ""
        if not begin:
            return super().execute_simple(statement)
        if statement in ("COMMIT", "ROLLBACK"):
            return pg8000.core.Context(statement)  # nothing has begun
        return super().execute_simple(f"{begin};{statement}")

    def execute_unnamed(
        self,
        statement: str,
        vals: Sequence[Any] = (),
        oids: Sequence[int] = (),
        stream: object = None,
    ) -> pg8000.core.Context:
        """Parse, describe, bind and execute by one flush, and read all of the answer."""
        context = pg8000.core.Context(statement, stream=stream)
        if self._begin:
            self._send(self._begin, (), ())
            self._begin = ""
        self._send(statement, vals, oids)
        pg8000.core._write(self._sock, pg8000.core.SYNC_MSG)  # noqa: SLF001
        pg8000.core._flush(self._sock)  # noqa: SLF001
        self.handle_messages(context)
        return context

    def rollback(self) -> None:
        """End a transaction that is open, or was to begin."""
        self._begin = ""
        super().rollback()

    def _send(self, statement: str, vals: Sequence[Any], oids: Sequence[int]) -> None:
        self.send_PARSE(_UNNAMED, statement, oids)
        self.send_DESCRIBE_STATEMENT(_UNNAMED)
        self.send_BIND(_UNNAMED, make_params(self.py_types, vals))
        self.send_EXECUTE()


def connect(arguments: Mapping[str, Any]) -> Connection:
    """Open a connection with the keywords of `pg8000.dbapi.connect`; InterfaceError as it does."""
    if "unix_sock" in arguments:
        return Connection(**{**arguments, "ssl_context": False})
    address = arguments["host"], arguments["port"]
    try:
        opened = socket.create_connection(address, timeout=arguments["timeout"])
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InterfaceError(f"no connection to {address[0]}:{address[1]}: {why}") from error
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if arguments["ssl_context"] is None:
            opened = _encrypted_if_offered(opened, arguments["host"])
            arguments = {**arguments, "ssl_context": False}
        return Connection(**arguments, sock=opened)
    except BaseException:
        opened.close()
        raise


def _encrypted_if_offered(opened: socket.socket, host: str) -> socket.socket:
    """Encrypt a connection if the server can, whoever it is (`sslmode=prefer`).

    The driver would do the same, but reads all certificates of the system before it asks: 50 ms of
    every connection, for nothing.
    """
    opened.sendall(_SSL_REQUEST)
    if opened.recv(1) != b"S":
        return opened
    # By the name the gateways of hosted databases know which one is meant.
    return _unverified().wrap_socket(opened, server_hostname=host)


@lru_cache(maxsize=1)
def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@lru_cache(maxsize=1_024)
def _numbered(statement: str) -> str:
    """Write `%s` as `$1`, `$2`, … by the driver's own scanner."""
    numbered: str = _convert_paramstyle("format", statement, ())[0]
    return numbered


def _convert_once(_style: str, statement: str, values: Any) -> tuple[str, Any]:  # noqa: ANN401
    return _numbered(statement), values


_convert_paramstyle = pg8000.dbapi.convert_paramstyle
pg8000.dbapi.convert_paramstyle = _convert_once
