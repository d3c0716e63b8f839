"""The end of a job: its closing task, and the one transaction that sets the end status."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from pravah.db import jobs
from pravah.db.claims import advance
from pravah.db.queries import query
from pravah.db.transitions import add_event, move_job, move_tasks
from pravah.db.windows import end_task, verdict_of_miss
from pravah.errors import StatusError
from pravah.model.ids import shown
from pravah.model.ledger import Closed, Lease, TaskKind, Verdict
from pravah.model.status import JobStatus

_TRANSITION = {
    JobStatus.COMPLETED: "complete",
    JobStatus.FAILED: "fail",
    JobStatus.CANCELLED: "cancel",
}


def open_closing(connection: Connection, job_id: str) -> bool:
    """Create the closing task if nothing else is left; the write lock makes it the only one."""
    jobs.lock(connection, job_id)
    if connection.execute(query("may_close"), {"job_id": job_id}).first() is None:
        return False
    jobs.add_task(connection, job_id, TaskKind.CLOSING)
    return True


def closable(connection: Connection) -> list[str]:
    """List the jobs that may be ready for a pause or for closing."""
    return list(connection.execute(query("closable")).scalars())


def close(connection: Connection, lease: Lease, closed: Closed) -> Verdict:
    """Set the end status, store the report, cancel what is left undone, give the lease back."""
    job_id = lease.job_id
    jobs.lock(connection, job_id)
    if not advance(connection, lease):
        return verdict_of_miss(connection, lease)
    end_task(connection, lease, "complete")
    undone = list(connection.execute(query("list_pending"), {"job_id": job_id}).scalars())
    if undone:
        move_tasks(connection, undone, "cancel")
        add_event(connection, job_id, "tasks_cancelled", {"tasks": len(undone)})
    transition = _TRANSITION[closed.status]
    if not move_job(connection, job_id, transition, counts=closed.report["counts"]):
        # A report without its end status would leave a job that nobody can move on any more.
        raise StatusError(f"can't {transition} {shown(job_id)}: its status forbids it")
    values = {
        "id": job_id,
        "finished_us": closed.finished_us,
        "error": json.dumps(closed.error) if closed.error else None,
        "results": json.dumps(closed.results) if closed.results else None,
    }
    connection.execute(query("set_ended"), values)
    connection.execute(query("add_report"), {"job_id": job_id, "report": json.dumps(closed.report)})
    return Verdict.COMMITTED


def torn_directories(
    connection: Connection, job_id: str, limit: int
) -> list[tuple[list[int], list[bytes]]]:
    """List directories that have several fingerprints: their ids and blobs, oldest first."""
    job = {"job_id": job_id}
    torn = []
    for directory in (
        connection.execute(query("torn_directories"), {**job, "wanted": limit}).scalars().all()
    ):
        rows = connection.execute(
            query("directory_fingerprints"), {**job, "directory": directory}
        ).all()
        torn.append(([row.id for row in rows], [row.blob for row in rows]))
    return torn


def merge_fingerprints(
    connection: Connection, unions: Sequence[tuple[Sequence[int], bytes]]
) -> None:
    """Replace the fingerprints of directories, each named by its ids, by their unions."""
    for ids, blob in unions:
        connection.execute(query("drop_fingerprints"), {"ids": list(ids[:-1])})
        connection.execute(query("set_fingerprint"), {"id": ids[-1], "blob": blob})
