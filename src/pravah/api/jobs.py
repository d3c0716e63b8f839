"""`/jobs`: create, list, show and delete jobs."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api import cursors
from pravah.api.callers import READER, SUBMITTER, Caller
from pravah.api.dry_run import dry_run as try_out
from pravah.api.multipart import MEDIA_TYPE
from pravah.api.orders import Order, audit, over
from pravah.api.parameters import Flag, JobId, Limit
from pravah.api.schemas import documented, json_answer, page_answer, reference
from pravah.api.service import Service, caller_of, request_id_of, service_of, traceparent_of
from pravah.api.specs import read_json, read_spec
from pravah.jobs.service import Reuse
from pravah.model.ledger import JobFilter
from pravah.model.status import JobStatus
from pravah.model.uri import path_uri

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
        **documented(201, _CREATED, 409, 413, 415, 507),
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
                },
                MEDIA_TYPE: {"schema": reference("JobWithFiles")},
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
    lie below what its operator allows. Files of a small job may come with the request, as parts of
    `multipart/form-data`: they are its source, and live as long as the job.
    """
    service, caller = service_of(request), caller_of(request)
    order = Order(
        service,
        caller,
        request_id_of(request),
        Reuse(reuse.value),
        traceparent=traceparent_of(request),
    )
    if service.uploads.meant(request.method, request.url.path, request.headers):
        return await _create_with_files(request, order, idempotency_key, dry_run=dry_run)
    body = await request.body()
    if dry_run:
        spec = await service.quick.run(_spec_of, service, caller, request, body)
        return JSONResponse(await try_out(spec))
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

    def look() -> bytes:
        return bytes(JSONResponse(service.watched(caller, job_id).to_dict()).body)

    found = await service.looks.share((caller.team, job_id), look)
    return Response(found, media_type="application/json")


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
        service.uploads.remove(found)
        audit("job deleted", caller, request_id_of(request), job=found)

    await service.slow.run(delete)
    return Response(status_code=204)


def _spec_of(
    service: Service, caller: Caller, request: Request, body: bytes, *, uploaded: bool = False
) -> JobSpec:
    """Read the spec of a request, as far as no place that it names is touched."""
    kind = "application/json" if uploaded else request.headers.get("content-type")
    spec = read_spec(read_json(body, kind), caller, uploaded=uploaded)
    service.containment.check(spec, caller, uploaded=uploaded)
    listed = spec.source.files_from or ""
    if listed.startswith("job:"):
        # Names of another team's files are that team's.
        service.find(caller, listed.removeprefix("job:").partition("/")[0])
    return spec


async def _create_with_files(
    request: Request, order: Order, key: str | None, *, dry_run: bool
) -> Response:
    """Create a job over the files that come with its request; a dry run removes them again."""
    service, caller = order.service, order.caller
    async with service.uploads.received(request) as upload:
        spec_of = partial(_spec_of, service, caller, request, upload.spec, uploaded=True)
        if dry_run:
            spec = await service.quick.run(spec_of)
            return JSONResponse(await try_out(over(spec, path_uri(bytes(upload.directory)))))
        return await service.slow.run(replace(order, upload=upload).carry_out, spec_of, key)
