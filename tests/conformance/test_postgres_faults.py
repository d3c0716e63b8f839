"""What becomes of a ledger's writes when PostgreSQL, or the way to it, fails."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pg8000.dbapi
import pytest
from sqlalchemy import Connection

from pravah.db import postgres
from pravah.db.open_postgres import upgrade_postgres
from pravah.db.shared import PostgresLedger
from pravah.errors import LedgerError, LedgerUnreachableError, LedgerVersionError
from pravah.model.ledger import Release, TaskKind, Verdict
from pravah.model.status import JobStatus
from tests.conformance.ledgers import claim_entries, close, finish, listed, record, submit
from tests.postgres import PostgresServer, served
from tests.postgres_proxy import Proxy, proxied


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server that may be stopped."""
    with served() as made:
        yield made


@pytest.fixture
def url(server: PostgresServer) -> str:
    return server.create_ledger()


@pytest.fixture
def ledger(url: str) -> Iterator[PostgresLedger]:
    made = PostgresLedger(url)
    made.join()
    yield made
    made.dispose()


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    with proxied(server.port) as made:
        yield made


@pytest.fixture
def far_ledger(server: PostgresServer, url: str, proxy: Proxy) -> Iterator[PostgresLedger]:
    """Give a worker on the other side of the proxy."""
    made = PostgresLedger(server.url(url.rpartition("/")[2], proxy.port))
    made.join()
    yield made
    made.dispose()


def test_fifty_claimers_of_one_task_are_one_winner(url: str, ledger: PostgresLedger) -> None:
    job_id = listed(ledger, 5)
    ledgers = [PostgresLedger(url) for _ in range(10)]
    for each in ledgers:
        each.join()
    barrier = threading.Barrier(50)

    def claim(number: int) -> int:
        barrier.wait()
        return len(claim_entries(ledgers[number % 10], job_id))

    with ThreadPoolExecutor(50) as pool:
        won = list(pool.map(claim, range(50)))
    for each in ledgers:
        each.dispose()
    assert sum(won) == 1


def test_restart_between_writes_is_waited_for(
    server: PostgresServer, ledger: PostgresLedger
) -> None:
    job_id = listed(ledger, 5)
    (lease,) = claim_entries(ledger, job_id)
    server.restart("immediate")
    assert ledger.commit_window(lease, record()) is Verdict.COMMITTED
    server.stop("immediate")
    starting = threading.Timer(1.0, server.start)
    starting.start()
    last = record(window=None, acknowledge=True, finished=True, done=5)
    assert ledger.commit_window(lease, last) is Verdict.COMMITTED
    starting.join()
    close(ledger, job_id)
    assert ledger.job(job_id).status is JobStatus.COMPLETED


def test_database_that_stays_away_is_a_clear_error(
    server: PostgresServer, ledger: PostgresLedger
) -> None:
    job_id = submit(ledger)
    ledger._transactions.patience_s = 0.5  # type: ignore[attr-defined]
    server.stop("immediate")
    try:
        with pytest.raises(LedgerUnreachableError) as caught:
            ledger.job(job_id)
    finally:
        server.start()
    assert caught.value.kind == "ledger_unreachable"
    assert "does not answer" in str(caught.value)
    (cause,) = caught.value.causes
    assert cause == f"no connection to 127.0.0.1:{server.port}: connection refused"
    assert caught.value.hint
    assert ledger.job(job_id).status is JobStatus.PENDING


def test_commit_whose_reply_is_lost_is_applied_once(
    far_ledger: PostgresLedger, proxy: Proxy
) -> None:
    proxy.lose_commits = 1
    job_id = submit(far_ledger)
    assert [job.id for job in far_ledger.jobs(None, 10, None)] == [job_id]
    (scan,) = far_ledger.claim(job_id, {TaskKind.SCAN: 1})
    far_ledger.release(scan, how=Release.CLEAN)
    job_id = listed(far_ledger, 5)
    (lease,) = claim_entries(far_ledger, job_id)
    proxy.lose_commits = 1
    assert far_ledger.commit_window(lease, record()) is Verdict.COMMITTED
    proxy.lose_commits = 1
    last = record(window=None, acknowledge=True, finished=True, done=5)
    assert far_ledger.commit_window(lease, last) is Verdict.COMMITTED
    proxy.lose_commits = 1
    # Whether it was this call that opened it nobody can tell; it is open, and once.
    far_ledger.open_closing(job_id)
    close(far_ledger, job_id, opened=True)
    assert proxy.commits_lost == 4
    assert far_ledger.books(job_id).counts.done == 5
    assert [e.kind for e in far_ledger.events(job_id, 0, 100)].count("job_complete") == 1


