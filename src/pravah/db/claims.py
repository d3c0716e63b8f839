"""Leases: claiming tasks with a fencing token, and giving them back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row

from pravah.db import jobs
from pravah.db.queries import query
from pravah.db.transitions import move_job, move_task
from pravah.model.ledger import (
    SMALL_ENTRIES,
    Fingerprint,
    Lease,
    Purpose,
    Release,
    Suspect,
    TaskBlobs,
    TaskKind,
    Window,
)
from pravah.model.status import JobStatus

# A token is a counter and so many random bits; a signed 64-bit column holds 8 million attempts.
_RANDOM_BITS = 40
# A lease that expires holds so long beyond the last sign of life: four beats of a worker, and a
# dead worker's tasks are back within the 30 s of protocol.md with time to look for them.
LEASE_TTL_US = 20_000_000
# Entries that must be left of a task for a part of it to be asked for.
_LEAST_SHARED = 8
# Directories in one statement, far below SQLite's limit of bound parameters (32,766).
DIRECTORIES_AT_ONCE = 500
# Blobs of a megabyte, at most.
FINGERPRINTS_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Claimer:
    """A worker, and its host: empty where the ledger has no other."""

    worker_id: str
    host: str


def claim(
    connection: Connection,
    claimer: Claimer,
    job_id: str | None,
    wanted: Mapping[TaskKind, int],
    *,
    small: int = 0,
) -> list[Lease]:
    """Lease up to so many tasks of each kind; those of jobs that pause or end are only settled."""
    leases = []
    for kind, number in wanted.items():
        if number <= 0:
            continue
        more = small if kind == TaskKind.ENTRIES else 0
        values = {"job_id": job_id, "kind": kind, "wanted": number + more, "host": claimer.host}
        name = "claimable_closing" if kind == TaskKind.CLOSING else "claimable"
        found = connection.execute(query(name), values).all()
        rows = found
        if kind == TaskKind.ENTRIES:
            rows = _fitting(found, number, more, _rooms(connection, found))
        leases += [_lease(connection, claimer, row, Purpose.WORK) for row in rows]
        if kind == TaskKind.ENTRIES and len(found) < number:
            rows = connection.execute(query("settleable"), values).all()[: number - len(found)]
            leases += [_lease(connection, claimer, row, Purpose.SETTLE) for row in rows]
    return leases


def longest_task(connection: Connection, claimer: Claimer, job_id: str | None) -> int | None:
    """Find the task in work elsewhere that has the most left to share, if any has enough."""
    values = {
        "worker_id": claimer.worker_id,
        "host": claimer.host,
        "job_id": job_id,
        "least": _LEAST_SHARED,
    }
    return connection.execute(query("longest_task"), values).scalar()


def ask_for_part(connection: Connection, task_id: int) -> bool:
    """Tell the holder of a task that a part of it is wanted; False where it was told already."""
    return connection.execute(query("ask_for_part"), {"task_id": task_id}).rowcount == 1


def asked_for(connection: Connection, worker_id: str) -> set[int]:
    """Tell which tasks of a worker are wanted in part."""
    found = connection.execute(query("asked_leases"), {"worker_id": worker_id})
    return set(found.scalars())


def load(connection: Connection, lease: Lease) -> TaskBlobs:
    """Give what a holder needs to know of its task."""
    row = connection.execute(query("get_task_blobs"), {"task_id": lease.task_id}).one()
    return TaskBlobs(
        lease.task_id, manifest(row), windows(connection, lease.task_id), row.summary, row.entries
    )


def unit(connection: Connection, lease: Lease) -> bytes | None:
    """Give what a scan has to list, if it was stored yet."""
    found: bytes | None = connection.execute(query("get_frontier"), {"id": lease.task_id}).scalar()
    return found


def emitted(connection: Connection, lease: Lease, below_id: int) -> tuple[int, bytes] | None:
    """Give the last task before an id that a scan emitted, and its manifest."""
    values = {"job_id": lease.job_id, "parent_id": lease.task_id, "below_id": below_id}
    row = connection.execute(query("last_emitted"), values).first()
    return None if row is None else (row.id, row.blob)


def next_blobs(
    connection: Connection,
    job_id: str,
    after: int,
    failed_only: bool,  # noqa: FBT001
    location: str,
) -> TaskBlobs | None:
    """Give the next task of entries behind an id, whole; NotFoundError where the job is gone."""
    values = {"job_id": job_id, "after": after, "failed_only": failed_only}
    row = connection.execute(query("next_blobs"), values).first()
    if row is None:
        # No more tasks are the end of an account, unless they are being removed.
        jobs.status(connection, job_id, location)
        return None
    return _blobs(connection, row)


def next_claimed_again(
    connection: Connection, job_id: str, after: int, location: str
) -> TaskBlobs | None:
    """Give the next task behind an id that had several holders, whole."""
    values = {"job_id": job_id, "after": after}
    row = connection.execute(query("next_claimed_again"), values).first()
    if row is None:
        jobs.status(connection, job_id, location)
        return None
    return _blobs(connection, row)


def _blobs(connection: Connection, row: Row[Any]) -> TaskBlobs:
    return TaskBlobs(row.id, manifest(row), windows(connection, row.id), row.summary, row.entries)


def manifest(row: Row[Any]) -> bytes:
    """Give a manifest as the core reads it: what was decided about names stands right behind it."""
    return bytes(row.blob) + bytes(row.names or b"")


def windows(connection: Connection, task_id: int) -> list[Window]:
    """Give a task's windows in order."""
    rows = connection.execute(query("list_windows"), {"task_id": task_id})
    return [Window(row.blob, row.amendments, bool(row.acknowledged)) for row in rows]


