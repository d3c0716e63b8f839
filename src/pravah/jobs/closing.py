"""The end of a job: fingerprints merged, the dataset written, the books closed.

Everything here can be done twice: a closing that was killed is done again by the next worker.
Only the last transaction sets the end status.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pravah import engine
from pravah.errors import EngineError, PravahError, StoreError
from pravah.jobs import after
from pravah.jobs.beating import while_beating
from pravah.jobs.dataset import write_dataset
from pravah.jobs.supervisor import Beat
from pravah.model.budget import tolerates
from pravah.model.job import Job
from pravah.model.ledger import Closed, Lease, Ledger, Request, Verdict
from pravah.model.report import Report
from pravah.model.status import JobStatus

# Directories whose fingerprints are merged between two signs of life.
_MERGED_AT_ONCE = 500


class Closing:
    """Closes jobs; `scratch` takes what a dataset's sorting does not keep in memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __call__(self, ledger: Ledger, lease: Lease, beat: Beat) -> Job | None:
        """Close the job of a leased closing task; give it as it ends, if the lease has held."""
        job = ledger.job(lease.job_id)
        error, results = job.error, None
        try:
            _merge_fingerprints(ledger, job, beat)
        except EngineError as problem:
            error = error or problem.to_dict()
        is_swept = while_beating(beat, lambda: _sweep(ledger, job))
        try:
            results = while_beating(beat, lambda: write_dataset(ledger, job, self._scratch))
        except (OSError, EngineError, StoreError) as problem:
            error = error or _unwritable(problem)
        aftermath = None
        if after.concerns(job):
            try:
                aftermath = while_beating(beat, lambda: after.finish_sources(ledger, job))
            except EngineError as problem:
                error = error or problem.to_dict()
        error = error or _unexplained(job) or (aftermath.error() if aftermath else None)
        status, finished_us = _end_status(job, error), time.time_ns() // 1000
        job = replace(job, status=status, error=error, results=results, finished_us=finished_us)
        report = Report.of(job, ledger.summaries(job.id)).to_dict()
        if not is_swept:
            report["swept"] = False
        if aftermath is not None:
            report["after"] = aftermath.to_dict()
        verdict = ledger.close(lease, Closed(status, report, finished_us, error, results))
        return None if verdict is Verdict.FENCED else job


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


def _merge_fingerprints(ledger: Ledger, job: Job, beat: Beat) -> None:
    while torn := ledger.torn_directories(job.id, _MERGED_AT_ONCE):
        unions = [(ids, engine.merge_fingerprints(blobs)) for ids, blobs in torn]
        ledger.merge_fingerprints(unions)
        beat()


def _sweep(ledger: Ledger, job: Job) -> bool:
    """Remove what holders have staged whose lease had expired, and who died before they saw it.

    Tells whether all of it could be looked for.
    """
    plan, is_swept = json.dumps(job.plan), True
    with suppress(EngineError, StoreError):
        engine.unshare(plan)
    for _, manifest in ledger.claimed_again(job.id):
        try:
            engine.sweep(plan, manifest)
        except (EngineError, StoreError):
            is_swept = False
    return is_swept


def _unwritable(problem: Exception) -> dict[str, Any]:
    return PravahError(
        f"can't write the dataset of the inspect steps: {problem}",
        kind="results_unwritable",
        hint="`pravah jobs results` still gives it",
    ).to_dict()
