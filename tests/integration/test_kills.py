"""Kills of supervisor and runner at named points and at any time: nothing is lost or doubled."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from pravah.db import connect, workers
from pravah.errors import MachineError
from pravah.jobs import crew, runner_process
from pravah.jobs.observer import Progress
from pravah.jobs.runner_process import RunnerProcess
from pravah.jobs.supervisor import Ending
from pravah.model.job import Counts, Job
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

LEDGER_POINTS = [
    f"ledger.{write}.{side}_commit={passage}"
    for write, passages in {
        "join": [1],
        "claim": [1, 2],
        "emit": [1],
        "window": [1, 2],
        "open_closing": [1],
        "close": [1],
        "leave": [1],
    }.items()
    for passage in passages
    for side in ("before", "after")
]
RUNNER_POINTS = [
    f"runner.{frame}.{side}={passage}"
    for frame, side, passage in [
        ("begin", "received", 1),
        ("scan", "received", 1),
        ("task", "received", 1),
        ("verdict", "received", 1),
        ("verdict", "received", 2),
        ("tasks", "before_send", 1),
        ("tasks", "after_send", 1),
        ("window", "before_send", 1),
        ("window", "after_send", 1),
        ("window", "before_send", 2),
        ("window", "after_send", 2),
        ("ended", "before_send", 1),
        ("ended", "after_send", 2),
    ]
]
T = TypeVar("T")
STEP = {"compress": {"codec": "gzip"}}


def _expected(workspace: Workspace, job: Job, files: int) -> None:
    """Check what an uninterrupted run would have left, and nothing else."""
    assert job.status == JobStatus.COMPLETED
    assert job.books.counts == Counts(listed=files, done=files)
    assert len(workspace.lines(job, "done")) == files
    assert workspace.litter() == []
    reference = str(workspace.root / "reference")
    workspace.run(STEP, sink=reference)
    # By then: the lock of one that was killed is free only when its runner is gone, too.
    assert list((workspace.home / "workers").iterdir()) == []
    theirs = {p.name: p.read_bytes() for p in Path(reference).rglob("*.gz")}
    ours = {Path(name).name: content for name, content in workspace.outputs().items()}
    assert ours == theirs


@pytest.mark.parametrize("point", LEDGER_POINTS)
def test_supervisor_killed_at_a_write_leaves_a_job_that_goes_on(
    workspace: Workspace, point: str
) -> None:
    workspace.fill(60)
    job = workspace.submit(STEP)
    killed = workspace.worker(job.id, PRAVAH_FAILPOINTS=point)
    assert killed.wait(60) == -signal.SIGKILL
    _expected(workspace, workspace.finish(job), 60)


@pytest.mark.parametrize("point", RUNNER_POINTS)
def test_runner_killed_at_a_frame_is_replaced(workspace: Workspace, point: str) -> None:
    workspace.fill(60)
    job = workspace.submit(STEP)
    worker = workspace.worker(job.id, PRAVAH_FAILPOINTS=point)
    assert worker.wait(60) == 0
    job = workspace.jobs.get(job.id)
    _expected(workspace, job, 60)


@pytest.mark.parametrize("seed", range(4))
def test_supervisor_killed_at_any_time_leaves_a_job_that_goes_on(
    workspace: Workspace, seed: int
) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP)
    chance = random.Random(seed)
    for _ in range(3):
        worker = workspace.worker(job.id)
        time.sleep(chance.uniform(0.3, 1.5))
        worker.kill()
        worker.wait()
    _expected(workspace, workspace.finish(job), 3000)


def test_runner_killed_again_and_again_is_replaced(workspace: Workspace) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP)
    worker = workspace.worker(job.id)
    killed = 0
    deadline = time.monotonic() + 60
    while worker.poll() is None and killed < 3 and time.monotonic() < deadline:
        time.sleep(0.4)
        for child in _children(worker.pid):
            os.kill(child, signal.SIGKILL)
            killed += 1
    assert worker.wait(60) == 0
    _expected(workspace, workspace.jobs.get(job.id), 3000)


def test_runner_dies_with_its_supervisor(workspace: Workspace) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP)
    worker = workspace.worker(job.id)
    runner = _until(lambda: next(iter(_children(worker.pid)), None))
    worker.kill()
    worker.wait()
    _until(lambda: not Path(f"/proc/{runner}").exists() or None)
    _expected(workspace, workspace.finish(job), 3000)


@pytest.mark.parametrize(
    "point",
    # Before its commit the worker holds the ledger's write lock, and goes on holding it.
    ["ledger.window.before_commit=1:STOP", "ledger.window.after_commit=1:STOP"],
)
def test_worker_that_hangs_is_killed_and_its_tasks_are_taken_over(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    workspace.fill(60)
    job = workspace.submit(STEP)
    worker = workspace.worker(job.id, PRAVAH_FAILPOINTS=point)
    _until(lambda: _state(worker.pid) == "T" or None)
    monkeypatch.setattr(workers, "HUNG_AFTER_S", 1)
    monkeypatch.setattr(connect, "BUSY_TIMEOUT_MS", 500)
    taker = workspace.beside()
    ended = taker.finish(job)
    assert worker.wait(10) == -signal.SIGKILL
    taker.application.close()
    _expected(workspace, ended, 60)


def test_task_whose_runner_always_dies_ends_its_job_with_a_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.fill(10)
    monkeypatch.setenv("PRAVAH_FAILPOINTS", "runner.window.before_send=1")
    monkeypatch.setattr(crew, "RunnerProcess", lambda fds, failpoints: RunnerProcess(fds))  # noqa: ARG005
    job = workspace.finish(workspace.submit(STEP))
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["kind"] == "runner_died"
    assert "SIGKILL" in job.error["message"]
    assert job.books.counts.remaining == 10
    monkeypatch.undo()
    _expected(workspace, workspace.finish(workspace.jobs.retry(job.id)), 10)


def test_runner_that_stands_still_is_killed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.fill(10)
    job = workspace.submit(STEP, limits={"stall_timeout": "1s"})
    supervisor = workspace.jobs.supervisor(job.id)
    stopped: list[int] = []
    original = crew.Crew.take

    def take_and_stop(self: crew.Crew, *task: object) -> None:
        original(self, *task)  # type: ignore[arg-type]
        if not stopped and self.runner is not None:
            stopped.append(self.runner.pid)
            os.kill(self.runner.pid, signal.SIGSTOP)

    monkeypatch.setattr(crew.Crew, "take", take_and_stop)
    ended = supervisor.run().job
    assert stopped
    assert ended is not None
    _expected(workspace, ended, 10)


@pytest.mark.parametrize("drains", [1, 2])
def test_drain_pauses_the_job_with_nothing_half_written(workspace: Workspace, drains: int) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP)

    def drain() -> None:
        for _ in range(drains):
            supervisor.drain()

    observer = _Once(drain)
    supervisor = workspace.jobs.supervisor(job.id, observer=observer)
    end = supervisor.run()
    assert end.ending is Ending.PAUSED
    if drains == 1:
        assert workspace.litter() == []
    assert workspace.jobs.create(workspace.spec(STEP)).resumed
    _expected(workspace, workspace.finish(job), 3000)


def test_cancel_by_somebody_else_ends_the_work(workspace: Workspace) -> None:
    workspace.fill(12_000)  # too many to be done before anybody hears of the cancel
    job = workspace.submit(STEP)
    other = workspace.beside()
    observer = _Once(lambda: other.jobs.cancel(job.id))
    ended = workspace.jobs.work(job.id, observer=observer).job
    assert ended is not None
    assert ended.status == JobStatus.CANCELLED
    assert workspace.litter() == []
    assert len(workspace.outputs()) == ended.books.counts.done
    _expected(workspace, workspace.finish(workspace.jobs.retry(job.id)), 12_000)
    other.application.close()


def test_two_workers_on_one_job_share_it(workspace: Workspace) -> None:
    workspace.fill(3000)
    job = workspace.submit(STEP)
    both = [workspace.worker(job.id), workspace.worker(job.id)]
    assert [worker.wait(60) for worker in both] == [0, 0]
    _expected(workspace, workspace.jobs.get(job.id), 3000)


class _Once:
    """Does something when the first files are listed."""

    def __init__(self, action: Callable[[], object]) -> None:
        self._action: Callable[[], object] | None = action

    def on_progress(self, progress: Progress) -> None:
        if self._action is not None and progress.counts.listed:
            action, self._action = self._action, None
            action()

    def on_end(self, job: Job) -> None:
        """Do nothing."""


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    except FileNotFoundError:
        return []
    return [int(word) for word in text.split()]


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]


def _until(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + 30
    while (found := look()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.EAGAIN, "ulimit -u"), (errno.ENOMEM, "limits.memory"), (errno.EMFILE, "ulimit -n")],
)
def test_system_that_refuses_another_process_is_told_with_a_hint(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    workspace.fill(5)
    job = workspace.submit(STEP)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(runner_process.subprocess, "Popen", refuse)
        with pytest.raises(MachineError) as caught:
            workspace.jobs.work(job.id)
    assert hint in str(caught.value.hint)
    assert f"errno {number}" in caught.value.causes[0]
    _expected(workspace, workspace.finish(job), 5)


def test_process_limit_of_the_system_is_no_bug_of_ours(workspace: Workspace) -> None:
    """The real thing: the command line where no further descriptor can be opened."""
    workspace.fill(5)
    job = workspace.submit(STEP)
    command = f"ulimit -n 10; exec {sys.executable} -m pravah jobs resume {job.id}"
    ran = subprocess.run(
        ["sh", "-c", command], env=workspace.environment(), capture_output=True, text=True
    )
    assert (ran.returncode, "bug" in ran.stderr) == (7, False), ran.stderr
    assert "hint:" in ran.stderr
    _expected(workspace, workspace.finish(job), 5)
