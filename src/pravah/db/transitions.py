"""Changes of status: each through the table of transitions, in one statement, with an event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from pravah.db.queries import query
from pravah.model.status import Subject, change


def move_job(connection: Connection, job_id: str, name: str, **detail: object) -> bool:
    """Change a job's status by the transition called `name`; False where its status forbids it."""
    sources, target = change(Subject.JOB, name)
    values = {"id": job_id, "sources": sources, "target": target}
    if connection.execute(query("move_job"), values).rowcount == 0:
        return False
    add_event(connection, job_id, f"job_{name}", detail)
    return True


def move_task(
    connection: Connection, job_id: str, task_id: int, name: str, **detail: object
) -> bool:
    """Change a task's status by the transition called `name`; False where its status forbids it."""
    if not move_tasks(connection, [task_id], name):
        return False
    add_event(connection, job_id, f"task_{name}", {"task": task_id, **detail})
    return True


def move_tasks(connection: Connection, task_ids: Sequence[int], name: str) -> int:
    """Change the status of many tasks; the caller appends one event for all of them."""
    sources, target = change(Subject.TASK, name)
    rows = [{"id": task_id, "sources": sources, "target": target} for task_id in task_ids]
    return sum(connection.execute(query("move_task"), row).rowcount for row in rows)


def add_event(connection: Connection, job_id: str, kind: str, detail: dict[str, Any]) -> None:
    """Append to a job's history."""
    connection.execute(
        query("add_event"),
        {"job_id": job_id, "kind": kind, "detail": json.dumps(detail)},
    )
