"""What `POST /jobs` asks for, carried out once, however often it is sent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import Response

from pravah.api.problems import Problem
from pravah.errors import LedgerError, NotFoundError, PravahError
from pravah.jobs import log
from pravah.jobs.service import Reuse, Submission
from pravah.model.ids import new_id
from pravah.model.replies import Answered, Asked, Reserved
from pravah.model.uri import path_uri

if TYPE_CHECKING:
    from collections.abc import Callable

    from pravah.api.callers import Caller
    from pravah.api.multipart import Upload
    from pravah.api.service import Service
    from pravah.model.spec import JobSpec


@dataclass(frozen=True, slots=True)
class Order:
    """One `POST /jobs`: who sent it, and how it is to be taken."""

    service: Service
    caller: Caller
    request_id: str
    reuse: Reuse = Reuse.NOTHING
    upload: Upload | None = None
    traceparent: str | None = None

    def carry_out(self, spec_of: Callable[[], JobSpec], key: str | None) -> Response:
        """Create the job, or give the answer that this key has got before."""
        spec = spec_of()
        if key is None:
            return _answer(self._create(spec, new_id()))
        asked = Asked(self.caller.key_id, key, self._digest(spec))
        reservation = self.service.application.replies.reserve(asked, new_id())
        if isinstance(reservation, Answered):
            return _job_response(
                reservation.status, reservation.answer, {"Idempotent-Replayed": "true"}
            )
        if not isinstance(reservation, Reserved):
            raise _refused(key, other_body=reservation.other_body)
        return self._create_once(spec, asked, reservation.job_id)

    def _digest(self, spec: JobSpec) -> str:
        """Tell one request from another: by what it asks for, and by the bytes of its files."""
        whole = [spec.to_dict(), self.reuse]
        if self.upload is not None:
            whole.append(dict(self.upload.files))
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    def _create_once(self, spec: JobSpec, asked: Asked, job_id: str) -> Response:
        replies = self.service.application.replies
        try:
            submission = self._created(job_id) or self._create(spec, job_id)
        except LedgerError:
            replies.abandon(asked)  # whether it was created nobody knows
            raise
        except (PravahError, Problem):
            replies.give_back(asked)
            raise
        answer = _answer(submission)
        replies.answer(asked, answer.status_code, bytes(answer.body).decode())
        return answer

    def _created(self, job_id: str) -> Submission | None:
        """Give what a server created that died before it kept the answer.

        By now its source may be gone and the quota used up, by this very job: it is not tried anew.
        """
        try:
            return Submission(self.service.application.ledger.job(job_id), resumed=False)
        except NotFoundError:
            return None

    def _create(self, spec: JobSpec, job_id: str) -> Submission:
        self._check_quota()
        if self.upload is not None:
            place = self.service.uploads.keep(self.upload, job_id)
            spec = over(spec, path_uri(bytes(place)))
        try:
            submission = self.service.jobs.create(
                spec, reuse=self.reuse, job_id=job_id, origin=self._origin()
            )
        except LedgerError:
            raise  # it may be there, and needs its files
        except (PravahError, Problem):
            self.service.uploads.remove(job_id)
            raise
        what = "job resumed" if submission.resumed else "job created"
        audit(what, self.caller, self.request_id, job=submission.job.id)
        return submission

    def _origin(self) -> dict[str, str]:
        traced = {"traceparent": self.traceparent} if self.traceparent else {}
        return origin(self.caller, self.request_id) | traced

    def _check_quota(self) -> None:
        most = self.caller.limits.unfinished_jobs
        if most is None:
            return
        begun = self.service.application.ledger.unfinished(self.caller.team or "", most)
        if begun >= most:
            raise Problem(
                429,
                "too_many_jobs",
                f"the key allows {most:,} unfinished jobs of its team, and there are as many",
                hint="wait until one has ended, or cancel one",
                headers={"Retry-After": "5"},
            )


def over(spec: JobSpec, uri: str) -> JobSpec:
    """Give a spec with another source."""
    return spec.model_copy(update={"source": spec.source.model_copy(update={"uri": [uri]})})


def audit(what: str, caller: Caller, request_id: str, **fields: object) -> None:
    """Write a line of the audit log: who has changed what, and by which request."""
    log.info(what, key=caller.key_id, caller=caller.name, request=request_id, **fields)


def origin(caller: Caller, request_id: str) -> dict[str, str]:
    """Tell in a job's history who asked for something."""
    return {"key": caller.key_id, "caller": caller.name, "request": request_id}


def _answer(submission: Submission) -> Response:
    body = json.dumps(submission.job.to_dict(), ensure_ascii=False)
    return _job_response(200 if submission.resumed else 201, body, {})


def _job_response(status: int, body: str, headers: dict[str, str]) -> Response:
    path = f"/jobs/{json.loads(body)['id']}"
    return Response(body, status, {"Location": path, **headers}, "application/json")


def _refused(key: str, *, other_body: bool) -> Problem:
    if other_body:
        return Problem(
            422,
            "idempotency_key_reused",
            f"the key `{key}` was sent with another body",
            hint="a key stands for one request: choose a new one",
        )
    return Problem(
        409,
        "idempotency_in_flight",
        f"the first request under the key `{key}` is still worked on",
        hint="send it again in a moment: the answer will be the first one's",
        headers={"Retry-After": "1"},
    )
