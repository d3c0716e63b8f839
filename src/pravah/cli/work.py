"""Works on a job here, or follows it, and shows how far it is; the account comes at the end.

The first Ctrl-C or SIGTERM pauses the job and waits until nothing is half-written; the second
one stops at once, which is safe too; the third one doesn't even say goodbye.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from pravah.cli.account import account
from pravah.cli.application import Talk, start_log
from pravah.cli.console import Console, is_terminal
from pravah.cli.exit_codes import ExitCode, of_job
from pravah.cli.figures import count, counted
from pravah.cli.names import printable
from pravah.cli.progress import Bar, Display, PlainLines, Sight, Silence
from pravah.model.ids import shown
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.cli.application import AnyApplication
    from pravah.jobs.observer import Progress
    from pravah.model.job import Job

# Who follows a job asks the ledger this often: a bar moves, and the ledger hardly notices.
POLL_S = 0.5
# A worker that there is takes a new job sooner.
UNCLAIMED_S = 3.0


class Interruption:
    """What Ctrl-C and SIGTERM do while a job is worked on."""

    def __init__(self, drain: Callable[[], None]) -> None:
        self.signals = 0
        self._drain = drain

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal; `drain` only wakes the worker, so that it may run anywhere."""
        self.signals += 1
        if self.signals > 2:
            os._exit(ExitCode.INTERRUPTED)
        self._drain()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals within the block."""
        before = {number: signal.signal(number, self) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Showing:
    """Hands what the worker tells to a display."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def on_progress(self, progress: Progress) -> None:
        """Show how far the job is."""
        self._display.show(
            Sight(
                counts=progress.counts,
                listed_bytes=progress.listed_bytes,
                bytes_in=progress.bytes_in,
                scan_complete=progress.scan_complete,
                rate_bytes_per_s=progress.rate_bytes_per_s,
                eta_s=progress.eta_s,
                elapsed_s=progress.elapsed_s,
            )
        )

    def on_end(self, job: Job) -> None:
        """Do nothing: the account is for whoever started the work."""


def here(console: Console, application: AnyApplication, job_id: str) -> ExitCode:
    """Work on a job in this process until it stops, or follow a server's; say how it ended."""
    from pravah.bootstrap import Application
    from pravah.jobs import log

    if not isinstance(application, Application):
        return follow(console, application, job_id)
    display = _display(console, job_id)
    start_log(console, application.settings, Talk.TROUBLE)
    log.make_room(display.close)
    supervisor = application.jobs.supervisor(job_id, observer=Showing(display))
    interruption = Interruption(supervisor.drain)
    try:
        with interruption.installed():
            supervisor.run()
    finally:
        display.close()
    job = application.jobs.get(job_id)
    if interruption.signals and not job.status.ended:
        _tell_pause(console, job)
        return ExitCode.INTERRUPTED
    return _tell_end(console, application, job)


def on(console: Console, application: AnyApplication, job: Job, *, wait: bool) -> int:
    """Work on a job that was put back to work, or leave it to a worker; print it with `--json`."""
    code = here(console, application, job.id) if wait else ExitCode.OK
    if console.json:
        console.data(application.jobs.get(job.id).to_dict())
    elif not wait:
        console.say("hint: `pravah worker --until-idle` works on what is pending")
    return code


def follow(console: Console, application: AnyApplication, job_id: str) -> ExitCode:
    """Follow a job that somebody else works on until it stops; say how it ended."""
    from pravah.jobs import log

    display = _display(console, job_id)
    start_log(console, application.settings, Talk.TROUBLE)
    log.make_room(display.close)
    job = application.jobs.get(job_id)
    told, unclaimed_until_s = False, time.monotonic() + UNCLAIMED_S
    try:
        while not _has_stopped(job):
            if job.status == JobStatus.PENDING and time.monotonic() > unclaimed_until_s:
                unclaimed_until_s = float("inf")
                display.close()
                console.say("waiting for a worker: `pravah worker --until-idle` takes the job")
            if not told and (told := application.jobs.deserted(job)):
                display.close()
                tell_deserted(console, job_id)
            display.show(_sight(job))
            time.sleep(POLL_S)
            job = application.jobs.get(job_id)
    except KeyboardInterrupt:
        display.close()
        if not told:
            console.say("the job goes on; `pravah jobs pause` stops it")
        raise
    finally:
        display.close()
    return _tell_end(console, application, job)


def tell_deserted(console: Console, job_id: str) -> None:
    """Say that a running job stands still, and how it goes on."""
    console.say("nobody works on it")
    console.say(f"hint: `pravah jobs resume {shown(job_id)}` or `pravah worker` goes on with it")


def _display(console: Console, job_id: str) -> Display:
    """Choose how to show progress: a bar, plain lines or nothing."""
    if console.quiet:
        return Silence()
    if is_terminal(sys.stderr):
        return Bar(sys.stderr, console.painter_err, lambda: console.columns_err)
    return PlainLines(sys.stderr, shown(job_id))


def _has_stopped(job: Job) -> bool:
    return job.status.ended or job.status == JobStatus.PAUSED


def _sight(job: Job) -> Sight:
    form = job.to_dict()
    return Sight(
        counts=job.books.counts,
        listed_bytes=job.books.listed_bytes,
        bytes_in=job.books.bytes_in,
        scan_complete=job.scan_complete,
        rate_bytes_per_s=form["bytes_per_s"],
        eta_s=job.eta_s,
        elapsed_s=job.elapsed_s,
    )


def _tell_pause(console: Console, job: Job) -> None:
    counts = job.books.counts
    found = counted(counts.listed, "file") + ("" if job.scan_complete else " found so far")
    # Only what was drained is known to be whole; after the second signal recovery makes it so.
    safe = "are done and safe"
    if job.status == JobStatus.PAUSED:
        console.say(f"paused: {count(counts.done)} of {found} {safe}; nothing is half-written")
    else:
        console.say(f"stopped at once: {count(counts.done)} of {found} {safe}")
    command = f"pravah jobs resume {shown(job.id)}"
    console.say(f"hint: go on with `{command}`, or run the same command again")


def _tell_end(console: Console, application: AnyApplication, job: Job) -> ExitCode:
    form = job.to_dict()
    if job.status == JobStatus.PAUSED and job.paused_by is not None:
        console.say(f"paused: {printable(job.paused_by['message'])}")
        console.say(f"hint: {job.paused_by['hint']}")
        return of_job(form)
    if job.status == JobStatus.PAUSED:
        command = f"pravah jobs resume {form['id']}"
        console.say(f"paused by somebody else; go on with `{command}`")
        return of_job(form)
    report = application.jobs.report(job.id)
    for line in account(form, report, console.painter_err, console.columns_err):
        console.say(line)
    return of_job(form)
