"""Connections to a PostgreSQL ledger, its transactions, and what its errors mean.

A transaction that the server rolled back, or whose connection broke before COMMIT was sent, has
not happened and is done again. One whose connection broke after that may have happened: the work
finds that out by itself when it is done again (protocol, rule 1).
"""

from __future__ import annotations

import logging
import os
import random
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Literal

from pg8000.exceptions import InterfaceError
from sqlalchemy import URL, Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from pravah import failpoints
from pravah.db import postgres_driver
from pravah.db.transactions import P, T
from pravah.errors import LedgerError, LedgerUnreachableError, SettingError
from pravah.settings import masked_url

_log = logging.getLogger(__name__)

# Longer than any statement may take: an answer that is later than that will never come.
SOCKET_TIMEOUT_S = 15
# What the server is told at the start of a session; a client that vanished frees its locks soon.
SESSION = {
    "synchronous_commit": "on",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "default_transaction_isolation": "read committed",
}
# How long one piece of work outlives restarts, full disks and lack of connections. A worker's
# leases may lapse meanwhile; its token then tells whether somebody has taken over.
PATIENCE_S = 60.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
# The mark of a connection that was looked at when it was new.
_GREETED = "pravah.greeted"
# A wait that is longer than that is told of.
SILENCE_S = 2.0
# The same transaction may lose against others so often.
CONFLICT_TRIES = 20

# SQLSTATE codes and classes (https://www.postgresql.org/docs/15/errcodes-appendix.html).
CONFLICTS = {"40001", "40P01", "55P03", "57014"}
AWAY = {"57P01", "57P02", "57P03", "57P05", "25P03", "53300", "53100", "53200", "25006"}
AWAY_CLASSES = {"08"}


def postgresql_url(url: str) -> URL:
    """Read a `postgresql://` URL; the host of the documented set-up is found where it runs."""
    try:
        read = make_url(url.replace("postgres://", "postgresql://", 1))
    except (ArgumentError, ValueError) as error:  # a port that is no number
        raise SettingError(f"DATABASE_URL is `{masked_url(url)}`, no URL of a database") from error
    if not read.database:
        raise SettingError(
            f"DATABASE_URL is `{masked_url(url)}`, it names no database",
            hint="`postgresql://user:password@host:5432/name` names one",
        )
    return read


def location_of(url: URL) -> str:
    """Give a URL as people may see it, and the address where it is not the one that it names."""
    shown = masked_url(url.set(drivername="postgresql").render_as_string(hide_password=False))
    host = _host(url)
    return shown if host in (url.host, None) else f"{shown} (at {host})"


def postgres_engine(url: URL, *, autocommit: bool = True, connections: int = 2) -> Engine:
    """Make an engine; with `autocommit` the transactions are begun and ended by `Transactions`.

    So many connections stay open once they were needed; others are closed after their use.
    """
    arguments: dict[str, Any] = {
        "user": url.username or os.environ.get("PGUSER") or "postgres",
        "password": url.password or os.environ.get("PGPASSWORD"),
        "host": _host(url),
        "port": url.port or 5432,
        "database": url.database,
        "timeout": SOCKET_TIMEOUT_S,
        "ssl_context": _ssl_context(url.query),
        "application_name": "pravah",
        "startup_params": SESSION,
    }
    if isinstance(directory := url.query.get("host"), str) and directory.startswith("/"):
        arguments["unix_sock"] = f"{directory}/.s.PGSQL.{arguments.pop('port')}"
        arguments.pop("host")
    # A dead connection can't be closed politely; the pool would tell of each, with a traceback.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    return create_engine(
        "postgresql+pg8000://",
        creator=lambda: postgres_driver.connect(arguments),
        pool_size=connections,
        max_overflow=4,
        pool_use_lifo=True,
        **({"isolation_level": "AUTOCOMMIT"} if autocommit else {}),
    )


