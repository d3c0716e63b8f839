"""A ledger whose server has lost commits: a standby was promoted, or a copy was put back."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pravah.db.shared import PostgresLedger
from pravah.errors import StatusError
from pravah.model.job import Event
from pravah.model.ledger import Lease, Purpose, Release, Verdict
from pravah.model.status import JobStatus
from tests.conformance.ledgers import claim_entries, close, finish, listed, record
from tests.postgres import PostgresServer, served
from tests.postgres_proxy import proxied

_NOBODY = 65534


@dataclass
class Aftermath:
    """A ledger behind a failover that has lost commits, and what was done before it."""

    ledger: PostgresLedger
    url: str
    acknowledged: tuple[str, Lease]  # a job, and a lease whose last write is lost
    recorded: tuple[str, Lease]  # the same; nothing of it is lost
    claimed: tuple[str, list[Lease]]  # and some whose claims are lost
    in_place: str
    ended: str

    def events(self, job_id: str) -> list[Event]:
        found = self.ledger.events(job_id, 0, 100)
        return [event for event in found if event.kind == "ledger_rolled_back"]


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    """Have a standby take over that has missed the last commits."""
    with served() as server, proxied(server.port) as proxy:
        url = _ordinary(server, server.create_ledger(), proxy.port)
        ledger = PostgresLedger(url)
        ledger.join()
        ended = listed(ledger, 5)
        (lease,) = claim_entries(ledger, ended)
        finish(ledger, lease)
        close(ledger, ended)
        jobs = [listed(ledger, 5) for _ in range(3)]
        acknowledged, recorded = (claim_entries(ledger, job_id)[0] for job_id in jobs[:2])
        assert ledger.commit_window(acknowledged, record()) is Verdict.COMMITTED
        in_place = listed(ledger, 5)
        plan = f"UPDATE jobs SET plan = '{{\"in_place\": true}}' WHERE id = '{in_place}'"
        server.execute(url.rpartition("/")[2], plan)
        with served(follows=server) as standby:
            deadline_s = time.monotonic() + 60
            while not standby.caught_up(server):
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            standby.follow_no_more()
            last = record(window=None, acknowledge=True, done=5)
            assert ledger.commit_window(acknowledged, last) is Verdict.COMMITTED
            claimed = [_claimed_and_released(ledger, jobs[2]) for _ in range(2)]
            server.stop("immediate")
            standby.promote()
            proxy.switch(standby.port)
            yield Aftermath(
                ledger,
                url,
                (jobs[0], acknowledged),
                (jobs[1], recorded),
                (jobs[2], claimed),
                in_place,
                ended,
            )
            ledger.dispose()


def test_failover_that_lost_commits_pauses_jobs_and_tells_why(aftermath: Aftermath) -> None:
    job_id, _ = aftermath.acknowledged
    job = aftermath.ledger.job(job_id)
    assert (job.status, job.request) == (JobStatus.RUNNING, "pause")
    assert job.books.counts.done == 0
    assert job.paused_by is not None
    assert job.paused_by["kind"] == "ledger_rolled_back"
    assert "from timeline 1 to 2" in job.paused_by["message"]
    assert "--adopt" in job.paused_by["hint"]


def test_failover_is_noticed_once_by_all_who_connect(aftermath: Aftermath) -> None:
    for _ in range(2):
        other = PostgresLedger(aftermath.url)
        other.join()
        other.leave()
        other.dispose()
    assert len(aftermath.events(aftermath.acknowledged[0])) == 1
    assert aftermath.events(aftermath.ended) == []


def test_holder_whose_writes_a_failover_lost_is_fenced(aftermath: Aftermath) -> None:
    _, lost = aftermath.acknowledged
    _, kept = aftermath.recorded
    assert aftermath.ledger.commit_window(lost, record()) is Verdict.FENCED
    # Of this one nothing was lost: it may end what it has begun.
    assert aftermath.ledger.commit_window(kept, record()) is Verdict.DRAIN


def test_resume_behind_a_failover_goes_on_under_tokens_that_were_never_given(
    aftermath: Aftermath,
) -> None:
    ledger, (job_id, claimed) = aftermath.ledger, aftermath.claimed
    (settling,) = claim_entries(ledger, job_id)
    assert (settling.purpose, settling.unclean) == (Purpose.SETTLE, True)
    assert settling.counter > max(lease.counter for lease in claimed)
    ledger.release(settling, Release.CLEAN)
    assert ledger.apply_pause(job_id)
    ledger.resume(job_id, adopt=True)
    job = ledger.job(job_id)
    assert (job.status, job.paused_by, job.plan["adopt"]) == (JobStatus.PENDING, None, True)
    (lease,) = claim_entries(ledger, job_id)
    finish(ledger, lease)
    # What forgotten holders have left is looked for in the directories of every task.
    assert [task.task_id for task in ledger.claimed_again(job_id)] == [lease.task_id]
    close(ledger, job_id)
    assert ledger.job(job_id).status is JobStatus.COMPLETED


def test_job_in_place_is_not_resumed_behind_a_failover(aftermath: Aftermath) -> None:
    with pytest.raises(StatusError) as caught:
        aftermath.ledger.resume(aftermath.in_place)
    assert caught.value.kind == "ledger_rolled_back"


def test_copy_put_back_under_a_worker_pauses_jobs_and_a_restart_does_not() -> None:
    """A restart loses nothing; a copy of the server's files put back does, on the same timeline."""
    with served() as server:
        ledger = PostgresLedger(_ordinary(server, server.create_ledger(), server.port))
        ledger.join()
        job_id = listed(ledger, 5)
        server.restart("immediate")
        ledger.beat()
        assert ledger.job(job_id).request is None
        server.stop("fast")
        with tempfile.TemporaryDirectory() as place:
            copy = Path(place) / "copy"
            shutil.copytree(server.data, copy)
            server.start()
            (lease,) = claim_entries(ledger, job_id)
            assert ledger.commit_window(lease, record()) is Verdict.COMMITTED
            ledger.beat([lease.task_id])
            server.stop("fast")
            shutil.rmtree(server.data)
            shutil.copytree(copy, server.data)
        _give_to_the_server(server.data)
        server.start()
        job = ledger.job(job_id)
        assert job.request == "pause"
        assert job.paused_by is not None
        assert "earlier state" in job.paused_by["message"]
        assert ledger.commit_window(lease, record()) is Verdict.FENCED
        ledger.dispose()


def _ordinary(server: PostgresServer, url: str, port: int) -> str:
    """Give the URL of a ledger for a role that may do nothing special."""
    database = url.rpartition("/")[2]
    for statement in (
        "CREATE ROLE ordinary LOGIN",
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ordinary",
        "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO ordinary",
    ):
        server.execute(database, statement)
    return server.url(database, port).replace("pravah:secret", "ordinary")


def _claimed_and_released(ledger: PostgresLedger, job_id: str) -> Lease:
    (lease,) = claim_entries(ledger, job_id)
    ledger.release(lease, Release.CLEAN)
    return lease


def _give_to_the_server(data: Path) -> None:
    if os.geteuid() == 0:
        for path in [data, *data.rglob("*")]:
            os.chown(path, _NOBODY, _NOBODY)
