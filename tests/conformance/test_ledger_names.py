"""The comparison of names is a task of its own, which entries wait for (protocol, rule 16)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pravah.model.ledger import (
    Closed,
    Emission,
    Lease,
    Ledger,
    Moved,
    NewTask,
    Request,
    TaskCounts,
    TaskKind,
    Verdict,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import Cluster, claim_entries, new_job, record


@pytest.fixture
def job_id(ledger: Ledger) -> str:
    """Give a job whose names are compared; nothing is listed yet."""
    job = replace(new_job(spec_hash="names"), waits_for_names=True)
    ledger.create(job)
    return job.id


def scan(ledger: Ledger, job_id: str) -> None:
    """List two tasks."""
    (lease,) = ledger.claim(job_id, {TaskKind.SCAN: 1})
    tasks = [NewTask(b"first", 3, 30), NewTask(b"second", 3, 30)]
    ledger.emit(lease, Emission(tasks, 0, {}, finished=True))


def comparison(ledger: Ledger, job_id: str) -> list[Lease]:
    return ledger.claim(job_id, {TaskKind.NAMES: 1})


def test_claim_gives_the_comparison_behind_the_scan_and_entries_behind_the_comparison(
    ledger: Ledger, job_id: str
) -> None:
    assert comparison(ledger, job_id) == []
    scan(ledger, job_id)
    assert claim_entries(ledger, job_id, 2) == []
    (lease,) = comparison(ledger, job_id)
    first, second = ledger.blobs(job_id)
    assert ledger.decide_names(lease, lambda: iter([(first.task_id, b"!")])) is Verdict.COMMITTED
    assert [task.manifest for task in ledger.blobs(job_id)] == [b"first!", second.manifest]
    leases = claim_entries(ledger, job_id, 2)
    assert [ledger.load(lease).manifest for lease in leases] == [b"first!", b"second"]


def test_decision_of_a_holder_that_lost_its_lease_changes_nothing(
    cluster: Cluster, job_id: str, ledger: Ledger
) -> None:
    scan(ledger, job_id)
    zombie = cluster.worker()
    (lost,) = comparison(zombie, job_id)
    cluster.crash(zombie)
    ledger.take_over()
    (lease,) = comparison(ledger, job_id)
    first, _ = ledger.blobs(job_id)
    names = iter([(first.task_id, b"late")])
    assert ledger.decide_names(replace(lost), lambda: names) is Verdict.FENCED
    assert next(iter(ledger.blobs(job_id))).manifest == b"first"
    assert claim_entries(ledger, job_id) == []
    assert ledger.decide_names(lease, lambda: iter([])) is Verdict.COMMITTED


def test_cancel_ends_a_job_whose_names_were_not_compared(ledger: Ledger, job_id: str) -> None:
    scan(ledger, job_id)
    ledger.request(job_id, Request.CANCEL)
    assert comparison(ledger, job_id) == []
    assert ledger.open_closing(job_id)
    (closing,) = ledger.claim(job_id, {TaskKind.CLOSING: 1})
    ledger.close(closing, Closed(JobStatus.CANCELLED, {"counts": {}}, finished_us=1))
    # The next round compares anew.
    ledger.retry(job_id, lambda _: None)
    assert claim_entries(ledger, job_id) == []
    assert len(comparison(ledger, job_id)) == 1


def test_retry_compares_names_again_before_it_works(ledger: Ledger, job_id: str) -> None:
    scan(ledger, job_id)
    (lease,) = comparison(ledger, job_id)
    ledger.decide_names(lease, lambda: iter([]))
    for entries in claim_entries(ledger, job_id, 2):
        ledger.commit_window(entries, record(done=2, failed=1, finished=True))
    assert ledger.open_closing(job_id)
    (closing,) = ledger.claim(job_id, {TaskKind.CLOSING: 1})
    ledger.close(closing, Closed(JobStatus.FAILED, {"counts": {}}, finished_us=1))
    kept = TaskCounts(done=2)
    ledger.retry(job_id, lambda _: Moved([NewTask(b"again", 1, 10)], 1, kept, "{}"))
    assert claim_entries(ledger, job_id) == []
    (lease,) = comparison(ledger, job_id)
    ledger.decide_names(lease, lambda: iter([]))
    assert len(claim_entries(ledger, job_id, 2)) == 2
