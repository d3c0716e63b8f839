"""`pravah jobs create`: a job for a worker to take."""

from typing import Annotated

from typer import Option

from pravah.cli import work
from pravah.cli.application import opened
from pravah.cli.console import Console
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.spec_flags import SpecFlags, job_spec
from pravah.cli.submit import New, announce, submit


def create(
    flags: SpecFlags,
    filters: FilterFlags,
    console: Console,
    *,
    new: New = False,
    wait: Annotated[bool, Option("--wait", help="Work on it here until it ends.")] = False,
) -> int:
    """Create a job for a worker to take."""
    spec = job_spec(flags, filters)
    with opened(console) as application:
        submission = submit(application, spec, new=new)
        announce(console, submission)
        return work.on(console, application, submission.job, wait=wait)
