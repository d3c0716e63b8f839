"""`pravah run`: create a job, or go on with it, and work on it here until it ends."""

from typing import TYPE_CHECKING, Annotated

from typer import Option

from pravah.cli import work
from pravah.cli.application import opened
from pravah.cli.console import Console
from pravah.cli.exit_codes import ExitCode
from pravah.cli.filter_flags import FilterFlags
from pravah.cli.spec_flags import SpecFlags, read_spec, spec_mapping
from pravah.cli.submit import New, announce, submit
from pravah.cli.tables import refuse_terminal
from pravah.registry import registry

if TYPE_CHECKING:
    from pravah.model.dataset import DatasetFormat
    from pravah.model.spec import JobSpec


def run(
    flags: SpecFlags,
    filters: FilterFlags,
    console: Console,
    *,
    new: New = False,
    fail_if_empty: Annotated[
        bool, Option("--fail-if-empty", help="Exit with 6 when nothing matched.")
    ] = False,
) -> int:
    """Create a job and work on it here until it ends.

    Ctrl-C pauses it. The same command again goes on with it.
    """
    mapping = spec_mapping(flags, registry(), filters)
    with opened(console) as application:
        application.start_runner()
        spec = read_spec(mapping)
        form = _printed(spec)
        if form is not None and not console.json:
            refuse_terminal(form)
        submission = submit(application, spec, new=new)
        announce(console, submission)
        code = work.here(console, application, submission.job.id)
        job = application.jobs.get(submission.job.id)
        if console.json:
            console.data(job.to_dict())
        elif form is not None and job.status.ended:
            console.raw(application.jobs.results(job.id, form))
    counts = job.books.counts
    if fail_if_empty and code == ExitCode.OK and counts.listed == counts.filtered:
        return ExitCode.NOTHING_MATCHED
    return code


def _printed(spec: "JobSpec") -> "DatasetFormat | None":
    """Give the format in which findings are printed; None where there are none, or a place."""
    results = spec.results
    if spec.sink is not None or spec.in_place or (results and results.uri):
        return None
    return results.format if results else "ndjson"
