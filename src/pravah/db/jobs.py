"""Reads and stores jobs: rows become the model's jobs, with books summed over their tasks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from pravah.db.queries import query
from pravah.db.transitions import add_event
from pravah.errors import NotFoundError
from pravah.model.ids import shown
from pravah.model.job import Books, Counts, Event, Job
from pravah.model.ledger import Glance, JobFilter, NewJob, Request, TaskKind, TaskRow
from pravah.model.status import JobStatus


def create(connection: Connection, job: NewJob) -> bool:
    """Store a pending job and its first scan tasks; False if that was done before."""
    added = connection.execute(
        query("add_job"),
        {
            "id": job.id,
            "name": job.name,
            "spec": json.dumps(job.spec),
            "plan": json.dumps(job.plan),
            "spec_hash": job.spec_hash,
            "pipeline_hash": job.pipeline_hash,
            "scope": job.scope,
            "priority": job.priority,
            "labels": json.dumps(dict(job.labels)),
            "host": job.host,
            "share": _share(job),
            "tasks_limit": job.tasks_limit,
            "waits_for_scan": job.waits_for_scan,
            "waits_for_names": job.waits_for_names,
        },
    )
    if added.rowcount == 0:
        return False  # The answer to an earlier try was lost; the job was not.
    for unit in [None] if job.units is None else job.units:
        add_task(connection, job.id, TaskKind.SCAN, frontier=unit)
    if job.waits_for_names:
        add_task(connection, job.id, TaskKind.NAMES)
    add_event(connection, job.id, "job_created", dict(job.origin))
    return True


def create_or_join(connection: Connection, job: NewJob) -> str:
    """Store a job, unless one of its spec has not ended; give the id of the one there is."""
    connection.execute(query("lock_spec"), {"spec_hash": job.spec_hash})
    found = find_unfinished(connection, job.spec_hash, _share(job))
    if found is None:
        create(connection, job)
    return found or job.id


def lock(connection: Connection, job_id: str) -> None:
    """Keep a job's status as it is until the end of the transaction."""
    connection.execute(query("lock_job"), {"id": job_id})


def add_task(
    connection: Connection,
    job_id: str,
    kind: TaskKind,
    *,
    parent_id: int | None = None,
    entries: int = 0,
    size_bytes: int = 0,
    frontier: bytes | None = None,
) -> int:
    """Store a pending task of the job's round; give its id."""
    values = {
        "job_id": job_id,
        "kind": kind,
        "parent_id": parent_id,
        "entries": entries,
        "size_bytes": size_bytes,
        "frontier": frontier,
    }
    task_id: int = connection.execute(query("add_task"), values).scalar_one()
    return task_id


def find_unfinished(connection: Connection, spec_hash: str, team: str) -> str | None:
    """Give the latest job of that spec and team that has not ended."""
    values = {"spec_hash": spec_hash, "share": team}
    found: str | None = connection.execute(query("find_unfinished"), values).scalar()
    return found


def find_ids(connection: Connection, prefix: str, limit: int, team: str | None) -> list[str]:
    """Give up to `limit` ids that begin so, of one team or of all."""
    # Ids end with Z at the latest; the sign behind it in ASCII ends the range.
    values = {"first": prefix, "behind": prefix + "[", "wanted": limit, "share": team}
    return list(connection.execute(query("find_ids"), values).scalars())


def get(
    connection: Connection,
    job_id: str,
    location: str,
    summed: Callable[[Connection, Row[Any]], Books] | None = None,
    team: str | None = None,
) -> Job:
    """Give a job, of a team or of any, with its books, which `summed` gives where it is told."""
    row = connection.execute(query("get_job"), {"id": job_id}).first()
    if row is None or team not in (None, row.share):
        raise missing(job_id, location)
    return _job(row, books(connection, job_id) if summed is None else summed(connection, row))


def page(
    connection: Connection,
    status: JobStatus | None,
    limit: int,
    before: str | None,
    chosen: JobFilter,
) -> list[Job]:
    """List jobs, the latest first; the books of ended ones are those of their reports."""
    values = {
        "status": status,
        "before": before,
        "wanted": limit,
        "share": chosen.team,
        "name": chosen.name,
        "labels": json.dumps(dict(chosen.labels)) if chosen.labels else None,
    }
    rows = connection.execute(query("list_jobs"), values).all()
    return [_job(row, _reported(connection, row) or books(connection, row.id)) for row in rows]


def status(connection: Connection, job_id: str, location: str) -> tuple[JobStatus, Request | None]:
    """Give a job's status and what was asked of it."""
    row = connection.execute(query("get_status"), {"id": job_id}).first()
    if row is None:
        raise missing(job_id, location)
    return JobStatus(row.status), Request(row.request) if row.request else None


