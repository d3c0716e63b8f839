"""Spans of jobs and of attempts at their tasks, in the trace of the request that made the job."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pravah import tracing
from pravah.errors import LedgerError
from pravah.model.ids import shown
from pravah.tracing import Span, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pravah.jobs.attempt import Attempt
    from pravah.model.job import Job
    from pravah.model.ledger import Ledger


def parent_of(ledger: Ledger, job: Job) -> Trace | None:
    """Give the request that created a job; None where no trace knows of it, or none is wanted."""
    if not tracing.enabled():
        return None
    with suppress(LedgerError):  # a span less
        for event in ledger.events(job.id, 0, 1):
            return Trace.parse(str(event.detail.get("traceparent")))
    return None


def place_of(ledger: Ledger, job: Job) -> Trace | None:
    """Give the place of a job's round in its trace; None where nobody wants to know."""
    if not tracing.enabled():
        return None
    parent, about = parent_of(ledger, job), f"{job.id}/{job.round}"
    return Trace.about(about) if parent is None else parent.child(about)


def attempt_ended(attempt: Attempt, how: str, error: Mapping[str, str] | None) -> None:
    """Write the span of an attempt."""
    if attempt.trace is None:
        return
    lease, ended_ns = attempt.lease, time.time_ns()
    counts = {f"pravah.{name}": number for name, number in attempt.counts.items()}
    tracing.write(
        Span(
            name=f"task {lease.kind}",
            place=attempt.trace.child(),
            parent=attempt.trace,
            began_ns=ended_ns - round((time.monotonic() - attempt.begun_s) * 1e9),
            ended_ns=ended_ns,
            attributes={
                "pravah.job": shown(lease.job_id),
                "pravah.task": lease.task_id,
                "pravah.attempt": lease.counter,
                "pravah.how": how,
                **counts,
            },
            error=error["message"] if error else None,
        )
    )


def job_ended(ledger: Ledger, job: Job) -> None:
    """Write the span of a job's round, once it has ended."""
    place = place_of(ledger, job)
    if place is None:
        return
    ended_us = job.finished_us or time.time_ns() // 1000
    counts = {f"pravah.{name}": n for name, n in job.books.counts.to_dict().items()}
    failed = job.error["message"] if job.error else "files failed"
    tracing.write(
        Span(
            name="job",
            place=place,
            parent=parent_of(ledger, job),
            began_ns=ended_us * 1000 - round(job.elapsed_s * 1e9),
            ended_ns=ended_us * 1000,
            attributes={
                "pravah.job": shown(job.id),
                "pravah.round": job.round,
                "pravah.status": str(job.status),
                **({"pravah.name": job.name} if job.name else {}),
                **counts,
            },
            error=failed if job.status == "failed" else None,
        )
    )
