"""What the routes share: the application, threads for what blocks, and who may do what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from pravah.api.callers import Caller, Callers, admin_key
from pravah.api.containment import Containment
from pravah.api.events import Feeds
from pravah.api.looks import Looks
from pravah.api.metrics import Metrics
from pravah.api.rates import Rates
from pravah.api.schemas import JOB_NAME_PATTERN
from pravah.api.threads import Threads
from pravah.api.uploads import Uploads
from pravah.errors import NotFoundError
from pravah.model.ids import is_whole, typed

if TYPE_CHECKING:
    from fastapi import Request

    from pravah.bootstrap import Application
    from pravah.jobs.service import JobService
    from pravah.model.job import Job

_JOB_NAME = re.compile(JOB_NAME_PATTERN)
# What takes milliseconds, and what may take seconds, do not wait for each other. Each may have a
# connection of the ledger, which keeps so many.
QUICK_THREADS, QUICK_WAITING = 4, 500
SLOW_THREADS, SLOW_WAITING = 4, 100
EVENT_THREADS, EVENT_WAITING = 2, 5_000
THREADS = QUICK_THREADS + SLOW_THREADS + EVENT_THREADS


@dataclass(frozen=True, slots=True)
class Service:
    """One server's parts; each is used by several routes."""

    application: Application
    callers: Callers
    containment: Containment
    rates: Rates
    metrics: Metrics
    feeds: Feeds
    uploads: Uploads
    looks: Looks
    quick: Threads
    slow: Threads

    @classmethod
    def of(cls, application: Application, *, loopback: bool) -> Service:
        """Put the parts of a server together, for the address that it listens on."""
        settings = application.settings
        key = admin_key(settings, loopback=loopback)
        jobs = application.jobs
        quick = Threads("requests", threads=QUICK_THREADS, waiting=QUICK_WAITING)
        threads = Threads("events", threads=EVENT_THREADS, waiting=EVENT_WAITING)
        return cls(
            application=application,
            callers=Callers(application.keys, key, loopback=loopback),
            containment=Containment(settings.allowed_roots),
            rates=Rates(),
            metrics=Metrics(),
            feeds=Feeds(jobs, threads),
            uploads=Uploads(settings, application.ledger),
            looks=Looks(quick),
            quick=quick,
            slow=Threads("long requests", threads=SLOW_THREADS, waiting=SLOW_WAITING),
        )

    @property
    def jobs(self) -> JobService:
        """What can be asked of jobs."""
        return self.application.jobs

    def find(self, caller: Caller, job: str) -> str:
        """Give the id of a job that there is for a caller; those of other teams are not there."""
        if not _JOB_NAME.match(job):
            raise _missing(job)
        try:
            return self.jobs.find(job, caller.team)
        except NotFoundError:
            # The command line's message names the ledger.
            raise _missing(job) from None

    def watched(self, caller: Caller, job: str) -> Job:
        """Give a job that there is for a caller; one look into the ledger where its id is whole."""
        job_id = typed(job)
        if job_id is None or not is_whole(job_id):
            job_id = self.find(caller, job)
        try:
            return self.application.ledger.watched(job_id, caller.team)
        except NotFoundError:
            raise _missing(job) from None

    def close(self) -> None:
        """Begin nothing more."""
        self.feeds.close()
        self.uploads.close()
        self.quick.close()
        self.slow.close()


def _missing(job: str) -> NotFoundError:
    return NotFoundError(
        f"no job `{job[:60]}`", kind="job_not_found", hint="`GET /jobs` lists the latest"
    )


def service_of(request: Request) -> Service:
    """Give the service that a request is sent to."""
    return cast("Service", request.app.state.service)


def caller_of(request: Request) -> Caller:
    """Give whoever sent a request: the guard has let them in."""
    return cast("Caller", request.state.caller)


def traceparent_of(request: Request) -> str | None:
    """Give the place of a request in a trace, for the job that it creates."""
    return getattr(request.state, "traceparent", None)


def request_id_of(request: Request) -> str:
    """Give the id under which the log knows a request."""
    return cast("str", request.state.request_id)
