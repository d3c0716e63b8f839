"""What can be asked of jobs, for the command line and the API alike.

Jobs are named by their id or its beginning, with or without `job_`. Errors are PravahErrors;
nothing is printed here.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pravah.errors import NotFoundError, SpecError
from pravah.jobs.locality import ONE_HOST, Locality
from pravah.jobs.observer import Observer, Unobserved
from pravah.jobs.runner_process import RunnerProcess
from pravah.jobs.supervisor import Desk, Idle, Supervisor, Work, WorkEnd
from pravah.model.ids import new_id, shown, typed
from pravah.model.job import Event, Failure, Job
from pravah.model.ledger import EVERY_JOB, JobFilter, Ledger, NewJob, Request, TaskRow, Worker
from pravah.model.report import Report, failures
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.engine import Table
    from pravah.jobs.account_page import FilePage, Place
    from pravah.jobs.planner import Planned
    from pravah.jobs.story import End, Mention
    from pravah.jobs.undo import Undone
    from pravah.model.dataset import DatasetFormat

    # Only whoever has a spec has paid for Pydantic.
    from pravah.model.spec import JobSpec

# Jobs read at once where all are wanted.
_PAGE = 100
# Of a dataset that is handed on.
_PIECE_BYTES = 1 << 20


class Reuse(StrEnum):
    """Whether a spec goes on with an unfinished job of the same spec."""

    UNFINISHED = "unfinished"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Submission:
    """A job, and whether it had been begun before."""

    job: Job
    resumed: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, and where the next ones begin."""

    items: list[Job]
    next_cursor: str | None


