"""Works on jobs: claims tasks for its crew, and pauses and closes jobs when their time has come.

One loop in one thread makes every write to the ledger. The runner is another process, so that
whatever happens in the core can end that one without ending this.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from pravah.errors import LedgerBusyError, LedgerError, StatusError, StoreError
from pravah.jobs import chronicle, log, traces
from pravah.jobs.crew import Crew
from pravah.jobs.observer import Observer, Pace
from pravah.jobs.runner_process import RunnerProcess
from pravah.model.job import Job
from pravah.model.ledger import Glance, Lease, Ledger, Release, Request, TaskKind
from pravah.model.status import JobStatus

# Far below the 30 s after which a silent worker counts as hung.
BEAT_S = 5.0
# How often an idle worker looks for work, and for the dead.
LOOK_S = 0.5
PROGRESS_S = 0.2
# Without work for so long while others have some, a worker asks for a part of theirs; and how
# often it asks for more.
IDLE_S, ASK_S = 2.0, 1.0
# How often old jobs are looked for, how many of them at once, and how long their rows are removed
# between two looks at the runner.
PRUNE_S = 60.0
PRUNED_AT_ONCE = 10
SWEEP_S = 0.2
# Closings between two looks at the runner: each takes milliseconds, a large dataset more.
CLOSED_AT_ONCE = 8
# Together with the ledger's own patience longer than the 30 s after which a worker counts as hung.
_JOIN_TRIES = 4


class Idle(StrEnum):
    """What to do when there is nothing to claim."""

    WAIT = "wait"  # for more work, or until the job that others work on has ended
    LEAVE = "leave"


class Ending(StrEnum):
    """Why a supervisor has stopped."""

    ENDED = "ended"  # the job has ended, by whoever's hand
    PAUSED = "paused"
    DRAINED = "drained"  # asked to stop; what is left can go on elsewhere
    IDLE = "idle"  # nothing is left to claim


@dataclass(frozen=True, slots=True)
class Work:
    """What to work on: one job, or any."""

    job_id: str | None
    idle: Idle = Idle.WAIT
    threads: int | None = None
    # How long ended jobs are kept by a worker that takes any job; None: for ever.
    retention_s: float | None = None


@dataclass(frozen=True, slots=True)
class WorkEnd:
    """How the work ended; `job` is the one that was asked for, as it is now."""

    ending: Ending
    job: Job | None


Beat = Callable[[], None]
# None where somebody else has taken the closing over.
Close = Callable[[Ledger, Lease, Beat], Job | None]
Compare = Callable[[Ledger, Lease, Beat], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """Leased work that a supervisor does itself: closing jobs, comparing names of outputs."""

    close: Close
    compare: Compare


class Supervisor:
    """Works until there is an end; `drain` may be called from any thread.

    The thread that calls `run` must live as long as the runner: the kernel kills the runner with
    the thread that started it.
    """

    def __init__(
        self,
        ledger: Ledger,
        work: Work,
        observer: Observer,
        desk: Desk,
        runner: RunnerProcess | None = None,
    ) -> None:
        self._ledger = ledger
        self._work = work
        self._observer = observer
        self._desk = desk
        self._crew = Crew(ledger, work.threads, runner)
        # Leased, and not begun or not done yet: a locked ledger may keep it for the next turn.
        self._unbegun: list[Lease] = []
        self._at_desk: list[Lease] = []
        self._jobs: dict[str, Job] = {}
        self._paces: dict[str, Pace] = {}
        self._stopping: set[str] = set()
        self._clock = _Clock()
        self._idle = False
        # Rows of old jobs are left to remove.
        self._sweeping = False
        self._worked_s = time.monotonic()
        self._wake_read, self._wake_write = os.pipe()
        self._drains = 0
        self._drains_heard = 0
        self._joined = False

    def run(self) -> WorkEnd:
        """Work; tell why it ended. Whatever happens, no lease and no process is left behind."""
        try:
            self._join()
            while (ending := self._ending()) is None:
                self._turn()
        finally:
            self._stop()
        job_id = self._work.job_id
        job = self._ledger.job(job_id) if job_id else None
        if job is not None and ending in (Ending.ENDED, Ending.PAUSED):
            self._observer.on_end(job)
        return WorkEnd(ending, job)

    def drain(self) -> None:
        """Begin nothing new, then stop: a named job is paused. Called again: stop at once."""
        self._drains += 1
        with suppress(OSError):
            os.write(self._wake_write, b"!")

    @property
    def _leaves(self) -> bool:
        """Whether it was asked to go; asked once, one of a named job waits until that is paused."""
        return self._drains > (1 if self._work.job_id else 0)

    @property
    def _held(self) -> set[int]:
        """The tasks whose leases are held here, by the crew or not."""
        return self._crew.held | {lease.task_id for lease in (*self._unbegun, *self._at_desk)}

    def _join(self) -> None:
        """Register, once the dead are buried; one that hangs may hold the ledger's write lock."""
        for _ in range(_JOIN_TRIES - 1):
            with suppress(LedgerBusyError):
                self._enter()
                return
        self._enter()

    def _enter(self) -> None:
        self._take_over()
        log.work_as(self._ledger.join())
        log.info("joined the ledger", ledger=self._ledger.location, pid=os.getpid())
        self._joined = True

    def _take_over(self) -> None:
        if freed := self._ledger.take_over():
            log.outcome("tasks of a dead worker are taken over", well=False, tasks=freed)

    def _ending(self) -> Ending | None:
        if self._crew.busy or self._unbegun or self._at_desk:
            return None
        job_id = self._work.job_id
        if job_id is not None:
            status, request = self._ledger.status(job_id)
            if status.ended:
                return Ending.ENDED
            if status == JobStatus.PAUSED and request is None:
                return Ending.PAUSED
        # Not before that was heard: the job is asked to pause by then, and paused if it can be.
        if self._leaves and self._drains_heard == self._drains:
            return Ending.DRAINED
        return Ending.IDLE if self._idle and self._work.idle == Idle.LEAVE else None

    def _turn(self) -> None:
        if self._drains > self._drains_heard:
            self._hear_drain()
        # What a locked ledger keeps from being done here is due again in the next turn.
        with suppress(LedgerBusyError):
            self._look_for_work()
        self._listen()
        # Right behind it: what tasks have told of their progress meanwhile has been heard.
        with suppress(LedgerBusyError):
            self._crew.check_stall()
        with suppress(LedgerBusyError):
            self._keep_house()

    def _look_for_work(self) -> None:
        worked = self._crew.busy
        worked = self._claim() or worked
        if not self._crew.busy or self._clock.due("close", LOOK_S):
            worked = self._close_jobs() or worked
        if worked:
            self._worked_s = time.monotonic()
        elif time.monotonic() - self._worked_s > IDLE_S and self._clock.due("ask", ASK_S):
            self._ledger.ask_for_part(self._work.job_id)
        self._idle = not worked

    def _keep_house(self) -> None:
        if self._clock.due("beat", BEAT_S):
            self._ledger.beat(self._held)
        if self._crew.busy and self._clock.due("share", LOOK_S):
            self._crew.share(self._ledger.asked_for())
        if self._clock.due("take over", BEAT_S if self._crew.busy else LOOK_S):
            self._take_over()
        if self._work.retention_s is not None and self._work.job_id is None:
            self._prune(self._work.retention_s)
        if self._clock.due("progress", PROGRESS_S):
            self._look_at_jobs()

    def _prune(self, retention_s: float) -> None:
        """Begin to remove a few jobs that ended too long ago, now and then; then go on with it.

        Bit by bit: a job may have more rows than are removed while a worker may be silent.
        """
        if self._sweeping:
            self._sweeping = not self._ledger.sweep(SWEEP_S)
        elif self._clock.due("prune", PRUNE_S):
            before_us = int((time.time() - retention_s) * 1e6)
            if len(self._ledger.prune(before_us, PRUNED_AT_ONCE)) == PRUNED_AT_ONCE:
                self._clock.hurry("prune")
            # Also what somebody left who was killed at it.
            self._sweeping = True

    def _hear_drain(self) -> None:
        self._drains_heard = self._drains
        log.info("asked to stop", how="drain" if self._drains == 1 else "at once")
        if self._work.job_id is not None:
            # Already cancelled or ended: there is nothing to pause.
            with suppress(StatusError):
                self._ledger.request(self._work.job_id, Request.PAUSE)
        self._crew.drain()
        if self._drains > 1:
            self._crew.stop()

    def _claim(self) -> bool:
        """Lease what there are slots for; tell whether there was anything."""
        if self._leaves:
            self._give_back_unbegun()
            return False
        self._begin()
        self._crew.start_alone()
        wanted = self._crew.wanted()
        # Beside running tasks others are looked for when something was reported, or now and then.
        waiting = self._crew.busy and not self._clock.due("claim", LOOK_S)
        if not wanted or waiting:
            return False
        small = self._crew.small_slots
        self._unbegun = self._ledger.claim(self._work.job_id, wanted, small=small)
        worked = bool(self._unbegun)
        self._begin()
        self._crew.start_alone()
        return worked

    def _begin(self) -> None:
        """Give the crew what was leased for it."""
        worked_on = self._crew.job_ids
        while self._unbegun:
            lease = self._unbegun[0]
            # What nobody here worked on may have been resumed with other settings.
            if lease.job_id not in self._jobs or lease.job_id not in worked_on:
                self._jobs[lease.job_id] = self._ledger.job(lease.job_id)
            self._crew.take(lease, self._jobs[lease.job_id])
            self._unbegun.pop(0)

    def _give_back_unbegun(self) -> None:
        """Leave to others what was leased and not begun."""
        while self._unbegun:
            self._crew.give_back_unbegun(self._unbegun[0])
            self._unbegun.pop(0)
        self._crew.give_back_waiting()

    def _listen(self) -> None:
        runner = self._crew.runner
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            if runner is not None:
                selector.register(runner, selectors.EVENT_READ)
            waits = self._idle and not self._leaves and not self._sweeping
            ready = selector.select(PROGRESS_S if self._crew.busy else LOOK_S * waits)
        for key, _ in ready:
            if key.fileobj is runner:
                if self._crew.receive():
                    self._clock.hurry("claim")
            else:
                os.read(self._wake_read, 1024)

    def _look_at_jobs(self) -> None:
        """Tell the observer how far each job is, and drain those that are asked to stop."""
        asked = {self._work.job_id} if self._work.job_id else set()
        for job_id in self._crew.job_ids | asked:
            glance = self._ledger.glance(job_id)
            known = self._jobs.get(job_id)
            if known is not None and known.revision != glance.revision:
                self._jobs[job_id] = self._ledger.job(job_id)
                self._crew.follow(self._jobs[job_id])
            if glance.draining:
                self._note_stop(job_id, glance)
                self._crew.drain(job_id)
            pace = self._paces.setdefault(job_id, Pace())
            progress = pace.progress(
                job_id, glance.books, self._crew.scanned, scan_complete=glance.scan_complete
            )
            self._observer.on_progress(progress)

    def _note_stop(self, job_id: str, glance: Glance) -> None:
        if job_id not in self._stopping:
            self._stopping.add(job_id)
            chronicle.stopping(job_id, glance)

    def _close_jobs(self) -> bool:
        """Pause or close jobs in which nothing else is left to do, and compare the names of others.

        Tells whether there was anything to do.
        """
        job_id = self._work.job_id
        for candidate in [job_id] if job_id else self._ledger.closable():
            if not self._ledger.open_closing(candidate) and self._ledger.apply_pause(candidate):
                self._stopping.discard(candidate)
                log.info("job paused", job=candidate)
        if not self._at_desk:
            wanted = {TaskKind.CLOSING: CLOSED_AT_ONCE, TaskKind.NAMES: CLOSED_AT_ONCE}
            self._at_desk = self._ledger.claim(job_id, wanted)
        worked = bool(self._at_desk)
        while self._at_desk:
            self._work_at_desk(self._at_desk[0])
        return worked

    def _work_at_desk(self, lease: Lease) -> None:
        """Do the first of the leases at the desk; it stays there until it is done."""
        beat = partial(self._ledger.beat, self._held)
        if lease.kind == TaskKind.NAMES:
            self._desk.compare(self._ledger, lease, beat)
            self._at_desk.pop(0)
            self._clock.hurry("claim")
            return
        try:
            closed = self._desk.close(self._ledger, lease, beat)
        except StoreError as problem:
            log.warning(
                "the closing is tried again",
                job=lease.job_id,
                kind=problem.kind,
                error=str(problem),
            )
            self._ledger.release(lease, Release.STRUCK)
            self._at_desk.pop(0)
            return
        self._at_desk.pop(0)
        self._jobs.pop(lease.job_id, None)
        self._paces.pop(lease.job_id, None)
        self._stopping.discard(lease.job_id)
        if closed is None:
            log.warning("the lease of a closing is lost", job=lease.job_id, task=lease.task_id)
            return
        chronicle.stopped(closed)
        traces.job_ended(self._ledger, closed)
        if self._work.job_id is None:
            self._observer.on_end(closed)

    def _stop(self) -> None:
        # A ledger that can't be written is told of by the error that ended the loop; the tasks are
        # taken over by whoever gains this worker's lock.
        gone = True
        with suppress(LedgerError):
            gone = self._crew.stop()
        # A runner that a hung file system holds may still publish: whoever gains its lock, when it
        # is gone, takes over what it works on.
        with suppress(LedgerError):
            if gone:
                self._ledger.leave()
                if self._joined:
                    log.info("left the ledger")
                    log.work_as(None)
        os.close(self._wake_read)
        os.close(self._wake_write)


class _Clock:
    """Tells what is due: each thing has its own interval."""

    def __init__(self) -> None:
        self._next_s: dict[str, float] = {}

    def due(self, name: str, interval_s: float) -> bool:
        """Tell whether the time has come, and if so set the next one."""
        now_s = time.monotonic()
        if now_s < self._next_s.get(name, 0.0):
            return False
        self._next_s[name] = now_s + interval_s
        return True

    def hurry(self, name: str) -> None:
        """Have it due at once."""
        self._next_s[name] = 0.0
