"""What the rest of Pravah asks of a ledger; SQLite answers it, other databases can.

The rules behind it are the protocol's: every write of a task names the token and the sequence
number that it was made under, counters are absolute, and a write that matches no row says so.
Beyond 500 lines, because it is one protocol, and what its methods take and give is read with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from pravah.model.job import Books, Event, Job
from pravah.model.status import JobStatus
from pravah.model.units import write_time


class TaskKind(StrEnum):
    """What a task is about."""

    SCAN = "scan"
    NAMES = "names"  # of outputs: all are compared, or entries put together, once all are listed
    ENTRIES = "entries"
    CLOSING = "closing"


# Workers beat every few seconds.
SILENT_S = 30
# A task of no more entries is small: several of them take the place of one.
SMALL_ENTRIES = 256


class Purpose(StrEnum):
    """Why a task was claimed."""

    WORK = "work"
    SETTLE = "settle"  # its job ends or pauses: deal with what is recorded, begin nothing


class Verdict(StrEnum):
    """What the ledger says to a write of a task."""

    COMMITTED = "committed"
    FENCED = "fenced"  # the lease is lost: stop, touch nothing
    DRAIN = "drain"  # committed; begin nothing new


class Request(StrEnum):
    """What a person has asked of a job that is worked on."""

    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Suspect:
    """An entry that was in flight when its process crashed."""

    deaths: int  # those in which nothing else was in flight
    kind: str
    message: str


@dataclass(slots=True)
class Lease:
    """The right to work on a task; `seq` grows with each write of it."""

    task_id: int
    job_id: str
    kind: TaskKind
    purpose: Purpose
    token: int
    counter: int
    seq: int
    strikes: int
    unclean: bool
    entries: int = 0
    deaths: int = 0
    suspects: Mapping[int, Suspect] = field(default_factory=dict)
    small: bool = False
    """Of few entries: it was claimed beside others."""


@dataclass(frozen=True, slots=True)
class Window:
    """A recorded window of a task."""

    blob: bytes
    amendments: bytes | None
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class TaskBlobs:
    """A task's manifest and its windows, in order."""

    task_id: int
    manifest: bytes
    windows: list[Window]
    summary: str | None
    entries: int = 0


Fingerprint = tuple[bytes, bytes]
"""A directory, and what was published for its entries."""

FingerprintUnion = tuple[Mapping[int, bytes], bytes]
"""Fingerprints of one directory by ascending ids; what takes the last one's place, if anything."""


@dataclass(frozen=True, slots=True)
class NewTask:
    """A slice of entries that the scan, or a retry, hands to the ledger."""

    manifest: bytes
    entries: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Emission:
    """What a scan has found since its last write; counts are of the whole unit."""

    tasks: Sequence[NewTask]
    filtered: int
    reasons: Mapping[str, int]
    finished: bool
    effort: Mapping[str, Any] = field(default_factory=dict)
    frontier: bytes | None = None
    """What is left of the unit: what it has neither covered by tasks nor given away."""
    units: Sequence[bytes] = ()
    """What the unit gives away, to units of their own."""


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Acknowledged entries of a whole task, by outcome, and their bytes."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    vanished: int = 0
    poisoned: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


@dataclass(frozen=True, slots=True)
class WindowRecord:
    """One write of a task: window n recorded, window n-1 acknowledged."""

    window: bytes | None
    acknowledge: bool
    amendments: bytes | None
    fingerprints: Sequence[Fingerprint]
    counts: TaskCounts
    summary: str
    finished: bool
    intent: bool = False
    """It tells of what may begin, and of nothing that was done."""

    @property
    def is_progress(self) -> bool:
        """Whether entries were recorded or acknowledged."""
        return not self.intent and (self.acknowledge or self.window is not None)


@dataclass(frozen=True, slots=True)
class Moved:
    """What a retry or a split takes out of a task, and what stays behind."""

    tasks: Sequence[NewTask]
    gone: int
    counts: TaskCounts
    summary: str
    window: bytes | None = None
    unit: bytes | None = None
    """Directories that could not be read: the next round lists them again."""

    @property
    def size_bytes(self) -> int:
        """The sizes of what leaves the task."""
        return sum(task.size_bytes for task in self.tasks)


