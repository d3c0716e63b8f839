"""The harness of the ledger's conformance suite: a database joins by one class and one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from pravah.db.connect import library
from pravah.db.embedded import SqliteLedger
from pravah.db.shared import PostgresLedger
from pravah.model.ids import new_id
from pravah.model.ledger import (
    Closed,
    Emission,
    Lease,
    Ledger,
    NewJob,
    NewTask,
    Release,
    TaskCounts,
    TaskKind,
    Verdict,
    WindowRecord,
)
from pravah.model.status import JobStatus
from tests.postgres import PostgresServer


class Cluster(Protocol):
    """Workers that share one database."""

    def worker(self) -> Ledger:
        """Give a ledger that has joined as a worker of its own."""

    def crash(self, worker: Ledger) -> None:
        """Let a worker die as by SIGKILL: nothing is written, the system frees what it held."""

    def begin_delete(self, job_id: str) -> None:
        """Leave a job as a deletion does that is killed after its first transaction."""

    def rows_of(self, job_id: str) -> int:
        """Count the rows that a job still has in any table."""

    def close(self) -> None:
        """Dispose of everything."""


class SqliteCluster:
    """Several connections to one file; each worker holds a lock file of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ledgers: list[SqliteLedger] = []

    def worker(self) -> SqliteLedger:
        ledger = SqliteLedger(self._directory / "pravah.db", self._directory / "workers")
        ledger.join()
        self._ledgers.append(ledger)
        return ledger

    def crash(self, worker: Ledger) -> None:
        assert isinstance(worker, SqliteLedger)
        assert worker._lock is not None
        os.close(worker._lock.fd)
        worker._lock = None

    def begin_delete(self, job_id: str) -> None:
        with self._connected() as connection:
            connection.execute("UPDATE jobs SET deleting = TRUE WHERE id = ?", (job_id,))

    def rows_of(self, job_id: str) -> int:
        with self._connected() as connection:
            counts = [
                connection.execute(statement, (job_id,)).fetchone()[0]
                for statement in (
                    "SELECT COUNT(*) FROM jobs WHERE id = ?",
                    "SELECT COUNT(*) FROM tasks WHERE job_id = ?",
                    "SELECT COUNT(*) FROM events WHERE job_id = ?",
                    "SELECT COUNT(*) FROM reports WHERE job_id = ?",
                )
            ]
            return sum(counts)

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        connection = library().connect(self._directory / "pravah.db")
        with closing(connection), connection:
            yield connection

    def close(self) -> None:
        for ledger in self._ledgers:
            ledger.dispose()
            if ledger._lock is not None:
                ledger._lock.remove()


class PostgresCluster:
    """Several workers on one PostgreSQL database."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.url = server.create_ledger()
        self._ledgers: list[PostgresLedger] = []

    def worker(self, host: str | None = None) -> PostgresLedger:
        ledger = PostgresLedger(self.url, host)
        ledger.join()
        self._ledgers.append(ledger)
        return ledger

    def crash(self, worker: Ledger) -> None:
        assert isinstance(worker, PostgresLedger)
        self.execute(f"UPDATE leases SET expires_us = 1 WHERE worker_id = '{worker._id}'")
        worker._id = None

    def begin_delete(self, job_id: str) -> None:
        self.execute(f"UPDATE jobs SET deleting = TRUE WHERE id = '{job_id}'")

    def rows_of(self, job_id: str) -> int:
        tables = (("jobs", "id"), ("tasks", "job_id"), ("events", "job_id"), ("reports", "job_id"))
        statements = [
            f"SELECT COUNT(*) FROM {table} WHERE {column} = '{job_id}'" for table, column in tables
        ]
        return sum(int(str(self.execute(statement)[0][0])) for statement in statements)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        return self._server.execute(self.url.rpartition("/")[2], statement)

    def close(self) -> None:
        for ledger in self._ledgers:
            ledger.dispose()


def cluster_of(kind: str, request: pytest.FixtureRequest) -> Cluster:
    """Make an empty database of a kind."""
    if kind == "postgresql":
        return PostgresCluster(request.getfixturevalue("postgres_server"))
    return SqliteCluster(request.getfixturevalue("tmp_path"))


CLUSTERS = ("sqlite", "postgresql")
# Any bytes at all, also those that mean something in SQL and in its arrays.
FINGERPRINT = b'\x00\xff{"fingerprint", \\NULL}'


def submit(ledger: Ledger, *, spec_hash: str = "spec", priority: int = 0) -> str:
    """Store a job with a scan task; give its id."""
    job = new_job(spec_hash=spec_hash, priority=priority)
    ledger.create(job)
    return job.id


def new_job(*, spec_hash: str, priority: int = 0) -> NewJob:
    """Make a job that is not stored yet."""
    return NewJob(
        id=new_id(),
        spec={"version": 1},
        plan={"roots": []},
        spec_hash=spec_hash,
        pipeline_hash="pipeline",
        scope="scope",
        priority=priority,
    )


def listed(ledger: Ledger, *sizes: int, finished: bool = True, filtered: int = 0) -> str:
    """Store a job whose scan has emitted tasks of so many entries each."""
    job_id = submit(ledger)
    (scan,) = ledger.claim(job_id, {TaskKind.SCAN: 1})
    tasks = [
        NewTask(f"manifest {n}".encode(), entries, entries * 10) for n, entries in enumerate(sizes)
    ]
    ledger.emit(scan, Emission(tasks, filtered, {"filtered:exclude": filtered}, finished))
    if not finished:
        ledger.release(scan, Release.CLEAN)
    return job_id


def claim_entries(ledger: Ledger, job_id: str | None, wanted: int = 1) -> list[Lease]:
    """Lease tasks of entries."""
    return ledger.claim(job_id, {TaskKind.ENTRIES: wanted})


def record(
    *,
    window: bytes | None = b"window",
    acknowledge: bool = False,
    finished: bool = False,
    intent: bool = False,
    **counts: int,
) -> WindowRecord:
    """Make the write of a window; counts are those of the whole task."""
    return WindowRecord(
        window=window,
        acknowledge=acknowledge,
        amendments=None,
        fingerprints=[(b"directory", FINGERPRINT)] if acknowledge else [],
        counts=TaskCounts(**counts),
        summary='{"reasons": {}}',
        finished=finished,
        intent=intent,
    )


def finish(ledger: Ledger, lease: Lease, **counts: int) -> None:
    """Work a task to its end in two writes: one window, then its acknowledgement."""
    assert ledger.commit_window(lease, record()) is not Verdict.FENCED
    last = record(
        window=None, acknowledge=True, finished=True, **(counts or {"done": lease.entries})
    )
    assert ledger.commit_window(lease, last) is not Verdict.FENCED


def close(
    ledger: Ledger, job_id: str, status: JobStatus = JobStatus.COMPLETED, *, opened: bool = False
) -> None:
    """Open the closing of a job, unless it is open, and end it."""
    assert opened or ledger.open_closing(job_id)
    (lease,) = ledger.claim(job_id, {TaskKind.CLOSING: 1})
    books = ledger.books(job_id)
    report = {
        "counts": books.counts.to_dict(),
        "listed_bytes": books.listed_bytes,
        "bytes_in": books.bytes_in,
        "bytes_out": books.bytes_out,
        "reasons": books.reasons,
    }
    assert ledger.close(lease, Closed(status, report, finished_us=1)) is Verdict.COMMITTED
