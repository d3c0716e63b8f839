"""A wall clock that jumps by a day: leases, beats and timeouts go by clocks that nobody sets."""

from __future__ import annotations

import time

import pytest

from pravah.jobs.observer import Progress
from pravah.model.job import Counts, Job
from pravah.model.ledger import TaskKind
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace

DAY_S = 86_400


class _Jumping:
    """A wall clock that is a day ahead or behind at every look."""

    def __init__(self) -> None:
        self._real_ns = time.time_ns
        self._looks = 0

    def time_ns(self) -> int:
        self._looks += 1
        return self._real_ns() + (-1) ** self._looks * DAY_S * 10**9

    def time(self) -> float:
        return self.time_ns() / 1e9


class _Meddler:
    """Looks for dead workers while a job runs."""

    def __init__(self, other: Workspace) -> None:
        self._other = other
        self.freed: list[int] = []

    def on_progress(self, _: Progress) -> None:
        self.freed.append(self._other.application.ledger.take_over())

    def on_end(self, job: Job) -> None:
        """Do nothing."""


def test_wall_clock_that_jumps_frees_no_lease_and_ends_no_task(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.fill(6000)
    other = workspace.beside()
    meddler = _Meddler(other)
    clock = _Jumping()
    monkeypatch.setattr(time, "time_ns", clock.time_ns)
    monkeypatch.setattr(time, "time", clock.time)
    job = workspace.submit("copy", limits={"stall_timeout": "60s"})
    ended = workspace.jobs.work(job.id, observer=meddler).job
    other.application.close()
    assert ended is not None
    assert (ended.status, ended.books.counts) == (
        JobStatus.COMPLETED,
        Counts(listed=6000, done=6000),
    )
    assert set(meddler.freed) == {0}
    assert ended.elapsed_s >= 0


def test_lease_of_a_worker_before_the_jump_is_held_behind_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, other = workspace.application.ledger, workspace.beside()
    job = workspace.submit("copy")
    ledger.join()
    assert ledger.claim(job.id, {TaskKind.SCAN: 1})
    clock = _Jumping()
    monkeypatch.setattr(time, "time_ns", clock.time_ns)
    monkeypatch.setattr(time, "time", clock.time)
    other.application.ledger.join()
    assert other.application.ledger.take_over() == 0
    assert other.application.ledger.claim(job.id, {TaskKind.SCAN: 1}) == []
    other.application.ledger.leave()
    other.application.close()
    ledger.leave()
