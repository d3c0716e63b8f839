"""The runner and the tasks it works on; what they report goes into the ledger.

A task goes back to the ledger only when its call has ended or its process is known to be gone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pravah.errors import (
    PASSING,
    STORE_HINTS,
    LedgerBusyError,
    LedgerError,
    PravahError,
    StatusError,
)
from pravah.jobs import attempt as attempts
from pravah.jobs import chronicle, log, traces
from pravah.jobs.attempt import Attempt
from pravah.jobs.autopsy import Death
from pravah.jobs.failure_guard import stop_if_exceeded
from pravah.jobs.runner_process import DYING_S, RunnerProcess
from pravah.jobs.suspicion import (
    Crash,
    is_hopeless,
    needs_to_be_alone,
    release_after,
    suspects_after,
)
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.model.ledger import Lease, Ledger, Release, Request, Suspect, TaskKind, Verdict
from pravah.model.units import read_duration, read_size
from pravah.runner.frames import Message

# Two tasks of entries: one computes while the other is committed (protocol, rule 5). And scans.
SLOTS = {TaskKind.ENTRIES: 2, TaskKind.SCAN: 4}
# Small tasks beside them: of many little jobs, each of which mostly waits for its commits.
SMALL_SLOTS = 14
# Attempts of a task that end badly without progress, before it runs alone and then ends its job.
STRIKES = 3
# Errors of the core that another try can't change.
HOPELESS = {
    "invalid_plan",
    "invalid_parameter",
    "unknown_processor",
    "damaged_blob",
    *STORE_HINTS.keys() - PASSING,
}
# How long a drained task may take to its end: its last windows need a second, a stuck step more.
# Together with the rest of the way out far below the 30 s that Kubernetes and systemd wait.
DRAIN_S = 10.0
# A ledger that was locked for longer than its own timeout gets so many chances.
COMMIT_TRIES = 4


@dataclass(frozen=True, slots=True)
class _Undead:
    """A runner that was killed, and what it works on until it is gone."""

    runner: RunnerProcess
    attempts: list[Attempt]
    stalled: Attempt | None = None
    reason: str = ""


class Crew:
    """One runner, started when it is needed, and its attempts."""

    def __init__(self, ledger: Ledger, threads: int | None, runner: RunnerProcess | None) -> None:
        self._ledger = ledger
        self._threads = threads
        self._runner = runner
        self._only_runner = runner is None
        self._calls = itertools.count(1)
        self._attempts: dict[int, Attempt] = {}
        self._waiting: list[tuple[Lease, Job]] = []
        self._jobs: dict[int, Job] = {}
        self._scanned = (0, 0)
        # Killed, and not gone yet: the lease of what they work on can't be given back.
        self._undead: list[_Undead] = []

    @property
    def runner(self) -> RunnerProcess | None:
        """The process to listen to, if there is one."""
        return self._runner

    @property
    def busy(self) -> bool:
        """Whether any lease is held here."""
        return bool(self._attempts or self._waiting)

    @property
    def held(self) -> set[int]:
        """The tasks whose leases are held here."""
        waiting = {lease.task_id for lease, _ in self._waiting}
        return waiting | {attempt.lease.task_id for attempt in self._attempts.values()}

    @property
    def job_ids(self) -> set[str]:
        """The jobs that are worked on."""
        return {attempt.lease.job_id for attempt in self._attempts.values()}

    @property
    def scanned(self) -> tuple[int, int]:
        """Entries and bytes that scans have seen since the runner began."""
        return self._scanned

    def wanted(self) -> dict[TaskKind, int]:
        """Tell how many more tasks of each kind can begin; none beside one that runs alone."""
        if self._waiting or any(attempt.alone for attempt in self._attempts.values()):
            return {}
        free = {kind: slots - self._active(kind) for kind, slots in SLOTS.items()}
        return {kind: number for kind, number in free.items() if number > 0}

    @property
    def small_slots(self) -> int:
        """How many more small tasks can begin."""
        return max(0, SMALL_SLOTS - sum(a.lease.small for a in self._attempts.values()))

    def take(self, lease: Lease, job: Job) -> None:
        """Begin with a task; one that has killed its process too often waits until it is alone."""
        if lease.strikes >= STRIKES or needs_to_be_alone(lease):
            self._waiting.append((lease, job))
        else:
            self._start(lease, job, alone=False)

    def start_alone(self) -> None:
        """Begin with a task that has to run alone, if nothing else runs."""
        if self._waiting and not self._attempts:
            self._start(*self._waiting[-1], alone=True)
            self._waiting.pop()

    def give_back_waiting(self) -> None:
        """Give back the tasks that wait until they are alone."""
        while self._waiting:
            self.give_back_unbegun(self._waiting[-1][0])
            self._waiting.pop()

    def give_back_unbegun(self, lease: Lease) -> None:
        """Give back a task in the condition in which it was found."""
        how = Release.UNCLEAN if lease.unclean else Release.CLEAN
        self._written(lambda: self._ledger.release(lease, how))

    def receive(self) -> bool:
        """Do what the runner's messages ask for, and deal with its end.

        Tell whether a claim is worth its transaction: a slot may be free, or a task may be new.
        """
        runner = self._runner
        messages = runner.receive() if runner else []
        if runner and messages is None:
            self._lose(runner)
            return True
        worthwhile = False
        for message in messages or ():
            if message["type"] == "progress":
                self._note_progress(message)
            elif message["type"] == "log":
                log.relay(message["level"], message["message"], message["fields"])
            elif message["type"] == "ended":
                self._end_attempt(self._attempts.pop(message["call"]), message)
                worthwhile = True
            else:
                self._commit(self._attempts[message["call"]], message)
                worthwhile |= message["type"] == "tasks" or message["record"]["finished"]
        return worthwhile

    def drain(self, job_id: str | None = None) -> None:
        """Have attempts, of one job or of all, begin nothing new."""
        for attempt in self._attempts.values():
            if job_id in (None, attempt.lease.job_id) and not attempt.draining:
                attempt.drain()
                self._send({"type": "drain", "call": attempt.call})

    def share(self, task_ids: Collection[int]) -> None:
        """Have attempts end with what they have begun, so that others can do a part of the rest."""
        for attempt in self._attempts.values():
            if attempt.lease.task_id in task_ids and not (attempt.shared or attempt.alone):
                attempt.shared = True
                self._send({"type": "finish_begun", "call": attempt.call})

    def follow(self, job: Job) -> None:
        """Go on with a job under the limits that it has now."""
        for call, attempt in self._attempts.items():
            if attempt.lease.job_id == job.id:
                self._jobs[call] = job
        rates = {key: job.plan.get(key) for key in ("read_rate", "write_rate")}
        self._send({"type": "rates", "job": job.id, **rates})

    def check_stall(self) -> None:
        """Kill a runner that stands still or does not come to an end; bury those that are gone."""
        self._bury()
        now_s = time.monotonic()
        for call, attempt in self._attempts.items():
            timeout_s = read_duration(self._jobs[call].spec["limits"]["stall_timeout"])
            if self._runner is None:
                return
            if attempt.drained_s is not None and now_s - attempt.drained_s > DRAIN_S:
                self._lose(self._runner, reason=f"it was not drained within {DRAIN_S:g} s")
                return
            if now_s - attempt.moved_s > timeout_s:
                reason = f"nothing was read or written for {timeout_s:g} s"
                self._lose(self._runner, stalled=attempt, reason=reason)
                return

    def stop(self) -> bool:
        """Kill the runner, then give back what it worked on; tell whether nothing is left."""
        held = [attempt for attempt in self._attempts.values() if not attempt.finished]
        runner, self._runner, self._attempts = self._runner, None, {}
        if runner is not None and runner.end() is None:
            self._undead.append(_Undead(runner, held))
            held = []
        for attempt in held:
            self._ledger.release(attempt.lease, Release.UNCLEAN)
        self._bury()
        return not self._undead

    def _active(self, kind: TaskKind) -> int:
        """Count attempts that need their slot: a finished one only says goodbye.

        Small ones have slots of their own; where these are full, they take those of the others.
        """
        working = [a for a in self._attempts.values() if a.lease.kind == kind and not a.finished]
        return len(working) - min(SMALL_SLOTS, sum(a.lease.small for a in working))

    def _start(self, lease: Lease, job: Job, *, alone: bool) -> None:
        trace = traces.place_of(self._ledger, job)
        attempt = Attempt(next(self._calls), lease, alone=alone, trace=trace)
        self._make_ready(job)
        try:
            for message in attempts.opening(self._ledger, job, attempt):
                self._send(message)
        except LedgerError:
            raise
        except PravahError as error:
            # A blob that can't be read, a processor that this release lacks: another try meets the
            # same, and other jobs are none the worse for it.
            reason = error.to_dict()
            chronicle.ended(attempt, "failed", reason)
            self._written(lambda: self._ledger.fail_task(lease, reason))
            return
        chronicle.claimed(lease, alone=alone)
        self._attempts[attempt.call] = attempt
        self._jobs[attempt.call] = job

    def _make_ready(self, job: Job) -> None:
        if self._runner is None:
            fds = self._ledger.inherited_fds()
            self._runner = RunnerProcess(fds, failpoints=self._only_runner)
            self._only_runner = False
        memory_bytes = read_size(job.spec["limits"]["memory"])
        self._runner.begin(threads=self._threads, memory_bytes=memory_bytes)

    def _send(self, message: Message) -> None:
        if self._runner is not None:
            self._runner.send(message)

    def _note_progress(self, message: Message) -> None:
        self._scanned = (message["scanned"], message["scanned_bytes"])
        for call, moved in message["moved"]:
            attempt = self._attempts.get(call)
            if attempt is not None and attempt.moved != moved:
                attempt.moved, attempt.moved_s = moved, time.monotonic()

    def _commit(self, attempt: Attempt, message: Message) -> None:
        verdict = self._written(lambda: attempts.commit(self._ledger, attempt, message))
        if verdict is Verdict.COMMITTED and self._over_budget(attempt, message):
            verdict = Verdict.DRAIN
        if verdict is Verdict.DRAIN:
            attempt.drain()
        self._send({"type": "verdict", "call": attempt.call, "verdict": verdict})
        attempt.moved_s = time.monotonic()

    def _over_budget(self, attempt: Attempt, message: Message) -> bool:
        """Stop a job with too many failures, when this record may have brought the last one."""
        counts = message["record"]["counts"]
        failed = counts.get("failed", 0) + counts.get("poisoned", 0)
        listed = message["type"] == "tasks" and message["record"]["finished"]
        if not failed and not listed:
            return False
        job = self._jobs[attempt.call]
        with suppress(LedgerBusyError):  # the next record looks again
            return stop_if_exceeded(self._ledger, job)
        return False

    @staticmethod
    def _written(write: Callable[[], Verdict]) -> Verdict:
        """Write, again where the ledger was locked: rule 1 makes a repeated write harmless."""
        for _ in range(COMMIT_TRIES - 1):
            try:
                return write()
            except LedgerBusyError as error:
                log.warning("the ledger is busy, the write is tried again", kind=error.kind)
                continue
        return write()

    def _end_attempt(self, attempt: Attempt, message: Message) -> None:
        job = self._jobs.pop(attempt.call)
        if attempt.finished or message.get("status") == "fenced":
            chronicle.ended(attempt, "finished" if attempt.finished else "lease lost")
            return
        if "error" in message and message["error"]["kind"] == "sink_full":
            self._pause(attempt, attempts.located(message["error"], job))
        elif "error" in message:
            self._strike(attempt, attempts.located(message["error"], job))
        elif attempt.shared:
            chronicle.ended(attempt, "split")
            self._written(lambda: attempts.split(self._ledger, job, attempt))
        else:
            chronicle.ended(attempt, "given back")
            self._written(lambda: self._ledger.release(attempt.lease, Release.CLEAN))

    def _pause(self, attempt: Attempt, error: Mapping[str, str]) -> None:
        """Stop a job whose sink takes nothing more: its other files would meet the same."""
        chronicle.ended(attempt, "given back", error)
        resume = f"`pravah jobs resume {shown(attempt.lease.job_id)}` goes on"
        hint = f"make room (`df` and `df -i` tell where), then {resume}"
        with suppress(StatusError):  # cancelled or ended meanwhile
            self._ledger.request(attempt.lease.job_id, Request.PAUSE, {**error, "hint": hint})
        self._written(lambda: self._ledger.release(attempt.lease, Release.CLEAN))

    def _lose(
        self, runner: RunnerProcess, *, stalled: Attempt | None = None, reason: str = ""
    ) -> None:
        """Deal with a runner that is gone, or has to go as one of its tasks stands still."""
        lost = [attempt for attempt in self._attempts.values() if not attempt.finished]
        self._runner, self._attempts, self._jobs = None, {}, {}
        self._undead.append(_Undead(runner, lost, stalled, reason))
        self._bury(patience_s=DYING_S)

    def _bury(self, patience_s: float = 0.0) -> None:
        """Give back the tasks of killed runners that are certainly gone."""
        for undead in tuple(self._undead):
            death = undead.runner.end(patience_s)
            if death is not None:
                self._hold_inquest(undead, death)
                self._undead.remove(undead)

    def _hold_inquest(self, undead: _Undead, death: Death) -> None:
        chronicle.runner_lost(death, undead.reason)
        message = f"the process that runs the core died: {death.how}"
        # One that can't be given back, as the ledger is locked, is left for the next burial.
        while undead.attempts:
            attempt = undead.attempts[0]
            if attempt is undead.stalled:
                mine = tuple(n for n in death.notes if n.task_id == attempt.lease.task_id)
                self._accuse(attempt, Crash(kind="stalled", message=undead.reason, notes=mine))
            elif undead.reason:
                self._give_back(attempt, Release.UNCLEAN)  # it was in bad company, or asked to stop
            elif death.crashed:
                self._accuse(
                    attempt, Crash(kind="runner_crashed", message=message, notes=death.notes)
                )
            elif not death.killed or is_hopeless(attempt):
                self._strike(attempt, {"kind": "runner_died", "message": message})
            else:
                self._give_back(attempt, Release.DIED)
            undead.attempts.pop(0)

    def _accuse(self, attempt: Attempt, crash: Crash) -> None:
        """Give a task back with the suspects among its entries, if there are any."""
        suspects = suspects_after(attempt, crash)
        if suspects is not None:
            chronicle.suspected(attempt.lease, suspects)
            self._give_back(attempt, Release.UNCLEAN, suspects)
        elif release_after(attempt, crash) is Release.STRUCK:
            self._strike(attempt, {"kind": crash.kind, "message": crash.message})
        else:
            self._give_back(attempt, Release.UNCLEAN)

    def _give_back(
        self, attempt: Attempt, how: Release, suspects: Mapping[int, Suspect] | None = None
    ) -> None:
        self._written(lambda: self._ledger.release(attempt.lease, how, suspects))

    def _strike(self, attempt: Attempt, error: Mapping[str, str]) -> None:
        """Give a task back whose attempt ended badly, or end it when it has had its chances."""
        if error["kind"] in HOPELESS or (attempt.alone and not attempt.progressed):
            chronicle.ended(attempt, "failed", error)
            self._written(lambda: self._ledger.fail_task(attempt.lease, error))
        else:
            chronicle.ended(attempt, "given back", error)
            self._give_back(attempt, Release.STRUCK)
