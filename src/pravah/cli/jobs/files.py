"""`pravah jobs files` and `failures`: what became of each file."""

import base64
import json
from enum import StrEnum
from typing import Annotated, Any

from typer import Argument, Option

from pravah.cli import account
from pravah.cli.application import existing
from pravah.cli.console import PLAIN_COLUMNS, Console
from pravah.cli.figures import size
from pravah.cli.names import from_path, from_uris, printable
from pravah.model.ids import shown

JobId = Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")]


class Outcome(StrEnum):
    """What became of an entry."""

    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    VANISHED = "vanished"
    POISONED = "poisoned"
    REMAINING = "remaining"


def files(
    job: JobId,
    console: Console,
    *,
    outcome: Annotated[Outcome | None, Option(help="Only files of this outcome.")] = None,
    limit: Annotated[int | None, Option(min=1, help="At most so many.")] = None,
) -> None:
    """List what became of each file."""
    with existing(console) as application:
        lines = application.jobs.files(job, outcome=outcome, limit=limit)
        if console.json:
            console.raw(lines)
            return
        for chunk in lines:
            for line in chunk.splitlines():
                console.line(_file(json.loads(line)))


def failures(job: JobId, console: Console) -> None:
    """List the failures, grouped by cause."""
    with existing(console) as application:
        found = application.jobs.get(job)
        groups = [failure.to_dict() for failure in application.jobs.failures(found.id)]
    if console.json:
        for group in groups:
            console.data(group)
    elif groups:
        columns = console.columns or PLAIN_COLUMNS
        console.lines(account.failure_groups(groups, shown(found.id), columns, whole=True))
    else:
        console.say("no failures")


def _file(file: dict[str, Any]) -> str:
    path = base64.b64decode(file["path_b64"]) if file.get("path_b64") else file["path"]
    outputs = from_uris(file["outputs"])
    why = printable(file.get("reason") or "")
    if error := file.get("error"):
        why = printable(f"{error['kind']}: {error['message']}")
    told = f"→ {outputs} ({size(file['output_bytes'])})" if outputs else why
    head = f"{file['outcome']:<9}  {size(file['size_bytes']):>10}"
    return f"{head}  {from_path(path)}  {told}".rstrip()
