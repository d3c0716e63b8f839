"""Entries that end the process which works on them (protocol, rule 22; faults 5 and 46)."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Any

import pytest

from pravah.jobs import crew
from pravah.jobs.autopsy import Death
from pravah.jobs.runner_process import DYING_S, RunnerProcess
from pravah.jobs.supervisor import Ending, Idle
from pravah.model.job import Counts, Job
from pravah.model.ledger import Lease, TaskKind
from pravah.model.status import JobStatus
from tests.integration import harm
from tests.integration.workspace import Workspace

# More than address space for the libraries and a few threads, far less than a machine has.
ADDRESS_SPACE_BYTES = 2 << 30


@pytest.fixture(autouse=True)
def _harmful_step(monkeypatch: pytest.MonkeyPatch) -> None:
    harm.allow(monkeypatch)


class _SmallRunner(RunnerProcess):
    """A runner that may take only so much address space."""

    def __init__(self, inherited_fds: Sequence[int], *, failpoints: bool = True) -> None:
        super().__init__(inherited_fds, failpoints=failpoints)
        limits = (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES)
        resource.prlimit(self.pid, resource.RLIMIT_AS, limits)


def _run(workspace: Workspace, **keys: Any) -> Job:
    return workspace.run(harm.STEP, **keys)


def _poisoned(workspace: Workspace, job: Job) -> list[str]:
    return [line["path"].rpartition("/")[2] for line in workspace.lines(job, "poisoned")]


@pytest.mark.parametrize("marker", [b"CRASH", b"DEEP!", b"BOMB!"])
def test_entry_that_crashes_its_process_is_poisoned_and_the_rest_is_done(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, marker: bytes
) -> None:
    monkeypatch.setattr(crew, "RunnerProcess", _SmallRunner)
    workspace.fill(40)
    workspace.write("bad.txt", marker)
    job = _run(workspace)
    assert job.status == JobStatus.FAILED
    assert job.error is None
    assert job.books.counts == Counts(listed=41, done=40, poisoned=1)
    assert _poisoned(workspace, job) == ["bad.txt"]
    (group,) = workspace.jobs.failures(job.id)
    assert (group.kind, group.count) == ("runner_crashed", 1)
    assert "SIG" in group.message
    assert len(workspace.outputs()) == 40
    assert workspace.litter() == []


def test_entry_that_hangs_is_poisoned_and_the_rest_is_done(workspace: Workspace) -> None:
    workspace.fill(40)
    workspace.write("bad.txt", b"HANG!")
    job = _run(workspace, limits={"stall_timeout": "1s"})
    assert job.books.counts == Counts(listed=41, done=40, poisoned=1)
    assert _poisoned(workspace, job) == ["bad.txt"]
    (group,) = workspace.jobs.failures(job.id)
    assert group.kind == "stalled"
    assert workspace.litter() == []


def test_several_that_crash_are_all_found(workspace: Workspace) -> None:
    workspace.fill(60)
    bad = [workspace.write(f"bad{number}.txt", b"CRASH").name for number in range(3)]
    job = _run(workspace)
    assert job.books.counts == Counts(listed=63, done=60, poisoned=3)
    assert sorted(_poisoned(workspace, job)) == bad


def test_poisoned_entries_are_within_the_budget_like_failures(workspace: Workspace) -> None:
    workspace.write("good.txt")
    workspace.write("bad.txt", b"CRASH")
    job = _run(workspace, on_error={"budget": 1})
    assert job.status == JobStatus.COMPLETED


def test_retry_moves_poisoned_entries_back(workspace: Workspace) -> None:
    workspace.fill(10)
    bad = workspace.write("bad.txt", b"CRASH")
    job = _run(workspace)
    bad.write_bytes(b"mended")
    retried = workspace.jobs.retry(job.id, "F1")
    assert retried.books.counts == Counts(listed=11, done=10, remaining=1)
    ended = workspace.finish(retried)
    assert (ended.status, ended.round) == (JobStatus.COMPLETED, 2)
    assert ended.books.counts == Counts(listed=11, done=11)


def test_slow_entries_are_no_standstill(workspace: Workspace) -> None:
    # Each takes a fraction of the timeout, all together several times as long.
    for number in range(20):
        workspace.write(f"f{number}.txt", b"SLOW!")
    job = _run(workspace, limits={"stall_timeout": "1s"})
    assert job.books.counts == Counts(listed=20, done=20)


def test_runner_that_cannot_be_killed_keeps_its_task_and_others_go_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hung file system holds its readers through a SIGKILL, until it answers."""
    ends: list[RunnerProcess] = []

    class Held(RunnerProcess):
        """Not gone as long as another one has not finished its work."""

        def end(self, patience_s: float = DYING_S) -> Death | None:
            ends.append(self)
            held = ends[0] is self and not workspace.jobs.get(other.id).books.counts.done
            return None if held else super().end(patience_s)

    monkeypatch.setattr(crew, "RunnerProcess", Held)
    bad = workspace.write("bad.txt", b"HANG!")
    first = workspace.submit(harm.STEP, limits={"stall_timeout": "1s"})
    (workspace.root / "other").mkdir()
    (workspace.root / "other" / "good.txt").write_bytes(b"good")
    other = workspace.submit(harm.STEP, source=str(workspace.root / "other"), priority=-1)
    workspace.jobs.work(None, idle=Idle.LEAVE)
    assert workspace.jobs.get(other.id).status == JobStatus.COMPLETED
    assert _poisoned(workspace, workspace.jobs.get(first.id)) == [bad.name]


def test_drain_of_a_step_that_hangs_ends_soon_and_blames_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "DRAIN_S", 0.5)
    workspace.write("bad.txt", b"HANG!")
    job = workspace.submit(harm.STEP)
    supervisor = workspace.jobs.supervisor(job.id)
    original = crew.Crew.take

    def take_and_drain(self: crew.Crew, lease: Lease, job: Job) -> None:
        original(self, lease, job)
        if lease.kind is TaskKind.ENTRIES:
            supervisor.drain()

    monkeypatch.setattr(crew.Crew, "take", take_and_drain)
    assert supervisor.run().ending is Ending.PAUSED
    monkeypatch.setattr(crew.Crew, "take", original)
    workspace.jobs.resume(job.id)
    (bad,) = workspace.source.iterdir()
    bad.write_bytes(b"mended")
    ended = workspace.finish(job)
    assert ended.books.counts == Counts(listed=1, done=1)
