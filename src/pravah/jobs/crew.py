"""The runner and the tasks it works on; what they report goes into the ledger.

A task goes back to the ledger only when its call has ended or its process is known to be gone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from pravah.errors import EngineError, LedgerBusyError
from pravah.jobs import attempt as attempts
from pravah.jobs.attempt import Attempt
from pravah.jobs.failure_guard import stop_if_exceeded
from pravah.jobs.runner_process import RunnerProcess
from pravah.model.job import Job
from pravah.model.ledger import Lease, Ledger, Release, TaskKind, Verdict
from pravah.model.units import read_duration, read_size
from pravah.runner.frames import Message

# Two tasks of entries: one computes while the other is committed (protocol, rule 5). And a scan.
SLOTS = {TaskKind.ENTRIES: 2, TaskKind.SCAN: 1}
# Attempts of a task that end badly without progress, before it runs alone and then ends its job.
STRIKES = 3
# Errors of the core that another try can't change.
HOPELESS = {"invalid_plan", "invalid_parameter", "unknown_processor", "damaged_blob"}
# A ledger that was locked for longer than its own timeout gets so many chances.
COMMIT_TRIES = 4


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
        self._seen: tuple[int, ...] = (0, 0, 0, 0)
        self._moved_s = 0.0

    @property
    def runner(self) -> RunnerProcess | None:
        """The process to listen to, if there is one."""
        return self._runner

    @property
    def busy(self) -> bool:
        """Whether any lease is held here."""
        return bool(self._attempts or self._waiting)

    @property
    def job_ids(self) -> set[str]:
        """The jobs that are worked on."""
        return {attempt.lease.job_id for attempt in self._attempts.values()}

    @property
    def scanned(self) -> tuple[int, int]:
        """Entries and bytes that scans have seen since the runner began."""
        return self._seen[0], self._seen[1]

    def wanted(self) -> dict[TaskKind, int]:
        """Tell how many more tasks of each kind can begin; none beside one that runs alone."""
        if self._waiting or any(attempt.alone for attempt in self._attempts.values()):
            return {}
        free = {kind: slots - self._active(kind) for kind, slots in SLOTS.items()}
        return {kind: number for kind, number in free.items() if number > 0}

    def take(self, lease: Lease, job: Job) -> None:
        """Begin with a task; one that has killed its process too often waits until it is alone."""
        if lease.strikes >= STRIKES:
            self._waiting.append((lease, job))
            self.start_alone()
        else:
            self._start(lease, job, alone=False)

    def start_alone(self) -> None:
        """Begin with a task that has to run alone, if nothing else runs."""
        if self._waiting and not self._attempts:
            self._start(*self._waiting.pop(), alone=True)

    def receive(self) -> None:
        """Do what the runner's messages ask for; deal with its end."""
        runner = self._runner
        messages = runner.receive() if runner else []
        if runner and messages is None:
            self._lose("runner_died", f"the process that runs the core died: {runner.end()}")
            return
        for message in messages or ():
            if message["type"] == "progress":
                self._note_progress(message)
            elif message["type"] == "ended":
                self._end_attempt(self._attempts.pop(message["call"]), message)
            else:
                self._commit(self._attempts[message["call"]], message)

    def drain(self, job_id: str | None = None) -> None:
        """Have attempts, of one job or of all, begin nothing new."""
        for attempt in self._attempts.values():
            if job_id in (None, attempt.lease.job_id) and not attempt.draining:
                attempt.draining = True
                self._send({"type": "drain", "call": attempt.call})

    def follow(self, job: Job) -> None:
        """Go on with a job under the limits that it has now."""
        for call, attempt in self._attempts.items():
            if attempt.lease.job_id == job.id:
                self._jobs[call] = job

    def check_stall(self) -> None:
        """Kill a runner that neither reads nor writes any more."""
        if not self._attempts or self._runner is None:
            return
        jobs = [self._jobs[call] for call in self._attempts]
        timeout_s = min(read_duration(job.spec["limits"]["stall_timeout"]) for job in jobs)
        if time.monotonic() - self._moved_s > timeout_s:
            self._runner.end()
            self._lose("stalled", f"nothing was read or written for {timeout_s:g} s")

    def stop(self) -> None:
        """Kill the runner, then give back what it worked on."""
        if self._runner is not None:
            self._runner.end()
            self._runner = None
        held = [attempt.lease for attempt in self._attempts.values() if not attempt.finished]
        self._attempts = {}
        for lease in held:
            self._ledger.release(lease, Release.UNCLEAN)

    def _active(self, kind: TaskKind) -> int:
        """Count attempts that need their slot: a finished one only says goodbye."""
        return sum(a.lease.kind == kind and not a.finished for a in self._attempts.values())

    def _start(self, lease: Lease, job: Job, *, alone: bool) -> None:
        attempt = Attempt(next(self._calls), lease, alone=alone)
        self._make_ready(job)
        try:
            for message in attempts.opening(self._ledger, job, attempt):
                self._send(message)
        except EngineError as error:
            # A blob that can't be read: another try would read the same.
            reason = error.to_dict()
            self._written(lambda: self._ledger.fail_task(lease, reason))
            return
        if not self._attempts:
            self._moved_s = time.monotonic()
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
        seen = tuple(message[key] for key in ("scanned", "scanned_bytes", "files", "bytes"))
        if seen != self._seen:
            self._seen = seen
            self._moved_s = time.monotonic()

    def _commit(self, attempt: Attempt, message: Message) -> None:
        verdict = self._written(lambda: attempts.commit(self._ledger, attempt, message))
        if verdict is Verdict.COMMITTED and self._over_budget(attempt, message):
            verdict = Verdict.DRAIN
        attempt.draining = attempt.draining or verdict is Verdict.DRAIN
        self._send({"type": "verdict", "call": attempt.call, "verdict": verdict})
        self._moved_s = time.monotonic()

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
            except LedgerBusyError:
                continue
        return write()

    def _end_attempt(self, attempt: Attempt, message: Message) -> None:
        job = self._jobs.pop(attempt.call)
        if attempt.finished or message.get("status") == "fenced":
            return
        if "error" in message:
            self._strike(attempt, attempts.located(message["error"], job))
        else:
            self._written(lambda: self._ledger.release(attempt.lease, Release.CLEAN))

    def _lose(self, kind: str, message: str) -> None:
        """Deal with the tasks of a runner that is certainly gone."""
        self._runner = None
        lost, self._attempts, self._jobs = list(self._attempts.values()), {}, {}
        for attempt in lost:
            if not attempt.finished:
                self._strike(attempt, {"kind": kind, "message": message})

    def _strike(self, attempt: Attempt, error: Mapping[str, str]) -> None:
        """Give a task back whose attempt ended badly, or end it when it has had its chances."""
        if error["kind"] in HOPELESS or (attempt.alone and not attempt.progressed):
            self._written(lambda: self._ledger.fail_task(attempt.lease, error))
        else:
            self._written(lambda: self._ledger.release(attempt.lease, Release.STRUCK))
