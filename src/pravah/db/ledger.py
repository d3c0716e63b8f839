"""The embedded ledger: the interface of `model.ledger` on SQLite, one transaction per method.

What happens inside the transactions is in the modules beside this one; which statements, in
`queries.sql`. Every write passes two failpoints, `ledger.<method>.before_commit` and
`.after_commit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pravah.db import claims, closing, jobs, requests, windows, workers
from pravah.db.connect import Transactions
from pravah.db.open import open_engine
from pravah.db.queries import query
from pravah.db.worker_lock import WorkerLock
from pravah.model.job import Books, Event, Job
from pravah.model.ledger import (
    Change,
    Closed,
    Emission,
    Fingerprint,
    Glance,
    Lease,
    NewJob,
    Release,
    Request,
    Suspect,
    TaskBlobs,
    TaskKind,
    Verdict,
    WindowRecord,
    Worker,
)
from pravah.model.status import JobStatus

# Enough ids to tell somebody that a prefix is ambiguous.
_IDS_SHOWN = 10


class SqliteLedger:
    """Jobs, tasks, outcomes and events in one SQLite file.

    `lock` makes this process a worker as soon as it joins; without one it is made at `join`.
    """

    kernel_leases = True

    def __init__(self, path: Path, locks: Path, lock: WorkerLock | None = None) -> None:
        self.location = str(path)
        self._locks = locks
        self._lock = lock
        self._transactions = Transactions(open_engine(path), self.location)
        self._write = self._transactions.write
        self._read = self._transactions.read

    def create(self, job: NewJob) -> None:
        """Store a pending job and the scan task of its roots."""
        with self._write("create") as connection:
            jobs.create(connection, job)

    def create_or_join(self, job: NewJob) -> str:
        """Store a job, unless one of its spec has not ended; give the id of the one there is."""
        with self._write("create") as connection:
            found = jobs.find_unfinished(connection, job.spec_hash)
            if found is None:
                jobs.create(connection, job)
            return found or job.id

    def find_ids(self, prefix: str) -> list[str]:
        """Give up to a few ids that begin so."""
        with self._read() as connection:
            return jobs.find_ids(connection, prefix, _IDS_SHOWN)

    def job(self, job_id: str) -> Job:
        """Give a job with its books."""
        with self._read() as connection:
            return jobs.get(connection, job_id, self.location)

    def status(self, job_id: str) -> tuple[JobStatus, Request | None]:
        """Give a job's status and what was asked of it."""
        with self._read() as connection:
            return jobs.status(connection, job_id, self.location)

    def jobs(self, status: JobStatus | None, limit: int, before: str | None) -> list[Job]:
        """List jobs, the latest first."""
        with self._read() as connection:
            return jobs.page(connection, status, limit, before)

    def books(self, job_id: str) -> Books:
        """Sum a job's books over its tasks, in one snapshot."""
        with self._read() as connection:
            return jobs.books(connection, job_id)

    def glance(self, job_id: str) -> Glance:
        """See how far a job is and what was asked of it."""
        with self._read() as connection:
            return jobs.glance(connection, job_id, self.location)

    def summaries(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """Give the summary of each task that has one."""
        with self._read() as connection:
            yield from jobs.summaries(connection, job_id)

    def blobs(self, job_id: str, *, failed_only: bool = False) -> Iterator[TaskBlobs]:
        """Give manifest and windows of each task of entries; no snapshot is held in between."""
        after = 0
        while True:
            with self._read() as connection:
                values = {"job_id": job_id, "after": after, "failed_only": failed_only}
                row = connection.execute(query("next_blobs"), values).first()
                listed = claims.windows(connection, row.id) if row else []
            if row is None:
                return
            after = row.id
            yield TaskBlobs(row.id, row.blob, listed, row.summary, row.entries)

    def report(self, job_id: str, round_number: int | None = None) -> Mapping[str, Any] | None:
        """Give the report of a round, by default of the last one that ended."""
        with self._read() as connection:
            return jobs.report(connection, job_id, round_number)

    def events(self, job_id: str, after: int, limit: int) -> list[Event]:
        """List a job's events behind an id."""
        with self._read() as connection:
            return jobs.events(connection, job_id, after, limit)

    def request(self, job_id: str, request: Request, why: Mapping[str, Any] | None = None) -> None:
        """Ask for a pause or a cancel."""
        with self._write("request") as connection:
            requests.request(connection, job_id, request, self.location, why)

    def resume(self, job_id: str) -> None:
        """Take back a pause, or put a paused job back to pending."""
        with self._write("resume") as connection:
            requests.resume(connection, job_id, self.location)

    def give_up(self, job_id: str, error: Mapping[str, Any]) -> None:
        """Have a job end as failed with what is left undone."""
        with self._write("give_up") as connection:
            windows.set_error(connection, job_id, error)

    def change(self, job_id: str, change: Callable[[Job], Change]) -> None:
        """Change a job that has not ended."""
        with self._write("change") as connection:
            requests.change(connection, job_id, change, self.location)

    def apply_pause(self, job_id: str) -> bool:
        """Pause a job that was asked to, once no lease of it is held."""
        with self._write("pause") as connection:
            return requests.apply_pause(connection, job_id, self.location)

    def retry(self, job_id: str, move: requests.Move) -> int:
        """Open the next round with what `move` takes out of each task."""
        with self._write("retry") as connection:
            return requests.retry(connection, job_id, move, self.location)

    def delete(self, job_id: str) -> None:
        """Remove an ended job, in small batches."""
        requests.delete(self._transactions, job_id)

    def prune(self, before_us: int, limit: int) -> list[str]:
        """Remove jobs that ended before a time, in small batches."""
        return requests.prune(self._transactions, before_us, limit)

    def join(self) -> str:
        """Begin to work."""
        self._lock = self._lock or WorkerLock.create(self._locks)
        with self._write("join") as connection:
            workers.join(connection, self._lock)
        return self._lock.worker_id

    def workers(self) -> list[Worker]:
        """List who works, and on how much."""
        with self._read() as connection:
            return workers.shown(connection)

    def beat(self) -> None:
        """Show that this worker is alive."""
        with self._write("beat") as connection:
            workers.beat(connection, self._worker_id)

    def leave(self) -> None:
        """Stop working; leases still held count as lost."""
        if self._lock is None:
            return
        try:
            with self._write("leave") as connection:
                workers.leave(connection, self._lock.worker_id)
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

    def claim(
        self, job_id: str | None, wanted: Mapping[TaskKind, int], *, small: int = 0
    ) -> list[Lease]:
        """Lease up to so many tasks of each kind, and so many small ones of entries."""
        with self._write("claim") as connection:
            return claims.claim(connection, self._worker_id, job_id, wanted, small=small)

    def load(self, lease: Lease) -> TaskBlobs:
        """Give the manifest, the windows and the last summary of a leased task."""
        with self._read() as connection:
            return claims.load(connection, lease)

    def fingerprints(self, lease: Lease, directories: Sequence[bytes]) -> list[Fingerprint]:
        """Give what was published for those directories, oldest first."""
        with self._read() as connection:
            return claims.fingerprints(connection, lease, directories)

    def emit(self, lease: Lease, emission: Emission) -> Verdict:
        """Store what a scan found."""
        with self._write("emit") as connection:
            verdict = windows.emit(connection, lease, emission)
        return _advanced(lease, verdict)

    def commit_window(self, lease: Lease, record: WindowRecord) -> Verdict:
        """Record one window and acknowledge the one before."""
        with self._write("window") as connection:
            verdict = windows.commit_window(connection, lease, record)
        return _advanced(lease, verdict)

    def release(
        self, lease: Lease, how: Release, suspects: Mapping[int, Suspect] | None = None
    ) -> Verdict:
        """Give a task back."""
        with self._write("release") as connection:
            held = claims.release(connection, lease, how, suspects)
        return Verdict.COMMITTED if held else Verdict.FENCED

    def fail_task(self, lease: Lease, error: Mapping[str, Any]) -> Verdict:
        """End a task that can't be done, and with it the job."""
        with self._write("fail_task") as connection:
            return windows.fail_task(connection, lease, error)

    def open_closing(self, job_id: str) -> bool:
        """Create the closing task where nothing else is left to do."""
        with self._write("open_closing") as connection:
            return closing.open_closing(connection, job_id)

    def closable(self) -> list[str]:
        """List the jobs that may be ready for a pause or for closing."""
        with self._read() as connection:
            return closing.closable(connection)

    def torn_directories(self, job_id: str, limit: int) -> list[tuple[list[int], list[bytes]]]:
        """List directories that have several fingerprints."""
        with self._read() as connection:
            return closing.torn_directories(connection, job_id, limit)

    def merge_fingerprints(self, unions: Sequence[tuple[Sequence[int], bytes]]) -> None:
        """Replace the fingerprints of directories by their unions."""
        with self._write("merge_fingerprints") as connection:
            closing.merge_fingerprints(connection, unions)

    def close(self, lease: Lease, closed: Closed) -> Verdict:
        """Set the end status, store the report and give the lease back."""
        with self._write("close") as connection:
            verdict = closing.close(connection, lease, closed)
        return _advanced(lease, verdict)

    def dispose(self) -> None:
        """Close every connection."""
        self._transactions.dispose()

    @property
    def _worker_id(self) -> str:
        if self._lock is None:
            raise RuntimeError("a worker joins the ledger before it claims")
        return self._lock.worker_id


def _advanced(lease: Lease, verdict: Verdict) -> Verdict:
    """Count a write that was applied: the next one is made under the number behind it."""
    if verdict is not Verdict.FENCED:
        lease.seq += 1
    return verdict
