"""Connections to an embedded ledger, and what its errors mean.

One SQLite library in the process: the one of pysqlite3, Alembic included. A library that has the
WAL-reset bug gets a journal mode that the bug cannot touch. No connection crosses a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Concatenate

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from pravah import failpoints
from pravah.db.transactions import P, T
from pravah.errors import LedgerBusyError, LedgerDamagedError, LedgerError

# The WAL-reset bug of SQLite 3.7.0 to 3.51.2 can corrupt a database (https://sqlite.org/wal.html).
WAL_SAFE_VERSION = (3, 51, 3)
# How long a writer waits for another: transactions take milliseconds, a stalled disk seconds.
BUSY_TIMEOUT_MS = 15_000
# Pages in memory, as negative KiB: the rows of running tasks fit, the memory targets are far.
CACHE_SIZE = -16_384

# The least that a log and its index take.
LOG_BYTES = 64 << 10

# Primary result codes of SQLite (https://sqlite.org/rescode.html).
_BUSY, _LOCKED, _READONLY, _IOERR, _CORRUPT, _FULL, _CANTOPEN, _NOTADB = 5, 6, 8, 10, 11, 13, 14, 26


def library() -> ModuleType:
    """Give the SQLite driver of this process: pysqlite3's where there is one, else Python's own."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        from sqlite3 import dbapi2
    module: ModuleType = dbapi2
    return module


def sqlite_engine(path: Path) -> Engine:
    """Make an engine whose transactions are begun and ended by `Transactions`, never implicitly."""
    driver = library()
    engine = create_engine(
        # Not as text: a path may hold what means something in a URL.
        URL.create("sqlite+pysqlite", database=str(path)),
        module=driver,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "check_same_thread": False},
    )
    journal = "WAL" if driver.sqlite_version_info >= WAL_SAFE_VERSION else "TRUNCATE"

    @event.listens_for(engine, "connect")
    def _set_up(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in (
            f"journal_mode={journal}",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size={CACHE_SIZE}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class SqliteTransactions:
    """The transactions of an embedded ledger: one writer at a time, readers see snapshots."""

    def __init__(self, engine: Engine, location: str) -> None:
        self.location = location
        self._engine = engine

    def write(
        self,
        name: str,
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Hold the write lock from the start; commit at the end, roll back on an error."""
        with translated(self.location), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                result = work(connection, *args, **kwargs)
                failpoints.passing(f"ledger.{name}.before_commit")
                connection.exec_driver_sql("COMMIT")
            except BaseException:
                _roll_back(connection)
                raise
            failpoints.passing(f"ledger.{name}.after_commit")
            return result

    def read(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See one snapshot of the ledger, whatever others write meanwhile."""
        with translated(self.location), self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            try:
                return work(connection, *args, **kwargs)
            finally:
                _roll_back(connection)

    def look(
        self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """See a snapshot all the same: here it costs nothing."""
        return self.read(work, *args, **kwargs)

    def dispose(self) -> None:
        """Close every connection."""
        self._engine.dispose()


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Turn the driver's errors into Pravah's."""
    try:
        yield
    except DBAPIError as error:
        raise ledger_error(error, location) from error


def ledger_error(error: DBAPIError, location: str) -> LedgerError:
    """Say what a driver's error means for the ledger, and what to do about it."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    cause = (str(error.orig),)
    if code in (_BUSY, _LOCKED):
        return LedgerBusyError(
            f"another process has locked the ledger {location} for {BUSY_TIMEOUT_MS // 1000} s",
            causes=cause,
            hint="try again; `pravah doctor` checks the ledger",
        )
    if code in (_CORRUPT, _NOTADB):
        return damaged(location, cause)
    if code in (_IOERR, _CANTOPEN) and _disk_is_full(location):
        code = _FULL  # SQLite tells so of its pages only, not of its log and its locks
    kind, what, hint = {
        _READONLY: ("ledger_read_only", "is read-only", "make the file and its directory writable"),
        _FULL: (
            "ledger_full",
            "has no space left on its disk",
            "free some space and go on with the job",
        ),
        _CANTOPEN: (
            "ledger_unreachable",
            "can't be opened",
            "check the directory and its permissions",
        ),
        _IOERR: ("ledger_unreachable", "can't be read or written", "check the disk"),
    }.get(code, ("ledger_error", "refused a statement", "this is a bug of ours: please report it"))
    return LedgerError(f"the ledger {location} {what}", kind=kind, causes=cause, hint=hint)


def _disk_is_full(location: str) -> bool:
    """Whether a disk has no room, or no inode, for what is a file's own."""
    with suppress(OSError):
        disk = os.statvfs(Path(location).parent)
        return disk.f_bavail * disk.f_frsize < LOG_BYTES or (
            disk.f_files > 0 and disk.f_favail == 0
        )
    return False


def damaged(location: str, causes: tuple[str, ...]) -> LedgerDamagedError:
    """Make the error of a database that is not what Pravah wrote."""
    return LedgerDamagedError(
        f"the ledger {location} is damaged",
        causes=causes,
        hint="restore it from a backup, or move it away to begin anew; published outputs stay",
    )


def _roll_back(connection: Connection) -> None:
    # A failed COMMIT may have ended the transaction already; the first error is the one to tell.
    try:
        if connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
            connection.exec_driver_sql("ROLLBACK")
    except DBAPIError:
        connection.invalidate()
