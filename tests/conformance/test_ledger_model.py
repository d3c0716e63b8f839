"""The ledger against a model: whatever happens in whatever order, the books close (rule 18).

The model knows of each task how many entries it has, how many are acknowledged and how many are
recorded. Leases that their worker lost are kept and used: a zombie must never change anything.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pravah.errors import NotFoundError, StatusError
from pravah.model.job import Counts
from pravah.model.ledger import (
    Emission,
    Lease,
    Ledger,
    Moved,
    NewTask,
    Purpose,
    Release,
    Request,
    TaskBlobs,
    TaskCounts,
    TaskKind,
    Verdict,
    WindowRecord,
)
from pravah.model.status import JobStatus
from tests.conformance.ledgers import (
    CLUSTERS,
    Cluster,
    PostgresCluster,
    SqliteCluster,
    close,
    submit,
)

# Thousands of transactions, and none has to survive a power cut.
MEMORY = next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)  # noqa: S108


@dataclass
class Task:
    """What the model knows of a task of entries."""

    entries: int
    done: int = 0
    failed: int = 0
    recorded: int = 0

    @property
    def left(self) -> int:
        return self.entries - self.done - self.failed


@dataclass
class Held:
    """A lease, and whether it is still held."""

    worker: Ledger
    lease: Lease
    lost: bool = False
    was_split: bool = False


@dataclass
class Model:
    """What the model knows of a job."""

    tasks: dict[int, Task] = field(default_factory=dict)
    filtered: int = 0

    def counts(self) -> Counts:
        tasks = self.tasks.values()
        return Counts(
            listed=sum(task.entries for task in tasks) + self.filtered,
            done=sum(task.done for task in tasks),
            failed=sum(task.failed for task in tasks),
            filtered=self.filtered,
            remaining=sum(task.left for task in tasks),
        )


class LedgerMachine(RuleBasedStateMachine):
    """One job, two workers that may die, and a person who pauses, cancels and retries."""

    make_cluster: Callable[[Path], Cluster]

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory(dir=MEMORY)
        self.cluster = type(self).make_cluster(Path(self.directory.name))
        self.workers = [self.cluster.worker(), self.cluster.worker()]
        self.job_id = submit(self.workers[0])
        self.model = Model()
        self.held: list[Held] = []
        self.closing = False

    def teardown(self) -> None:
        if hasattr(self, "cluster"):
            self.cluster.close()
            self.directory.cleanup()

    @rule(who=st.integers(0, 1), kind=st.sampled_from([TaskKind.SCAN, TaskKind.ENTRIES]))
    def claim(self, who: int, kind: TaskKind) -> None:
        worker = self.workers[who]
        for lease in worker.claim(self.job_id, {kind: 1}):
            assert not any(h.lease.task_id == lease.task_id and not h.lost for h in self.held)
            self.held.append(Held(worker, lease))

    @precondition(lambda self: self._of(TaskKind.SCAN))
    @rule(data=st.data(), sizes=st.lists(st.integers(1, 5), max_size=3), finished=st.booleans())
    def emit(self, data: st.DataObject, sizes: list[int], *, finished: bool) -> None:
        held = data.draw(st.sampled_from(self._of(TaskKind.SCAN)))
        before = {blobs.task_id for blobs in held.worker.blobs(self.job_id)}
        filtered = self.model.filtered + 1
        tasks = [NewTask(b"manifest", size, size) for size in sizes]
        verdict = held.worker.emit(held.lease, Emission(tasks, filtered, {}, finished))
        assert (verdict is Verdict.FENCED) == held.lost
        if held.lost:
            return
        self.model.filtered = filtered
        listed = [b for b in held.worker.blobs(self.job_id) if b.task_id not in before]
        assert [blobs.entries for blobs in listed] == sizes
        self.model.tasks |= {blobs.task_id: Task(blobs.entries) for blobs in listed}
        held.lost = finished

    @precondition(lambda self: self._of(TaskKind.ENTRIES))
    @rule(data=st.data(), recorded=st.integers(0, 3), failed=st.booleans())
    def window(self, data: st.DataObject, recorded: int, *, failed: bool) -> None:
        held = data.draw(st.sampled_from(self._of(TaskKind.ENTRIES)))
        task = self.model.tasks[held.lease.task_id]
        done = task.done + (0 if failed else task.recorded)
        bad = task.failed + (task.recorded if failed else 0)
        if held.lease.purpose == Purpose.SETTLE:
            recorded = 0
        recorded = min(recorded, task.entries - done - bad)
        finished = recorded == 0 and done + bad == task.entries
        record = WindowRecord(
            window=b"window" if recorded else None,
            acknowledge=task.recorded > 0,
            amendments=None,
            fingerprints=[],
            counts=TaskCounts(done=done, failed=bad),
            summary="{}",
            finished=finished,
        )
        verdict = held.worker.commit_window(held.lease, record)
        if held.was_split:
            return  # it may be taken for the split, whose reply was lost; `books_close` looks
        assert (verdict is Verdict.FENCED) == held.lost
        if not held.lost:
            task.done, task.failed, task.recorded = done, bad, recorded
            held.lost = finished

    @precondition(lambda self: self._of(TaskKind.ENTRIES))
    @rule(data=st.data())
    def split(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self._of(TaskKind.ENTRIES)))
        task = self.model.tasks[held.lease.task_id]
        before = {blobs.task_id for blobs in held.worker.blobs(self.job_id)}
        known = set(self.model.tasks)
        some = task.left // 2
        parts = [NewTask(b"part", part, part) for part in (some, task.left - some) if part]
        kept = TaskCounts(done=task.done, failed=task.failed)
        verdict = held.worker.split(held.lease, Moved(parts, task.left, kept, "{}"))
        if held.was_split:
            # As after a lost reply: it may be told that it was applied, and changes nothing.
            assert {blobs.task_id for blobs in held.worker.blobs(self.job_id)} == before
            return
        # What is recorded and not acknowledged belongs to this task alone.
        assert (verdict is Verdict.FENCED) == (held.lost or task.recorded > 0)
        if verdict is Verdict.FENCED:
            return
        task.entries = task.done + task.failed
        held.lost = held.was_split = True
        made = [b for b in held.worker.blobs(self.job_id) if b.task_id not in known]
        assert [blobs.entries for blobs in made] == [part.entries for part in parts]
        self.model.tasks |= {blobs.task_id: Task(blobs.entries) for blobs in made}

    @precondition(lambda self: self.held)
    @rule(data=st.data(), how=st.sampled_from(list(Release)))
    def release(self, data: st.DataObject, how: Release) -> None:
        held = data.draw(st.sampled_from(self.held))
        verdict = held.worker.release(held.lease, how)
        assert (verdict is Verdict.FENCED) == held.lost
        held.lost = True

    @rule(who=st.integers(0, 1))
    def crash_and_take_over(self, who: int) -> None:
        self.cluster.crash(self.workers[who])
        held = [h for h in self.held if h.worker is self.workers[who] and not h.lost]
        assert self.workers[1 - who].take_over() == len(held)
        for lost in held:
            lost.lost = True
        self.workers[who] = self.cluster.worker()

    @rule(request=st.sampled_from([Request.PAUSE, Request.PAUSE, Request.CANCEL]))
    def ask(self, request: Request) -> None:
        status, asked = self.workers[0].status(self.job_id)
        refused = status.ended or (asked == Request.CANCEL and request == Request.PAUSE)
        try:
            self.workers[0].request(self.job_id, request)
        except StatusError:
            assert refused
        else:
            assert not refused

    @rule()
    def apply_pause(self) -> None:
        _, asked = self.workers[0].status(self.job_id)
        paused = self.workers[0].apply_pause(self.job_id)
        assert paused == (asked == Request.PAUSE and not self._live() and not self.closing)

    @rule()
    def resume(self) -> None:
        status, asked = self.workers[0].status(self.job_id)
        if not status.ended and asked != Request.CANCEL:
            self.workers[0].resume(self.job_id)
            assert self.workers[0].status(self.job_id)[1] is None

    @rule(interrupted=st.booleans())
    def close_where_nothing_is_left(self, *, interrupted: bool) -> None:
        worker = self.workers[0]
        status, asked = worker.status(self.job_id)
        unsettled = any(task.recorded for task in self.model.tasks.values())
        if self.closing:
            self._close(interrupted=interrupted)
        elif status.ended or self._live() or (asked is None and self.model.counts().remaining):
            assert not worker.open_closing(self.job_id)
        elif (asked == Request.CANCEL and not unsettled) or (
            asked is None and worker.job(self.job_id).scan_complete and status != JobStatus.PAUSED
        ):
            self.closing = worker.open_closing(self.job_id)
            if self.closing:
                self._close(interrupted=interrupted)

    @rule()
    def retry(self) -> None:
        worker = self.workers[0]
        if not worker.status(self.job_id)[0].ended:
            return
        moved: dict[int, int] = {}

        def move(blobs: TaskBlobs) -> Moved | None:
            task = self.model.tasks[blobs.task_id]
            gone = task.failed + task.left
            moved[blobs.task_id] = gone
            kept = TaskCounts(done=task.done)
            return Moved([NewTask(b"retried", gone, gone)], gone, kept, "{}")

        try:
            worker.retry(self.job_id, move)
        except StatusError:
            counts = self.model.counts()
            assert counts.failed == counts.remaining == 0
            return
        for task_id, gone in moved.items():
            task = self.model.tasks[task_id]
            task.entries, task.failed = task.entries - gone, 0
        for blobs in worker.blobs(self.job_id):
            self.model.tasks.setdefault(blobs.task_id, Task(blobs.entries))

    @rule()
    def prune(self) -> None:
        worker = self.workers[0]
        ended = worker.status(self.job_id)[0].ended
        assert worker.prune(1 << 62, 10) == ([self.job_id] if ended else [])
        if not ended:
            return
        assert worker.sweep()
        with pytest.raises(NotFoundError):
            worker.retry(self.job_id, lambda _: None)
        for zombie in self.held:
            assert zombie.worker.release(zombie.lease, Release.CLEAN) is Verdict.FENCED
        self.job_id, self.model, self.held = submit(worker), Model(), []

    @invariant()
    def books_close(self) -> None:
        job = self.workers[0].job(self.job_id)
        counts = job.books.counts
        assert counts.closed
        assert counts == self.model.counts()
        if job.status == JobStatus.COMPLETED:
            assert counts.remaining == counts.failed == 0
        if job.status == JobStatus.FAILED:
            assert counts.remaining == 0
        if job.status.ended or job.status == JobStatus.PAUSED:
            assert not self._live()

    def _close(self, *, interrupted: bool) -> None:
        """Do an open closing; one that was interrupted is done again, and not opened twice."""
        worker = self.workers[0]
        assert not worker.open_closing(self.job_id)
        if interrupted:
            (lease,) = worker.claim(self.job_id, {TaskKind.CLOSING: 1})
            worker.release(lease, Release.UNCLEAN)
            return
        status = self._end_status()
        close(worker, self.job_id, status, opened=True)
        assert worker.status(self.job_id) == (status, None)
        self.closing = False

    def _end_status(self) -> JobStatus:
        """Tell how the job ends: a cancel that came when all was done changes nothing."""
        counts = self.model.counts()
        if counts.remaining or not self.workers[0].job(self.job_id).scan_complete:
            return JobStatus.CANCELLED
        return JobStatus.FAILED if counts.failed else JobStatus.COMPLETED

    def _of(self, kind: TaskKind) -> list[Held]:
        return [held for held in self.held if held.lease.kind == kind]

    def _live(self) -> list[Held]:
        return [held for held in self.held if not held.lost]


@pytest.mark.parametrize("kind", CLUSTERS)
def test_ledger_in_any_order_of_events_keeps_the_books_closed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "postgresql":
        server = request.getfixturevalue("postgres_server")
        make = staticmethod(lambda _directory: PostgresCluster(server))
    else:
        make = staticmethod(SqliteCluster)
    machine = type("Machine", (LedgerMachine,), {"make_cluster": make})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