def fingerprints(
    connection: Connection, lease: Lease, directories: Sequence[bytes], after: int
) -> list[tuple[int, Fingerprint]]:
    """Give the next rows behind an id of what was published for some directories, oldest first."""
    job = {"job_id": lease.job_id}
    # Most jobs meet their sink for the first time.
    if after == 0 and connection.execute(query("has_fingerprints"), job).first() is None:
        return []
    values = {**job, "directories": directories, "after": after, "wanted": FINGERPRINTS_AT_ONCE}
    rows = connection.execute(query("list_fingerprints"), values)
    return [(row.id, (row.directory, row.blob)) for row in rows]


def release(
    connection: Connection,
    lease: Lease,
    how: Release,
    suspects: Mapping[int, Suspect] | None = None,
) -> bool:
    """Give a task back; False where the lease is lost."""
    if not advance(connection, lease):
        return False
    free(connection, lease.job_id, lease.task_id, how, suspects)
    return True


def free(
    connection: Connection,
    job_id: str,
    task_id: int,
    how: Release,
    suspects: Mapping[int, Suspect] | None = None,
) -> None:
    """Put a running task back to pending, without a token."""
    kept = {str(index): asdict(suspect) for index, suspect in (suspects or {}).items()}
    values = {
        "id": task_id,
        "unclean": how != Release.CLEAN,
        "strikes": int(how == Release.STRUCK),
        "deaths": int(how == Release.DIED),
        "suspects": json.dumps(kept) if kept else None,
    }
    connection.execute(query("free_task"), values)
    connection.execute(query("drop_lease"), {"task_id": task_id})
    told = {"suspects": len(suspects)} if suspects else {}
    move_task(connection, job_id, task_id, "release", how=how, **told)


def advance(connection: Connection, lease: Lease) -> bool:
    """Make the write that only the holder of the lease can make."""
    values = {"id": lease.task_id, "token": lease.token, "seq": lease.seq}
    return connection.execute(query("advance_only"), values).rowcount == 1


def _rooms(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, int]:
    """Count how many more tasks may be leased of those jobs that have a limit.

    One claim at a time looks at such a job; in one order, so that no two wait for each other.
    """
    rooms = {}
    for job_id, limit in sorted({(r.job_id, r.tasks_limit) for r in rows if r.tasks_limit}):
        connection.execute(query("lock_limit"), {"job_id": job_id})
        leased = connection.execute(query("count_leased"), {"job_id": job_id}).scalar_one()
        rooms[job_id] = limit - leased
    return rooms


def _fitting(
    rows: Sequence[Row[Any]], number: int, small: int, rooms: dict[str, int]
) -> list[Row[Any]]:
    """Choose, in their order, so many tasks and so many small ones, as far as there is room."""
    chosen = []
    for row in rows:
        room = rooms.get(row.job_id, 1)
        if room <= 0:
            continue
        if small > 0 and _is_small(row):
            small -= 1
        elif number > 0:
            number -= 1
        else:
            break
        if row.job_id in rooms:
            rooms[row.job_id] = room - 1
        chosen.append(row)
    return chosen


def _is_small(row: Row[Any]) -> bool:
    """Tell a task of few entries that were all there was; a part of another's may be slow."""
    return bool(row.entries <= SMALL_ENTRIES and row.parent_kind != TaskKind.ENTRIES)


def _lease(connection: Connection, claimer: Claimer, row: Row[Any], purpose: Purpose) -> Lease:
    counter, worker_id = row.counter + 1, claimer.worker_id
    token = counter << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    connection.execute(query("lease_task"), {"id": row.id, "token": token, "counter": counter})
    connection.execute(
        query("add_lease"),
        {"task_id": row.id, "token": token, "worker_id": worker_id, "ttl_us": LEASE_TTL_US},
    )
    move_task(connection, row.job_id, row.id, "claim", worker=worker_id, kind=row.kind)
    if row.job_status == JobStatus.PENDING:
        move_job(connection, row.job_id, "start", worker=worker_id)
        connection.execute(query("set_started"), {"id": row.job_id})
    kind = TaskKind(row.kind)
    return Lease(
        row.id,
        row.job_id,
        kind,
        purpose,
        token,
        counter,
        row.seq,
        row.strikes,
        bool(row.unclean),
        row.entries,
        row.deaths,
        _suspects(row.suspects),
        small=row.kind == TaskKind.ENTRIES and purpose is Purpose.WORK and _is_small(row),
    )


def _suspects(text: str | None) -> dict[int, Suspect]:
    return {int(index): Suspect(**found) for index, found in json.loads(text or "{}").items()}
