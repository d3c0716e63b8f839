"""Work at the desk that does not go as it should: taken over, damaged, refused, without room."""

from __future__ import annotations

from typing import Any

import pytest

from pravah.errors import StoreError
from pravah.jobs import after
from pravah.jobs.supervisor import Desk, Idle
from pravah.model.job import Job
from pravah.model.ledger import (
    Change,
    Emission,
    Lease,
    Ledger,
    NewTask,
    Release,
    Request,
    TaskKind,
)
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


def test_job_with_a_step_that_this_release_lacks_ends_alone(workspace: Workspace) -> None:
    workspace.write("a.txt")
    newer, other = workspace.submit("copy"), workspace.submit("checksum", sink=None)
    of_newer_release(workspace, newer)
    workspace.jobs.work(None, idle=Idle.LEAVE)
    ended = workspace.jobs.get(newer.id)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["kind"] == "unknown_processor"
    assert workspace.jobs.get(other.id).status == JobStatus.COMPLETED


def test_closing_with_a_step_that_this_release_lacks_ends_the_job_with_an_error(
    workspace: Workspace,
) -> None:
    """Its entries were all done by a worker of the newer release."""
    workspace.write("a.txt")
    job = workspace.submit("copy")
    ledger = workspace.jobs._ledger
    ledger.join()
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([], 0, {}, finished=True))
    ledger.leave()
    of_newer_release(workspace, job)
    ended = workspace.finish(job)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["kind"] == "results_unwritable"
    assert "newer" in ended.error["message"]


def test_names_that_have_no_room_to_be_compared_end_their_job_alone(workspace: Workspace) -> None:
    workspace.write("a.txt")
    sink = {"uri": str(workspace.sink), "path": "{name}"}
    named, other = workspace.submit("copy", sink=sink), workspace.submit("checksum", sink=None)
    scratch = workspace.home / "scratch"
    scratch.rmdir() if scratch.exists() else None
    scratch.write_bytes(b"no directory")
    workspace.jobs.work(None, idle=Idle.LEAVE)
    ended = workspace.jobs.get(named.id)
    assert ended.status == JobStatus.FAILED
    assert ended.error is not None
    assert ended.error["message"] == f"can't compare names in `{scratch}`"
    assert workspace.jobs.get(other.id).status == JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("kind", "failures", "status", "told"),
    [
        ("no_such_bucket", 1, JobStatus.FAILED, "no_such_bucket"),
        ("store_unreachable", 2, JobStatus.COMPLETED, None),
        ("store_unreachable", 3, JobStatus.FAILED, "store_unreachable"),
    ],
)
def test_store_that_fails_a_closing_fails_the_job_unless_it_may_come_back(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    failures: int,
    status: JobStatus,
    told: str | None,
) -> None:
    workspace.write("a.txt")
    finish_sources, left = after.finish_sources, iter(range(failures))

    def failing(ledger: Ledger, job: Job) -> after.Aftermath:
        if next(left, None) is not None:
            raise StoreError("the store says no", kind=kind)
        return finish_sources(ledger, job)

    monkeypatch.setattr(after, "finish_sources", failing)
    job = workspace.run("copy", source={"uri": str(workspace.source), "after": "delete"})
    assert (job.status, (job.error or {}).get("kind")) == (status, told)
    assert (workspace.source / "a.txt").exists() == (status == JobStatus.FAILED)


def of_newer_release(workspace: Workspace, job: Job) -> None:
    """Have the plan of a job name a step that this release lacks."""

    def renamed(found: Job) -> Change:
        plan = {**found.plan, "steps": [{"name": "newer", "params": {}}]}
        return Change(found.spec, plan, found.priority, None, {})

    workspace.jobs._ledger.change(job.id, renamed)
