"""What people ask of jobs: pause, cancel, resume, retry, delete."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row

from pravah.db import jobs
from pravah.db.claims import manifest, windows
from pravah.db.queries import query
from pravah.db.transactions import Transactions
from pravah.db.transitions import add_event, move_job, move_task
from pravah.db.windows import add_entries, add_unit, add_window
from pravah.errors import StatusError
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.model.ledger import Change, Moved, Request, TaskBlobs, TaskKind
from pravah.model.status import JobStatus, TaskStatus

# Tasks removed in one transaction: some 30 MB of manifests and windows, a fraction of a second.
_DELETED_AT_ONCE = 100

Move = Callable[[TaskBlobs], Moved | None]


def request(
    connection: Connection,
    job_id: str,
    wish: Request,
    location: str,
    why: Mapping[str, Any] | None = None,
) -> None:
    """Ask for a pause or a cancel."""
    jobs.lock(connection, job_id)
    status, asked = jobs.status(connection, job_id, location)
    paused = status == JobStatus.PAUSED and asked is None
    if asked == wish or (wish == Request.PAUSE and paused):
        return
    values = {"id": job_id, "request": wish, "why": json.dumps(dict(why)) if why else None}
    if connection.execute(query("set_request"), values).rowcount == 0:
        raise StatusError(
            f"can't {wish} {shown(job_id)}: it is {'being cancelled' if asked else status}",
            hint=f"`pravah jobs show {shown(job_id)}` tells how it ended" if status.ended else None,
        )
    add_event(connection, job_id, f"{wish}_requested", dict(why or {}))


def resume(connection: Connection, job_id: str, location: str, *, adopt: bool = False) -> None:
    """Take back a pause, or put a paused job back to pending."""
    jobs.lock(connection, job_id)
    status, asked = jobs.status(connection, job_id, location)
    if status.ended or asked == Request.CANCEL:
        raise StatusError(
            f"can't resume {shown(job_id)}: it is {'being cancelled' if asked else status}",
            hint=f"`pravah jobs retry {shown(job_id)}` puts its failed files back to work",
        )
    why = json.loads(connection.execute(query("get_pause"), {"id": job_id}).scalar() or "{}")
    plan = dict(jobs.get(connection, job_id, location).plan)
    if why.get("kind") == "ledger_rolled_back" and plan.get("in_place"):
        raise StatusError(
            f"can't resume {shown(job_id)}: the ledger may have forgotten what it has replaced",
            kind="ledger_rolled_back",
            hint=f"`pravah jobs cancel {shown(job_id)}` ends it; "
            "a new job over what is certainly unprocessed goes on",
        )
    if adopt and not plan.get("adopt"):
        values = {"id": job_id, "plan": json.dumps({**plan, "adopt": True})}
        connection.execute(query("accept_equal"), values)
        add_event(connection, job_id, "equal_outputs_accepted", {})
    connection.execute(query("take_back_pause"), {"id": job_id})
    over_budget = why.get("kind") == "budget_exceeded"
    connection.execute(query("forgive"), {"id": job_id, "over_budget": over_budget})
    move_job(connection, job_id, "resume")


def change(
    connection: Connection, job_id: str, make: Callable[[Job], Change], location: str
) -> None:
    """Change what was asked of a job that has not ended."""
    jobs.lock(connection, job_id)
    job = jobs.get(connection, job_id, location)
    changed = make(job)
    values = {
        "id": job_id,
        "spec": json.dumps(dict(changed.spec)),
        "plan": json.dumps(dict(changed.plan)),
        "priority": changed.priority,
        "tasks_limit": changed.tasks_limit,
    }
    if connection.execute(query("change_job"), values).rowcount == 0:
        raise StatusError(
            f"can't change {shown(job_id)}: it is {job.status}",
            hint="run its command again with other values",
        )
    add_event(connection, job_id, "job_changed", dict(changed.detail))


def set_undone(connection: Connection, job_id: str, detail: Mapping[str, Any]) -> None:
    """Note that a job's outputs were taken back."""
    connection.execute(query("set_undone"), {"id": job_id})
    add_event(connection, job_id, "job_undone", dict(detail))


def apply_pause(connection: Connection, job_id: str, location: str) -> bool:
    """Pause a job that was asked to, once no lease of it is held.

    A closing that was opened ends the job all the same, and takes the request back.
    """
    jobs.lock(connection, job_id)
    _, asked = jobs.status(connection, job_id, location)
    values = {"job_id": job_id}
    if asked != Request.PAUSE or connection.execute(query("goes_on"), values).first():
        return False
    connection.execute(query("take_back_pause"), {"id": job_id})
    moved = move_job(connection, job_id, "pause")
    if moved:
        connection.execute(query("set_paused"), {"id": job_id})
    return moved


def retry(connection: Connection, job_id: str, move: Move, location: str) -> int:
    """Open the next round: what `move` takes out of each task goes to new ones."""
    jobs.lock(connection, job_id)
    status, _ = jobs.status(connection, job_id, location)
    connection.execute(query("open_round"), {"id": job_id})
    if not move_job(connection, job_id, "retry"):
        raise StatusError(
            f"can't retry {shown(job_id)}: it is {status}, not ended",
            hint=f"`pravah jobs resume {shown(job_id)}` goes on with it",
        )
    last_id = connection.execute(query("last_task"), {"job_id": job_id}).scalar_one()
    values = {"job_id": job_id, "last_id": last_id}
    reopened = _Reopened(connection, jobs.get(connection, job_id, location).round, job_id)
    for row in connection.execute(query("list_retried"), values).all():
        reopened.take(row, move)
    if not reopened.anything:
        raise StatusError(f"nothing to retry in {shown(job_id)}", kind="nothing_to_retry")
    connection.execute(query("set_scan_complete"), {"id": job_id})
    if connection.execute(query("compare_names_again"), {"id": job_id}).rowcount:
        jobs.add_task(connection, job_id, TaskKind.NAMES)
    return reopened.entries


