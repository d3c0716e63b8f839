"""`/jobs`: create, list, show and delete jobs."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api import cursors
from pravah.api.callers import READER, SUBMITTER, Caller
from pravah.api.dry_run import dry_run as try_out
from pravah.api.parameters import Flag, JobId, Limit
from pravah.api.problems import Problem
from pravah.api.schemas import documented, json_answer, page_answer
from pravah.api.service import Service, caller_of, request_id_of, service_of
from pravah.api.specs import read_json, read_spec
from pravah.errors import LedgerError, NotFoundError, PravahError
from pravah.jobs import log
from pravah.jobs.service import Reuse, Submission
from pravah.model.ids import new_id
from pravah.model.ledger import JobFilter
from pravah.model.replies import Answered, Asked, Reserved
from pravah.model.status import JobStatus

if TYPE_CHECKING:
    from pravah.model.spec import JobSpec

router = APIRouter(tags=["jobs"])
# What is counted of a team with a limit; nobody has so many jobs that have not ended.
_MOST_LABELS = 8


class Again(StrEnum):
    """What becomes of a spec that an unfinished job has, too."""

    NOTHING = "nothing"
    UNFINISHED = "unfinished"


_CREATED = json_answer("Job", "The job as it was created; `Location` is where it is.")
_CREATED["headers"] = {"Location": {"schema": {"type": "string"}, "description": "Its path."}}


@router.post(
    "/jobs",
    operation_id="create_job",
    summary="Create a job, or tell what it would do",
    status_code=201,
    dependencies=[SUBMITTER],
    responses={
        **documented(201, _CREATED, 409, 413, 415),
        200: {
            "description": "With `dry_run` the plan; with `reuse` the job that is gone on with.",
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            {"$ref": "#/components/schemas/Plan"},
                            {"$ref": "#/components/schemas/Job"},
                        ]
                    }
                }
            },
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A job spec, as `pravah run -f` takes it.",
            "content": {
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/JobSpec"},
                    "example": {
                        "source": "data/in/",
                        "sink": "data/out/",
                        "steps": [{"compress": {"codec": "gzip"}}],
                    },
                }
            },
        }
    },
)
async def create_job(
    request: Request,
    dry_run: Annotated[  # noqa: FBT002 - a query parameter
        Flag, Query(description="Tell what the job would do; create nothing.")
    ] = False,
    reuse: Annotated[
        Again, Query(description="`unfinished`: go on with a job of the same spec.")
    ] = Again.NOTHING,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=255,
            pattern=r"^[!-~]+$",
            description="The same request again under it has the same answer, for a day.",
        ),
    ] = None,
) -> Response:
    """Create a job.

    The body is the spec that the command line and Python build, too. Paths are the server's, and
    lie below what its operator allows.
    """
    service, caller = service_of(request), caller_of(request)
    body = await request.body()
    if dry_run:
        spec = await service.quick.run(_spec_of, service, caller, request, body)
        return JSONResponse(await try_out(spec))
    order = _Order(service, caller, request_id_of(request), Reuse(reuse.value))
    threads = service.slow if b'"files_from"' in body else service.quick
    spec_of = partial(_spec_of, service, caller, request, body)
    return await threads.run(order.carry_out, spec_of, idempotency_key)


@router.get(
    "/jobs",
    operation_id="list_jobs",
    summary="List jobs, the latest first",
    dependencies=[READER],
    responses=documented(200, page_answer("Job", "Jobs, the latest first.")),
)
async def list_jobs(
    request: Request,
    status: Annotated[JobStatus | None, Query(description="Only jobs of this status.")] = None,
    name: Annotated[
        str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="Of this name.")
    ] = None,
    label: Annotated[
        list[Annotated[str, Query(pattern=r"^[^=\x00]+=[^\x00]*$")]] | None,
        Query(max_length=_MOST_LABELS, description="With this label, as in `key=value`."),
    ] = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> Response:
    """List jobs; those of other teams are not there."""
    service, caller = service_of(request), caller_of(request)
    place = cursors.read("jobs", cursor, str)
    labels = dict(each.split("=", 1) for each in label or ())
    chosen = JobFilter(caller.team, name, labels)
    before = place[0] if place else None
    page = await service.quick.run(service.jobs.page, status, limit, before, chosen)
    following = None if page.next_cursor is None else cursors.write("jobs", page.next_cursor)
    items = [job.to_dict() for job in page.items]
    return JSONResponse({"items": items, "next_cursor": following})


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="Show a job",
    dependencies=[READER],
    responses=documented(200, json_answer("Job", "The job as it is now."), 404),
)
async def get_job(request: Request, job_id: JobId) -> Response:
    """Give a job's status and books."""
    service, caller = service_of(request), caller_of(request)

    def look() -> dict[str, Any]:
        return service.application.ledger.watched(service.find(caller, job_id)).to_dict()

    return JSONResponse(await service.quick.run(look))


