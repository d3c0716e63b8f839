"""The end of a job: fingerprints united, the dataset written, the books closed.

Everything here can be done twice: a closing that was killed is done again by the next worker.
Only the last transaction sets the end status.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pravah import engine
from pravah.errors import PASSING, EngineError, LedgerError, PravahError, StoreError, ours
from pravah.jobs import after, fingerprints
from pravah.jobs.beating import while_beating
from pravah.jobs.crew import STRIKES
from pravah.jobs.dataset import write_dataset
from pravah.jobs.supervisor import Beat
from pravah.model.budget import tolerates
from pravah.model.job import Job
from pravah.model.ledger import Closed, Lease, Ledger, Request, Verdict
from pravah.model.report import Report
from pravah.model.status import JobStatus


class Closing:
    """Closes jobs; `scratch` takes what a dataset's sorting does not keep in memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __call__(self, ledger: Ledger, lease: Lease, beat: Beat) -> Job | None:
        """Close the job of a leased closing task; give it as it ends, if the lease has held.

        StoreError: a store is away, and another try may find it back.
        """
        job, problems = ledger.job(lease.job_id), _Problems(lease)
        results = aftermath = None
        is_swept = False
        with problems.what_fails(partial(ours, "can't merge what later runs compare with")):
            while_beating(beat, lambda: fingerprints.unite(ledger, job))
        with problems.what_fails(partial(ours, "can't look for what was left behind")):
            is_swept = while_beating(beat, lambda: _sweep(ledger, job))
        with problems.what_fails(_unwritable):
            results = while_beating(beat, lambda: write_dataset(ledger, job, self._scratch))
        if after.concerns(job):
            with problems.what_fails(partial(ours, "can't finish with the sources")):
                aftermath = while_beating(beat, lambda: after.finish_sources(ledger, job))
        error = job.error or problems.first or _unexplained(job)
        error = error or (aftermath.error() if aftermath else None)
        status, finished_us = _end_status(job, error), time.time_ns() // 1000
        job = replace(job, status=status, error=error, results=results, finished_us=finished_us)
        report = Report.of(job, ledger.summaries(job.id)).to_dict()
        if not is_swept:
            report["swept"] = False
        if aftermath is not None:
            report["after"] = aftermath.to_dict()
        verdict = ledger.close(lease, Closed(status, report, finished_us, error, results))
        return None if verdict is Verdict.FENCED else job


class _Problems:
    """What keeps parts of an end from being done, which is the job's own: the worker goes on.

    Only the ledger's errors are everybody's. And a store that is away may be back at another try.
    """

    def __init__(self, lease: Lease) -> None:
        self._tries_left = lease.strikes < STRIKES - 1
        self.first: dict[str, Any] | None = None

    @contextmanager
    def what_fails(self, form: Callable[[PravahError | OSError], PravahError]) -> Iterator[None]:
        """Keep the error of a part, in the form that a job has."""
        try:
            yield
        except LedgerError:
            raise
        except (PravahError, OSError) as problem:
            if self._tries_left and isinstance(problem, StoreError) and problem.kind in PASSING:
                raise
            self.first = self.first or form(problem).to_dict()


def _end_status(job: Job, error: dict[str, Any] | None) -> JobStatus:
    """Tell how a job ends: a cancel that came when all was done changes nothing."""
    counts = job.books.counts
    unfinished = counts.remaining > 0 or not job.scan_complete
    if error is not None:
        return JobStatus.FAILED
    if job.request == Request.CANCEL and unfinished:
        return JobStatus.CANCELLED
    failed = counts.failed + counts.poisoned
    within = tolerates(job.spec["on_error"]["budget"], failed, counts.chosen)
    return JobStatus.COMPLETED if within else JobStatus.FAILED


def _unexplained(job: Job) -> dict[str, Any] | None:
    """Refuse to complete a job with a hole in its books, whatever made it."""
    remaining = job.books.counts.remaining
    if job.request == Request.CANCEL or (not remaining and job.scan_complete):
        return None
    message = f"{remaining} entries have no outcome, and no task is left for them"
    return PravahError(message, kind="books_not_closed").to_dict()


def _sweep(ledger: Ledger, job: Job) -> bool:
    """Remove what holders have staged whose lease had expired, and who died before they saw it.

    Tells whether all of it could be looked for.
    """
    plan, is_swept = json.dumps(job.plan), True
    with suppress(EngineError, StoreError):
        engine.unshare(plan)
    for task in ledger.claimed_again(job.id):
        try:
            engine.sweep(plan, task)
        except (EngineError, StoreError):
            is_swept = False
    return is_swept


def _unwritable(problem: Exception) -> PravahError:
    return PravahError(
        f"can't write the dataset of the inspect steps: {problem}",
        kind="results_unwritable",
        hint="`pravah jobs results` still gives it",
    )
