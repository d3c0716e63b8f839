"""`pravah jobs cancel`, `pause`, `resume`, `retry`, `set` and `delete`."""

from typing import Annotated, Any

from typer import Argument, Option

from pravah.cli import work
from pravah.cli.application import Talk, existing, start_log
from pravah.cli.console import Console
from pravah.cli.figures import counted
from pravah.cli.names import printable
from pravah.model import spec_file
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.model.status import JobStatus

JobId = Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")]
Wait = Annotated[
    bool, Option("--wait/--no-wait", help="Work on it here until it ends, or leave it to a worker.")
]

Adopt = Annotated[
    bool,
    Option(
        "--adopt", help="Take files for its own that are equal to its outputs; after a lost ledger."
    ),
]


def cancel(job: JobId, console: Console) -> None:
    """Give a job up; what is done stays."""
    with existing(console) as application:
        start_log(console, application.settings, Talk.TROUBLE)
        _tell(console, application.jobs.cancel(job), JobStatus.CANCELLED)


def pause(job: JobId, console: Console) -> None:
    """Stop a job so that it can go on later."""
    with existing(console) as application:
        start_log(console, application.settings, Talk.TROUBLE)
        _tell(console, application.jobs.pause(job), JobStatus.PAUSED)


def resume(job: JobId, console: Console, *, wait: Wait = True, adopt: Adopt = False) -> int:
    """Go on with a job here."""
    with existing(console) as application:
        start_log(console, application.settings, Talk.TROUBLE)
        resumed = application.jobs.resume(job, adopt=adopt)
        return work.on(console, application, resumed, wait=wait)


def retry(
    job: JobId,
    console: Console,
    *,
    group: Annotated[
        str | None, Option(metavar="F1", help="Only the files of this group of failures.")
    ] = None,
    wait: Wait = True,
) -> int:
    """Try a job's failed files again here."""
    with existing(console) as application:
        start_log(console, application.settings, Talk.TROUBLE)
        retried = application.jobs.retry(job, group)
        console.say(f"{shown(retried.id)}: {_tried_again(retried)}, round {retried.round}")
        return work.on(console, application, retried, wait=wait)


def set_live(
    job: JobId,
    settings: Annotated[
        list[str], Argument(metavar="KEY=VALUE...", help="As in limits.tasks=2 priority=5.")
    ],
    console: Console,
) -> None:
    """Change limits of a job that is worked on.

    Its priority, `limits` and `on_error`; its workers follow within a second.
    """
    wanted: dict[str, Any] = {}
    for setting in settings:
        spec_file.assign(wanted, setting)
    with existing(console) as application:
        changed = application.jobs.change(job, wanted)
    if console.json:
        console.data(changed.to_dict())
    else:
        console.say(f"{shown(changed.id)}: {', '.join(printable(s) for s in settings)}")


def delete(job: JobId, console: Console) -> None:
    """Remove an ended job from the ledger."""
    with existing(console) as application:
        found = application.jobs.get(job)
        application.jobs.delete(found.id)
    if console.json:
        console.data({"deleted": shown(found.id)})
    else:
        console.say(f"{shown(found.id)} is deleted; its outputs stay")


def _tried_again(job: Job) -> str:
    """Tell what a round is about; how much it is nobody knows before everything is listed."""
    remaining = job.books.counts.remaining
    files = f"trying {counted(remaining, 'file')} again"
    if job.scan_complete:
        return files
    return f"{files}, and what is still to be listed" if remaining else "going on with the listing"


def _tell(console: Console, job: Job, wanted: JobStatus) -> None:
    if console.json:
        console.data(job.to_dict())
    elif job.status == wanted:
        console.say(f"{shown(job.id)} is {wanted}")
    else:
        console.say(f"{shown(job.id)} will be {wanted} when its workers have stopped")
