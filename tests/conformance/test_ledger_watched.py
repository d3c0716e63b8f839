"""Jobs whose books many ask for: summed a moment ago, and never older than where the job stands."""

from __future__ import annotations

import time

from pravah.db.ledger import DatabaseLedger
from pravah.db.recent_books import AGE_S
from pravah.model.status import JobStatus
from tests.conformance.ledgers import claim_entries, close, finish, listed, new_job


def test_watched_job_has_the_books_of_a_moment_ago(ledger: DatabaseLedger) -> None:
    job_id = listed(ledger, 5, 3)
    assert ledger.watched(job_id).books == ledger.books(job_id)
    finish(ledger, claim_entries(ledger, job_id)[0])
    time.sleep(AGE_S)
    assert ledger.watched(job_id).books == ledger.books(job_id)


def test_job_that_is_stored_again_is_none_of_just_now(ledger: DatabaseLedger) -> None:
    job = new_job(spec_hash="again")
    assert ledger.create(job)
    assert ledger.created(job.id) == ledger.job(job.id)
    assert not ledger.create(job)


def test_watched_job_that_has_just_ended_has_the_books_of_its_end(ledger: DatabaseLedger) -> None:
    job_id = listed(ledger, 5)
    (lease,) = claim_entries(ledger, job_id)
    assert ledger.watched(job_id).books.counts.remaining == 5
    finish(ledger, lease)
    close(ledger, job_id)
    ended = ledger.watched(job_id)
    assert ended.status is JobStatus.COMPLETED
    assert (ended.books.counts.done, ended.books.counts.remaining) == (5, 0)
