"""Failure budgets: what becomes of a job in which more files fail than it tolerates."""

from __future__ import annotations

import pytest

from pravah.cli.exit_codes import ExitCode, of_job
from pravah.jobs.supervisor import Ending
from pravah.model.job import Job
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

# More than one window holds, so that something is left when the first failures are acknowledged.
FILES = 12_000
STEP = "decompress"


def _begin(workspace: Workspace, **on_error: object) -> Job:
    """Submit a job in which every file fails: none is compressed."""
    workspace.fill(FILES)
    return workspace.submit(STEP, on_error=on_error)


def test_abort_ends_the_job_with_an_error_and_what_is_left(workspace: Workspace) -> None:
    job = workspace.finish(_begin(workspace, budget=5, when_exceeded="abort"))
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["kind"] == "budget_exceeded"
    assert "the budget is 5" in job.error["message"]
    assert job.books.counts.failed > 5
    assert job.books.counts.remaining > 0


def test_retry_of_a_group_goes_on_with_what_an_abort_left(workspace: Workspace) -> None:
    job = workspace.finish(_begin(workspace, budget=5, when_exceeded="abort"))
    assert job.books.counts.remaining > 0
    workspace.jobs.retry(job.id, "F1")
    workspace.jobs.change(job.id, {"on_error": {"budget": FILES}})
    ended = workspace.finish(job)
    assert (ended.status, ended.error) == (JobStatus.COMPLETED, None)
    assert (ended.books.counts.failed, ended.books.counts.remaining) == (FILES, 0)


def test_pause_keeps_the_job_until_a_resume_that_tolerates_as_many_again(
    workspace: Workspace,
) -> None:
    job = _begin(workspace, budget=5, when_exceeded="pause")
    paused = workspace.jobs.work(job.id)
    assert paused.ending is Ending.PAUSED
    assert paused.job is not None
    assert paused.job.paused_by is not None
    assert paused.job.to_dict()["error"]["kind"] == "budget_exceeded"
    assert of_job(paused.job.to_dict()) == ExitCode.FILES_FAILED
    first = paused.job.books.counts.failed
    assert 5 < first < FILES
    resumed = workspace.jobs.resume(job.id)
    assert (resumed.paused_by, resumed.forgiven) == (None, first)
    again = workspace.jobs.work(job.id).job
    assert again is not None
    assert again.books.counts.failed > first + 5
    while again.status == JobStatus.PAUSED:
        workspace.jobs.resume(job.id)
        again = workspace.finish(job)
    assert again.status == JobStatus.FAILED
    assert again.books.counts.failed == FILES


def test_cancel_of_a_pause_with_nothing_left_ends_the_job_as_it_came_out(
    workspace: Workspace,
) -> None:
    for number in range(3):
        workspace.write(f"{number}.gz", b"no gzip")
    job = workspace.submit(STEP, on_error={"budget": 0, "when_exceeded": "pause"})
    paused = workspace.finish(job)
    assert (paused.status, paused.books.counts.remaining) == (JobStatus.PAUSED, 0)
    workspace.jobs.cancel(job.id)
    ended = workspace.finish(job)
    assert (ended.status, ended.request, ended.books.counts.failed) == (JobStatus.FAILED, None, 3)


def test_continue_tries_everything_and_fails_at_the_end(workspace: Workspace) -> None:
    job = workspace.finish(_begin(workspace, budget=5, when_exceeded="continue"))
    assert (job.status, job.error) == (JobStatus.FAILED, None)
    assert (job.books.counts.failed, job.books.counts.remaining) == (FILES, 0)


@pytest.mark.parametrize(("budget", "status"), [("100%", "completed"), ("1%", "failed")])
def test_share_is_judged_over_all_files(workspace: Workspace, budget: str, status: str) -> None:
    job = workspace.finish(_begin(workspace, budget=budget, when_exceeded="abort"))
    assert job.status == status
    assert job.scan_complete


def test_share_is_of_the_files_that_no_filter_left_out(workspace: Workspace) -> None:
    for number in range(8):
        workspace.write(f"{number}.log")
    workspace.write("bad.gz", b"no gzip")
    source = {"uri": str(workspace.source), "include": ["*.gz"]}
    job = workspace.run(STEP, source=source, on_error={"budget": "50%"})
    assert job.status == JobStatus.FAILED


def test_failures_within_the_budget_stop_nothing(workspace: Workspace) -> None:
    job = workspace.finish(_begin(workspace, budget=FILES, when_exceeded="pause"))
    assert job.status == JobStatus.COMPLETED
    assert job.books.counts.failed == FILES
