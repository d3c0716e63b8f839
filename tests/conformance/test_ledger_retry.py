"""Retry: protocol rule 21."""

from __future__ import annotations

import pytest

from pravah.errors import StatusError
from pravah.model.job import Counts
from pravah.model.ledger import (
    Ledger,
    Moved,
    NewTask,
    Release,
    Request,
    TaskBlobs,
    TaskCounts,
    TaskKind,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import claim_entries, close, finish, listed, record


def _move_two(blobs: TaskBlobs) -> Moved | None:
    """Take two failed entries of ten out of a task."""
    return Moved(
        tasks=[NewTask(b"retried " + blobs.manifest, 2, 20)],
        gone=2,
        counts=TaskCounts(done=8),
        summary="{}",
    )


def _failed_job(ledger: Ledger) -> str:
    job_id = listed(ledger, 10)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease, done=8, failed=2)
    close(ledger, job_id, JobStatus.FAILED)
    return job_id


def test_retry_moves_failed_entries_to_new_tasks(ledger: Ledger) -> None:
    job_id = _failed_job(ledger)
    assert ledger.retry(job_id, _move_two) == 2
    job = ledger.job(job_id)
    assert (job.status, job.round) == (JobStatus.PENDING, 2)
    assert job.books.counts == Counts(listed=10, done=8, remaining=2)
    (lease,) = claim_entries(ledger, job_id)
    assert ledger.load(lease).manifest == b"retried manifest 0"


def test_retry_that_succeeds_ends_the_next_round(ledger: Ledger) -> None:
    job_id = _failed_job(ledger)
    ledger.retry(job_id, _move_two)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    close(ledger, job_id)
    assert ledger.job(job_id).status == JobStatus.COMPLETED
    first, second = ledger.report(job_id, 1), ledger.report(job_id)
    assert first is not None
    assert second is not None
    assert (first["counts"]["failed"], second["counts"]["failed"]) == (2, 0)


def test_retry_of_a_job_that_has_not_ended_is_refused(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    with pytest.raises(StatusError, match="it is running, not ended"):
        ledger.retry(job_id, _move_two)
    assert ledger.job(job_id).round == 1


def test_retry_without_anything_to_retry_is_refused_and_changes_nothing(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    close(ledger, job_id)
    with pytest.raises(StatusError) as caught:
        ledger.retry(job_id, lambda _: None)
    assert caught.value.kind == "nothing_to_retry"
    assert ledger.job(job_id).status == JobStatus.COMPLETED


def test_retry_of_a_group_that_no_task_holds_changes_nothing(ledger: Ledger) -> None:
    job_id = _failed_job(ledger)
    with pytest.raises(StatusError):
        ledger.retry(job_id, lambda _: None)
    assert ledger.job(job_id).books.counts.failed == 2


def test_retry_of_a_cancelled_job_reopens_what_was_never_begun(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 6, finished=False)
    ledger.request(job_id, Request.CANCEL)
    close(ledger, job_id, JobStatus.CANCELLED)
    assert ledger.retry(job_id, lambda _: None) == 10
    assert len(claim_entries(ledger, job_id, 5)) == 2
    assert len(ledger.claim(job_id, {TaskKind.SCAN: 1})) == 1
    assert not ledger.job(job_id).scan_complete


def test_retry_of_a_failed_task_with_an_open_window_goes_on_with_that_task(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    ledger.fail_task(lease, {"kind": "runner_died", "message": "killed"})
    close(ledger, job_id, JobStatus.FAILED)
    assert ledger.job(job_id).error is not None
    ledger.retry(job_id, lambda _: None)
    assert ledger.job(job_id).error is None
    (again,) = claim_entries(ledger, job_id)
    assert again.task_id == lease.task_id
    assert len(ledger.load(again).windows) == 1


def test_retry_keeps_what_it_moved_as_a_window(ledger: Ledger) -> None:
    job_id = _failed_job(ledger)

    def move(_: TaskBlobs) -> Moved:
        return Moved([NewTask(b"m", 2, 20)], 2, TaskCounts(done=8), "{}", window=b"moved")

    ledger.retry(job_id, move)
    first = next(ledger.blobs(job_id))
    assert first.windows[-1].blob == b"moved"
    assert first.windows[-1].acknowledged


def test_tasks_released_in_a_later_round_keep_their_round(ledger: Ledger) -> None:
    job_id = _failed_job(ledger)
    ledger.retry(job_id, _move_two)
    (lease,) = claim_entries(ledger, job_id)
    ledger.release(lease, Release.CLEAN)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease, failed=2)
    close(ledger, job_id, JobStatus.FAILED)
    assert ledger.job(job_id).round == 2
