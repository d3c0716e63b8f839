"""The writes of running tasks: windows, emitted tasks, failures; each only under its lease."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection

from pravah.db import jobs
from pravah.db.claims import advance
from pravah.db.jobs import add_task
from pravah.db.queries import query
from pravah.db.transitions import add_event, move_task
from pravah.model.ledger import (
    Emission,
    Fingerprint,
    Lease,
    Moved,
    NewTask,
    TaskKind,
    Verdict,
    WindowRecord,
)

# Tasks in one statement, far below SQLite's limit of bound parameters (32,766).
_TAKEN_AT_ONCE = 500


def commit_window(connection: Connection, lease: Lease, record: WindowRecord) -> Verdict:
    """Record window n, acknowledge window n-1, with everything that follows from it."""
    values = {
        "id": lease.task_id,
        "token": lease.token,
        "seq": lease.seq,
        "progress": record.is_progress,
        "summary": record.summary,
        **asdict(record.counts),
    }
    if connection.execute(query("advance_task"), values).rowcount == 0:
        return verdict_of_miss(connection, lease)
    if record.acknowledge:
        _acknowledge(connection, lease, record)
    if record.window is not None:
        add_window(connection, lease.task_id, lease.seq, record.window, acknowledged=False)
    if record.finished:
        counts = {name: number for name, number in asdict(record.counts).items() if number}
        end_task(connection, lease, "complete", counts=counts)
    return verdict(connection, lease.job_id)


def emit(connection: Connection, lease: Lease, emission: Emission) -> Verdict:
    """Store the tasks that a scan cut, the units that it gave away, its counts and its frontier.

    The last units of a job may end at once, each unseen by the others: so they come one by one.
    """
    if emission.finished:
        jobs.lock(connection, lease.job_id)
    values = {
        "id": lease.task_id,
        "token": lease.token,
        "seq": lease.seq,
        "filtered": emission.filtered,
        "summary": json.dumps({"reasons": dict(emission.reasons), "effort": dict(emission.effort)}),
        "frontier": emission.frontier,
    }
    if connection.execute(query("advance_scan"), values).rowcount == 0:
        return verdict_of_miss(connection, lease)
    for task in emission.tasks:
        add_entries(connection, lease.job_id, lease.task_id, task)
    for unit in emission.units:
        add_unit(connection, lease.job_id, lease.task_id, unit)
    if emission.finished:
        end_task(connection, lease, "complete")
        connection.execute(query("set_scan_complete"), {"id": lease.job_id})
    return verdict(connection, lease.job_id)


def decide_names(
    connection: Connection, lease: Lease, decided: Callable[[], Iterable[tuple[int, bytes]]]
) -> Verdict:
    """Store what the comparison of a job's names came to; its entries need not wait any more."""
    if not advance(connection, lease):
        return verdict_of_miss(connection, lease)
    for task_id, names in decided():
        connection.execute(query("set_names"), {"task_id": task_id, "names": names})
    end_task(connection, lease, "complete")
    connection.execute(query("names_compared"), {"id": lease.job_id})
    return verdict(connection, lease.job_id)


def group(
    connection: Connection,
    lease: Lease,
    taken: Sequence[int],
    groups: Callable[[], Iterable[NewTask]],
) -> Verdict:
    """Put tasks with whole outputs in the place of those that the scan has cut."""
    if not advance(connection, lease):
        return verdict_of_miss(connection, lease)
    for start in range(0, len(taken), _TAKEN_AT_ONCE):
        ids = list(taken[start : start + _TAKEN_AT_ONCE])
        connection.execute(query("drop_manifests"), {"ids": ids})
        connection.execute(query("drop_tasks"), {"ids": ids})
    for task in groups():
        add_entries(connection, lease.job_id, lease.task_id, task)
    end_task(connection, lease, "complete")
    connection.execute(query("names_compared"), {"id": lease.job_id})
    return verdict(connection, lease.job_id)


