"""`pravah jobs undo`: take back the outputs that a job created."""

import sys
from typing import Annotated

from typer import Argument, Option

from pravah.cli import account
from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.exit_codes import ExitCode
from pravah.cli.figures import counted
from pravah.errors import SpecError
from pravah.jobs.undo import Undone
from pravah.model.ids import shown

JobId = Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")]


def undo(
    job: JobId,
    console: Console,
    *,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> int:
    """Take back the outputs that a job created.

    Those that have changed since stay. A job that replaced files, or whose sources are gone, can't
    be undone.
    """
    with existing(console) as application:
        found = application.jobs.get(job)
        would = application.jobs.undo(found.id, dry_run=True)
        if not dry_run and would.removed and not (yes or _agreed(would, shown(found.id))):
            console.say("nothing was removed")
            return ExitCode.NOT_ALLOWED
        undone = would if dry_run else application.jobs.undo(found.id)
    if console.json:
        console.data({"job": shown(found.id), "dry_run": dry_run, **undone.to_dict()})
        return ExitCode.FILES_FAILED if undone.failed else ExitCode.OK
    verb = "would be removed" if dry_run else "removed"
    console.say(f"{shown(found.id)}: {counted(undone.removed, 'output')} {verb}{_rest(undone)}")
    groups = [failure.to_dict() for failure in undone.failures]
    if groups:
        console.lines(account.failure_groups(groups, shown(found.id), console.columns or 10_000))
    return ExitCode.FILES_FAILED if undone.failed else ExitCode.OK


def _agreed(would: Undone, job: str) -> bool:
    if sys.stdin is None or not sys.stdin.isatty():
        raise SpecError(
            f"undoing {job} removes {counted(would.removed, 'file')}, and nobody is here to agree",
            kind="confirmation_missing",
            hint="`--yes` agrees; `--dry-run` only tells what would be removed",
        )
    sys.stderr.write(f"remove {counted(would.removed, 'output')} of {job}? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _rest(undone: Undone) -> str:
    told = [
        f"{undone.changed:,} stay, as they have changed since" if undone.changed else "",
        f"{undone.gone:,} were gone already" if undone.gone else "",
        f"{undone.failed:,} could not be removed" if undone.failed else "",
    ]
    return "".join(f"; {text}" for text in told if text)