def delete(transactions: Transactions, job_id: str) -> None:
    """Remove an ended job, in small batches; killed in between, `sweep` goes on."""
    transactions.write("delete", _begin_delete, job_id, transactions.location)
    sweep(transactions)


def prune(transactions: Transactions, before_us: int, limit: int) -> list[str]:
    """Begin to remove up to `limit` jobs that ended before a time; give their ids."""
    found = transactions.read(_prunable, before_us, limit)
    return [each for each in found if transactions.write("prune", _mark, each, before_us)]


def sweep(transactions: Transactions, within_s: float | None = None) -> bool:
    """Remove the rows of jobs whose deletion has begun, also of those that were killed at it.

    Ends with the first batch after so many seconds; tells whether nothing is left.
    """
    begun_s = time.monotonic()
    for _ in _batches(transactions):
        if within_s is not None and time.monotonic() - begun_s > within_s:
            return False
    return True


def _batches(transactions: Transactions) -> Iterator[None]:
    """Remove one batch of rows after the other."""
    for job_id in transactions.read(_deleting):
        for name, drop in (("delete_tasks", _drop_tasks), ("delete_events", _drop_events)):
            while transactions.write(name, drop, job_id):
                yield
        transactions.write("delete_job", _drop_job, job_id)
        yield


class _Reopened:
    """Gathers what a retry puts back to work."""

    def __init__(self, connection: Connection, round_number: int, job_id: str) -> None:
        self._connection = connection
        self._round = round_number
        self._job_id = job_id
        self.entries = 0
        self.anything = False

    def take(self, row: Row[Any], move: Move) -> None:
        # A task that stopped goes on itself where it has nothing to give away, or where what it
        # left on the disk is known to it alone.
        untouched = row.failures == 0 and row.seq == 0
        stopped = row.status != TaskStatus.COMPLETED
        if row.kind == TaskKind.SCAN or (stopped and (untouched or row.unsettled)):
            self._reopen(row)
            return
        blob = self._connection.execute(query("get_task_blobs"), {"task_id": row.id}).one()
        listed = windows(self._connection, row.id)
        moved = move(TaskBlobs(row.id, manifest(blob), listed, blob.summary, row.entries))
        if moved is not None:
            self._move(row, moved)

    def _reopen(self, row: Row[Any]) -> None:
        self._connection.execute(query("reopen_task"), {"id": row.id, "round": self._round})
        move_task(self._connection, self._job_id, row.id, "retry")
        self.entries += row.remaining
        self.anything = True

    def _move(self, row: Row[Any], moved: Moved) -> None:
        values = {
            "id": row.id,
            "gone": moved.gone,
            "gone_bytes": moved.size_bytes,
            "summary": moved.summary,
        }
        self._connection.execute(query("shrink_task"), {**values, **asdict(moved.counts)})
        if moved.window is not None:
            add_window(self._connection, row.id, row.seq, moved.window, acknowledged=True)
        for task in moved.tasks:
            add_entries(self._connection, self._job_id, row.id, task)
        if moved.unit is not None:
            add_unit(self._connection, self._job_id, row.id, moved.unit)
        self.entries += moved.gone
        self.anything = True


def _begin_delete(connection: Connection, job_id: str, location: str) -> None:
    jobs.lock(connection, job_id)
    status, _ = jobs.status(connection, job_id, location)
    if connection.execute(query("mark_deleting"), {"id": job_id}).rowcount == 0:
        raise StatusError(
            f"can't delete {shown(job_id)}: it is {status}, not ended",
            hint=f"`pravah jobs cancel {shown(job_id)}` ends it",
        )


def _prunable(connection: Connection, before_us: int, limit: int) -> Sequence[str]:
    values = {"before_us": before_us, "wanted": limit}
    return connection.execute(query("prunable"), values).scalars().all()


def _mark(connection: Connection, job_id: str, before_us: int) -> bool:
    values = {"id": job_id, "before_us": before_us}
    return connection.execute(query("mark_pruned"), values).rowcount > 0


def _deleting(connection: Connection) -> Sequence[str]:
    return connection.execute(query("list_deleting")).scalars().all()


def _drop_tasks(connection: Connection, job_id: str) -> int:
    """Remove the newest tasks: children before their parents."""
    values = {"job_id": job_id, "wanted": _DELETED_AT_ONCE}
    ids = list(connection.execute(query("first_tasks"), values).scalars())
    for part in ("windows", "manifests", "tasks") if ids else ():
        connection.execute(query(f"drop_{part}"), {"ids": ids})
    return len(ids)


def _drop_events(connection: Connection, job_id: str) -> int:
    values = {"job_id": job_id, "wanted": _DELETED_AT_ONCE * 100}
    return connection.execute(query("drop_events"), values).rowcount


def _drop_job(connection: Connection, job_id: str) -> None:
    connection.execute(query("drop_reports"), {"job_id": job_id})
    connection.execute(query("drop_job"), {"id": job_id})
