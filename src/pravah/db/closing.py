"""The end of a job: its closing task, and the one transaction that sets the end status."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from pravah.db import jobs
from pravah.db.claims import DIRECTORIES_AT_ONCE, FINGERPRINTS_AT_ONCE, advance
from pravah.db.queries import query
from pravah.db.transitions import add_event, move_job, move_tasks
from pravah.db.windows import end_task, verdict_of_miss
from pravah.errors import StatusError
from pravah.model.ids import shown
from pravah.model.ledger import Closed, FingerprintUnion, Lease, TaskKind, Verdict
from pravah.model.status import JobStatus

_TRANSITION = {
    JobStatus.COMPLETED: "complete",
    JobStatus.FAILED: "fail",
    JobStatus.CANCELLED: "cancel",
}
# Rows in one statement, far below the limits of bound parameters (32,766 and 65,535).
_UNITED_AT_ONCE = 500


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
    connection: Connection, job_id: str, first: bytes, small_bytes: int
) -> list[bytes]:
    """List directories from one on that have several small fingerprints, in their order."""
    values = {
        "job_id": job_id,
        "first": first,
        "small": small_bytes,
        "wanted": DIRECTORIES_AT_ONCE,
    }
    return list(connection.execute(query("torn_directories"), values).scalars())


def directory_fingerprints(
    connection: Connection, job_id: str, directory: bytes, below_id: int
) -> list[tuple[int, bytes]]:
    """List the last fingerprints of a directory before an id, the latest first."""
    values = {
        "job_id": job_id,
        "directory": directory,
        "below_id": below_id,
        "wanted": FINGERPRINTS_AT_ONCE,
    }
    rows = connection.execute(query("directory_fingerprints"), values)
    return [(row.id, row.blob) for row in rows]


def unite_fingerprints(connection: Connection, unions: Sequence[FingerprintUnion]) -> None:
    """Put blobs in the places of fingerprints that are as they were; without one, drop these.

    Jobs over the same sink may end at once: what each has read the other may have united.
    """
    for read, blob in unions:
        ids = list(read)
        parts = [
            ids[start : start + _UNITED_AT_ONCE] for start in range(0, len(ids), _UNITED_AT_ONCE)
        ]
        found = [connection.execute(query("held_fingerprints"), {"ids": part}) for part in parts]
        if {row.id: row.blob for rows in found for row in rows} != read:
            continue
        if blob:
            connection.execute(query("set_fingerprint"), {"id": ids[-1], "blob": blob})
            parts[-1].pop()
        for part in filter(None, parts):
            connection.execute(query("drop_fingerprints"), {"ids": part})
