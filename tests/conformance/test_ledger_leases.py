"""Leases and tokens: protocol rules 1 to 3, as far as they are the ledger's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pravah.model.ledger import (
    Closed,
    Emission,
    Lease,
    Ledger,
    NewTask,
    Release,
    Suspect,
    TaskKind,
    Verdict,
    WindowRecord,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import Cluster, claim_entries, listed, new_job, record, submit


def test_claim_of_a_pending_job_starts_it(ledger: Ledger) -> None:
    job_id = submit(ledger)
    assert ledger.status(job_id)[0] == JobStatus.PENDING
    ledger.claim(None, {TaskKind.SCAN: 1})
    assert ledger.status(job_id)[0] == JobStatus.RUNNING
    assert ledger.job(job_id).started_us is not None


def test_claim_of_several_jobs_takes_the_highest_priority_then_the_oldest(ledger: Ledger) -> None:
    old, young = submit(ledger), submit(ledger)
    urgent = submit(ledger, priority=5)
    leases = ledger.claim(None, {TaskKind.SCAN: 3})
    assert [lease.job_id for lease in leases] == [urgent, old, young]


def test_claim_of_one_job_leaves_others_alone(ledger: Ledger) -> None:
    submit(ledger)
    job_id = submit(ledger)
    assert [lease.job_id for lease in ledger.claim(job_id, {TaskKind.SCAN: 5})] == [job_id]


def test_claim_of_a_job_that_waits_for_its_scan_gives_entries_only_behind_it(
    ledger: Ledger,
) -> None:
    job = replace(new_job(spec_hash="waits"), waits_for_scan=True)
    ledger.create(job)
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([NewTask(b"manifest", 3, 30)], 0, {}, finished=False))
    assert claim_entries(ledger, job.id) == []
    ledger.emit(scan, Emission([], 0, {}, finished=True))
    assert len(claim_entries(ledger, job.id)) == 1


def test_tasks_claimed_again_are_those_with_several_holders(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4)
    first, _ = claim_entries(ledger, job_id, 2)
    assert list(ledger.claimed_again(job_id)) == []
    ledger.release(first, Release.UNCLEAN)
    (again,) = claim_entries(ledger, job_id)
    assert [(t.task_id, t.manifest) for t in ledger.claimed_again(job_id)] == [
        (again.task_id, b"manifest 0")
    ]


def test_tasks_that_tell_of_uploads_left_are_looked_at_like_those_claimed_again(
    ledger: Ledger,
) -> None:
    job_id = listed(ledger, 4, 4)
    first, _ = claim_entries(ledger, job_id, 2)
    told = replace(record(), summary='{"reasons": {}, "uploads_left": true}')
    assert ledger.commit_window(first, told) is not Verdict.FENCED
    (found,) = ledger.claimed_again(job_id)
    assert (found.task_id, found.manifest) == (first.task_id, b"manifest 0")
    assert found.windows == ledger.load(first).windows != []


def test_claim_of_a_leased_task_gives_nothing(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job_id = listed(first, 4)
    assert len(claim_entries(first, job_id)) == 1
    assert claim_entries(second, job_id) == []


def test_claim_by_many_workers_at_once_gives_each_task_to_one(cluster: Cluster) -> None:
    job_id = listed(cluster.worker(), *[1] * 40)
    workers = [cluster.worker() for _ in range(8)]

    def grab(worker: Ledger) -> list[int]:
        taken: list[int] = []
        while leases := claim_entries(worker, job_id, 2):
            taken += [lease.task_id for lease in leases]
        return taken

    with ThreadPoolExecutor(len(workers)) as pool:
        taken = [task_id for part in pool.map(grab, workers) for task_id in part]
    assert len(taken) == len(set(taken)) == 40


def test_token_of_a_later_claim_has_a_higher_counter(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (first,) = claim_entries(ledger, job_id)
    ledger.release(first, Release.CLEAN)
    (second,) = claim_entries(ledger, job_id)
    assert second.counter == first.counter + 1
    assert second.token > first.token


def test_write_whose_reply_was_lost_is_applied_once(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    seq = lease.seq
    assert ledger.commit_window(lease, record()) is Verdict.COMMITTED
    lease.seq = seq  # The caller never learned of it, and writes again.
    assert ledger.commit_window(lease, record()) is Verdict.COMMITTED
    assert len(ledger.load(lease).windows) == 1
    assert lease.seq == seq + 1


def test_last_write_whose_reply_was_lost_is_applied_once(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    last = record(window=None, finished=True, done=4)
    ledger.commit_window(lease, last)
    lease.seq -= 1
    assert ledger.commit_window(lease, last) is Verdict.COMMITTED
    assert ledger.books(job_id).counts.done == 4


@pytest.mark.parametrize("ahead", [-2, 2])
def test_write_under_another_sequence_number_is_fenced(ledger: Ledger, ahead: int) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    for _ in range(2):
        ledger.commit_window(lease, record(acknowledge=True))
    lease.seq += ahead
    assert ledger.commit_window(lease, record()) is Verdict.FENCED


def test_take_over_of_a_living_worker_frees_nothing(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job_id = listed(first, 4)
    claim_entries(first, job_id)
    assert second.take_over() == 0
    assert claim_entries(second, job_id) == []


def test_take_over_of_a_dead_worker_returns_its_tasks_as_unclean(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job_id = listed(first, 4, 4)
    claim_entries(first, job_id, 2)
    cluster.crash(first)
    assert second.take_over() == 2
    leases = claim_entries(second, job_id, 2)
    assert [lease.unclean for lease in leases] == [True, True]
    assert [lease.strikes for lease in leases] == [0, 0]


def test_take_over_by_two_workers_frees_each_task_once(cluster: Cluster) -> None:
    first, *others = [cluster.worker() for _ in range(5)]
    job_id = listed(first, *[1] * 6)
    claim_entries(first, job_id, 6)
    cluster.crash(first)
    with ThreadPoolExecutor(len(others)) as pool:
        assert sum(pool.map(lambda worker: worker.take_over(), others)) == 6


def test_take_over_of_a_worker_that_left_frees_nothing(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job_id = listed(first, 4)
    claim_entries(first, job_id)
    first.leave()
    assert second.take_over() == 0
    (lease,) = claim_entries(second, job_id)
    assert lease.unclean


def _zombie(cluster: Cluster, kind: TaskKind) -> tuple[Ledger, Ledger, Lease]:
    """Give a worker, and the lease that it lost to another one."""
    zombie, heir = cluster.worker(), cluster.worker()
    if kind == TaskKind.SCAN:
        job_id = submit(zombie)
    else:
        job_id = listed(zombie, *([4] if kind == TaskKind.ENTRIES else []))
    if kind == TaskKind.CLOSING:
        assert zombie.open_closing(job_id)
    (lost,) = zombie.claim(job_id, {kind: 1})
    cluster.crash(zombie)
    heir.take_over()
    (taken,) = heir.claim(job_id, {kind: 1})
    assert taken.token != lost.token
    return zombie, heir, lost


def test_window_of_a_zombie_is_fenced(cluster: Cluster) -> None:
    zombie, heir, lost = _zombie(cluster, TaskKind.ENTRIES)
    assert zombie.commit_window(lost, record(done=4, finished=True)) is Verdict.FENCED
    assert heir.books(lost.job_id).counts.done == 0
    assert heir.load(lost).windows == []


def test_emission_of_a_zombie_is_fenced(cluster: Cluster) -> None:
    zombie, heir, lost = _zombie(cluster, TaskKind.SCAN)
    assert zombie.emit(lost, Emission([], 7, {}, finished=True)) is Verdict.FENCED
    assert not heir.job(lost.job_id).scan_complete
    assert heir.books(lost.job_id).counts.filtered == 0


@pytest.mark.parametrize("how", list(Release))
def test_release_of_a_zombie_is_fenced(cluster: Cluster, how: Release) -> None:
    zombie, heir, lost = _zombie(cluster, TaskKind.ENTRIES)
    assert zombie.release(lost, how) is Verdict.FENCED
    assert claim_entries(heir, lost.job_id) == []


def test_failure_of_a_zombie_is_fenced(cluster: Cluster) -> None:
    zombie, heir, lost = _zombie(cluster, TaskKind.ENTRIES)
    assert zombie.fail_task(lost, {"kind": "x", "message": "y"}) is Verdict.FENCED
    assert heir.job(lost.job_id).error is None


def test_closing_of_a_zombie_is_fenced(cluster: Cluster) -> None:
    zombie, heir, lost = _zombie(cluster, TaskKind.CLOSING)
    assert zombie.close(lost, Closed(JobStatus.COMPLETED, {"counts": {}}, 1)) is Verdict.FENCED
    assert heir.status(lost.job_id)[0] == JobStatus.RUNNING


def test_strikes_of_a_task_grow_with_bad_ends_and_fall_with_progress(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    for expected in (0, 1, 2):
        (lease,) = claim_entries(ledger, job_id)
        assert lease.strikes == expected
        ledger.release(lease, Release.STRUCK)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    ledger.release(lease, Release.UNCLEAN)
    (lease,) = claim_entries(ledger, job_id)
    assert lease.strikes == 0


@pytest.mark.parametrize(
    "written",
    [record(window=None), record(intent=True), record(window=None, acknowledge=True, intent=True)],
    ids=["nothing", "intent", "intent acknowledged"],
)
def test_write_without_progress_keeps_strikes(ledger: Ledger, written: WindowRecord) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.release(lease, Release.STRUCK)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, written)
    ledger.release(lease, Release.STRUCK)
    (lease,) = claim_entries(ledger, job_id)
    assert lease.strikes == 2


def test_claim_of_a_job_with_a_limit_stops_there_over_all_workers(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job = replace(new_job(spec_hash="limited"), tasks_limit=2)
    first.create(job)
    (scan,) = first.claim(job.id, {TaskKind.SCAN: 1})
    first.emit(scan, Emission([NewTask(b"", 9_000, 1)] * 4, 0, {}, finished=True))
    held = [*claim_entries(first, job.id), *claim_entries(second, None, 4)]
    assert len(held) == 2
    assert claim_entries(second, None, 4) == []
    first.release(held[0], Release.CLEAN)
    assert len(claim_entries(second, None, 4)) == 1


def test_limit_of_one_job_leaves_the_slots_to_the_next(ledger: Ledger) -> None:
    job = replace(new_job(spec_hash="limited", priority=9), tasks_limit=1)
    ledger.create(job)
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([NewTask(b"", 9_000, 1)] * 3, 0, {}, finished=True))
    other = listed(ledger, 9_000)
    claimed = [*claim_entries(ledger, None, 2), *claim_entries(ledger, None, 2)]
    assert sorted(lease.job_id for lease in claimed) == sorted([job.id, other])


def test_claim_gives_small_tasks_beside_the_others(ledger: Ledger) -> None:
    job_id = listed(ledger, 9_000, 10, 9_000, 256, 9_000, 5)
    leases = ledger.claim(job_id, {TaskKind.ENTRIES: 2}, small=2)
    assert [lease.entries for lease in leases] == [9_000, 10, 9_000, 256]
    assert [lease.entries for lease in claim_entries(ledger, job_id, 1)] == [9_000]


def test_suspects_and_deaths_are_given_to_the_next_holder(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    suspects = {3: Suspect(1, "runner_crashed", "SIGSEGV")}
    ledger.release(lease, Release.UNCLEAN, suspects)
    (lease,) = claim_entries(ledger, job_id)
    assert (lease.suspects, lease.deaths, lease.strikes) == (suspects, 0, 0)
    for _ in range(2):
        ledger.release(lease, Release.DIED)
        (lease,) = claim_entries(ledger, job_id)
    assert (lease.suspects, lease.deaths) == (suspects, 2)
    ledger.commit_window(lease, record())
    ledger.release(lease, Release.CLEAN)
    (lease,) = claim_entries(ledger, job_id)
    assert lease.deaths == 1  # the next death finds it careful at once


def test_lost_worker_is_a_death_of_its_tasks_and_no_strike(cluster: Cluster) -> None:
    dead, living = cluster.worker(), cluster.worker()
    job_id = listed(dead, 4)
    claim_entries(dead, job_id)
    cluster.crash(dead)
    living.take_over()
    (lease,) = claim_entries(living, job_id)
    assert (lease.deaths, lease.strikes, lease.suspects) == (1, 0, {})
