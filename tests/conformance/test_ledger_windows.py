"""Windows, the scan's emissions and the books: protocol rules 5, 13, 15, 18 and 23."""

from __future__ import annotations

from dataclasses import replace

from pravah.model.job import Counts
from pravah.model.ledger import Emission, Ledger, NewTask, Release, TaskKind, Verdict, Window
from pravah.model.status import JobStatus
from tests.conformance.ledgers import (
    FINGERPRINT,
    Cluster,
    claim_entries,
    close,
    finish,
    listed,
    record,
    submit,
)


def test_emission_stores_tasks_and_counts(ledger: Ledger) -> None:
    job_id = listed(ledger, 3, 5, filtered=2)
    books = ledger.books(job_id)
    assert books.counts == Counts(listed=10, filtered=2, remaining=8)
    assert books.listed_bytes == 80
    assert books.reasons == {"filtered:exclude": 2}
    assert ledger.job(job_id).scan_complete


def test_emission_before_the_end_leaves_the_scan_incomplete(ledger: Ledger) -> None:
    job_id = listed(ledger, 3, finished=False)
    assert not ledger.job(job_id).scan_complete


def test_emission_of_a_later_attempt_replaces_the_counts_of_the_one_before(ledger: Ledger) -> None:
    job_id = listed(ledger, 3, finished=False, filtered=5)
    (scan,) = ledger.claim(job_id, {TaskKind.SCAN: 1})
    assert [blobs.manifest for blobs in ledger.blobs(job_id)] == [b"manifest 0"]
    ledger.emit(
        scan, Emission([NewTask(b"more", 4, 40)], 6, {"filtered:exclude": 6}, finished=True)
    )
    assert ledger.books(job_id).counts == Counts(listed=13, filtered=6, remaining=7)


def test_emission_whose_reply_was_lost_is_applied_once(ledger: Ledger) -> None:
    job_id = submit(ledger)
    (scan,) = ledger.claim(job_id, {TaskKind.SCAN: 1})
    emission = Emission([NewTask(b"manifest", 4, 40)], 0, {}, finished=True)
    ledger.emit(scan, emission)
    scan.seq -= 1
    assert ledger.emit(scan, emission) is Verdict.COMMITTED
    assert ledger.books(job_id).counts.listed == 4


def test_window_recorded_is_given_to_the_next_holder(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record(window=b"one"))
    ledger.release(lease, Release.UNCLEAN)
    (lease,) = claim_entries(ledger, job_id)
    blobs = ledger.load(lease)
    assert blobs.manifest == b"manifest 0"
    assert blobs.windows == [Window(b"one", None, acknowledged=False)]


def test_window_recorded_acknowledges_the_one_before_it_only(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record(window=b"one"))
    second = replace(record(window=b"two", acknowledge=True, done=2), amendments=b"rows")
    ledger.commit_window(lease, second)
    assert ledger.load(lease).windows == [
        Window(b"one", b"rows", acknowledged=True),
        Window(b"two", None, acknowledged=False),
    ]


def test_counts_of_a_window_are_absolute(ledger: Ledger) -> None:
    job_id = listed(ledger, 9)
    (lease,) = claim_entries(ledger, job_id)
    ledger.commit_window(lease, record(acknowledge=True, done=2, failed=1, bytes_in=20))
    ledger.commit_window(lease, record(acknowledge=True, done=5, failed=1, skipped=1, bytes_in=50))
    books = ledger.books(job_id)
    assert books.counts == Counts(listed=9, done=5, failed=1, skipped=1, remaining=2)
    assert books.bytes_in == 50