@router.delete(
    "/jobs/{job_id}",
    operation_id="delete_job",
    summary="Remove an ended job",
    status_code=204,
    dependencies=[SUBMITTER],
    responses=documented(204, {"description": "It is gone; its outputs stay."}, 404, 409),
)
async def delete_job(request: Request, job_id: JobId) -> Response:
    """Remove an ended job from the ledger; its outputs stay."""
    service, caller = service_of(request), caller_of(request)

    def delete() -> None:
        found = service.find(caller, job_id)
        service.jobs.delete(found)
        audit("job deleted", caller, request_id_of(request), job=found)

    await service.slow.run(delete)
    return Response(status_code=204)


def audit(what: str, caller: Caller, request_id: str, **fields: object) -> None:
    """Write a line of the audit log: who has changed what, and by which request."""
    log.info(what, key=caller.key_id, caller=caller.name, request=request_id, **fields)


def origin(caller: Caller, request_id: str) -> dict[str, str]:
    """Tell in a job's history who asked for something."""
    return {"key": caller.key_id, "caller": caller.name, "request": request_id}


def _spec_of(service: Service, caller: Caller, request: Request, body: bytes) -> JobSpec:
    """Read the spec of a request, as far as no place that it names is touched."""
    form = read_json(body, request.headers.get("content-type"))
    spec = read_spec(form, caller)
    service.containment.check(spec, caller)
    listed = spec.source.files_from or ""
    if listed.startswith("job:"):
        # Names of another team's files are that team's.
        service.find(caller, listed.removeprefix("job:").partition("/")[0])
    return spec


class _Order:
    """One `POST /jobs`: carried out once, however often it is sent."""

    def __init__(self, service: Service, caller: Caller, request_id: str, reuse: Reuse) -> None:
        self._service = service
        self._caller = caller
        self._request_id = request_id
        self._reuse = reuse

    def carry_out(self, spec_of: partial[JobSpec], key: str | None) -> Response:
        """Create the job, or give the answer that this key has got before."""
        spec = spec_of()
        if key is None:
            return self._answer(self._create(spec, new_id()))
        text = json.dumps([spec.to_dict(), self._reuse], sort_keys=True)
        asked = Asked(self._caller.key_id, key, hashlib.sha256(text.encode()).hexdigest())
        reservation = self._service.application.replies.reserve(asked, new_id())
        if isinstance(reservation, Answered):
            return _job_response(
                reservation.status, reservation.answer, {"Idempotent-Replayed": "true"}
            )
        if not isinstance(reservation, Reserved):
            raise _refused(key, other_body=reservation.other_body)
        return self._create_once(spec, asked, reservation.job_id)

    def _create_once(self, spec: JobSpec, asked: Asked, job_id: str) -> Response:
        replies = self._service.application.replies
        try:
            submission = self._created(job_id) or self._create(spec, job_id)
        except LedgerError:
            replies.abandon(asked)  # whether it was created nobody knows
            raise
        except (PravahError, Problem):
            replies.give_back(asked)
            raise
        answer = self._answer(submission)
        replies.answer(asked, answer.status_code, bytes(answer.body).decode())
        return answer

    def _created(self, job_id: str) -> Submission | None:
        """Give what a server created that died before it kept the answer.

        By now its source may be gone and the quota used up, by this very job: it is not tried anew.
        """
        try:
            return Submission(self._service.application.ledger.job(job_id), resumed=False)
        except NotFoundError:
            return None

    def _create(self, spec: JobSpec, job_id: str) -> Submission:
        self._check_quota()
        submission = self._service.jobs.create(
            spec,
            reuse=self._reuse,
            job_id=job_id,
            origin=origin(self._caller, self._request_id),
        )
        what = "job resumed" if submission.resumed else "job created"
        audit(what, self._caller, self._request_id, job=submission.job.id)
        return submission

    def _check_quota(self) -> None:
        most = self._caller.limits.unfinished_jobs
        if most is None:
            return
        begun = self._service.application.ledger.unfinished(self._caller.team or "", most)
        if begun >= most:
            raise Problem(
                429,
                "too_many_jobs",
                f"the key allows {most:,} unfinished jobs of its team, and there are as many",
                hint="wait until one has ended, or cancel one",
                headers={"Retry-After": "5"},
            )

    @staticmethod
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
