"""Closings that do not go as they should: one that was taken over, and one over damaged books."""

from __future__ import annotations

from typing import Any

import pytest

from pravah.jobs.supervisor import Desk
from pravah.model.job import Job
from pravah.model.ledger import Emission, Lease, Ledger, NewTask, Release, Request, TaskKind
from pravah.model.status import JobStatus
from tests.conformance.ledgers import claim_entries, finish
from tests.integration.workspace import Workspace


def test_closing_whose_lease_was_lost_tells_no_end_of_the_job(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    workspace.write("a.txt")
    job = workspace.submit("copy")
    workspace.jobs._ledger.request(job.id, Request.CANCEL)
    supervisor = workspace.jobs.supervisor(job.id)
    closed: list[Job | None] = []

    def close(ledger: Ledger, lease: Lease, beat: Any) -> Job | None:
        """Lose the lease of the first closing while it is done."""
        if not closed:
            ledger.release(lease, Release.UNCLEAN)
        closed.append(desk.close(ledger, lease, beat))
        return closed[-1]

    desk = supervisor._desk
    supervisor._desk = Desk(close, desk.compare)
    ended = supervisor.run().job
    assert ended is not None
    assert ended.status == JobStatus.CANCELLED
    assert [each and each.status for each in closed] == [None, JobStatus.CANCELLED]
    assert caplog.messages.count("job ended") == 1


def test_closing_over_damaged_fingerprints_ends_the_job_with_an_error(
    workspace: Workspace,
) -> None:
    workspace.write("a.txt")
    job = workspace.submit("copy")
    ledger = workspace.jobs._ledger
    ledger.join()
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([NewTask(b"manifest", 1, 1)] * 2, 0, {}, finished=True))
    for lease in claim_entries(ledger, job.id, 2):
        finish(ledger, lease)
    ledger.leave()
    ended = workspace.finish(job)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["kind"] == "damaged_blob"
