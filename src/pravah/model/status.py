"""Every status of jobs and tasks, and every change between them, in one table.

The ledger changes a status only through a row of `TRANSITIONS`, in one statement that checks the
old status, and appends an event of that name. ARCHITECTURE.md's diagram is generated from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class JobStatus(StrEnum):
    """Where a job is; the comment says who moves it on."""

    PENDING = "pending"  # the worker that claims a task of it
    RUNNING = "running"  # its closing task, or a pause once the last lease has ended
    PAUSED = "paused"  # a person who resumes it, or its closing once somebody cancels it
    COMPLETED = "completed"  # a person who retries it
    FAILED = "failed"  # a person who retries it
    CANCELLED = "cancelled"  # a person who retries it

    @property
    def ended(self) -> bool:
        """Whether only a retry can move it on."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class TaskStatus(StrEnum):
    """Where a task is; the comment says who moves it on."""

    PENDING = "pending"  # the worker that claims it, or the closing of a job that was given up
    RUNNING = "running"  # the worker that holds its lease, or who takes over after its death
    COMPLETED = "completed"  # nobody
    FAILED = "failed"  # a retry of its job
    CANCELLED = "cancelled"  # a retry of its job


class Subject(StrEnum):
    """What has a status."""

    JOB = "job"
    TASK = "task"


@dataclass(frozen=True, slots=True)
class Transition:
    """One allowed change of status."""

    subject: Subject
    name: str
    source: str
    target: str
    mover: str


def _job(name: str, source: JobStatus, target: JobStatus, mover: str) -> Transition:
    return Transition(Subject.JOB, name, source, target, mover)


def _task(name: str, source: TaskStatus, target: TaskStatus, mover: str) -> Transition:
    return Transition(Subject.TASK, name, source, target, mover)


TRANSITIONS = (
    _job("start", JobStatus.PENDING, JobStatus.RUNNING, "the worker that claims a task of it"),
    _job("pause", JobStatus.PENDING, JobStatus.PAUSED, "a pause, as no lease is held"),
    _job("pause", JobStatus.RUNNING, JobStatus.PAUSED, "a pause, when the last lease has ended"),
    _job("resume", JobStatus.PAUSED, JobStatus.PENDING, "resume, or the same command again"),
    _job("complete", JobStatus.RUNNING, JobStatus.COMPLETED, "its closing task"),
    _job("complete", JobStatus.PAUSED, JobStatus.COMPLETED, "its closing, on a cancel too late"),
    _job("fail", JobStatus.RUNNING, JobStatus.FAILED, "its closing task"),
    _job("fail", JobStatus.PAUSED, JobStatus.FAILED, "its closing, on a cancel too late"),
    _job("cancel", JobStatus.PENDING, JobStatus.CANCELLED, "its closing task"),
    _job("cancel", JobStatus.PAUSED, JobStatus.CANCELLED, "its closing task"),
    _job("cancel", JobStatus.RUNNING, JobStatus.CANCELLED, "its closing task"),
    _job("retry", JobStatus.COMPLETED, JobStatus.PENDING, "retry"),
    _job("retry", JobStatus.FAILED, JobStatus.PENDING, "retry"),
    _job("retry", JobStatus.CANCELLED, JobStatus.PENDING, "retry"),
    _task("claim", TaskStatus.PENDING, TaskStatus.RUNNING, "a worker"),
    _task("release", TaskStatus.RUNNING, TaskStatus.PENDING, "its worker, or who takes over"),
    _task("complete", TaskStatus.RUNNING, TaskStatus.COMPLETED, "its worker"),
    _task("fail", TaskStatus.RUNNING, TaskStatus.FAILED, "its worker, after the last try"),
    _task("cancel", TaskStatus.PENDING, TaskStatus.CANCELLED, "the closing of its job"),
    _task("retry", TaskStatus.CANCELLED, TaskStatus.PENDING, "a retry of its job"),
    _task("retry", TaskStatus.FAILED, TaskStatus.PENDING, "a retry of its job"),
)


@cache
def change(subject: Subject, name: str) -> tuple[tuple[str, ...], str]:
    """Give the statuses that a change starts from, and the one that it leads to."""
    rows = [row for row in TRANSITIONS if (row.subject, row.name) == (subject, name)]
    (target,) = {row.target for row in rows}
    return tuple(row.source for row in rows), target


def mermaid(subject: Subject) -> str:
    """Draw the transitions of jobs or tasks as a Mermaid state diagram."""
    rows = [row for row in TRANSITIONS if row.subject == subject]
    edges = (f"    {row.source} --> {row.target}: {row.name}" for row in rows)
    ends = (f"    {status} --> [*]" for status in _ends(rows))
    return "\n".join(["stateDiagram-v2", "    [*] --> pending", *edges, *ends]) + "\n"


def _ends(rows: Iterable[Transition]) -> list[str]:
    ended = ("completed", "failed", "cancelled")
    targets = dict.fromkeys(row.target for row in rows)
    return [status for status in targets if status in ended]
