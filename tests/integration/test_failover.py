"""A real worker whose PostgreSQL fails over to a standby that has missed its last commits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace
from tests.postgres import PostgresServer, served
from tests.postgres_proxy import proxied

FILES = 600
SIZE_BYTES = 1_000
# Slow enough that a worker is in the middle of its job while the standby lags.
RATE = "12kB/s"
PATIENCE_S = 120.0


def test_job_behind_a_failover_that_lost_commits_pauses_and_resumes_with_its_own_outputs(
    tmp_path: Path,
) -> None:
    with served() as server, proxied(server.port) as proxy, served(follows=server) as standby:
        url = server.create_ledger()
        workspace = Workspace(tmp_path, server.url(url.rpartition("/")[2], proxy.port))
        workspace.fill(FILES, SIZE_BYTES)
        job = workspace.submit({"compress": {"codec": "gzip"}}, limits={"read_rate": RATE})
        worker = workspace.command("worker")
        try:
            _wait_until(lambda: workspace.jobs.get(job.id).books.counts.done > 0)
            _wait_until(lambda: standby.caught_up(server))
            standby.follow_no_more()
            kept = _done(standby, url)
            _wait_until(lambda: workspace.jobs.get(job.id).books.counts.done > kept + 50)
            server.stop("immediate")
            standby.promote()
            proxy.switch(standby.port)
            _wait_until(lambda: workspace.jobs.get(job.id).status is JobStatus.PAUSED)
        finally:
            worker.terminate()
            worker.wait(PATIENCE_S)
        paused = workspace.jobs.get(job.id)
        assert paused.paused_by is not None
        assert paused.paused_by["kind"] == "ledger_rolled_back"
        published = len([path for path in workspace.outputs() if path.endswith(".gz")])
        assert paused.books.counts.done < published
        workspace.jobs.change(job.id, {"limits": {"read_rate": None}})
        ended = workspace.finish(workspace.jobs.resume(job.id, adopt=True))
        assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, FILES)
        assert len(workspace.outputs()) == FILES
        assert workspace.litter() == []
        # The next run knows every one of them.
        again = workspace.run({"compress": {"codec": "gzip"}})
        assert again.books.reasons.get("failed:output_exists") is None
        assert again.books.counts.failed == 0
        workspace.application.close()


def _done(server: PostgresServer, url: str) -> int:
    """Give how many entries are done according to a server."""
    ((done,),) = server.execute(url.rpartition("/")[2], "SELECT SUM(done)::bigint FROM tasks")
    return int(str(done))


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
