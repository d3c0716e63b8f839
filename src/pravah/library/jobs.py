"""`pravah.jobs`: jobs created, found and steered, by the names of the command line's verbs."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from itertools import islice
from typing import Any, Unpack

from pravah.errors import SpecError
from pravah.library.described import Keys, Path, Paths, Steps, job_spec
from pravah.library.job import Job
from pravah.library.session import existing, opened
from pravah.model.status import JobStatus


def create(
    source: Paths | Mapping[str, Any] | None = None,
    to: Path | None = None,
    steps: Steps | None = None,
    *,
    spec: Path | Mapping[str, Any] | None = None,
    new: bool = False,
    ledger: str | None = None,
    **keys: Unpack[Keys],
) -> Job:
    """Create a job for a worker to take, or for `wait` to work on; arguments as of `pravah.run`.

    >>> import pravah
    >>> job = pravah.jobs.create("data/", to="out/", steps=["checksum", "copy"], priority=5)
    >>> print(job.status, job.counts.listed)
    pending 0
    """
    from pravah.jobs.service import Reuse

    described = job_spec(source, to, steps, spec=spec, **keys)
    with opened(ledger) as application:
        reuse = Reuse.NOTHING if new else Reuse.UNFINISHED
        return Job(application.jobs.create(described, reuse=reuse).job, ledger)


def get(job: str, *, ledger: str | None = None) -> Job:
    """Give a job by its id, or by how that begins.

    Raises:
        NotFoundError: no such job; a LookupError, too.

    >>> import pravah
    >>> pravah.jobs.get("job_7ZZZ")
    Traceback (most recent call last):
        ...
    pravah.errors.NotFoundError: no job `job_7ZZZ` in the ledger ...
    """
    with existing(ledger) as application:
        return Job(application.jobs.get(job), ledger)


def list(  # noqa: A001  as the command's verb
    *, status: str | None = None, limit: int | None = None, ledger: str | None = None
) -> builtins.list[Job]:
    """Give jobs, the latest first: those of a status, at most so many."""
    wanted = status_of(status)
    with existing(ledger) as application:
        return [Job(job, ledger) for job in islice(application.jobs.all(wanted), limit)]


def wait(job: str, *, ledger: str | None = None) -> Job:
    """Work on a job here until it ends or pauses."""
    return get(job, ledger=ledger).wait()


def pause(job: str, *, ledger: str | None = None) -> Job:
    """Have a job stop once nothing is half-written; `resume` goes on with it."""
    return get(job, ledger=ledger).pause()


def cancel(job: str, *, ledger: str | None = None) -> Job:
    """Have a job end; what is published stays.

    >>> import pravah
    >>> job = pravah.jobs.create("data/", to="out/", steps="compress")
    >>> print(pravah.jobs.cancel(job.id).status)
    cancelled
    """
    return get(job, ledger=ledger).cancel()


def resume(job: str, *, adopt: bool = False, ledger: str | None = None) -> Job:
    """Put a paused job back to pending; a worker, or `wait`, goes on with it."""
    return get(job, ledger=ledger).resume(adopt=adopt)


def retry(job: str, group: str | None = None, *, ledger: str | None = None) -> Job:
    """Put a job's failed files, or those of one failure group, back to work."""
    return get(job, ledger=ledger).retry(group)


def delete(job: str, *, ledger: str | None = None) -> None:
    """Remove an ended job from the ledger; its outputs stay."""
    get(job, ledger=ledger).delete()


def status_of(status: str | None) -> JobStatus | None:
    """Read a status that a caller has named."""
    if status is None:
        return None
    try:
        return JobStatus(status)
    except ValueError:
        known = ", ".join(JobStatus)
        raise SpecError(f"status is `{status}`, one of {known} is expected") from None
