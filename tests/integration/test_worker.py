"""What a worker of any job does beside working: it removes old jobs, and leaves when it is told."""

from __future__ import annotations

import signal
import time

import pytest

from pravah.jobs import supervisor
from pravah.jobs.supervisor import Idle
from pravah.model.job import Counts
from pravah.model.status import JobStatus
from tests.integration import harm
from tests.integration.workspace import Workspace


def test_worker_removes_jobs_older_than_the_retention(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.write("a.txt")
    monkeypatch.setattr(supervisor, "PRUNED_AT_ONCE", 1)
    old = [workspace.run("copy", sink=str(workspace.root / name)) for name in ("x", "y")]
    workspace.submit("copy")
    keeper = workspace.beside()
    keeper.jobs._retention_s = 0.0
    keeper.jobs.work(None, idle=Idle.LEAVE)
    kept = {job.id for job in workspace.jobs.all()}
    assert not kept & {job.id for job in old}
    assert (workspace.root / "x" / "a.txt").exists()
    keeper.application.close()


def test_worker_keeps_jobs_for_ever_without_a_retention(workspace: Workspace) -> None:
    workspace.write("a.txt")
    old = workspace.run("copy")
    workspace.jobs.work(None, idle=Idle.LEAVE)
    assert [job.id for job in workspace.jobs.all()] == [old.id]


def test_three_workers_share_many_jobs_and_each_is_done_once(
    each_workspace: Workspace,
) -> None:
    workspace = each_workspace
    workspace.fill(40)
    ids = []
    for number in range(12):
        spec = workspace.spec("copy", sink=str(workspace.root / f"out{number}"), priority=number)
        ids.append(workspace.jobs.create(spec).job.id)
    script = (
        "from pravah.bootstrap import application\n"
        "from pravah.jobs.supervisor import Idle\n"
        "opened = application()\n"
        "opened.jobs.work(None, idle=Idle.LEAVE)\n"
        "opened.close()\n"
    )
    workers = [workspace.script(script) for _ in range(3)]
    assert [worker.wait(90) for worker in workers] == [0, 0, 0]
    for job_id in ids:
        job = workspace.jobs.get(job_id)
        assert (job.status, job.books.counts.done) == (JobStatus.COMPLETED, 40)
    assert workspace.jobs.workers() == []


def test_worker_told_to_stop_gives_back_what_it_holds(
    each_workspace: Workspace,
) -> None:
    workspace = each_workspace
    workspace.fill(3000)
    job = workspace.submit({"compress": {"codec": "gzip"}})
    worker = workspace.command("worker")
    deadline = time.monotonic() + 60
    while not any(w.tasks for w in workspace.jobs.workers()) and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 130
    assert workspace.jobs.workers() == []
    ended = workspace.finish(job)
    assert (ended.status, ended.books.counts.done) == (JobStatus.COMPLETED, 3000)
    assert workspace.litter() == []


def test_worker_poisons_what_crashes_it_on_each_database(
    each_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = each_workspace
    harm.allow(monkeypatch)
    workspace.fill(20)
    workspace.write("bad.txt", b"CRASH")
    job = workspace.run(harm.STEP)
    assert job.books.counts == Counts(listed=21, done=20, poisoned=1)
    bad = workspace.source / "bad.txt"
    bad.write_bytes(b"mended")
    retried = workspace.finish(workspace.jobs.retry(job.id))
    assert (retried.round, retried.books.counts) == (2, Counts(listed=21, done=21))


def test_worker_without_work_gets_a_part_of_anothers_task(each_workspace: Workspace) -> None:
    """One task of slow entries: whoever has nothing to do asks, and gets some of what is left."""
    workspace = each_workspace
    workspace.fill(60, size_bytes=100_000)
    job = workspace.submit("copy", limits={"read_rate": "500kB/s"})
    workers = [workspace.worker(job.id) for _ in range(2)]
    assert [worker.wait(120) for worker in workers] == [0, 0]
    events = list(workspace.jobs.events(job.id))
    assert any(event.detail.get("split") for event in events if event.kind == "task_complete")
    assert len({e.detail["worker"] for e in events if e.kind == "task_claim"}) == 2
    ended = workspace.jobs.get(job.id)
    assert (ended.status, ended.books.counts) == (JobStatus.COMPLETED, Counts(listed=60, done=60))
    assert len(workspace.outputs()) == len(workspace.lines(ended, "done")) == 60
    assert workspace.litter() == []
