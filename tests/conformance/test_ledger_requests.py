"""Pause, cancel, resume and delete: protocol rules 19, 20 and 24."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pravah import __version__
from pravah.db import closing
from pravah.errors import NotFoundError, StatusError
from pravah.model.ledger import (
    Change,
    Closed,
    Ledger,
    Purpose,
    Release,
    Request,
    TaskKind,
    Verdict,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import (
    Cluster,
    claim_entries,
    close,
    finish,
    listed,
    new_job,
    record,
    submit,
)


def test_pause_of_a_job_without_leases_takes_effect_at_once(ledger: Ledger) -> None:
    job_id = submit(ledger)
    ledger.request(job_id, Request.PAUSE)
    assert ledger.apply_pause(job_id)
    assert ledger.status(job_id) == (JobStatus.PAUSED, None)
    assert ledger.claim(None, {TaskKind.SCAN: 1}) == []


def test_pause_of_a_leased_job_waits_for_its_last_lease(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.request(job_id, Request.PAUSE)
    assert not ledger.apply_pause(job_id)
    assert ledger.commit_window(lease, record()) is Verdict.DRAIN
    ledger.commit_window(lease, record(window=None, acknowledge=True, done=2))
    ledger.release(lease, Release.CLEAN)
    assert ledger.apply_pause(job_id)
    assert ledger.job(job_id).books.counts.done == 2


def test_pause_of_a_job_leaves_only_unsettled_tasks_to_claim(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4, 4)
    recorded, untouched = claim_entries(ledger, job_id, 2)
    ledger.commit_window(recorded, record())
    ledger.request(job_id, Request.PAUSE)
    ledger.release(recorded, Release.CLEAN)
    ledger.release(untouched, Release.CLEAN)
    (lease,) = claim_entries(ledger, job_id, 3)
    assert (lease.task_id, lease.purpose) == (recorded.task_id, Purpose.SETTLE)


def test_time_in_a_pause_is_not_time_that_a_job_took(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.request(job_id, Request.PAUSE)
    ledger.release(lease, Release.CLEAN)
    assert ledger.apply_pause(job_id)
    paused = ledger.job(job_id)
    time.sleep(0.2)
    assert ledger.job(job_id).elapsed_s == paused.elapsed_s
    ledger.resume(job_id)
    claim_entries(ledger, job_id)
    resumed = ledger.job(job_id)
    assert resumed.started_us == paused.started_us
    assert (resumed.paused_us, resumed.idle_us >= 200_000) == (None, True)


def test_pause_asked_twice_is_one_request(ledger: Ledger) -> None:
    job_id = submit(ledger)
    ledger.request(job_id, Request.PAUSE)
    ledger.request(job_id, Request.PAUSE)
    ledger.apply_pause(job_id)
    ledger.request(job_id, Request.PAUSE)
    assert ledger.status(job_id) == (JobStatus.PAUSED, None)


def test_resume_of_a_paused_job_makes_it_pending(ledger: Ledger) -> None:
    job_id = submit(ledger)
    ledger.request(job_id, Request.PAUSE)
    ledger.apply_pause(job_id)
    ledger.resume(job_id)
    assert ledger.status(job_id) == (JobStatus.PENDING, None)


def test_resume_before_a_pause_took_effect_takes_it_back(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.request(job_id, Request.PAUSE)
    ledger.resume(job_id)
    assert ledger.status(job_id) == (JobStatus.RUNNING, None)
    assert ledger.commit_window(lease, record()) is Verdict.COMMITTED


def test_resume_of_a_running_job_is_no_transition(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    before = [event.kind for event in ledger.events(job_id, 0, 100)]
    ledger.resume(job_id)
    assert [event.kind for event in ledger.events(job_id, 0, 100)] == before


def test_resume_of_an_ended_job_is_refused(ledger: Ledger) -> None:
    job_id = listed(ledger)
    close(ledger, job_id)
    with pytest.raises(StatusError, match="it is completed"):
        ledger.resume(job_id)


def test_cancel_is_not_taken_back_by_pause_or_resume(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    ledger.request(job_id, Request.CANCEL)
    with pytest.raises(StatusError, match="being cancelled"):
        ledger.request(job_id, Request.PAUSE)
    with pytest.raises(StatusError, match="being cancelled"):
        ledger.resume(job_id)
    assert ledger.status(job_id)[1] == Request.CANCEL


def test_cancel_of_a_paused_job_can_be_closed(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    ledger.request(job_id, Request.PAUSE)
    ledger.apply_pause(job_id)
    ledger.request(job_id, Request.CANCEL)
    assert job_id in ledger.closable()
    close(ledger, job_id, JobStatus.CANCELLED)
    assert ledger.job(job_id).books.counts.remaining == 4


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED])
def test_cancel_of_a_paused_job_in_which_all_was_done_ends_as_it_came_out(
    ledger: Ledger, status: JobStatus
) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.request(job_id, Request.PAUSE)
    finish(ledger, lease)
    assert ledger.apply_pause(job_id)
    ledger.request(job_id, Request.CANCEL)
    close(ledger, job_id, status)
    assert ledger.status(job_id) == (status, None)


def test_pause_of_a_job_that_is_being_closed_does_not_stop_its_closing(cluster: Cluster) -> None:
    dying, ledger = cluster.worker(), cluster.worker()
    job_id = listed(ledger)
    assert dying.open_closing(job_id)
    dying.claim(job_id, {TaskKind.CLOSING: 1})
    cluster.crash(dying)
    assert ledger.take_over() == 1
    ledger.request(job_id, Request.PAUSE)
    assert not ledger.apply_pause(job_id)
    close(ledger, job_id, opened=True)
    assert ledger.status(job_id) == (JobStatus.COMPLETED, None)


def test_closing_that_may_not_set_the_status_writes_nothing(ledger: Ledger) -> None:
    job_id = listed(ledger)
    assert ledger.open_closing(job_id)
    (lease,) = ledger.claim(job_id, {TaskKind.CLOSING: 1})
    report = {"counts": {}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(closing, "move_job", lambda *_, **__: False)
        with pytest.raises(StatusError, match="can't complete"):
            ledger.close(lease, Closed(JobStatus.COMPLETED, report, finished_us=1))
    assert ledger.report(job_id) is None
    assert ledger.status(job_id) == (JobStatus.RUNNING, None)
    assert ledger.close(lease, Closed(JobStatus.COMPLETED, report, 1)) is Verdict.COMMITTED


def test_cancel_waits_until_recorded_windows_are_settled(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    ledger.request(job_id, Request.CANCEL)
    assert not ledger.open_closing(job_id)
    ledger.release(lease, Release.UNCLEAN)
    assert not ledger.open_closing(job_id)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record(window=None, acknowledge=True, done=1))
    ledger.release(lease, Release.CLEAN)
    close(ledger, job_id, JobStatus.CANCELLED)
    counts = ledger.job(job_id).books.counts
    assert (counts.done, counts.remaining) == (1, 3)


def test_closing_is_opened_once_by_many_workers(cluster: Cluster) -> None:
    workers = [cluster.worker() for _ in range(3)]
    job_id = listed(workers[0])
    assert [worker.open_closing(job_id) for worker in workers] == [True, False, False]


def test_closing_waits_for_pending_tasks_and_the_scan(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, finished=False)
    assert not ledger.open_closing(job_id)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    assert not ledger.open_closing(job_id)


def test_closing_sets_status_report_and_event_in_one_step(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    close(ledger, job_id)
    job, report = ledger.job(job_id), ledger.report(job_id)
    assert job.status == JobStatus.COMPLETED
    assert job.finished_us is not None
    assert report is not None
    assert report["counts"]["done"] == 4
    assert ledger.events(job_id, 0, 100)[-1].kind == "job_complete"


def test_create_or_join_joins_the_latest_job_that_can_go_on(ledger: Ledger) -> None:
    old, young = submit(ledger, spec_hash="a"), submit(ledger, spec_hash="a")
    submit(ledger, spec_hash="b")
    assert ledger.create_or_join(new_job(spec_hash="a")) == young
    ledger.request(young, Request.CANCEL)
    assert ledger.create_or_join(new_job(spec_hash="a")) == old
    other = new_job(spec_hash="c")
    assert ledger.create_or_join(other) == other.id


def test_create_or_join_of_equal_jobs_at_once_creates_one(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as threads:
        jobs = [new_job(spec_hash="a") for _ in range(16)]
        ids = set(threads.map(ledger.create_or_join, jobs))
    assert len(ids) == 1
    assert len(ledger.jobs(None, 100, None)) == 1


def test_find_ids_gives_every_id_with_the_prefix(ledger: Ledger) -> None:
    ids = sorted(submit(ledger) for _ in range(3))
    assert ledger.find_ids(ids[0][:5]) == ids
    assert ledger.find_ids(ids[1]) == [ids[1]]
    assert ledger.find_ids("ZZ") == []


def test_list_pages_are_complete_and_do_not_overlap(ledger: Ledger) -> None:
    ids = sorted((submit(ledger) for _ in range(7)), reverse=True)
    seen: list[str] = []
    while page := ledger.jobs(None, 3, seen[-1] if seen else None):
        seen += [job.id for job in page]
    assert seen == ids


def test_list_by_status_gives_only_those(ledger: Ledger) -> None:
    submit(ledger)
    running = listed(ledger, 4)
    assert [job.id for job in ledger.jobs(JobStatus.RUNNING, 10, None)] == [running]


def test_job_that_does_not_exist_is_not_found(ledger: Ledger) -> None:
    with pytest.raises(NotFoundError, match="no job `job_01XXXX`") as caught:
        ledger.job("01XXXX")
    assert caught.value.kind == "job_not_found"


def test_delete_removes_the_job_and_keeps_its_fingerprints(ledger: Ledger) -> None:
    job_id = listed(ledger, *[4] * 5)
    for lease in claim_entries(ledger, job_id, 5):
        finish(ledger, lease)
    close(ledger, job_id)
    ledger.delete(job_id)
    with pytest.raises(NotFoundError):
        ledger.job(job_id)
    next_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, next_id)
    assert ledger.fingerprints(lease, [b"directory"])


def test_delete_of_a_job_that_has_not_ended_is_refused(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    with pytest.raises(StatusError, match="it is running"):
        ledger.delete(job_id)


def test_events_behind_an_id_are_the_later_ones(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    everything = ledger.events(job_id, 0, 100)
    assert [event.kind for event in everything] == [
        "job_created",
        "task_claim",
        "job_start",
        "task_complete",
    ]
    assert ledger.events(job_id, everything[1].id, 1) == everything[2:3]


def test_delete_that_was_interrupted_is_finished_by_the_next(cluster: Cluster) -> None:
    ledger = cluster.worker()
    ids = [listed(ledger) for _ in range(2)]
    for job_id in ids:
        close(ledger, job_id)
    cluster.begin_delete(ids[0])
    with pytest.raises(NotFoundError):
        ledger.job(ids[0])
    ledger.delete(ids[1])
    assert cluster.rows_of(ids[0]) == cluster.rows_of(ids[1]) == 0


def test_prune_removes_jobs_that_ended_before_a_time_and_no_others(ledger: Ledger) -> None:
    old, running = listed(ledger, 2), listed(ledger, 2)
    (lease,) = claim_entries(ledger, old)
    finish(ledger, lease)
    close(ledger, old)  # ends at microsecond 1
    assert ledger.prune(1, 10) == []
    assert ledger.prune(2, 10) == [old]
    assert [job.id for job in ledger.jobs(None, 10, None)] == [running]
    with pytest.raises(NotFoundError):
        ledger.retry(old, lambda _: None)


def test_sweep_that_runs_out_of_time_is_gone_on_with(cluster: Cluster) -> None:
    ledger = cluster.worker()
    ids = [listed(ledger) for _ in range(2)]
    for job_id in ids:
        close(ledger, job_id)
    assert sorted(ledger.prune(2, 10)) == sorted(ids)
    assert not ledger.sweep(0.0)
    left = [cluster.rows_of(job_id) for job_id in ids]
    assert sum(left) > 0
    assert ledger.sweep()
    assert [cluster.rows_of(job_id) for job_id in ids] == [0, 0]


def test_prune_takes_no_more_jobs_than_asked(ledger: Ledger) -> None:
    for _ in range(3):
        job_id = listed(ledger, 2)
        (lease,) = claim_entries(ledger, job_id)
        finish(ledger, lease)
        close(ledger, job_id)
    assert [len(ledger.prune(2, 2)) for _ in range(3)] == [2, 1, 0]


def test_workers_are_shown_with_what_they_hold(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    job_id = listed(first, 2, 2)
    held = claim_entries(second, job_id, 2)
    workers = first.workers()
    assert sorted((w.tasks, w.jobs) for w in workers) == [(0, 0), (len(held), 1)]
    assert {(w.pid, w.version) for w in workers} == {(os.getpid(), __version__)}
    assert all(w.silent_s is not None and w.silent_s < 30 for w in workers)
    second.leave()
    assert len(first.workers()) == 1


def _failed(ledger: Ledger, job_id: str, failed: int) -> None:
    """Acknowledge a task of a job with so many failures."""
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record())
    last = record(window=None, acknowledge=True, finished=True, failed=failed)
    ledger.commit_window(lease, last)


def test_resume_after_a_pause_by_the_budget_forgives_the_failures_so_far(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4)
    _failed(ledger, job_id, 4)
    why = {"kind": "budget_exceeded", "message": "too many"}
    ledger.request(job_id, Request.PAUSE, why)
    assert ledger.apply_pause(job_id)
    assert ledger.job(job_id).paused_by == why
    ledger.resume(job_id)
    job = ledger.job(job_id)
    assert (job.status, job.paused_by, job.forgiven) == (JobStatus.PENDING, None, 4)
    assert ledger.glance(job_id).forgiven == 4


def test_resume_after_a_pause_for_another_reason_forgives_nothing(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4)
    _failed(ledger, job_id, 4)
    ledger.request(job_id, Request.PAUSE, {"kind": "sink_full", "message": "full"})
    assert ledger.apply_pause(job_id)
    ledger.resume(job_id)
    assert (ledger.job(job_id).paused_by, ledger.job(job_id).forgiven) == (None, 0)


def test_job_given_up_keeps_its_first_error_and_drains(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.give_up(job_id, {"kind": "first", "message": "one"})
    ledger.give_up(job_id, {"kind": "second", "message": "two"})
    assert (ledger.job(job_id).error or {})["kind"] == "first"
    assert ledger.commit_window(lease, record()) is Verdict.DRAIN
    assert claim_entries(ledger, job_id) == []
    assert [e.kind for e in ledger.events(job_id, 0, 100)].count("job_error") == 1


def test_change_of_a_job_is_seen_by_its_workers(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    before = ledger.glance(job_id).revision
    spec = {"version": 1, "priority": 3}
    ledger.change(job_id, lambda job: Change(spec, job.plan, 3, 2, {"priority": 3}))
    job = ledger.job(job_id)
    assert (job.spec, job.priority, job.revision) == (spec, 3, before + 1)
    assert ledger.glance(job_id).revision == job.revision
    assert ledger.events(job_id, 0, 100)[-1].detail == {"priority": 3}


def test_change_of_an_ended_job_is_refused(ledger: Ledger) -> None:
    job_id = listed(ledger, 2)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    close(ledger, job_id)
    with pytest.raises(StatusError):
        ledger.change(job_id, lambda job: Change(job.spec, job.plan, 3, None, {}))
    assert ledger.job(job_id).priority == 0
