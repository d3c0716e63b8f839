"""The embedded ledger: one SQLite file on one host, whose workers hold locks of the kernel."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pravah.db import workers
from pravah.db.connect import SqliteTransactions
from pravah.db.ledger import DatabaseLedger
from pravah.db.open import open_engine
from pravah.db.worker_lock import WorkerLock


class SqliteLedger(DatabaseLedger):
    """Jobs, tasks, outcomes and events in one SQLite file.

    `lock` makes this process a worker as soon as it joins; without one it is made at `join`.
    """

    kernel_leases = True

    def __init__(self, path: Path, locks: Path, lock: WorkerLock | None = None) -> None:
        super().__init__(SqliteTransactions(open_engine(path), str(path)))
        self._locks = locks
        self._lock = lock

    def join(self) -> str:
        """Begin to work: register as the holder of a lock."""
        self._lock = self._lock or WorkerLock.create(self._locks)
        self._write("join", workers.join, self._lock)
        return self._lock.worker_id

    def beat(self, held: Collection[int] = ()) -> None:  # noqa: ARG002  the lock holds them
        """Show that this worker is alive."""
        self._write("beat", workers.beat, self._worker_id)

    def leave(self) -> None:
        """Stop working; leases still held count as lost."""
        if self._lock is None:
            return
        try:
            self._write("leave", workers.leave, self._lock.worker_id)
        finally:
            # Whoever gains the lock of a worker that could not say goodbye frees its tasks.
            self._lock.remove()
            self._lock = None

    def inherited_fds(self) -> tuple[int, ...]:
        """Give the descriptor of the worker's lock: the runner must hold it too."""
        return (self._lock.fd,) if self._lock else ()

    def take_over(self) -> int:
        """Free the tasks of workers that are dead or hung."""
        own_id = self._lock.worker_id if self._lock else ""
        return workers.take_over(self._transactions, own_id, self._locks)

    @property
    def _worker_id(self) -> str:
        if self._lock is None:
            raise RuntimeError("a worker joins the ledger before it claims")
        return self._lock.worker_id
