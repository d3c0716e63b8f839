"""The end of a job: fingerprints merged, the dataset written, the books closed.

Everything here can be done twice: a closing that was killed is done again by the next worker.
Only the last transaction sets the end status.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pravah import engine
from pravah.errors import EngineError, PravahError
from pravah.jobs import after
from pravah.jobs.access import written_to
from pravah.jobs.beating import while_beating
from pravah.jobs.supervisor import Beat
from pravah.model.budget import tolerates
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.model.ledger import Closed, Lease, Ledger, Request
from pravah.model.report import Report
from pravah.model.status import JobStatus
from pravah.model.uri import path_uri
from pravah.registry import registry

# Directories whose fingerprints are merged between two signs of life.
_MERGED_AT_ONCE = 500
# Records that a job shows of its dataset.
_FIRST_RECORDS = 3


class Closing:
    """Closes jobs; `scratch` takes what a dataset's sorting does not keep in memory."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch

    def __call__(self, ledger: Ledger, lease: Lease, beat: Beat) -> Job:
        """Close the job of a leased closing task; give it as it ends."""
        job = ledger.job(lease.job_id)
        _merge_fingerprints(ledger, job, beat)
        while_beating(beat, lambda: _sweep(ledger, job))
        error, results = job.error, None
        sink = written_to(job.plan) if _finds_records(job) else None
        if sink is not None:
            try:
                results = while_beating(beat, lambda: self._write_dataset(ledger, job, sink))
            except (OSError, EngineError) as problem:
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
        if aftermath is not None:
            report["after"] = aftermath.to_dict()
        ledger.close(lease, Closed(status, report, finished_us, error, results))
        return job

    def _write_dataset(self, ledger: Ledger, job: Job, sink: bytes) -> dict[str, Any]:
        """Write the findings of inspect steps below the sink, whole or not at all."""
        directory = Path(os.fsdecode(sink)) / "_pravah" / shown(job.id)
        # Those that a closing before this one has made may not be on disk either: all up to the
        # place where the sink lies, and whatever is made here above it.
        places = {directory, *directory.parents[:3]}
        places |= {above.parent for above in directory.parents if not above.exists()}
        directory.mkdir(parents=True, exist_ok=True)
        path, fresh = directory / "results.ndjson", directory / ".results.ndjson.new"
        with fresh.open("w+b") as file:
            count = gather(ledger, job, self._scratch, file.fileno())
            os.fsync(file.fileno())
            file.seek(0)
            first = [json.loads(line) for line in islice(file, _FIRST_RECORDS)]
        fresh.rename(path)
        for place in places:
            with suppress(PermissionError):  # others' directory, which this user may not open
                _sync(place)
        return {"count": count, "uri": path_uri(bytes(path)), "first": first}


def gather(ledger: Ledger, job: Job, scratch: Path, descriptor: int) -> int:
    """Write the job's records in bytewise order of their paths; give their number."""
    scratch.mkdir(parents=True, exist_ok=True)
    results = engine.Results(json.dumps(job.plan), bytes(scratch))
    for task in ledger.blobs(job.id):
        results.add(task)
    return results.write(descriptor)


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


def _sweep(ledger: Ledger, job: Job) -> None:
    """Remove what holders have staged whose lease had expired, and who died before they saw it."""
    plan = json.dumps(job.plan)
    with suppress(EngineError):
        engine.unshare(plan)
    for _, manifest in ledger.claimed_again(job.id):
        # A sink that can't be listed has been told of by the tasks themselves.
        with suppress(EngineError):
            engine.sweep(plan, manifest)


def _finds_records(job: Job) -> bool:
    known = registry()
    return any(known.find(step["name"]).shape == "inspect" for step in job.plan["steps"])


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(problem: Exception) -> dict[str, Any]:
    return PravahError(
        f"can't write the dataset of the inspect steps: {problem}",
        kind="results_unwritable",
        hint="`pravah jobs results` still gives it",
    ).to_dict()