def split(connection: Connection, lease: Lease, moved: Moved) -> Verdict:
    """End a task with what is acknowledged of it; give each other entry to one new task."""
    values = {
        "id": lease.task_id,
        "token": lease.token,
        "seq": lease.seq,
        "gone": moved.gone,
        "gone_bytes": moved.size_bytes,
        "summary": moved.summary,
        **asdict(moved.counts),
    }
    if connection.execute(query("split_task"), values).rowcount == 0:
        return verdict_of_miss(connection, lease)
    if moved.window is not None:
        add_window(connection, lease.task_id, lease.seq, moved.window, acknowledged=True)
    for task in moved.tasks:
        add_entries(connection, lease.job_id, lease.task_id, task)
    end_task(connection, lease, "complete", split=len(moved.tasks))
    return verdict(connection, lease.job_id)


def fail_task(connection: Connection, lease: Lease, error: Mapping[str, Any]) -> Verdict:
    """End a task that can't be done; its job can't go on either, what is left stays `remaining`."""
    if not advance(connection, lease):
        return verdict_of_miss(connection, lease)
    end_task(connection, lease, "fail", error=dict(error))
    set_error(connection, lease.job_id, error)
    return Verdict.DRAIN


def set_error(connection: Connection, job_id: str, error: Mapping[str, Any]) -> None:
    """Give the reason why a job can't go on; workers drain, and its closing ends it as failed."""
    values = {"id": job_id, "error": json.dumps(dict(error))}
    if connection.execute(query("set_error"), values).rowcount:
        add_event(connection, job_id, "job_error", dict(error))


def verdict(connection: Connection, job_id: str) -> Verdict:
    """Tell whether a job's workers may begin anything new."""
    row = connection.execute(query("get_status"), {"id": job_id}).one()
    return Verdict.DRAIN if row.request or row.error else Verdict.COMMITTED


def add_entries(connection: Connection, job_id: str, parent_id: int | None, task: NewTask) -> int:
    """Store a slice of entries as a pending task."""
    task_id = add_task(
        connection,
        job_id,
        TaskKind.ENTRIES,
        parent_id=parent_id,
        entries=task.entries,
        size_bytes=task.size_bytes,
    )
    connection.execute(query("add_manifest"), {"task_id": task_id, "blob": task.manifest})
    return task_id


def add_unit(connection: Connection, job_id: str, parent_id: int, unit: bytes) -> None:
    """Store a pending scan of what another task has found, or could not read."""
    add_task(connection, job_id, TaskKind.SCAN, parent_id=parent_id, frontier=unit)


def add_window(
    connection: Connection, task_id: int, seq: int, blob: bytes, *, acknowledged: bool
) -> None:
    """Store a window under the sequence number of the write that records it."""
    values = {"task_id": task_id, "seq": seq, "acknowledged": acknowledged, "blob": blob}
    connection.execute(query("add_window"), values)


def end_task(connection: Connection, lease: Lease, transition: str, **detail: object) -> None:
    """Move a task to an end status and give up its lease; the token stays for the re-read."""
    connection.execute(query("drop_lease"), {"task_id": lease.task_id})
    move_task(connection, lease.job_id, lease.task_id, transition, **detail)


def _acknowledge(connection: Connection, lease: Lease, record: WindowRecord) -> None:
    values = {"task_id": lease.task_id, "amendments": record.amendments}
    connection.execute(query("acknowledge_window"), values)
    if record.fingerprints:
        _add_fingerprints(connection, lease.job_id, record.fingerprints)


def _add_fingerprints(
    connection: Connection, job_id: str, fingerprints: Sequence[Fingerprint]
) -> None:
    if connection.dialect.name == "postgresql":
        directories, blobs = ([pair[at] for pair in fingerprints] for at in (0, 1))
        values = {"job_id": job_id, "each_directory": directories, "each_blob": blobs}
        connection.execute(query("add_fingerprints"), values)
    else:
        rows = [{"job_id": job_id, "directory": d, "blob": b} for d, b in fingerprints]
        connection.execute(query("add_fingerprint"), rows)


def verdict_of_miss(connection: Connection, lease: Lease) -> Verdict:
    """Read once why a write matched no row: my token one further means it was applied before."""
    row = connection.execute(query("get_position"), {"id": lease.task_id}).first()
    if row is not None and (row.token, row.seq) == (lease.token, lease.seq + 1):
        return verdict(connection, lease.job_id)
    return Verdict.FENCED
