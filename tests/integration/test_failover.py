"""A real worker whose PostgreSQL fails over to a standby that has missed its last commits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace
from tests.postgres import served
from tests.postgres_proxy import proxied

FILES = 1_000
SIZE_BYTES = 1_000
# Slow enough that a worker is in the middle of its job until its ledger is back.
RATE = "12kB/s"
# At least as many as the files are divided into.
TASKS = 3
PATIENCE_S = 120.0


def test_job_behind_a_failover_that_lost_commits_pauses_and_resumes_with_its_own_outputs(
    tmp_path: Path,
) -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(served())
        proxy = stack.enter_context(proxied(server.port))
        standby = stack.enter_context(served(follows=server))
        url = server.create_ledger()
        workspace = Workspace(tmp_path, server.url(url.rpartition("/")[2], proxy.port))
        stack.callback(workspace.application.close)
        workspace.fill(FILES, SIZE_BYTES)
        job = workspace.submit({"compress": {"codec": "gzip"}}, limits={"read_rate": RATE})

        def done() -> int:
            return workspace.jobs.get(job.id).books.counts.done

        worker = workspace.command("worker")
        try:
            _wait_until(lambda: done() > 0)
            _wait_until(lambda: standby.caught_up(server))
            standby.follow_no_more()
            # The windows that the standby knows of may come true there. Once some task has
            # acknowledged two, one is published that it knows nothing of.
            for _ in range(TASKS + 1):
                kept = done()
                _wait_until(lambda kept=kept: done() > kept)
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
        assert paused.books.counts.done < published < FILES
        workspace.jobs.change(job.id, {"limits": {"read_rate": None}})
        ended = workspace.finish(workspace.jobs.resume(job.id, adopt=True))
        assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, FILES)
        assert len(workspace.outputs()) == FILES
        assert workspace.litter() == []
        # The next run knows every one of them.
        again = workspace.run({"compress": {"codec": "gzip"}})
        assert again.books.reasons.get("failed:output_exists") is None
        assert again.books.counts.failed == 0


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
