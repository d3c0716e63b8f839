"""`pravah.aio.jobs`: what `pravah.jobs` offers, to be awaited."""

from __future__ import annotations

import builtins

from pravah.aio.job import Job, giving_job
from pravah.aio.threads import awaitable, in_thread
from pravah.library import jobs

create = giving_job(jobs.create)
get = giving_job(jobs.get)
wait = giving_job(jobs.wait)
pause = giving_job(jobs.pause)
cancel = giving_job(jobs.cancel)
resume = giving_job(jobs.resume)
retry = giving_job(jobs.retry)
delete = awaitable(jobs.delete)


async def list(  # noqa: A001  as the command's verb
    *, status: str | None = None, limit: int | None = None, ledger: str | None = None
) -> builtins.list[Job]:
    """Give jobs, the latest first: those of a status, at most so many."""
    found = await in_thread(lambda: jobs.list(status=status, limit=limit, ledger=ledger))
    return [Job(job) for job in found]
