"""The job service of a server: the methods of `jobs.JobService`, each as a request."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pravah.jobs.service import Reuse, Submission
from pravah.model.job import Event, Failure, Job
from pravah.model.ledger import Worker
from pravah.model.status import JobStatus
from pravah.remote.forms import (
    read_event,
    read_failure,
    read_job,
    read_mention,
    read_undone,
    read_worker,
)
from pravah.remote.places import require_absolute, require_absolute_path
from pravah.remote.streams import lines, server_sent
from pravah.remote.transport import Transport, segment

if TYPE_CHECKING:
    from pravah.jobs.preview import Preview
    from pravah.jobs.story import End, Mention
    from pravah.jobs.undo import Undone
    from pravah.model.dataset import DatasetFormat
    from pravah.model.spec import JobSpec
    from pravah.remote.table import ReceivedTable

_MEDIA_TYPES: Mapping[str, str] = {
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
# By `jobs.story.End`, whose module loads nothing but for whoever asks.
_EITHER_END: Mapping[str, str] = {"source": "/why", "output": "/which"}
_EVENTS = "text/event-stream"
_ARROW = "application/vnd.apache.arrow.stream"
# An undo looks at each output twice, and answers when it has removed the last one.
_UNDO_TIMEOUT_S = 3600.0


class RemoteJobs:
    """Creates, steers and tells about the jobs of one server."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    # Asking for work

    def create(self, spec: JobSpec, *, reuse: Reuse = Reuse.UNFINISHED) -> Submission:
        """Have a job stored; sent again after a lost answer, it is still one job."""
        require_absolute(spec, self._transport.url)
        answer = self._transport.send(
            "POST",
            "/jobs",
            query={"reuse": str(reuse)},
            body=spec.to_dict(),
            idempotency_key=str(uuid4()),
        )
        return Submission(read_job(answer.form), resumed=answer.status == HTTPStatus.OK)

    def preview(self, spec: JobSpec) -> Preview:
        """Have told what a job of this spec would do."""
        require_absolute(spec, self._transport.url)
        answer = self._transport.send(
            "POST", "/jobs", query={"dry_run": "true"}, body=spec.to_dict(), repeatable=True
        )
        # Loads the core, which only a plan needs.
        from pravah.remote.plans import read_preview

        return read_preview(answer.form)

    def pause(self, job: str) -> Job:
        """Have a job stop once nothing is half-written; it can be resumed."""
        return self._steer(job, "pause")

    def cancel(self, job: str) -> Job:
        """Have a job end; what is published stays."""
        return self._steer(job, "cancel")

    def resume(self, job: str, *, adopt: bool = False) -> Job:
        """Put a paused job back to pending; of a running one nothing changes."""
        return self._steer(job, "resume", {"adopt": "true"} if adopt else None)

    def retry(self, job: str, group: str | None = None) -> Job:
        """Put the failed files of an ended job, or those of one failure group, back to work."""
        query = {"group": group.upper() if group else None}
        # Sent twice it could open two rounds.
        return read_job(self._transport.send("POST", f"{_path(job)}/retry", query=query).form)

    def change(self, job: str, settings: Mapping[str, Any]) -> Job:
        """Change priority, limits or `on_error` of a job; its workers follow within a second."""
        answer = self._transport.send("PATCH", _path(job), body=settings, repeatable=True)
        return read_job(answer.form)

    def undo(self, job: str, *, dry_run: bool = False) -> Undone:
        """Have the outputs of an ended job taken back, as far as they are as it left them."""
        query = {"dry_run": "true"} if dry_run else None
        # Sent twice it would tell of outputs that are gone, and not that it has removed them.
        answer = self._transport.send(
            "POST",
            f"{_path(job)}/undo",
            query=query,
            repeatable=dry_run,
            timeout_s=_UNDO_TIMEOUT_S,
        )
        return read_undone(answer.form)

    def delete(self, job: str) -> None:
        """Remove an ended job from the ledger; its outputs stay."""
        self._transport.send("DELETE", _path(job))

    # Telling about jobs

    def find(self, text: str) -> str:
        """Give the id that people mean by an id or its beginning."""
        return self.get(text).id

    def get(self, job: str) -> Job:
        """Give a job with its books."""
        return read_job(self._transport.get(_path(job)))

    def all(self, status: JobStatus | None = None) -> Iterator[Job]:
        """Give every job, the latest first, read page by page."""
        query = {"status": None if status is None else str(status)}
        return map(read_job, self._transport.pages("/jobs", query))

    def files(
        self, job: str, outcome: str | None = None, limit: int | None = None
    ) -> Iterator[bytes]:
        """Give the account of each file as NDJSON lines, those of one outcome, at most so many."""
        path, query = f"{_path(job)}/files", {"outcome": outcome}
        with closing(self._transport.stream(path, _MEDIA_TYPES["ndjson"], query)) as pieces:
            yield from islice(lines(pieces), limit)

    def failures(self, job: str) -> list[Failure]:
        """Give the failure groups of a job, the largest first."""
        return [read_failure(form) for form in self._transport.pages(f"{_path(job)}/failures")]

    def report(self, job: str) -> dict[str, Any]:
        """Give the report of a job's last round that ended, or the account so far."""
        found: dict[str, Any] = self._transport.get(f"{_path(job)}/report")
        return found

    def results(self, job: str, form: DatasetFormat = "ndjson") -> Iterator[bytes]:
        """Give the records of inspect steps in a format; NDJSON comes a line at a time."""
        pieces = self._transport.stream(f"{_path(job)}/results", _MEDIA_TYPES[form])
        return lines(pieces) if form == "ndjson" else pieces

    def events(self, job: str, after: int = 0) -> Iterator[Event]:
        """Give what happened to a job behind an event, in order."""
        query = {"after": after}
        with closing(self._transport.stream(f"{_path(job)}/events", _EVENTS, query)) as pieces:
            for name, form in server_sent(pieces):
                if name == "job":
                    return  # it is told as it is now, behind all that has happened so far
                yield read_event(form)

    def story(self, path: bytes, end: End, jobs: int) -> Iterator[Mention]:
        """Give each of the latest jobs that knows a file; looks into so many that may."""
        require_absolute_path(path, self._transport.url)
        asked = _EITHER_END[end]
        name = {"path": path.decode()} if _is_text(path) else {"path_b64": b64encode(path).decode()}
        return map(read_mention, self._transport.pages(asked, {**name, "jobs": jobs}))

    def workers(self) -> list[Worker]:
        """List who works on the jobs of the server's ledger."""
        return [read_worker(form) for form in self._transport.pages("/workers")]

    def deserted(self, job: Job) -> bool:
        """Tell whether a job counts as running, and there is no worker that could be at it."""
        return job.status == JobStatus.RUNNING and not any(w.present for w in self.workers())

    def write_account(self, job: str, path: Path) -> None:
        """Write the account of each file as Parquet."""
        pieces = self._transport.stream(f"{_path(job)}/files", _MEDIA_TYPES["parquet"])
        with closing(pieces), path.open("wb") as file:
            file.writelines(pieces)

    def results_table(self, job: str) -> ReceivedTable:
        """Give the records of inspect steps as a table that speaks Arrow, in the same order."""
        from pravah.remote.table import ReceivedTable

        return ReceivedTable(self._transport.stream(f"{_path(job)}/results", _ARROW))

    def _steer(self, job: str, verb: str, query: Mapping[str, Any] | None = None) -> Job:
        """Ask something of a job; asked twice it is the same."""
        path = f"{_path(job)}/{verb}"
        return read_job(self._transport.send("POST", path, query=query, repeatable=True).form)


def _is_text(path: bytes) -> bool:
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def _path(job: str) -> str:
    return f"/jobs/{segment(job)}"
