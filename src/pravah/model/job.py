"""Jobs, their books, files and failures, in the forms that `--json`, REST and Python share."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from pravah.model.ids import shown
from pravah.model.status import JobStatus
from pravah.model.units import write_time


@dataclass(frozen=True, slots=True)
class Counts:
    """The books of a job: every listed entry is in exactly one of the other columns."""

    listed: int = 0
    done: int = 0
    skipped: int = 0
    filtered: int = 0
    failed: int = 0
    vanished: int = 0
    poisoned: int = 0
    remaining: int = 0

    @property
    def closed(self) -> bool:
        """Whether the books add up; anything else is a bug of ours."""
        return self.listed == self.accounted + self.remaining and self.remaining >= 0

    @property
    def chosen(self) -> int:
        """How many entries no filter left out."""
        return self.listed - self.filtered

    @property
    def accounted(self) -> int:
        """How many entries have an outcome."""
        return (
            self.done + self.skipped + self.filtered + self.failed + self.vanished + self.poisoned
        )

    def to_dict(self) -> dict[str, int]:
        """Give the wire form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger sums over a job's tasks."""

    counts: Counts = Counts()
    listed_bytes: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    rows: dict[str, int] | None = None
    """What became of the rows of tables; None where none were read."""


@dataclass(frozen=True, slots=True)
class Job:
    """One submitted spec and what has become of it; times in microseconds since 1970."""

    id: str
    status: JobStatus
    spec: dict[str, Any]
    plan: dict[str, Any]
    books: Books
    created_us: int
    name: str | None = None
    request: str | None = None
    started_us: int | None = None
    finished_us: int | None = None
    # Since when nobody works on it, and how long that was so before.
    paused_us: int | None = None
    idle_us: int = 0
    # When its outputs were taken back.
    undone_us: int | None = None
    scan_complete: bool = False
    round: int = 1
    priority: int = 0
    labels: dict[str, str] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    results: dict[str, Any] | None = None
    # Why Pravah itself, and no person, has paused the job.
    paused_by: dict[str, Any] | None = None
    # Failures that a resume has accepted.
    forgiven: int = 0
    revision: int = 0
    # Whose local paths are meant; empty: those of every host.
    host: str = ""

    @property
    def elapsed_s(self) -> float:
        """Seconds from the first claim to the end, or to now; time in pauses is left out."""
        if self.started_us is None:
            return 0.0
        end_us = self.paused_us or self.finished_us or time.time_ns() // 1000
        return max(0.0, (end_us - self.started_us - self.idle_us) / 1e6)

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        job_id, elapsed_s = shown(self.id), self.elapsed_s
        form = {
            "id": job_id,
            "name": self.name,
            "status": str(self.status),
            "created_at": write_time(self.created_us),
            "started_at": write_time(self.started_us),
            "finished_at": write_time(self.finished_us),
            "spec": self.spec,
            "labels": self.labels,
            "priority": self.priority,
            "scan_complete": self.scan_complete,
            "counts": self.books.counts.to_dict(),
            "reasons": self.books.reasons,
            "round": self.round,
            "listed_bytes": self.books.listed_bytes,
            "bytes_in": self.books.bytes_in,
            "bytes_out": self.books.bytes_out,
            "files_per_s": _rate(self.books.counts.done, elapsed_s),
            "bytes_per_s": _rate(self.books.bytes_in, elapsed_s),
            "eta_s": self.eta_s,
            "elapsed_s": round(elapsed_s, 3),
            "error": self.error or self.paused_by,
            "links": _links(job_id),
        }
        if self.undone_us is not None:
            form["undone_at"] = write_time(self.undone_us)
        if self.books.rows is not None:
            form["rows"] = self.books.rows
        return form | ({"results": self.results} if self.results else {})

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest will take at the speed so far; None where nobody can know."""
        counts, elapsed_s = self.books.counts, self.elapsed_s
        worked = counts.accounted - counts.filtered
        if self.status != JobStatus.RUNNING or not self.scan_complete or not worked:
            return None
        return round(counts.remaining * elapsed_s / worked, 1)


@dataclass(frozen=True, slots=True)
class Failure:
    """Entries that failed alike: one cause, a count and the first examples."""

    id: str
    kind: str
    step: str | None
    message: str
    count: int
    examples: tuple[str, ...]
    # The message without what differs from file to file: with kind and step it names the group.
    pattern: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {
            "id": self.id,
            "kind": self.kind,
            "step": self.step,
            "message": self.message,
            "count": self.count,
            "examples": list(self.examples),
        }


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: int
    job_id: str
    time_us: int
    kind: str
    detail: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form."""
        return {
            "id": self.id,
            "job": shown(self.job_id),
            "at": write_time(self.time_us),
            "kind": self.kind,
            "detail": self.detail,
        }


def _rate(amount: int, elapsed_s: float) -> float | None:
    return round(amount / elapsed_s, 1) if elapsed_s > 0 else None


def _links(job_id: str) -> dict[str, str]:
    below = ("files", "failures", "results", "report", "tasks", "events")
    return {"self": f"/jobs/{job_id}"} | {name: f"/jobs/{job_id}/{name}" for name in below}