class JobService:
    """Creates, works on, tells about and removes jobs.

    `runner` is a process that was started ahead, for the first work that needs one.
    """

    def __init__(
        self,
        ledger: Ledger,
        scratch: Path,
        *,
        threads: int | None = None,
        runner: RunnerProcess | None = None,
        retention_s: float | None = None,
        locality: Locality = ONE_HOST,
    ) -> None:
        self._ledger = ledger
        self._scratch = scratch
        self._threads = threads
        self._runner = runner
        self._retention_s = retention_s
        self._locality = locality

    # Asking for work

    def create(
        self,
        spec: JobSpec,
        *,
        reuse: Reuse = Reuse.UNFINISHED,
        job_id: str | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> Submission:
        """Store a job; the same spec over an unfinished job goes on with that one.

        With a `job_id` of one's own the same call again creates nothing more; `origin` is told by
        the job's first event.
        """
        from pravah import engine
        from pravah.jobs import name_list, planner
        from pravah.jobs.access import check_access
        from pravah.jobs.dataset_place import check_place

        registry_check(spec)
        named = name_list.with_roots(spec, self.get)
        planned = planner.plan(named, os.fsencode(Path.cwd()), job_id or new_id(), self._locality)
        check_access(planned.plan)
        check_place(planned.spec, self._unfinished())
        engine.check_steps(planned.plan["steps"])
        engine.check_filters(planned.plan["filter"], planned.globs)
        engine.check_names(planned.plan)
        with name_list.read(planned.spec, planned.plan, self.files, self._scratch) as units:
            missing = planned.spec.source.missing
            spec_hash = name_list.spec_hash(planned.spec_hash, missing, units)
            new = _new_job(planned, spec_hash, units, origin or {})
            return self._start(new) if reuse == Reuse.NOTHING else self._join(new, planned.spec)

    def _start(self, job: NewJob) -> Submission:
        found = self._ledger.created if self._ledger.create(job) else self._ledger.job
        return Submission(found(job.id), resumed=False)

    def _join(self, job: NewJob, asked: JobSpec) -> Submission:
        from pravah.jobs.joining import refuse_other_settings

        job_id = self._ledger.create_or_join(job)
        if job_id != job.id:
            refuse_other_settings(self._ledger.job(job_id), asked)
            self._ledger.resume(job_id)
        return Submission(self._ledger.job(job_id), resumed=job_id != job.id)

    def supervisor(
        self,
        job: str | None,
        *,
        observer: Observer | None = None,
        idle: Idle = Idle.WAIT,
    ) -> Supervisor:
        """Prepare to work on a job, or on any; the caller runs it, and may drain it."""
        from pravah.jobs.closing import Closing
        from pravah.jobs.name_check import NameComparison

        runner, self._runner = self._runner, None
        job_id = self.find(job) if job else None
        if job_id is not None and idle == Idle.WAIT:
            self._locality.check(self._ledger.job(job_id))
        work = Work(job_id, idle, self._threads, self._retention_s)
        desk = Desk(Closing(self._scratch), NameComparison(self._scratch))
        return Supervisor(self._ledger, work, observer or Unobserved(), desk, runner)

    def work(
        self, job: str | None, *, observer: Observer | None = None, idle: Idle = Idle.WAIT
    ) -> WorkEnd:
        """Work on a job here until it ends, or on any."""
        return self.supervisor(job, observer=observer, idle=idle).run()

    def pause(self, job: str) -> Job:
        """Have a job stop once nothing is half-written; it can be resumed."""
        return self._ask(job, Request.PAUSE)

    def cancel(self, job: str) -> Job:
        """Have a job end; what is published stays."""
        return self._ask(job, Request.CANCEL)

    def ask(self, job: str, request: Request) -> Job:
        """Leave a request for whoever works on a job; nothing of it is worked on here."""
        job_id = self.find(job)
        self._ledger.request(job_id, request)
        if request is Request.PAUSE:
            self._ledger.apply_pause(job_id)
        else:
            self._ledger.open_closing(job_id)
        return self._ledger.job(job_id)

    def resume(self, job: str, *, adopt: bool = False) -> Job:
        """Put a paused job back to pending; of a running one nothing changes.

        With `adopt` files that are equal to its outputs count as those.
        """
        job_id = self.find(job)
        self._ledger.resume(job_id, adopt=adopt)
        return self._ledger.job(job_id)

    def retry(self, job: str, group: str | None = None) -> Job:
        """Put the failed files of an ended job, or those of one failure group, back to work."""
        from pravah import engine

        job_id = self.find(job)
        plan = json.dumps(self._ledger.job(job_id).plan)
        chosen = self._group(job_id, group) if group else None
        key = (chosen.kind, chosen.step, chosen.pattern) if chosen else None
        self._ledger.retry(job_id, lambda task: engine.retry(plan, task, key))
        return self._ledger.job(job_id)

    def change(self, job: str, settings: Mapping[str, Any]) -> Job:
        """Change priority, limits or `on_error` of a job; its workers follow within a second."""
        from pravah.jobs.live_settings import changed

        job_id = self.find(job)
        self._ledger.change(job_id, lambda found: changed(found, settings))
        return self._ledger.job(job_id)

    def undo(self, job: str, *, dry_run: bool = False) -> Undone:
        """Take back the outputs of an ended job, as far as they are as it left them."""
        from pravah.jobs.undo import undo

        found = self._ledger.job(self.find(job))
        self._locality.check(found)
        return undo(self._ledger, found, dry_run=dry_run)

    def delete(self, job: str) -> None:
        """Remove an ended job from the ledger; its outputs stay."""
        self._ledger.delete(self.find(job))

    def prune(self, older_than_s: float) -> list[str]:
        """Remove jobs that ended so long ago; give their ids."""
        before_us = int((time.time() - older_than_s) * 1e6)
        removed: list[str] = []
        while some := self._ledger.prune(before_us, _PAGE):
            removed += some
        self._ledger.sweep()
        return [shown(job_id) for job_id in removed]

    def workers(self) -> list[Worker]:
        """List who works on jobs of this ledger."""
        return self._ledger.workers()

    def deserted(self, job: Job) -> bool:
        """Tell whether a job counts as running, and there is no worker that could be at it."""
        return job.status == JobStatus.RUNNING and not any(
            w.present for w in self._ledger.workers()
        )

    # Telling about jobs

    def find(self, text: str, team: str | None = None) -> str:
        """Give the id that people mean by an id or its beginning, among the jobs of a team."""
        prefix = typed(text)
        ids = self._ledger.find_ids(prefix, team) if prefix else []
        if len(ids) == 1:
            return ids[0]
        if ids:
            some = ", ".join(f"`{shown(job_id)}`" for job_id in ids[:3])
            raise SpecError(
                f"`{text}` is the beginning of several jobs",
                kind="ambiguous_job",
                hint=f"write more of the id: {some}",
            )
        raise NotFoundError(
            f"no job `{text}` in the ledger {self._ledger.location}",
            kind="job_not_found",
            hint="`pravah jobs list` shows the latest; --ledger chooses another ledger",
        )

    def get(self, job: str) -> Job:
        """Give a job with its books."""
        return self._ledger.job(self.find(job))

    def page(
        self,
        status: JobStatus | None = None,
        limit: int = _PAGE,
        cursor: str | None = None,
        chosen: JobFilter = EVERY_JOB,
    ) -> Page:
        """Give a page of jobs, the latest first."""
        jobs = self._ledger.jobs(status, limit + 1, cursor, chosen)
        more = len(jobs) > limit
        return Page(jobs[:limit], jobs[limit - 1].id if more else None)

    def all(self, status: JobStatus | None = None) -> Iterator[Job]:
        """Give every job, the latest first, read page by page."""
        cursor: str | None = None
        while True:
            found = self.page(status, _PAGE, cursor)
            yield from found.items
            cursor = found.next_cursor
            if cursor is None:
                return

    def files(
        self, job: str, outcome: str | None = None, limit: int | None = None
    ) -> Iterator[bytes]:
        """Give the account of each file as NDJSON lines, those of one outcome, at most so many."""
        from pravah import engine

        job_id = self.find(job)
        plan = json.dumps(self._ledger.job(job_id).plan)
        # Of a million files a few failed: tasks without any are not even read.
        failed_only = outcome in ("failed", "vanished", "poisoned")
        for task in self._ledger.blobs(job_id, failed_only=failed_only):
            lines = engine.files(plan, task, outcome, limit).splitlines(keepends=True)
            yield from lines
            limit = None if limit is None else limit - len(lines)
            if limit == 0:
                return

    def file_page(self, job: str, outcome: str | None, limit: int, place: Place | None) -> FilePage:
        """Give a page of the account of each file, of one outcome, behind a place."""
        from pravah.jobs.account_page import file_page

        return file_page(self._ledger, self._ledger.job(self.find(job)), outcome, limit, place)

    def tasks(self, job: str, after: int, limit: int) -> list[TaskRow]:
        """Give tasks of a job behind an id, in order."""
        return self._ledger.tasks(self.find(job), after, limit)

    def write_account(self, job: str, path: Path) -> None:
        """Write the account of each file as Parquet."""
        from pravah import engine

        job_id = self.find(job)
        plan = json.dumps(self._ledger.job(job_id).plan)
        engine.write_account(bytes(path), plan, self._ledger.blobs(job_id))

    def account(self, job: str) -> Iterator[bytes]:
        """Give the account of each file as Parquet, in pieces."""
        job_id = self.find(job)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._scratch) as file:
            self.write_account(job_id, Path(file.name))
            yield from iter(partial(file.read, _PIECE_BYTES), b"")

    def failures(self, job: str) -> list[Failure]:
        """Give the failure groups of a job, the largest first."""
        return failures(self._ledger.summaries(self.find(job)))

    def report(self, job: str) -> dict[str, Any]:
        """Give the report of a job's last round that ended, or the account so far."""
        job_id = self.find(job)
        found = self._ledger.job(job_id)
        closed = self._ledger.report(job_id, found.round) if found.status.ended else None
        if closed is not None:
            return dict(closed)
        return Report.of(found, self._ledger.summaries(job_id)).to_dict()

    def results(self, job: str, form: DatasetFormat = "ndjson") -> Iterator[bytes]:
        """Give the records of inspect steps in a format, in bytewise order of their paths.

        NDJSON comes a line at a time, other formats in pieces.
        """
        from pravah.jobs.dataset import gathered

        found = self.get(job)
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self._scratch) as file:
            gathered(self._ledger, found, self._scratch).write(file.fileno(), form)
            file.seek(0)
            if form == "ndjson":
                yield from file
            else:
                yield from iter(partial(file.read, _PIECE_BYTES), b"")

    def results_table(self, job: str) -> Table:
        """Give the records of inspect steps as a table that speaks Arrow, in the same order."""
        from pravah.jobs.dataset import gathered

        return gathered(self._ledger, self.get(job), self._scratch).table()

    def story(self, path: bytes, end: End, jobs: int, team: str | None = None) -> Iterator[Mention]:
        """Give each of the latest jobs, or of a team's, that knows a file.

        Looks into so many that may.
        """
        from pravah.jobs.story import story

        return story(self._ledger, path, end, jobs, team)

    def events(self, job: str, after: int = 0) -> Iterator[Event]:
        """Give what happened to a job behind an event, in order."""
        job_id = self.find(job)
        while events := self._ledger.events(job_id, after, _PAGE):
            yield from events
            after = events[-1].id

    def events_page(self, job_id: str, after: int, limit: int) -> list[Event]:
        """Give some of what happened to the job of an id, behind an event."""
        return self._ledger.events(job_id, after, limit)

    def last_event(self, job_id: str) -> int:
        """Give the id of the newest event of the job of an id."""
        return self._ledger.last_event(job_id)

    def _ask(self, job: str, request: Request) -> Job:
        """Leave a request; where nobody works on the job, carry it out here."""
        job_id = self.find(job)
        self._ledger.request(job_id, request)
        self.work(job_id, idle=Idle.LEAVE)
        return self._ledger.job(job_id)

    def _unfinished(self) -> Iterator[Job]:
        for status in (JobStatus.RUNNING, JobStatus.PENDING, JobStatus.PAUSED):
            yield from self.all(status)

    def _group(self, job_id: str, name: str) -> Failure:
        for group in self.failures(job_id):
            if group.id == name.upper():
                return group
        raise NotFoundError(
            f"{shown(job_id)} has no failure group `{name}`",
            kind="failure_group_not_found",
            hint=f"`pravah jobs failures {shown(job_id)}` lists them",
        )


def registry_check(spec: JobSpec) -> None:
    """Check names and parameters of steps, as far as their descriptors tell."""
    from pravah.registry import registry

    registry().check([(step.name, step.params) for step in spec.steps])


def _new_job(
    planned: Planned, spec_hash: str, units: Iterable[bytes] | None, origin: Mapping[str, Any]
) -> NewJob:
    from pravah import engine

    spec = planned.spec
    return NewJob(
        id=planned.plan["job"],
        spec=spec.to_dict(),
        plan=planned.plan,
        spec_hash=spec_hash,
        pipeline_hash=planned.pipeline_hash,
        scope=planned.scope,
        host=planned.host,
        name=spec.name,
        priority=spec.priority,
        labels=spec.labels,
        tasks_limit=spec.limits.tasks,
        waits_for_scan=planned.plan["in_place"],
        waits_for_names=engine.names_wait(planned.plan),
        units=units,
        origin=origin,
    )
