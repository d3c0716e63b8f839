"""Pravah for asyncio: the same calls, to be awaited; each works in a thread.

Cancelling a task that waits for `run` or `wait` pauses the job, once nothing is half-written.

>>> import asyncio, pravah.aio
>>> async def main() -> str:
...     job = await pravah.aio.run("data/", to="out/", steps="compress")
...     return f"{job.status}, {(await job.report())['bytes_in']} bytes"
>>> asyncio.run(main())
'completed, 21 bytes'
"""

from __future__ import annotations

from pravah.aio import jobs
from pravah.aio.client import Client
from pravah.aio.job import Job, giving_job
from pravah.aio.threads import awaitable
from pravah.library import calls

__all__ = ["Client", "Job", "jobs", "plan", "run"]

plan = awaitable(calls.plan)
run = giving_job(calls.run)