def test_server_that_does_not_answer_is_given_up_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch, server: PostgresServer, url: str, proxy: Proxy
) -> None:
    monkeypatch.setattr(postgres, "SOCKET_TIMEOUT_S", 1)
    ledger = PostgresLedger(server.url(url.rpartition("/")[2], proxy.port))
    job_id = submit(ledger)
    proxy.stall()
    flowing = threading.Timer(1.5, proxy.flow)
    flowing.start()
    assert ledger.job(job_id).id == job_id
    flowing.join()
    ledger.dispose()


def test_crossed_locks_are_both_done(ledger: PostgresLedger) -> None:
    jobs = [submit(ledger, spec_hash=name) for name in ("a", "b")]
    met = threading.Barrier(2, timeout=5)

    def cross(connection: Connection, first: str, second: str) -> None:
        for job_id in (first, second):
            connection.exec_driver_sql(
                "UPDATE jobs SET priority = priority + 1 WHERE id = %s", (job_id,)
            )
            with contextlib.suppress(threading.BrokenBarrierError):
                met.wait()

    with ThreadPoolExecutor(2) as pool:
        orders = (jobs, jobs[::-1])
        done = [pool.submit(ledger._write, "cross", cross, *order) for order in orders]
        for each in done:
            each.result(timeout=60)
    assert [ledger.job(job_id).priority for job_id in jobs] == [2, 2]


def test_connections_that_are_used_up_are_waited_for(
    server: PostgresServer, url: str, ledger: PostgresLedger
) -> None:
    job_id = submit(ledger)
    ledger.dispose()
    taken = []
    with contextlib.suppress(pg8000.dbapi.Error):
        while True:
            taken.append(
                pg8000.dbapi.connect(
                    "pravah",
                    host="127.0.0.1",
                    port=server.port,
                    database=url.rpartition("/")[2],
                )
            )
    freeing = threading.Timer(1.0, lambda: [each.close() for each in taken])
    freeing.start()
    assert ledger.job(job_id).id == job_id
    freeing.join()


def test_backend_that_is_terminated_is_replaced(
    server: PostgresServer, ledger: PostgresLedger
) -> None:
    job_id = listed(ledger, 5)
    (lease,) = claim_entries(ledger, job_id)
    server.execute(
        "postgres",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'pravah' AND pid <> pg_backend_pid()",
    )
    finish(ledger, lease)
    assert ledger.books(job_id).counts.done == 5


def test_lease_that_expired_is_another_workers_and_the_old_holder_is_fenced(
    server: PostgresServer, url: str, ledger: PostgresLedger
) -> None:
    job_id = listed(ledger, 5)
    (old,) = claim_entries(ledger, job_id)
    server.execute(url.rpartition("/")[2], "UPDATE leases SET expires_us = 1")
    other = PostgresLedger(url)
    other.join()
    assert other.take_over() == 1
    (new,) = claim_entries(other, job_id)
    assert ledger.commit_window(old, record()) is Verdict.FENCED
    assert other.commit_window(new, record()) is Verdict.COMMITTED
    other.dispose()


def test_worker_that_was_silent_until_it_was_forgotten_claims_again(
    server: PostgresServer, url: str, ledger: PostgresLedger
) -> None:
    """As after a machine has slept: the claim may come before the first sign of life."""
    job_id = listed(ledger, 5)
    server.execute(url.rpartition("/")[2], "UPDATE workers SET beat_s = beat_s - 3600")
    other = PostgresLedger(url)
    other.join()
    other.take_over()
    assert [worker.id for worker in ledger.workers()] == [other._id]
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    assert {worker.id for worker in ledger.workers()} == {ledger._id, other._id}
    other.dispose()


def test_lease_that_is_renewed_does_not_expire(
    server: PostgresServer, url: str, ledger: PostgresLedger
) -> None:
    job_id = listed(ledger, 5)
    (lease,) = claim_entries(ledger, job_id)
    server.execute(url.rpartition("/")[2], "UPDATE leases SET expires_us = 1")
    ledger.beat([lease.task_id])
    other = PostgresLedger(url)
    assert other.take_over() == 0
    other.dispose()


def test_times_are_the_databases(monkeypatch: pytest.MonkeyPatch, ledger: PostgresLedger) -> None:
    now_us = time.time_ns() // 1000
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert abs(ledger.job(submit(ledger)).created_us - now_us) < 60_000_000


def test_ledger_without_tables_says_how_to_make_them(server: PostgresServer) -> None:
    with pytest.raises(LedgerError) as caught:
        PostgresLedger(server.create_database())
    assert caught.value.kind == "ledger_not_migrated"
    assert "pravah db upgrade" in str(caught.value.hint)


def test_ledger_of_a_newer_release_is_refused(server: PostgresServer, url: str) -> None:
    server.execute(url.rpartition("/")[2], "UPDATE alembic_version SET version_num = '9999'")
    for attempt in (PostgresLedger, upgrade_postgres):
        with pytest.raises(LedgerVersionError):
            attempt(url)


def test_location_hides_the_password(ledger: PostgresLedger) -> None:
    assert "secret" not in ledger.location
