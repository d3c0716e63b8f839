"""Submits a job spec: a new job, or the unfinished one that it describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from typer import Option

from pravah.cli import pipeline
from pravah.cli.figures import ago, moment, share
from pravah.cli.store_note import tell_note

if TYPE_CHECKING:
    from pravah.cli.application import AnyApplication
    from pravah.cli.console import Console
    from pravah.jobs.service import Submission
    from pravah.model.spec import JobSpec

New = Annotated[
    bool, Option("--new", help="Start another job, even where an equal one is unfinished.")
]


def submit(application: AnyApplication, spec: JobSpec, *, new: bool) -> Submission:
    """Create the job, or find the unfinished one of the same spec."""
    from pravah.jobs.service import Reuse

    for uri in (*spec.source.uri, *([spec.sink.uri] if spec.sink else ())):
        tell_note(uri)
    return application.jobs.create(spec, reuse=Reuse.NOTHING if new else Reuse.UNFINISHED)


def announce(console: Console, submission: Submission) -> None:
    """Say which job it is, and how far it is if it had been begun before."""
    job = submission.job.to_dict()
    spec = job["spec"]
    if not submission.resumed:
        sink = pipeline.sink(spec)
        way = f"{pipeline.sources(spec)} → {sink}" if sink else pipeline.sources(spec)
        console.say(f"{job['id']}  {pipeline.steps(spec)}   {way}")
        return
    counts = submission.job.books.counts
    worked = counts.accounted - counts.filtered
    done = share(worked, counts.listed - counts.filtered)
    began = f"started {ago(moment(job['started_at']))}" if job["started_at"] else "not begun yet"
    console.say(f"resuming {job['id']} at {done} ({began})")
