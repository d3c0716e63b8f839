"""Scan units: protocol rule 15, what of it is the ledger's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from pravah.model.job import Counts
from pravah.model.ledger import (
    Emission,
    Lease,
    Ledger,
    Moved,
    NewTask,
    Release,
    Request,
    TaskCounts,
    TaskKind,
    Verdict,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import Cluster, claim_entries, close, finish, listed, submit

NOTHING = Emission([], 0, {}, finished=False)
LAST = replace(NOTHING, finished=True)


def _claim(ledger: Ledger, job_id: str, wanted: int = 1) -> list[Lease]:
    return ledger.claim(job_id, {TaskKind.SCAN: wanted})


def _shared(ledger: Ledger, units: int) -> str:
    """Store a job whose first unit has ended and given others away."""
    job_id = submit(ledger)
    (first,) = _claim(ledger, job_id)
    away = [f"unit {number}".encode() for number in range(units)]
    assert ledger.emit(first, replace(LAST, filtered=1, units=away)) is Verdict.COMMITTED
    return job_id


def test_first_unit_of_a_job_has_no_frontier(ledger: Ledger) -> None:
    job_id = submit(ledger)
    (scan,) = _claim(ledger, job_id)
    assert ledger.unit(scan) is None


def test_frontier_is_given_to_the_next_holder(ledger: Ledger) -> None:
    job_id = submit(ledger)
    (scan,) = _claim(ledger, job_id)
    for frontier in (b"\x00one", b"two\xff"):
        ledger.emit(scan, replace(NOTHING, frontier=frontier))
    ledger.release(scan, Release.UNCLEAN)
    (scan,) = _claim(ledger, job_id)
    assert ledger.unit(scan) == b"two\xff"


def test_units_given_away_are_claimed_with_their_own_frontiers(ledger: Ledger) -> None:
    job_id = _shared(ledger, 3)
    claimed = _claim(ledger, job_id, 5)
    assert [ledger.unit(lease) for lease in claimed] == [b"unit 0", b"unit 1", b"unit 2"]
    assert ledger.job(job_id).books.counts == Counts(listed=1, filtered=1)


def test_scan_is_complete_when_no_unit_is_left(ledger: Ledger) -> None:
    job_id = _shared(ledger, 2)
    assert not ledger.job(job_id).scan_complete
    one, other = _claim(ledger, job_id, 2)
    ledger.emit(one, replace(LAST, units=[b"below"]))
    ledger.emit(other, LAST)
    assert not ledger.job(job_id).scan_complete
    assert not ledger.open_closing(job_id)
    (last,) = _claim(ledger, job_id)
    ledger.emit(last, LAST)
    assert ledger.job(job_id).scan_complete


def test_last_units_that_end_at_once_complete_the_scan(cluster: Cluster) -> None:
    first, second = cluster.worker(), cluster.worker()
    for _ in range(8):
        job_id = _shared(first, 2)
        (one,), (other,) = _claim(first, job_id), _claim(second, job_id)
        with ThreadPoolExecutor(2) as pool:
            ends = [pool.submit(first.emit, one, LAST), pool.submit(second.emit, other, LAST)]
        assert [end.result() for end in ends] == [Verdict.COMMITTED] * 2
        assert first.job(job_id).scan_complete


def test_emission_of_a_zombie_gives_nothing_away(cluster: Cluster) -> None:
    zombie, heir = cluster.worker(), cluster.worker()
    job_id = submit(zombie)
    (lost,) = _claim(zombie, job_id)
    zombie.emit(lost, replace(NOTHING, frontier=b"mine"))
    cluster.crash(zombie)
    heir.take_over()
    (taken,) = _claim(heir, job_id)
    late = replace(NOTHING, tasks=[NewTask(b"m", 1, 1)], frontier=b"late", units=[b"unit"])
    assert zombie.emit(lost, late) is Verdict.FENCED
    assert heir.unit(taken) == b"mine"
    assert _claim(heir, job_id, 5) == []
    assert claim_entries(heir, job_id) == []


def test_emission_whose_reply_was_lost_gives_away_once(ledger: Ledger) -> None:
    job_id = submit(ledger)
    (scan,) = _claim(ledger, job_id)
    emission = replace(NOTHING, frontier=b"left", units=[b"unit"])
    ledger.emit(scan, emission)
    scan.seq -= 1
    assert ledger.emit(scan, emission) is Verdict.COMMITTED
    assert len(_claim(ledger, job_id, 5)) == 1


def test_tasks_of_a_unit_are_given_the_last_first(ledger: Ledger) -> None:
    job_id = _shared(ledger, 2)
    one, other = _claim(ledger, job_id, 2)
    for number in range(3):
        ledger.emit(one, replace(NOTHING, tasks=[NewTask(f"one {number}".encode(), 1, 1)]))
        ledger.emit(other, replace(NOTHING, tasks=[NewTask(b"other", 1, 1)]))
    assert list(ledger.emitted(one, 2)) == [b"one 2", b"one 1"]
    assert list(ledger.emitted(one, 0)) == []
    assert len(list(ledger.emitted(one, 9))) == 3


def test_units_of_a_cancelled_job_go_on_in_the_next_round(ledger: Ledger) -> None:
    job_id = _shared(ledger, 2)
    one, other = _claim(ledger, job_id, 2)
    ledger.emit(one, replace(NOTHING, frontier=b"rest"))
    ledger.request(job_id, Request.CANCEL)
    for lease in (one, other):
        ledger.release(lease, Release.CLEAN)
    close(ledger, job_id, JobStatus.CANCELLED)
    ledger.retry(job_id, lambda _: None)
    assert not ledger.job(job_id).scan_complete
    assert [ledger.unit(lease) for lease in _claim(ledger, job_id, 5)] == [b"rest", b"unit 1"]


def test_retry_with_a_directory_opens_a_unit_of_it(ledger: Ledger) -> None:
    job_id = listed(ledger, 10)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease, done=8, failed=2)
    close(ledger, job_id, JobStatus.FAILED)
    ledger.retry(job_id, lambda _: Moved([], 2, TaskCounts(done=8), "{}", unit=b"again"))
    assert not ledger.job(job_id).scan_complete
    (scan,) = _claim(ledger, job_id, 5)
    assert ledger.unit(scan) == b"again"
    assert ledger.job(job_id).books.counts == Counts(listed=8, done=8)
