"""`pravah jobs logs`: what happened to a job, in order, from the ledger's events."""

import sys
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pravah.cli.application import existing
from pravah.cli.console import Console
from pravah.cli.figures import counted, size
from pravah.cli.names import printable
from pravah.cli.work import POLL_S
from pravah.model.ids import shown
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.cli.application import AnyJobs
    from pravah.model.job import Event

Detail = Mapping[str, Any]


def logs(
    job: Annotated[str, Argument(metavar="JOB", help="The job's id, or how it begins.")],
    console: Console,
    *,
    follow: Annotated[
        bool, Option("--follow", "-f", help="Go on until the job has ended or paused.")
    ] = False,
) -> None:
    """Print what happened to a job, in order."""
    with existing(console) as application:
        found = application.jobs.find(job)
        for event in _events(application.jobs, found, follow=follow):
            if console.json:
                console.data(event.to_dict())
            else:
                console.line(f"{_when(event)}  {printable(told(event))}")
            if follow:
                sys.stdout.flush()


def _events(jobs: "AnyJobs", job_id: str, *, follow: bool) -> "Iterator[Event]":
    after = 0
    while True:
        # Asked before the events are read: what ended it is among them.
        status = jobs.get(job_id).status
        for event in jobs.events(job_id, after):
            yield event
            after = event.id
        if not follow or status.ended or status == JobStatus.PAUSED:
            return
        time.sleep(POLL_S)


def told(event: "Event") -> str:
    """Write an event as a sentence."""
    subject, _, verb = event.kind.partition("_")
    detail = event.detail
    if subject == "task" and verb in _TASK:
        return f"task {detail.get('task')} {_TASK[verb]}{_task_rest(detail)}"
    if event.kind not in _SENTENCES:
        return f"{event.kind.replace('_', ' ')}{_pairs(detail)}"
    sentence = _SENTENCES[event.kind]
    if "counts" in detail:
        return f"{sentence}: {_counts(detail['counts'])}{_failures(event)}"
    if "worker" in detail:
        return f"{sentence} by worker {detail['worker']}"
    if "message" in detail:
        kind = f"{detail['kind']}: " if "kind" in detail else ""
        return f"{sentence}: {kind}{detail['message']}"
    return f"{sentence}{_pairs(detail)}"


_SENTENCES = {
    "job_created": "job created",
    "job_start": "job started",
    "job_pause": "job paused",
    "job_resume": "job resumed",
    "job_retry": "job put back to work",
    "job_complete": "job completed",
    "job_fail": "job failed",
    "job_cancel": "job cancelled",
    "job_error": "job can't go on",
    "job_changed": "job changed",
    "job_undone": "outputs taken back",
    "pause_requested": "pause asked for",
    "cancel_requested": "cancel asked for",
    "tasks_cancelled": "what is left is cancelled",
}
_TASK = {
    "claim": "claimed",
    "release": "given back",
    "complete": "completed",
    "fail": "failed",
    "cancel": "cancelled",
    "retry": "put back to work",
}
# How a task came back, in words; `clean` needs none.
_RELEASES = {
    "clean": "",
    "unclean": "something of it may lie about",
    "struck": "its attempt ended badly",
    "died": "its worker or process is gone",
}


def _task_rest(detail: Detail) -> str:
    parts = []
    if kind := detail.get("kind"):
        parts.append(f"({kind})")
    if worker := detail.get("worker"):
        parts.append(f"by worker {worker}")
    text = "".join(f" {part}" for part in parts)
    reasons = [_RELEASES.get(detail.get("how", "clean"), str(detail.get("how")))]
    if suspects := detail.get("suspects"):
        reasons.append(f"{suspects} of its entries suspected")
    if new := detail.get("split"):
        reasons.append(f"what is left became {counted(new, 'task')}")
    if counts := detail.get("counts"):
        reasons.append(_counts(counts))
    if error := detail.get("error"):
        reasons.append(f"{error['kind']}: {error['message']}")
    why = "; ".join(reason for reason in reasons if reason)
    return f"{text}: {why}" if why else text


def _counts(counts: Detail) -> str:
    return ", ".join(_count(name, n) for name, n in counts.items() if n) or "nothing to do"


def _count(name: str, number: int) -> str:
    if name.startswith("bytes_"):
        return f"{size(number)} {name.removeprefix('bytes_')}"
    return f"{number:,} {name}"


def _failures(event: "Event") -> str:
    """Say where to read more of what failed."""
    counts = event.detail["counts"]
    if not counts.get("failed") and not counts.get("poisoned"):
        return ""
    return f" (`pravah jobs failures {shown(event.job_id)}` tells why)"


def _pairs(detail: Detail) -> str:
    return "".join(f"  {name}={value}" for name, value in _flat(detail))


def _flat(detail: Detail, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in detail.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _when(event: "Event") -> str:
    at = event.to_dict()["at"]
    return f"{at[:10]} {at[11:23]}Z"
