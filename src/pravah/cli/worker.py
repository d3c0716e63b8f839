"""`pravah worker`: work on the ledger's jobs, whoever created them."""

from typing import TYPE_CHECKING, Annotated

from typer import Option

from pravah.cli.application import Talk, opened_here, start_log
from pravah.cli.console import Console
from pravah.cli.exit_codes import ExitCode, of_job
from pravah.cli.work import Interruption

if TYPE_CHECKING:
    from pravah.jobs.observer import Progress
    from pravah.model.job import Job


class _Ends:
    """Gathers the jobs that stop; the log tells of each."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def on_progress(self, progress: "Progress") -> None:
        """Do nothing: `jobs watch` shows how far a job is."""

    def on_end(self, job: "Job") -> None:
        """Take a job that has stopped."""
        self.jobs.append(job)


def worker(
    console: Console,
    *,
    until_idle: Annotated[
        bool, Option("--until-idle", help="End when nothing is left to work on.")
    ] = False,
) -> int:
    """Work on the ledger's jobs, whoever created them.

    Ctrl-C and SIGTERM let it finish what it has begun; other workers go on with the rest.
    """
    with opened_here(console) as application:
        from pravah.jobs.supervisor import Idle

        start_log(console, application.settings, Talk.ALL)
        ends = _Ends()
        idle = Idle.LEAVE if until_idle else Idle.WAIT
        supervisor = application.jobs.supervisor(None, observer=ends, idle=idle)
        interruption = Interruption(supervisor.drain)
        with interruption.installed():
            supervisor.run()
        if console.json:
            for job in ends.jobs:
                console.data(job.to_dict())
    if interruption.signals:
        return ExitCode.INTERRUPTED
    return max((of_job(job.to_dict()) for job in ends.jobs), default=ExitCode.OK)
