"""`pravah jobs list` and `pravah jobs show`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any

from typer import Argument, Option

from pravah.cli import account, pipeline, work
from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.figures import age, ago, count, moment, rate, share
from pravah.cli.names import printable
from pravah.cli.render import Column, bar, pairs, table
from pravah.model.status import JobStatus

BAR_CELLS = 11
_COLUMNS = [
    Column("ID"),
    Column("STATUS"),
    Column("PROGRESS"),
    Column("FILES", align="right"),
    Column("FAILED", align="right"),
    Column("RATE", align="right"),
    Column("AGE", align="right"),
    Column("NAME", shrink="end"),
]


def list_jobs(
    console: Console,
    *,
    status: Annotated[JobStatus | None, Option(help="Only jobs of this status.")] = None,
    limit: Annotated[int, Option(min=1, help="How many.")] = 20,
) -> None:
    """List jobs, the latest first."""
    with existing(console) as application:
        jobs = [job.to_dict() for job in islice(application.jobs.all(status), limit)]
    if console.json:
        for job in jobs:
            console.data(job)
    elif jobs:
        console.lines(table(_COLUMNS, _rows(jobs), console.columns))
    else:
        console.say("no jobs yet; `pravah run SOURCE --to SINK -s STEP` makes one")


def show(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
) -> None:
    """Show a job's status and books."""
    with existing(console) as application:
        found = application.jobs.get(job)
        failures = [failure.to_dict() for failure in application.jobs.failures(found.id)]
        deserted = application.jobs.deserted(found)
    form = found.to_dict()
    if console.json:
        console.data(form)
        return
    columns = console.columns or 100
    report = {"listed_bytes": found.books.listed_bytes}
    console.line(account.headline(form, console.painter, columns))
    console.lines(pairs(_facts(form), indent="  "))
    console.line()
    console.lines(account.books(form, report))
    if failures:
        console.line()
        console.lines(account.failure_groups(failures, form["id"], columns))
    if form["error"]:
        console.line(f"\n  error: {printable(str(form['error'].get('message')))}")
    if deserted:
        work.tell_deserted(console, found.id)


def _rows(jobs: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    now = datetime.now(UTC)
    return [
        [
            job["id"],
            job["status"],
            _progress(job),
            count(job["counts"]["listed"]),
            count(job["counts"]["failed"] + job["counts"]["poisoned"]),
            rate(job["bytes_per_s"]) if job["bytes_per_s"] else "-",
            age(moment(job["created_at"]), now),
            printable(job["name"] or "-"),
        ]
        for job in jobs
    ]


def _progress(job: Mapping[str, Any]) -> str:
    counts = job["counts"]
    listed = counts["listed"] - counts["filtered"]
    worked = listed - counts["remaining"]
    if job["status"] == "completed":
        return "100 %"
    if job["status"] == "pending" and not worked:
        return "-"
    percent = share(worked, listed)
    return f"{bar(worked, listed, BAR_CELLS)} {percent}" if job["status"] == "running" else percent


def _facts(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    spec = job["spec"]
    facts = [
        ("name", printable(job["name"] or "")),
        ("source", pipeline.sources(spec)),
        ("steps", pipeline.steps(spec)),
        ("sink", pipeline.sink(spec) or ""),
        ("created", _when(job["created_at"])),
        ("started", _when(job["started_at"])),
        ("finished", _when(job["finished_at"])),
        ("undone", _when(job.get("undone_at"))),
        ("round", str(job["round"]) if job["round"] > 1 else ""),
    ]
    return [(name, value) for name, value in facts if value]


def _when(time: str | None) -> str:
    if time is None:
        return ""
    at = moment(time)
    return f"{at:%Y-%m-%d %H:%M:%S}Z ({ago(at)})"
