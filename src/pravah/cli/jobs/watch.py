"""`pravah jobs watch`: follow a job that somebody works on, until it stops."""

from typing import Annotated

from typer import Argument

from pravah.cli import work
from pravah.cli.application import existing
from pravah.cli.console import Console


def watch(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
) -> int:
    """Follow a job until it stops."""
    with existing(console) as application:
        found = application.jobs.get(job)
        code = work.follow(console, application, found.id)
        if console.json:
            console.data(application.jobs.get(found.id).to_dict())
    return code
