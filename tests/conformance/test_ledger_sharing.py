"""Who gets what: workers shared out among teams and jobs, limits of jobs, paths of one host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from pravah.model.job import Counts
from pravah.model.ledger import (
    Emission,
    Ledger,
    Moved,
    NewTask,
    Release,
    Request,
    TaskCounts,
    TaskKind,
    Verdict,
)
from tests.conformance.ledgers import (
    Cluster,
    PostgresCluster,
    claim_entries,
    listed,
    new_job,
    record,
)


def _with_tasks(ledger: Ledger, tasks: int, *, limit: int | None = None, team: str = "") -> str:
    """Store a job of a team that has so many pending tasks of entries."""
    labels = {"team": team} if team else {}
    job = replace(new_job(spec_hash="shared"), tasks_limit=limit, labels=labels)
    ledger.create(job)
    (scan,) = ledger.claim(job.id, {TaskKind.SCAN: 1})
    found = [NewTask(b"manifest %d" % n, 1_000, 10) for n in range(tasks)]
    ledger.emit(scan, Emission(found, 0, {}, finished=True))
    return job.id


def test_claims_of_equal_jobs_alternate_between_them(ledger: Ledger) -> None:
    old, young = _with_tasks(ledger, 5), _with_tasks(ledger, 5)
    claimed = [claim_entries(ledger, None)[0].job_id for _ in range(4)]
    assert claimed == [old, young, old, young]


def test_claims_of_teams_are_even_however_many_jobs_each_has(ledger: Ledger) -> None:
    many = {_with_tasks(ledger, 3, team="many") for _ in range(6)}
    one = _with_tasks(ledger, 5, team="one")
    claimed = [claim_entries(ledger, None)[0].job_id for _ in range(8)]
    assert claimed.count(one) == 4
    assert sum(job_id in many for job_id in claimed) == 4


def test_claim_of_a_higher_priority_comes_before_fairness(ledger: Ledger) -> None:
    _with_tasks(ledger, 3)
    urgent = replace(new_job(spec_hash="urgent"), priority=1)
    ledger.create(urgent)
    (scan,) = ledger.claim(urgent.id, {TaskKind.SCAN: 1})
    ledger.emit(scan, Emission([NewTask(b"m", 1_000, 10)] * 3, 0, {}, finished=True))
    claimed = [claim_entries(ledger, None)[0].job_id for _ in range(3)]
    assert claimed == [urgent.id] * 3


@pytest.mark.parametrize("limit", [1, 3])
def test_limit_of_a_job_holds_for_all_workers_together(cluster: Cluster, limit: int) -> None:
    job_id = _with_tasks(cluster.worker(), 20, limit=limit)
    workers = [cluster.worker() for _ in range(8)]
    with ThreadPoolExecutor(len(workers)) as pool:
        claims = list(pool.map(lambda worker: claim_entries(worker, job_id, 2), workers))
    assert sum(map(len, claims)) == limit


def test_job_of_another_host_is_left_to_its_workers(request: pytest.FixtureRequest) -> None:
    cluster = PostgresCluster(request.getfixturevalue("postgres_server"))
    try:
        here, there = cluster.worker("here"), cluster.worker("there")
        job = replace(new_job(spec_hash="local"), host="there")
        here.create(job)
        assert here.claim(None, {TaskKind.SCAN: 1}) == []
        assert [lease.job_id for lease in there.claim(None, {TaskKind.SCAN: 1})] == [job.id]
    finally:
        cluster.close()


def test_job_of_every_host_is_anybodys(cluster: Cluster) -> None:
    job_id = listed(cluster.worker(), 4)
    assert len(claim_entries(cluster.worker(), job_id)) == 1


def test_worker_without_work_asks_for_a_part_of_the_longest_task(cluster: Cluster) -> None:
    busy, idle = cluster.worker(), cluster.worker()
    job_id = listed(busy, 40, 90, 5)
    held = {lease.entries: lease.task_id for lease in claim_entries(busy, job_id, 3)}
    assert busy.asked_for() == set()
    assert idle.ask_for_part(None)
    assert busy.asked_for() == {held[90]}
    assert idle.ask_for_part(job_id)
    assert busy.asked_for() == {held[90], held[40]}
    assert not idle.ask_for_part(job_id)  # five are too few to share


def test_part_of_a_task_is_not_asked_for_where_nobody_could_take_it(cluster: Cluster) -> None:
    busy, idle = cluster.worker(), cluster.worker()
    job_id = _with_tasks(busy, 1, limit=1)
    claim_entries(busy, job_id)
    assert not idle.ask_for_part(None)
    busy.request(_held_job(busy), Request.PAUSE)
    assert not idle.ask_for_part(None)


def test_split_task_ends_with_what_is_done_and_its_parts_are_pending(ledger: Ledger) -> None:
    job_id = listed(ledger, 10)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    ledger.commit_window(lease, record(window=None, acknowledge=True, done=4))
    parts = Moved([NewTask(b"a", 3, 30), NewTask(b"b", 3, 30)], 6, TaskCounts(done=4), "{}", b"w")
    assert ledger.split(lease, parts) is Verdict.COMMITTED
    assert ledger.split(lease, parts) is Verdict.COMMITTED  # its reply was lost
    assert ledger.books(job_id).counts == Counts(listed=10, done=4, remaining=6)
    assert [claimed.entries for claimed in claim_entries(ledger, job_id, 9)] == [3, 3]
    assert ledger.release(lease, Release.CLEAN) is Verdict.FENCED


def test_task_with_a_recorded_window_is_not_split(ledger: Ledger) -> None:
    job_id = listed(ledger, 10)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    assert ledger.split(lease, Moved([], 10, TaskCounts(), "{}")) is Verdict.FENCED
    assert ledger.books(job_id).counts.remaining == 10


def _held_job(ledger: Ledger) -> str:
    """Store another job, whose one task is in work."""
    job_id = listed(ledger, 50)
    claim_entries(ledger, job_id)
    return job_id