class PostgresTransactions:
    """The transactions of a PostgreSQL ledger; each is retried while that is safe."""

    def __init__(
        self,
        engine: Engine,
        location: str,
        *,
        patience_s: float,
        on_connected: Callable[[Connection], bool],
    ) -> None:
        self.location = location
        self.patience_s = patience_s
        self._engine = engine
        self._on_connected = on_connected

    def write(
        self,
        name: str,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do the work and commit it; again where it was rolled back."""

        def attempt(connection: Connection) -> T:
            connection.exec_driver_sql("BEGIN")
            result = work(connection, *args, **kwargs)
            failpoints.passing(f"ledger.{name}.before_commit")
            connection.exec_driver_sql("COMMIT")
            return result

        result = self._persist(attempt)
        failpoints.passing(f"ledger.{name}.after_commit")
        return result

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do the work in one snapshot."""

        def attempt(connection: Connection) -> T:
            connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            result = work(connection, *args, **kwargs)
            connection.exec_driver_sql("COMMIT")
            return result

        return self._persist(attempt)

    def look(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do the work outside of a transaction: its statements are one each."""
        return self._persist(lambda connection: work(connection, *args, **kwargs))

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _persist(self, attempt: Callable[[Connection], T]) -> T:
        begun_s, pause_s, conflicts, told = time.monotonic(), FIRST_PAUSE_S, 0, False
        while True:
            try:
                with self._engine.connect() as connection:
                    # Whoever answers may be another server than before.
                    if _GREETED not in connection.info and _whole(connection, self._on_connected):
                        connection.info[_GREETED] = True
                    result = _whole(connection, attempt)
            except (DBAPIError, InterfaceError, OSError) as error:
                state = sqlstate(error)
                conflicts += state in CONFLICTS
                if not (is_away(error) or state in CONFLICTS) or conflicts >= CONFLICT_TRIES:
                    raise ledger_error(error, self.location) from error
                if time.monotonic() + pause_s - begun_s > self.patience_s:
                    raise ledger_error(error, self.location) from error
                if not told and time.monotonic() - begun_s > SILENCE_S:
                    told = True
                    _log.warning("%s: it is waited for", ledger_error(error, self.location))
                if is_away(error):
                    # The others in the pool are as dead as this one.
                    self._engine.dispose()
            else:
                if told:
                    _log.warning("the ledger %s takes writes again", self.location)
                return result
            # Everybody who waits for the same server shall not come back at the same moment.
            time.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def sqlstate(error: BaseException) -> str | None:
    """Give the server's code of an error; None where it said nothing, as when it is away."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    told = origin.args[0] if origin is not None and origin.args else None
    return str(told.get("C")) if isinstance(told, dict) else None


def is_away(error: BaseException) -> bool:
    """Whether the server, or the way to it, is gone for a while."""
    state = sqlstate(error)
    if state is not None:
        return state in AWAY or state[:2] in AWAY_CLASSES
    origin = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(origin, InterfaceError | OSError)


def ledger_error(error: BaseException, location: str) -> LedgerError:
    """Say what an error of the driver means for the ledger, and what to do about it."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    told = origin.args[0] if origin is not None and origin.args else None
    message = told.get("M") if isinstance(told, dict) else str(told or origin)
    state = sqlstate(error)
    cause = (f"{message} (SQLSTATE {state})" if state else str(message),)
    if state == "53100":
        return LedgerUnreachableError(
            f"the ledger {location} has no space left on its disk",
            kind="ledger_full",
            causes=cause,
            hint="free some space on the database's disk and go on with the job",
        )
    if state in ("28P01", "28000", "3D000"):
        return LedgerError(
            f"the ledger {location} refuses this user",
            causes=cause,
            hint="DATABASE_URL names user, password, host and database",
        )
    if state in CONFLICTS or is_away(error):
        return LedgerUnreachableError(
            f"the ledger {location} does not answer",
            causes=cause,
            hint="published outputs stay; go on with the job when the database is back",
        )
    return LedgerError(
        f"the ledger {location} refused a statement",
        kind="ledger_error",
        causes=cause,
        hint="this is a bug of ours: please report it",
    )


def _whole(connection: Connection, attempt: Callable[[Connection], T]) -> T:
    try:
        return attempt(connection)
    except BaseException:
        # What failed may have left a transaction open; one that can't be ended is thrown away.
        try:
            connection.exec_driver_sql("ROLLBACK")
        except (SQLAlchemyError, InterfaceError, OSError):
            connection.invalidate()
        raise


def _host(url: URL) -> str | None:
    """Give the address of the server: of a name that only the composed set-up knows, this host."""
    if url.host != "pravah_db":
        return url.host or "127.0.0.1"
    try:
        socket.getaddrinfo(url.host, None)
    except OSError:
        return "127.0.0.1"
    return url.host


def _ssl_context(options: Mapping[str, Any]) -> ssl.SSLContext | Literal[False] | None:
    """Give the driver a context, nothing where it may go without, False where it has to."""
    mode = options.get("sslmode", "prefer")
    if mode == "disable":
        return False
    if mode in ("allow", "prefer"):
        return None
    context = ssl.create_default_context(cafile=options.get("sslrootcert"))
    if mode == "require":
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif mode == "verify-ca":
        context.check_hostname = False
    return context
