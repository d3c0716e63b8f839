"""`POST /jobs/{job_id}/cancel`, `pause`, `resume` and `retry`, and `PATCH` of a job.

A cancel and a pause are requests: workers see them within a second, and the status follows once
nothing is half-written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api.callers import SUBMITTER, Caller
from pravah.api.orders import audit, origin
from pravah.api.parameters import Flag, JobId
from pravah.api.schemas import documented, json_answer, reference
from pravah.api.service import Service, caller_of, request_id_of, service_of
from pravah.api.specs import read_change, read_json
from pravah.api.threads import Threads
from pravah.model import ledger
from pravah.model.job import Job

router = APIRouter(tags=["jobs"], dependencies=[SUBMITTER])
_AS_IT_IS = json_answer("Job", "The job as it is now.")
_RESPONSES = documented(200, _AS_IT_IS, 404, 409)

Group = Annotated[
    str | None,
    Query(pattern="^F[1-9][0-9]{0,8}$", description="Only files of this group of failures."),
]
Adopt = Annotated[
    Flag, Query(description="Files that equal its outputs count as those; after a lost ledger.")
]


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Give a job up; what is done stays",
    responses=_RESPONSES,
)
async def cancel_job(request: Request, job_id: JobId) -> Response:
    """Ask for the end of a job."""
    return await _steer(
        request, job_id, "cancel", lambda service, job: service.jobs.ask(job, ledger.Request.CANCEL)
    )


@router.post(
    "/jobs/{job_id}/pause",
    operation_id="pause_job",
    summary="Stop a job so that it can go on later",
    responses=_RESPONSES,
)
async def pause_job(request: Request, job_id: JobId) -> Response:
    """Ask a job to stop."""
    return await _steer(
        request, job_id, "pause", lambda service, job: service.jobs.ask(job, ledger.Request.PAUSE)
    )


@router.post(
    "/jobs/{job_id}/resume",
    operation_id="resume_job",
    summary="Go on with a paused job",
    responses=_RESPONSES,
)
async def resume_job(request: Request, job_id: JobId, adopt: Adopt = False) -> Response:  # noqa: FBT002
    """Put a paused job back to work."""
    return await _steer(
        request, job_id, "resume", lambda service, job: service.jobs.resume(job, adopt=adopt)
    )


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="retry_job",
    summary="Try the failed files of an ended job again",
    responses=_RESPONSES,
)
async def retry_job(request: Request, job_id: JobId, group: Group = None) -> Response:
    """Put failed files back to work: all of them, or one group."""
    return await _steer(
        request, job_id, "retry", lambda service, job: service.jobs.retry(job, group), slow=True
    )


@router.patch(
    "/jobs/{job_id}",
    operation_id="change_job",
    summary="Change limits of a job that is worked on",
    responses=documented(200, _AS_IT_IS, 404, 409, 413, 415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "`priority`, `limits` and `on_error`, as far as they are to change.",
            "content": {
                "application/json": {
                    "schema": reference("JobChange"),
                    "example": {"priority": 5, "limits": {"tasks": 2}},
                }
            },
        }
    },
)
async def change_job(request: Request, job_id: JobId) -> Response:
    """Change a job while it is worked on; its workers follow within a second."""
    caller, kind = caller_of(request), request.headers.get("content-type")
    settings = read_change(read_json(await request.body(), kind), caller)
    return await _steer(
        request, job_id, "change", lambda service, job: service.jobs.change(job, settings)
    )


async def _steer(
    request: Request,
    job_id: str,
    verb: str,
    act: Callable[[Service, str], Job],
    *,
    slow: bool = False,
) -> Response:
    service, caller = service_of(request), caller_of(request)
    threads: Threads = service.slow if slow else service.quick
    job = await threads.run(_act, service, caller, job_id, verb, request_id_of(request), act)
    return JSONResponse(job.to_dict())


def _act(
    service: Service,
    caller: Caller,
    job_id: str,
    verb: str,
    request_id: str,
    act: Callable[[Service, str], Job],
) -> Job:
    found = service.find(caller, job_id)
    job = act(service, found)
    service.application.ledger.note(found, f"{verb}_called", origin(caller, request_id))
    audit(f"job {verb} asked for", caller, request_id, job=found)
    return job
