"""Pages of the account of a job's files: some of them, and where the next ones begin.

A place is a task and a number of entries in it, whatever is asked for: so what is done meanwhile
moves nothing that was given already, nor leaves anything out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from pravah import engine
from pravah.model.job import Job
from pravah.model.ledger import Ledger, TaskBlobs

# Tasks that one page looks into: of millions of files perhaps none is what is asked for.
_TASKS = 32
# Outcomes of which tasks can be told to have none without being read.
_FAILED = ("failed", "vanished", "poisoned")


@dataclass(frozen=True, slots=True)
class Place:
    """Between two files of an account: behind so many entries of a task, and all before it."""

    task_id: int = 0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class FilePage:
    """Accounts of files in their wire form; `next` is None behind the last one."""

    items: list[dict[str, Any]]
    next: Place | None


def file_page(
    ledger: Ledger, job: Job, outcome: str | None, limit: int, place: Place | None
) -> FilePage:
    """Give at most `limit` files behind a place, of one outcome; fewer where these are rare."""
    plan = json.dumps(job.plan)
    begin = place or Place()
    # The task of the place itself may have more.
    after = begin.task_id - 1 if begin.entries else begin.task_id
    tasks = ledger.blobs(job.id, failed_only=outcome in _FAILED, after=after)
    items: list[dict[str, Any]] = []
    last = begin
    for task in islice(tasks, _TASKS):
        skipped = begin.entries if task.task_id == begin.task_id else 0
        found, seen, whole = _of_task(plan, task, outcome, limit - len(items), skipped)
        items += found
        last = Place(task.task_id, 0) if whole else Place(task.task_id, seen)
        if not whole:
            return FilePage(items, last)
        if len(items) == limit:
            break
    more = next(ledger.blobs(job.id, failed_only=outcome in _FAILED, after=last.task_id), None)
    return FilePage(items, None if more is None else last)


def _of_task(
    plan: str, task: TaskBlobs, outcome: str | None, limit: int, skipped: int
) -> tuple[list[dict[str, Any]], int, bool]:
    """Give files of a task, the entries that were looked at, and whether these are all."""
    wanted = None if outcome else skipped + limit + 1
    lines = engine.files(plan, task, None, wanted).splitlines()
    found: list[dict[str, Any]] = []
    for number, line in enumerate(lines[skipped:], skipped):
        if len(found) == limit:
            return found, number, False
        form = json.loads(line)
        if outcome in (None, form["outcome"]):
            found.append(form)
    return found, len(lines), True
