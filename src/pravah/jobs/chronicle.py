"""What the log says of leases, attempts and runners, in the words of an operator.

Nothing here decides anything. Names of files are told in errors only: the ledger has the others.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pravah.jobs import log, traces
from pravah.jobs.suspicion import FATAL_DEATHS

if TYPE_CHECKING:
    from pravah.jobs.attempt import Attempt
    from pravah.jobs.autopsy import Death
    from pravah.model.job import Job
    from pravah.model.ledger import Glance, Lease, Suspect


def claimed(lease: Lease, *, alone: bool) -> None:
    """Tell that a task is begun."""
    log.info(
        "task claimed",
        job=lease.job_id,
        task=lease.task_id,
        kind=lease.kind,
        attempt=lease.counter,
        entries=lease.entries or None,
        purpose=lease.purpose if lease.purpose != "work" else None,
        alone=alone or None,
    )


def ended(attempt: Attempt, how: str, error: Mapping[str, str] | None = None) -> None:
    """Tell the end of an attempt: `finished`, `given back`, `split`, `lease lost`, `failed`."""
    traces.attempt_ended(attempt, how, error)
    lease, counts = attempt.lease, attempt.counts
    log.outcome(
        "task ended",
        well=error is None and how != "lease lost",
        job=lease.job_id,
        task=lease.task_id,
        how=how,
        **{name: number for name, number in counts.items() if number},
        duration_s=round(time.monotonic() - attempt.begun_s, 3),
        **({"error_kind": error["kind"], "error": error["message"]} if error else {}),
    )


def suspected(lease: Lease, suspects: Mapping[int, Suspect]) -> None:
    """Tell of entries that were in flight when their process crashed or stood still."""
    first = next(iter(suspects.values()))
    about = {"job": lease.job_id, "task": lease.task_id, "kind": first.kind, "error": first.message}
    fatal = sum(suspect.deaths >= FATAL_DEATHS for suspect in suspects.values())
    if fatal:
        log.error("entries poisoned", **about, entries=fatal)
    if fatal < len(suspects):
        log.warning("entries suspected", **about, entries=len(suspects) - fatal)


def runner_lost(death: Death, reason: str) -> None:
    """Tell that the process which runs the core has ended, or had to."""
    if reason:
        log.warning("the process that runs the core was killed", kind="stalled", error=reason)
    else:
        kind = "runner_crashed" if death.crashed else "runner_died"
        log.warning("the process that runs the core died", kind=kind, error=death.how)


def stopping(job_id: str, glance: Glance) -> None:
    """Tell that a job is asked to stop, or has to."""
    log.info("job is stopping", job=job_id, request=glance.request or "error")


def stopped(job: Job) -> None:
    """Tell how a job has ended."""
    counts = {name: number for name, number in job.books.counts.to_dict().items() if number}
    error = job.error or {}
    log.outcome(
        "job ended",
        well=job.status == "completed",
        job=job.id,
        status=job.status,
        **counts,
        bytes_in=job.books.bytes_in,
        bytes_out=job.books.bytes_out,
        elapsed_s=round(job.elapsed_s, 3),
        error_kind=error.get("kind"),
        error=error.get("message"),
    )
