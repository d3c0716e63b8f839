"""`pravah workers`: who works on the ledger's jobs."""

from collections.abc import Mapping
from typing import Any

from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.figures import count, duration, moment
from pravah.cli.names import printable
from pravah.cli.render import Column, table

COMMANDS = {"list": ("pravah.cli.workers:list_workers", "List workers and what they work on.")}

_COLUMNS = [
    Column("ID"),
    Column("HOST", shrink="end"),
    Column("PID", align="right"),
    Column("TASKS", align="right"),
    Column("JOBS", align="right"),
    Column("SEEN", align="right"),
    Column("SINCE"),
    Column("VERSION"),
]


def list_workers(console: Console) -> None:
    """List workers and what they work on."""
    with existing(console) as application:
        workers = [worker.to_dict() for worker in application.jobs.workers()]
    if console.json:
        for worker in workers:
            console.data(worker)
    elif workers:
        console.lines(table(_COLUMNS, [_row(worker) for worker in workers], console.columns))
    else:
        console.say("nobody works; `pravah worker` does")


def _row(worker: Mapping[str, Any]) -> list[str]:
    silent_s, joined_at = worker["silent_s"], worker["joined_at"]
    return [
        worker["id"],
        printable(worker["host"]),
        str(worker["pid"]),
        count(worker["tasks"]),
        count(worker["jobs"]),
        "-" if silent_s is None else f"{duration(silent_s)} ago",
        f"{moment(joined_at):%Y-%m-%d %H:%M:%S}Z" if joined_at else "-",
        printable(worker["version"] or "-"),
    ]