def test_last_write_completes_the_task_and_ends_its_lease(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    assert claim_entries(ledger, job_id) == []
    assert ledger.open_closing(job_id)


def test_fingerprints_of_an_acknowledged_window_are_found_by_the_next_job(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    assert list(ledger.fingerprints(lease, [b"directory"])) == []
    finish(ledger, lease)
    next_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, next_id)
    found = ledger.fingerprints(lease, [b"directory", b"other"])
    assert list(found) == [(b"directory", FINGERPRINT)]
    assert list(ledger.fingerprints(lease, [b"other"])) == []


def test_fingerprints_of_more_directories_than_one_statement_takes_are_all_found(
    ledger: Ledger,
) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    directories = [b"directory %d" % n for n in range(1700)]
    written = replace(record(acknowledge=True), fingerprints=[(d, b"x") for d in directories])
    ledger.commit_window(lease, written)
    assert len(list(ledger.fingerprints(lease, directories))) == 1700


def test_fingerprints_of_one_directory_are_read_in_their_order_and_the_latest_first(
    ledger: Ledger,
) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    blobs = [b"%d" % n for n in range(100)]
    written = replace(record(acknowledge=True), fingerprints=[(b"", blob) for blob in blobs])
    ledger.commit_window(lease, written)
    assert [blob for _, blob in ledger.fingerprints(lease, [b""])] == blobs
    latest_first = list(ledger.directory_fingerprints(job_id, b""))
    assert [blob for _, blob in latest_first] == blobs[::-1]
    assert list(ledger.torn_directories(job_id, 100)) == [b""]


def test_fingerprints_united_take_the_place_of_their_parts(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    for blob in (b"a", b"b"):
        written = replace(record(acknowledge=True), fingerprints=[(b"d", blob), (blob, b"once")])
        ledger.commit_window(lease, written)
    assert list(ledger.torn_directories(job_id, 2)) == [b"d"]
    assert list(ledger.torn_directories(job_id, 1)) == []  # none is as small as that
    read = dict(sorted(ledger.directory_fingerprints(job_id, b"d")))
    ledger.unite_fingerprints([(read, b"union")])
    assert list(ledger.torn_directories(job_id, 100)) == []
    assert list(ledger.fingerprints(lease, [b"d"])) == [(b"d", b"union")]
    ledger.unite_fingerprints([(dict(ledger.directory_fingerprints(job_id, b"d")), b"")])
    assert list(ledger.fingerprints(lease, [b"d"])) == []


def test_fingerprints_that_another_closing_has_united_stay_as_they_are(ledger: Ledger) -> None:
    job_id = listed(ledger, 4)
    (lease,) = claim_entries(ledger, job_id)
    blobs = [(b"d", blob) for blob in (b"a", b"b", b"c")]
    ledger.commit_window(lease, replace(record(acknowledge=True), fingerprints=blobs))
    first, second, third = sorted(ledger.directory_fingerprints(job_id, b"d"))
    ledger.unite_fingerprints([(dict([first, second]), b"ab")])
    # Who has read all three before has put other ones together.
    ledger.unite_fingerprints([(dict([second, third]), b"bc"), (dict([first]), b"")])
    assert list(ledger.fingerprints(lease, [b"d"])) == [(b"d", b"ab"), (b"d", b"c")]


def test_books_of_a_listed_and_ended_job_are_the_same_in_both_reads(cluster: Cluster) -> None:
    ledger = cluster.worker()
    job_id = listed(ledger, 4, filtered=3)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease, done=3, failed=1)
    close(ledger, job_id, JobStatus.FAILED)
    (shown,) = ledger.jobs(None, 10, None)
    assert shown.books.counts == ledger.job(job_id).books.counts


def test_failure_of_a_task_gives_its_job_an_error_and_drains_the_others(ledger: Ledger) -> None:
    job_id = listed(ledger, 4, 4)
    first, second = claim_entries(ledger, job_id, 2)
    ledger.fail_task(first, {"kind": "damaged_blob", "message": "damaged manifest"})
    assert ledger.job(job_id).error == {"kind": "damaged_blob", "message": "damaged manifest"}
    assert ledger.commit_window(second, record()) is Verdict.DRAIN
