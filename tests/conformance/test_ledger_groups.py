"""Tasks that put files together take the place of those that the scan cut (protocol, rule 12)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pravah.model.ledger import Emission, Lease, Ledger, NewTask, TaskKind, Verdict
from tests.conformance.ledgers import Cluster, claim_entries, finish, new_job

GROUPS = (NewTask(b"whole outputs", 4, 45), NewTask(b"more of them", 2, 15))


@pytest.fixture
def job_id(ledger: Ledger) -> str:
    """Give a job whose files are put together, with two tasks that its scan cut."""
    job = replace(new_job(spec_hash="groups"), waits_for_names=True)
    ledger.create(job)
    (lease,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    tasks = [NewTask(b"first", 3, 30), NewTask(b"second", 3, 30)]
    ledger.emit(lease, Emission(tasks, 0, {}, finished=True))
    return job.id


def grouping(ledger: Ledger, job_id: str) -> tuple[Lease, list[int]]:
    """Lease the task that puts files together; give the tasks that it takes, too."""
    (lease,) = ledger.claim(job_id, {TaskKind.NAMES: 1})
    return lease, [task.task_id for task in ledger.blobs(job_id)]


def manifests(ledger: Ledger, job_id: str) -> list[bytes]:
    return [task.manifest for task in ledger.blobs(job_id)]


def test_groups_take_the_place_of_what_was_cut_and_the_books_stay_closed(
    ledger: Ledger, job_id: str
) -> None:
    before = ledger.books(job_id)
    lease, taken = grouping(ledger, job_id)
    assert claim_entries(ledger, job_id, 2) == []
    assert ledger.group(lease, taken, lambda: iter(GROUPS)) is Verdict.COMMITTED
    assert ledger.books(job_id).counts == before.counts
    assert ledger.books(job_id).listed_bytes == before.listed_bytes
    assert manifests(ledger, job_id) == [b"whole outputs", b"more of them"]
    for each in claim_entries(ledger, job_id, 2):
        finish(ledger, each)
    assert ledger.books(job_id).counts.done == 6
    assert ledger.open_closing(job_id)


def test_task_that_is_not_taken_stays(ledger: Ledger, job_id: str) -> None:
    lease, taken = grouping(ledger, job_id)
    groups = (NewTask(b"again", 3, 30),)
    assert ledger.group(lease, taken[1:], lambda: iter(groups)) is Verdict.COMMITTED
    assert manifests(ledger, job_id) == [b"first", b"again"]


def test_groups_of_a_holder_that_lost_its_lease_change_nothing(
    cluster: Cluster, job_id: str, ledger: Ledger
) -> None:
    zombie = cluster.worker()
    lost, taken = grouping(zombie, job_id)
    cluster.crash(zombie)
    ledger.take_over()
    lease, _ = grouping(ledger, job_id)
    late = (NewTask(b"late", 6, 60),)
    assert ledger.group(replace(lost), taken, lambda: iter(late)) is Verdict.FENCED
    assert manifests(ledger, job_id) == [b"first", b"second"]
    assert ledger.group(lease, taken, lambda: iter(GROUPS)) is Verdict.COMMITTED
    assert manifests(ledger, job_id) == [b"whole outputs", b"more of them"]


def test_more_tasks_than_a_statement_takes_are_replaced(ledger: Ledger) -> None:
    job = replace(new_job(spec_hash="many"), waits_for_names=True)
    ledger.create(job)
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([NewTask(b"one", 1, 1)] * 1201, 0, {}, finished=True))
    lease, taken = grouping(ledger, job.id)
    assert len(taken) == 1201
    assert ledger.group(lease, taken, lambda: iter([NewTask(b"all", 1201, 1201)])) is (
        Verdict.COMMITTED
    )
    assert manifests(ledger, job.id) == [b"all"]