@dataclass(frozen=True, slots=True)
class NewJob:
    """A planned job on its way into the ledger."""

    id: str
    spec: Mapping[str, Any]
    plan: Mapping[str, Any]
    spec_hash: str
    pipeline_hash: str
    scope: str | None
    host: str = ""
    """Whose local paths are meant; empty: those of every host."""
    name: str | None = None
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    tasks_limit: int | None = None
    waits_for_scan: bool = False
    """Its entries are worked on only when all are listed."""
    waits_for_names: bool = False
    """They are when the names of all outputs have been compared, or entries put together, too."""
    units: Iterable[bytes] | None = None
    """What it has to list, to be read once or more; None: its roots."""
    origin: Mapping[str, Any] = field(default_factory=dict)
    """Who asked for it, as its first event tells."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant; what is None or empty is not asked for."""

    team: str | None = None
    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


EVERY_JOB = JobFilter()


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task as it is told of; its outcomes are those that are acknowledged."""

    id: int
    kind: str
    status: str
    round: int
    parent_id: int | None
    attempts: int
    entries: int
    size_bytes: int
    filtered: int
    done: int
    skipped: int
    failed: int
    vanished: int
    poisoned: int
    bytes_in: int
    bytes_out: int
    worker_id: str | None

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        outcomes = ("done", "skipped", "failed", "vanished", "poisoned")
        form = {**asdict(self), "counts": {name: getattr(self, name) for name in outcomes}}
        return {name: value for name, value in form.items() if name not in outcomes}


@dataclass(frozen=True, slots=True)
class Change:
    """What of a job changes while it is worked on: its spec and plan, whole, and its place."""

    spec: Mapping[str, Any]
    plan: Mapping[str, Any]
    priority: int
    tasks_limit: int | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Glance:
    """What a worker keeps an eye on while it works on a job; the books are without reasons."""

    status: JobStatus
    request: Request | None
    failing: bool
    scan_complete: bool
    books: Books
    forgiven: int = 0
    revision: int = 0

    @property
    def draining(self) -> bool:
        """Whether its workers may begin nothing new."""
        return self.failing or self.request is not None


@dataclass(frozen=True, slots=True)
class Closed:
    """How a job ends."""

    status: JobStatus
    report: Mapping[str, Any]
    finished_us: int
    error: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that works, or that died and has not been taken over yet."""

    id: str
    host: str
    pid: int
    tasks: int
    jobs: int
    silent_s: int | None
    joined_us: int | None
    version: str | None

    @property
    def present(self) -> bool:
        """Whether it was heard of lately: who has been silent for longer works on nothing."""
        return self.silent_s is not None and self.silent_s < SILENT_S

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        form = asdict(self)
        return {**form, "joined_at": write_time(form.pop("joined_us"))}


class Release(StrEnum):
    """In what condition a task is given back."""

    CLEAN = "clean"
    UNCLEAN = "unclean"  # litter may lie about
    STRUCK = "struck"  # unclean, and the attempt itself may be the reason
    DIED = "died"  # unclean; its process was killed or lost, nobody knows why


