"""Wire forms read back into the model: what a server tells becomes what commands print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pravah.model.ids import typed
from pravah.model.job import Books, Counts, Event, Failure, Job
from pravah.model.ledger import Worker
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.jobs.story import Mention
    from pravah.jobs.undo import Undone


@dataclass(frozen=True, slots=True)
class RemoteJob(Job):
    """A job as a server has told of it; what it reckons with time is the server's own."""

    form: Mapping[str, Any] = field(default_factory=dict)

    @property
    def elapsed_s(self) -> float:
        """Seconds as the server counts them."""
        return float(self.form["elapsed_s"])

    @property
    def eta_s(self) -> float | None:
        """Seconds that the rest will take, as the server says."""
        eta_s: float | None = self.form["eta_s"]
        return eta_s

    def to_dict(self) -> dict[str, Any]:
        """Give the wire form as it came."""
        return dict(self.form)


def read_job(form: Mapping[str, Any]) -> RemoteJob:
    """Read a job."""
    status = JobStatus(form["status"])
    paused = status == JobStatus.PAUSED
    return RemoteJob(
        id=typed(form["id"]) or "",
        status=status,
        spec=form["spec"],
        plan={},
        books=_books(form),
        created_us=_time_us(form["created_at"]) or 0,
        name=form["name"],
        started_us=_time_us(form["started_at"]),
        finished_us=_time_us(form["finished_at"]),
        undone_us=_time_us(form.get("undone_at")),
        scan_complete=form["scan_complete"],
        round=form["round"],
        priority=form["priority"],
        labels=form["labels"],
        error=None if paused else form["error"],
        results=form.get("results"),
        paused_by=form["error"] if paused else None,
        form=form,
    )


def read_failure(form: Mapping[str, Any]) -> Failure:
    """Read a failure group."""
    told = {name: form[name] for name in ("id", "kind", "step", "message", "count")}
    return Failure(**told, examples=tuple(form["examples"]))


def read_event(form: Mapping[str, Any]) -> Event:
    """Read an event."""
    return Event(
        id=form["id"],
        job_id=typed(form["job"]) or "",
        time_us=_time_us(form["at"]) or 0,
        kind=form["kind"],
        detail=form["detail"],
    )


def read_undone(form: Mapping[str, Any]) -> Undone:
    """Read what an undo has removed."""
    from pravah.jobs.undo import Undone

    counted = ("removed", "changed", "gone", "failed", "replaced")
    groups = [read_failure(failure) for failure in form["failures"]]
    return Undone(**{name: form[name] for name in counted}, failures=groups)


def read_mention(form: Mapping[str, Any]) -> Mention:
    """Read what a job knows of a file."""
    from pravah.jobs.story import Mention

    return Mention(form["job"], form["file"], form["inputs"])


def read_worker(form: Mapping[str, Any]) -> Worker:
    """Read a worker."""
    names = ("id", "host", "pid", "tasks", "jobs", "silent_s", "version")
    return Worker(**{name: form[name] for name in names}, joined_us=_time_us(form["joined_at"]))


def _books(form: Mapping[str, Any]) -> Books:
    return Books(
        counts=Counts(**form["counts"]),
        listed_bytes=form.get("listed_bytes", 0),
        bytes_in=form["bytes_in"],
        bytes_out=form["bytes_out"],
        reasons=form["reasons"],
        rows=form.get("rows"),
    )


def _time_us(text: str | None) -> int | None:
    return None if text is None else round(datetime.fromisoformat(text).timestamp() * 1e6)