def glance(connection: Connection, job_id: str, location: str) -> Glance:
    """See how far a job is and what was asked of it."""
    row = connection.execute(query("get_status"), {"id": job_id}).first()
    if row is None:
        raise missing(job_id, location)
    return Glance(
        JobStatus(row.status),
        Request(row.request) if row.request else None,
        row.error is not None,
        bool(row.scan_complete),
        sums(connection, job_id),
        row.forgiven,
        row.revision,
    )


def books(connection: Connection, job_id: str) -> Books:
    """Sum a job's books over its tasks, with the reasons and rows that their summaries tell."""
    reasons: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for text in summaries(connection, job_id):
        summary = json.loads(text)
        reasons.update(summary.get("reasons", {}))
        rows.update(summary.get("rows", {}))
    return replace(sums(connection, job_id), reasons=dict(reasons), rows=dict(rows) or None)


def sums(connection: Connection, job_id: str) -> Books:
    """Sum a job's books over its tasks, without reasons: cheap enough for a progress bar."""
    row = connection.execute(query("sum_tasks"), {"job_id": job_id}).one()
    outcomes = {
        name: getattr(row, name) for name in ("done", "skipped", "failed", "vanished", "poisoned")
    }
    counts = Counts(
        listed=row.entries + row.filtered,
        filtered=row.filtered,
        remaining=row.entries - sum(outcomes.values()),
        **outcomes,
    )
    return Books(counts, row.size_bytes, row.bytes_in, row.bytes_out)


def summaries(connection: Connection, job_id: str) -> Sequence[str]:
    """Give the summary of each task that has one, as JSON."""
    return connection.execute(query("list_summaries"), {"job_id": job_id}).scalars().all()


def unfinished_of_team(connection: Connection, team: str, limit: int) -> int:
    """Count the jobs of a team that have not ended, as far as a number."""
    values = {"share": team, "wanted": limit}
    return len(connection.execute(query("unfinished_of_team"), values).all())


def tasks(connection: Connection, job_id: str, after: int, limit: int) -> list[TaskRow]:
    """List a job's tasks behind an id, in order."""
    values = {"job_id": job_id, "after": after, "wanted": limit}
    rows = connection.execute(query("list_tasks"), values).mappings()
    return [TaskRow(**row) for row in rows]


def load_figures(connection: Connection) -> tuple[dict[str, int], int]:
    """Count unfinished jobs by status, and the tasks in work."""
    rows = connection.execute(query("count_unfinished"))
    counted = {row.status: int(row.jobs) for row in rows}
    return counted, int(connection.execute(query("count_leases")).scalar_one())


def report(connection: Connection, job_id: str, round_number: int | None) -> dict[str, Any] | None:
    """Give the report of a round, or of the last that has one."""
    text = connection.execute(
        query("get_report"), {"job_id": job_id, "round": round_number}
    ).scalar()
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def events(connection: Connection, job_id: str, after: int, limit: int) -> list[Event]:
    """List what happened to a job behind an event."""
    values = {"job_id": job_id, "after": after, "wanted": limit}
    rows = connection.execute(query("list_events"), values)
    return [Event(row.id, job_id, row.at_us, row.kind, json.loads(row.detail)) for row in rows]


def last_event(connection: Connection, job_id: str) -> int:
    """Give the id of the newest event of a job; 0 where there is none."""
    return int(connection.execute(query("last_event"), {"job_id": job_id}).scalar_one())


def missing(job_id: str, location: str) -> NotFoundError:
    """Make the error of a job that is not there."""
    return NotFoundError(
        f"no job `{shown(job_id)}` in the ledger {location}",
        kind="job_not_found",
        hint="`pravah jobs list` shows the latest; DATABASE_URL chooses another ledger",
    )


def _share(job: NewJob) -> str:
    """Give the team that a job belongs to."""
    return job.labels.get("team", "")


def _reported(connection: Connection, row: Row[Any]) -> Books | None:
    found = report(connection, row.id, row.round) if JobStatus(row.status).ended else None
    if found is None:
        return None
    return Books(
        Counts(**found["counts"]),
        found["listed_bytes"],
        found["bytes_in"],
        found["bytes_out"],
        found["reasons"],
        found.get("rows"),
    )


def _job(row: Row[Any], summed: Books) -> Job:
    return Job(
        id=row.id,
        name=row.name,
        status=JobStatus(row.status),
        request=row.request,
        spec=json.loads(row.spec),
        plan=json.loads(row.plan),
        books=summed,
        created_us=row.created_us,
        started_us=row.started_us,
        finished_us=row.finished_us,
        paused_us=row.paused_us,
        idle_us=row.idle_us,
        undone_us=row.undone_us,
        scan_complete=bool(row.scan_complete),
        round=row.round,
        priority=row.priority,
        labels=json.loads(row.labels),
        error=json.loads(row.error) if row.error else None,
        results=json.loads(row.results) if row.results else None,
        paused_by=json.loads(row.paused_by) if row.paused_by else None,
        forgiven=row.forgiven,
        revision=row.revision,
        host=row.host,
    )
