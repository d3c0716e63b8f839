"""The ledger: the interface of `model.ledger` on a database, one transaction per method.

What happens inside the transactions is in the modules beside this one; which statements, in
`queries.sql`. Every write passes two failpoints, `ledger.<method>.before_commit` and
`.after_commit`.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pravah.db import claims, closing, jobs, requests, windows, workers
from pravah.db.recent_books import RecentBooks
from pravah.db.transactions import Transactions
from pravah.db.transitions import add_event
from pravah.model.job import Books, Event, Job
from pravah.model.ledger import (
    EVERY_JOB,
    Change,
    Closed,
    Emission,
    Fingerprint,
    FingerprintUnion,
    Glance,
    JobFilter,
    Lease,
    Moved,
    NewJob,
    NewTask,
    Release,
    Request,
    Suspect,
    TaskBlobs,
    TaskKind,
    TaskRow,
    Verdict,
    WindowRecord,
    Worker,
)
from pravah.model.status import JobStatus

# Behind every row: ids are signed 64-bit numbers.
_BEHIND_ALL = (1 << 63) - 1
# Enough ids to tell somebody that a prefix is ambiguous.
_IDS_SHOWN = 10


class DatabaseLedger(ABC):
    """Jobs, tasks, outcomes and events in a database; how its workers live is the subclass's."""

    kernel_leases: bool
    """Whether a holder is surely dead before its tasks are taken over."""

    host = ""
    """What this host is called among others; empty where there are no others."""

    def __init__(self, transactions: Transactions) -> None:
        self.location = transactions.location
        self._transactions = transactions
        self._write = transactions.write
        self._read = transactions.read
        self._recent_books = RecentBooks()

    @property
    def transactions(self) -> Transactions:
        """What reads and writes this ledger, for those who keep other things in it."""
        return self._transactions

    def create(self, job: NewJob) -> bool:
        """Store a pending job and the scan task of its roots; False if that was done before."""
        return self._write("create", jobs.create, job)

    def create_or_join(self, job: NewJob) -> str:
        """Store a job, unless one of its spec has not ended; give the id of the one there is."""
        return self._write("create", jobs.create_or_join, job)

    def find_ids(self, prefix: str, team: str | None = None) -> list[str]:
        """Give up to a few ids that begin so, of one team or of all."""
        return self._read(jobs.find_ids, prefix, _IDS_SHOWN, team)

    def job(self, job_id: str) -> Job:
        """Give a job with its books."""
        return self._read(jobs.get, job_id, self.location)

    def created(self, job_id: str) -> Job:
        """Give a job that was created a moment ago: nothing is in its books."""
        return self._transactions.look(jobs.get, job_id, self.location, lambda *_: Books())

    def watched(self, job_id: str, team: str | None = None) -> Job:
        """Give a job, of a team or of any, whose books may be a tenth of a second old."""
        look = self._transactions.look
        return look(jobs.get, job_id, self.location, self._recent_books, team)

    def status(self, job_id: str) -> tuple[JobStatus, Request | None]:
        """Give a job's status and what was asked of it."""
        return self._read(jobs.status, job_id, self.location)

    def jobs(
        self,
        status: JobStatus | None,
        limit: int,
        before: str | None,
        chosen: JobFilter = EVERY_JOB,
    ) -> list[Job]:
        """List jobs, the latest first."""
        return self._read(jobs.page, status, limit, before, chosen)

    def unfinished(self, team: str, limit: int) -> int:
        """Count the jobs of a team that have not ended, as far as a number."""
        return self._read(jobs.unfinished_of_team, team, limit)

    def tasks(self, job_id: str, after: int, limit: int) -> list[TaskRow]:
        """List a job's tasks behind an id, in order."""
        return self._read(jobs.tasks, job_id, after, limit)

    def figures(self) -> tuple[dict[str, int], int]:
        """Count unfinished jobs by status, and the tasks in work."""
        return self._read(jobs.load_figures)

    def note(self, job_id: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Append to a job's history what nothing else tells."""
        self._write("note", add_event, job_id, kind, dict(detail))

    def books(self, job_id: str) -> Books:
        """Sum a job's books over its tasks, in one snapshot."""
        return self._read(jobs.books, job_id)

    def glance(self, job_id: str) -> Glance:
        """See how far a job is and what was asked of it."""
        return self._read(jobs.glance, job_id, self.location)

    def summaries(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """Give the summary of each task that has one."""
        yield from map(json.loads, self._read(jobs.summaries, job_id))

    def blobs(
        self, job_id: str, *, failed_only: bool = False, after: int = 0
    ) -> Iterator[TaskBlobs]:
        """Give manifest and windows of each task of entries; no snapshot is held in between.

        NotFoundError where the job is deleted meanwhile: what is left is not all.
        """
        while True:
            found = self._read(claims.next_blobs, job_id, after, failed_only, self.location)
            if found is None:
                return
            after = found.task_id
            yield found

    def claimed_again(self, job_id: str) -> Iterator[TaskBlobs]:
        """Give manifest and windows of each task of entries that had several holders."""
        after, location = 0, self.location
        while found := self._read(claims.next_claimed_again, job_id, after, location):
            after = found.task_id
            yield found

    def report(self, job_id: str, round_number: int | None = None) -> Mapping[str, Any] | None:
        """Give the report of a round, by default of the last one that ended."""
        return self._read(jobs.report, job_id, round_number)

    def set_undone(self, job_id: str, detail: Mapping[str, Any]) -> None:
        """Note that a job's outputs were taken back."""
        self._write("set_undone", requests.set_undone, job_id, detail)

    def events(self, job_id: str, after: int, limit: int) -> list[Event]:
        """List a job's events behind an id."""
        return self._read(jobs.events, job_id, after, limit)

    def last_event(self, job_id: str) -> int:
        """Give the id of a job's newest event."""
        return self._read(jobs.last_event, job_id)

    def request(self, job_id: str, request: Request, why: Mapping[str, Any] | None = None) -> None:
        """Ask for a pause or a cancel."""
        self._write("request", requests.request, job_id, request, self.location, why)

    def resume(self, job_id: str, *, adopt: bool = False) -> None:
        """Take back a pause, or put a paused job back to pending."""
        self._write("resume", requests.resume, job_id, self.location, adopt=adopt)

    def give_up(self, job_id: str, error: Mapping[str, Any]) -> None:
        """Have a job end as failed with what is left undone."""
        self._write("give_up", windows.set_error, job_id, error)

    def change(self, job_id: str, change: Callable[[Job], Change]) -> None:
        """Change a job that has not ended."""
        self._write("change", requests.change, job_id, change, self.location)

    def apply_pause(self, job_id: str) -> bool:
        """Pause a job that was asked to, once no lease of it is held."""
        return self._write("pause", requests.apply_pause, job_id, self.location)

    def retry(self, job_id: str, move: requests.Move) -> int:
        """Open the next round with what `move` takes out of each task."""
        return self._write("retry", requests.retry, job_id, move, self.location)

    def delete(self, job_id: str) -> None:
        """Remove an ended job, in small batches."""
        requests.delete(self._transactions, job_id)

    def prune(self, before_us: int, limit: int) -> list[str]:
        """Begin to remove jobs that ended before a time; `sweep` removes their rows."""
        return requests.prune(self._transactions, before_us, limit)

    def sweep(self, within_s: float | None = None) -> bool:
        """Remove rows of jobs whose removal has begun; tell whether nothing is left."""
        return requests.sweep(self._transactions, within_s)

    def workers(self) -> list[Worker]:
        """List who works, and on how much."""
        return self._read(workers.shown)

    @abstractmethod
    def join(self) -> str:
        """Begin to work: give this worker's id."""

    @abstractmethod
    def beat(self, held: Collection[int] = ()) -> None:
        """Show that this worker is alive, and works on the tasks that it holds."""

    @abstractmethod
    def leave(self) -> None:
        """Stop working; leases still held count as lost."""

    @abstractmethod
    def inherited_fds(self) -> tuple[int, ...]:
        """Give the descriptors that the runner has to inherit for the lease to hold."""

    @abstractmethod
    def take_over(self) -> int:
        """Free the tasks of workers that are dead or hung; give how many."""

    def claim(
        self, job_id: str | None, wanted: Mapping[TaskKind, int], *, small: int = 0
    ) -> list[Lease]:
        """Lease up to so many tasks of each kind, and so many small ones of entries."""
        return self._write("claim", claims.claim, self._claimer, job_id, wanted, small=small)

    def load(self, lease: Lease) -> TaskBlobs:
        """Give the manifest, the windows and the last summary of a leased task."""
        return self._read(claims.load, lease)

    def fingerprints(self, lease: Lease, directories: Sequence[bytes]) -> Iterator[Fingerprint]:
        """Give what was published for those directories, of each the oldest first.

        Fingerprints that are united between two reads are read as they were or as their union,
        which has the place of the newest of them.
        """
        for start in range(0, len(directories), claims.DIRECTORIES_AT_ONCE):
            some = directories[start : start + claims.DIRECTORIES_AT_ONCE]
            after = 0
            while found := self._read(claims.fingerprints, lease, some, after):
                yield from (fingerprint for _, fingerprint in found)
                if len(found) < claims.FINGERPRINTS_AT_ONCE:
                    break
                after = found[-1][0]

    def unit(self, lease: Lease) -> bytes | None:
        """Give what a leased scan has to list; None: all that its job names."""
        return self._read(claims.unit, lease)

    def emitted(self, lease: Lease, last: int) -> Iterator[bytes]:
        """Give the manifests of so many of the last tasks that a scan emitted, the last first."""
        below_id = _BEHIND_ALL
        for _ in range(last):
            found = self._read(claims.emitted, lease, below_id)
            if found is None:
                return
            below_id = found[0]
            yield found[1]

    def emit(self, lease: Lease, emission: Emission) -> Verdict:
        """Store what a scan found, gave away and left."""
        verdict = self._write("emit", windows.emit, lease, emission)
        return _advanced(lease, verdict)

    def decide_names(
        self, lease: Lease, decided: Callable[[], Iterable[tuple[int, bytes]]]
    ) -> Verdict:
        """Store what the comparison of a job's names came to, and end it."""
        return self._write("names", windows.decide_names, lease, decided)

    def group(
        self, lease: Lease, taken: Sequence[int], groups: Callable[[], Iterable[NewTask]]
    ) -> Verdict:
        """Replace tasks that nobody has worked on by others with the same entries."""
        return self._write("group", windows.group, lease, taken, groups)

    def commit_window(self, lease: Lease, record: WindowRecord) -> Verdict:
        """Record one window and acknowledge the one before."""
        verdict = self._write("window", windows.commit_window, lease, record)
        return _advanced(lease, verdict)

    def release(
        self, lease: Lease, how: Release, suspects: Mapping[int, Suspect] | None = None
    ) -> Verdict:
        """Give a task back."""
        held = self._write("release", claims.release, lease, how, suspects)
        return Verdict.COMMITTED if held else Verdict.FENCED

    def ask_for_part(self, job_id: str | None) -> bool:
        """Ask the holder of the longest task for a part of it; nothing is written in vain."""
        task_id = self._read(claims.longest_task, self._claimer, job_id)
        return task_id is not None and self._write("ask", claims.ask_for_part, task_id)

    def asked_for(self) -> set[int]:
        """Tell of which tasks held here somebody without work wants a part."""
        return self._read(claims.asked_for, self._worker_id)

    def split(self, lease: Lease, moved: Moved) -> Verdict:
        """End a task with what is acknowledged; the rest becomes tasks of its own."""
        return self._write("split", windows.split, lease, moved)

    def fail_task(self, lease: Lease, error: Mapping[str, Any]) -> Verdict:
        """End a task that can't be done, and with it the job."""
        return self._write("fail_task", windows.fail_task, lease, error)

    def open_closing(self, job_id: str) -> bool:
        """Create the closing task where nothing else is left to do."""
        return self._write("open_closing", closing.open_closing, job_id)

    def closable(self) -> list[str]:
        """List the jobs that may be ready for a pause or for closing."""
        return self._read(closing.closable)

    def torn_directories(self, job_id: str, small_bytes: int) -> Iterator[bytes]:
        """List directories that have several fingerprints below a size."""
        first = b""
        while found := self._read(closing.torn_directories, job_id, first, small_bytes):
            yield from found
            first = found[-1] + b"\0"

    def directory_fingerprints(self, job_id: str, directory: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the ids and blobs of a directory's fingerprints, the latest first."""
        below_id = _BEHIND_ALL
        while found := self._read(closing.directory_fingerprints, job_id, directory, below_id):
            yield from found
            if len(found) < claims.FINGERPRINTS_AT_ONCE:
                break
            below_id = found[-1][0]

    def unite_fingerprints(self, unions: Sequence[FingerprintUnion]) -> None:
        """Put blobs in the places of fingerprints of one directory each, or drop these."""
        self._write("unite_fingerprints", closing.unite_fingerprints, unions)

    def close(self, lease: Lease, closed: Closed) -> Verdict:
        """Set the end status, store the report and give the lease back."""
        verdict = self._write("close", closing.close, lease, closed)
        return _advanced(lease, verdict)

    def dispose(self) -> None:
        """Close every connection."""
        self._transactions.dispose()

    @property
    def _claimer(self) -> claims.Claimer:
        return claims.Claimer(self._worker_id, self.host)

    @property
    @abstractmethod
    def _worker_id(self) -> str:
        """This worker's id; it has joined."""


def _advanced(lease: Lease, verdict: Verdict) -> Verdict:
    """Count a write that was applied: the next one is made under the number behind it."""
    if verdict is not Verdict.FENCED:
        lease.seq += 1
    return verdict