class Ledger(Protocol):
    """Jobs, tasks, outcomes and events in a database."""

    location: str
    """The database as people may see it: a path, or a URL without its password."""

    kernel_leases: bool
    """Whether a lease is a lock of the kernel: its holder is dead before anybody takes over."""

    host: str
    """What this host is called among others that use the ledger; empty where it is the only one."""

    # Jobs

    def create(self, job: NewJob) -> bool:
        """Store a pending job and the scan task of its roots; False if that was done before."""

    def created(self, job_id: str) -> Job:
        """Give a job that was created a moment ago: nothing is in its books."""

    def create_or_join(self, job: NewJob) -> str:
        """Store a job, unless one of its spec has not ended; give the id of the one there is.

        One transaction: of equal commands that begin together, one creates and the others join.
        """

    def find_ids(self, prefix: str, team: str | None = None) -> list[str]:
        """Give up to a few ids that begin so, of one team or of all."""

    def job(self, job_id: str) -> Job:
        """Give a job with its books; NotFoundError if there is none."""

    def status(self, job_id: str) -> tuple[JobStatus, Request | None]:
        """Give a job's status and what was asked of it: one cheap read."""

    def jobs(
        self,
        status: JobStatus | None,
        limit: int,
        before: str | None,
        chosen: JobFilter = EVERY_JOB,
    ) -> list[Job]:
        """List jobs, the latest first, those with ids below `before`."""

    def unfinished(self, team: str, limit: int) -> int:
        """Count the jobs of a team that have not ended, as far as a number."""

    def tasks(self, job_id: str, after: int, limit: int) -> list[TaskRow]:
        """List a job's tasks behind an id, in order."""

    def figures(self) -> tuple[dict[str, int], int]:
        """Count unfinished jobs by status, and the tasks in work."""

    def note(self, job_id: str, kind: str, detail: Mapping[str, Any]) -> None:
        """Append to a job's history what nothing else tells."""

    def books(self, job_id: str) -> Books:
        """Sum a job's books over its tasks, in one snapshot."""

    def glance(self, job_id: str) -> Glance:
        """See how far a job is and what was asked of it: cheap, for several times a second."""

    def summaries(self, job_id: str) -> Iterator[Mapping[str, Any]]:
        """Give the summary of each task that has one."""

    def blobs(
        self, job_id: str, *, failed_only: bool = False, after: int = 0
    ) -> Iterator[TaskBlobs]:
        """Give manifest and windows of each task of entries behind an id, one at a time."""

    def claimed_again(self, job_id: str) -> Iterator[TaskBlobs]:
        """Give manifest and windows of each task of entries that may have left something.

        It had several holders, or its summary tells of uploads that could not be given up.
        """

    def report(self, job_id: str, round_number: int | None = None) -> Mapping[str, Any] | None:
        """Give the report of a round, by default of the last one that ended."""

    def set_undone(self, job_id: str, detail: Mapping[str, Any]) -> None:
        """Note that a job's outputs were taken back."""

    def events(self, job_id: str, after: int, limit: int) -> list[Event]:
        """List a job's events behind an id, in order."""

    def last_event(self, job_id: str) -> int:
        """Give the id of a job's newest event; 0 where there is none."""

    # Requests

    def request(self, job_id: str, request: Request, why: Mapping[str, Any] | None = None) -> None:
        """Ask for a pause or a cancel; StatusError where the status does not allow it.

        `why` is given where no person asks, and shown with the paused job.
        """

    def resume(self, job_id: str, *, adopt: bool = False) -> None:
        """Take back a pause, or put a paused job back to pending.

        Failures so far are forgiven where they were the reason of the pause. With `adopt` files
        that are equal to the job's outputs, and that the ledger does not know, count as those.
        """

    def give_up(self, job_id: str, error: Mapping[str, Any]) -> None:
        """Have a job end as failed with what is left undone; its first error stays."""

    def change(self, job_id: str, change: Callable[[Job], Change]) -> None:
        """Change a job that has not ended, in one transaction; StatusError otherwise."""

    def apply_pause(self, job_id: str) -> bool:
        """Pause a job that was asked to, once no lease of it is held."""

    def retry(self, job_id: str, move: Callable[[TaskBlobs], Moved | None]) -> int:
        """Open the next round with what `move` takes out of each task; give the entries moved."""

    def delete(self, job_id: str) -> None:
        """Remove an ended job, in small batches."""

    def prune(self, before_us: int, limit: int) -> list[str]:
        """Begin to remove up to so many jobs that ended before a time; give their ids.

        Nobody finds them any more; `sweep` removes their rows.
        """

    def sweep(self, within_s: float | None = None) -> bool:
        """Remove rows of jobs whose removal has begun, in small batches; True: nothing is left.

        Stops with the first batch after so many seconds.
        """

    # Work

    def workers(self) -> list[Worker]:
        """List who works, and on how much."""

    def join(self) -> str:
        """Begin to work: give this worker's id."""

    def beat(self, held: Collection[int] = ()) -> None:
        """Show that this worker is alive, and still works on the tasks that it holds."""

    def leave(self) -> None:
        """Stop working; leases still held count as lost."""

    def inherited_fds(self) -> tuple[int, ...]:
        """Give the descriptors that the runner has to inherit for the lease to hold."""

    def take_over(self) -> int:
        """Free the tasks of workers that are dead or hung; give how many."""

    def claim(
        self, job_id: str | None, wanted: Mapping[TaskKind, int], *, small: int = 0
    ) -> list[Lease]:
        """Lease up to so many tasks of each kind, of one job or of any.

        So many `small` ones of entries beside them: work on many little jobs goes on in parallel.
        The highest priority comes first; among equals the team with the fewest tasks in work, of
        its jobs the one with the fewest, then the oldest. Jobs of another host are passed over.
        """

    def load(self, lease: Lease) -> TaskBlobs:
        """Give the manifest, the windows and the last summary of a leased task."""

    def fingerprints(self, lease: Lease, directories: Sequence[bytes]) -> Iterator[Fingerprint]:
        """Give what was published for those directories, of each the oldest first."""

    def unit(self, lease: Lease) -> bytes | None:
        """Give what a leased scan has to list; None: all that its job names."""

    def emitted(self, lease: Lease, last: int) -> Iterator[bytes]:
        """Give the manifests of so many of the last tasks that a scan emitted, the last first."""

    def emit(self, lease: Lease, emission: Emission) -> Verdict:
        """Store what a scan found, gave away and left."""

    def decide_names(
        self, lease: Lease, decided: Callable[[], Iterable[tuple[int, bytes]]]
    ) -> Verdict:
        """Store what was decided about the names of tasks, by id, and end the comparison.

        One transaction; `decided` may be called again. Manifests are handed out with it from here
        on, right behind each.
        """

    def group(
        self, lease: Lease, taken: Sequence[int], groups: Callable[[], Iterable[NewTask]]
    ) -> Verdict:
        """Replace tasks that nobody has worked on by others with the same entries.

        Ends the leased task that put these together, in one transaction; `groups` may be called
        again.
        """

    def commit_window(self, lease: Lease, record: WindowRecord) -> Verdict:
        """Record one window and acknowledge the one before."""

    def release(
        self, lease: Lease, how: Release, suspects: Mapping[int, Suspect] | None = None
    ) -> Verdict:
        """Give a task back; `suspects` take the place of those it had."""

    def ask_for_part(self, job_id: str | None) -> bool:
        """Ask the holder of the longest task, of one job or of any, for a part of it."""

    def asked_for(self) -> set[int]:
        """Tell of which tasks held here somebody without work wants a part."""

    def split(self, lease: Lease, moved: Moved) -> Verdict:
        """End a task with what is acknowledged; the rest becomes tasks of its own."""

    def fail_task(self, lease: Lease, error: Mapping[str, Any]) -> Verdict:
        """End a task that can't be done, and with it the job."""

    # Ends

    def open_closing(self, job_id: str) -> bool:
        """Create the closing task where nothing else is left to do."""

    def closable(self) -> list[str]:
        """List the jobs that may be ready for a pause or for closing."""

    def torn_directories(self, job_id: str, small_bytes: int) -> Iterator[bytes]:
        """List directories that have several fingerprints below a size."""

    def directory_fingerprints(self, job_id: str, directory: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the ids and blobs of a directory's fingerprints, the latest first."""

    def unite_fingerprints(self, unions: Sequence[FingerprintUnion]) -> None:
        """Put blobs in the places of fingerprints of one directory each, or drop these.

        Where these are not what they were, as another closing has united them, they stay.
        """

    def close(self, lease: Lease, closed: Closed) -> Verdict:
        """Set the end status, store the report and give the lease back, in one transaction."""

    def dispose(self) -> None:
        """Close every connection."""
