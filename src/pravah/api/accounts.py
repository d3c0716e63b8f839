"""`/jobs/{job_id}/files`, `failures`, `tasks` and `report`: what became of each part of a job."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api import cursors
from pravah.api.callers import READER, Caller
from pravah.api.parameters import JobId, Limit, Outcome
from pravah.api.problems import Problem
from pravah.api.schemas import documented, json_answer, page_answer
from pravah.api.service import Service, caller_of, service_of
from pravah.api.streams import Stream, opened, rest
from pravah.jobs.account_page import Place

NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"

router = APIRouter(tags=["jobs"], dependencies=[READER])

_FILES = page_answer("File", "Files in the order in which they were listed; or all of them.")
_FILES["content"][NDJSON] = {"schema": {"type": "string"}}
_FILES["content"][PARQUET] = {"schema": {"type": "string", "format": "binary"}}


@router.get(
    "/jobs/{job_id}/files",
    operation_id="list_files",
    summary="List what became of each file",
    responses=documented(200, _FILES, 404),
)
async def list_files(
    request: Request,
    job_id: JobId,
    outcome: Annotated[Outcome | None, Query(description="Only files of this outcome.")] = None,
    limit: Limit = 100,
    cursor: str | None = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Give a page of the account; all of it, as a stream, where NDJSON or Parquet is accepted.

    A page may have fewer files than asked for, and others behind it: `next_cursor` tells. Parquet
    has files of every outcome.
    """
    service, caller = service_of(request), caller_of(request)
    for media_type in (NDJSON, PARQUET):
        if media_type in accept:
            begin = partial(_every_file, service, caller, job_id, media_type, outcome)
            first, begun = await opened(service.slow, begin)
            return Stream(rest(service.slow, first, begun), media_type=media_type)
    found = cursors.read("files", cursor, int, int)
    place = Place(*found) if found else None
    page = await service.slow.run(_files, service, caller, job_id, outcome, limit, place)
    return JSONResponse(page)


@router.get(
    "/jobs/{job_id}/failures",
    operation_id="list_failures",
    summary="List the failures, grouped by cause",
    responses=documented(200, page_answer("Failure", "Groups, the largest first."), 404),
)
async def list_failures(
    request: Request, job_id: JobId, limit: Limit = 100, cursor: str | None = None
) -> Response:
    """Give groups of failures, the largest first."""
    service, caller = service_of(request), caller_of(request)
    place = cursors.read("failures", cursor, int, str)
    return JSONResponse(await service.slow.run(_failures, service, caller, job_id, limit, place))


@router.get(
    "/jobs/{job_id}/tasks",
    operation_id="list_tasks",
    summary="List the tasks that a job was cut into",
    responses=documented(200, page_answer("Task", "Tasks, the oldest first."), 404),
)
async def list_tasks(
    request: Request, job_id: JobId, limit: Limit = 100, cursor: str | None = None
) -> Response:
    """Give tasks, the oldest first."""
    service, caller = service_of(request), caller_of(request)
    place = cursors.read("tasks", cursor, int)

    def look() -> dict[str, Any]:
        found = service.find(caller, job_id)
        tasks = service.application.ledger.tasks(found, place[0] if place else 0, limit + 1)
        more = len(tasks) > limit
        following = cursors.write("tasks", tasks[limit - 1].id) if more else None
        return {"items": [task.to_dict() for task in tasks[:limit]], "next_cursor": following}

    return JSONResponse(await service.quick.run(look))


@router.get(
    "/jobs/{job_id}/report",
    operation_id="get_report",
    summary="Show the closing account, or the account so far",
    responses=documented(200, json_answer("Report", "The report."), 404),
)
async def get_report(request: Request, job_id: JobId) -> Response:
    """Give the report of the last round that ended, or the account so far."""
    service, caller = service_of(request), caller_of(request)

    def look() -> dict[str, Any]:
        return service.jobs.report(service.find(caller, job_id))

    return JSONResponse(await service.slow.run(look))


def _every_file(
    service: Service, caller: Caller, job_id: str, media_type: str, outcome: str | None
) -> Iterator[bytes]:
    found = service.find(caller, job_id)
    if media_type == NDJSON:
        return service.jobs.files(found, outcome)
    if outcome is not None:
        raise Problem(
            422,
            "invalid_request",
            "`outcome` is no filter of Parquet",
            hint="it has a column `outcome`; as NDJSON files of one outcome can be had",
        )
    return service.jobs.account(found)


def _files(
    service: Service,
    caller: Caller,
    job_id: str,
    outcome: str | None,
    limit: int,
    place: Place | None,
) -> dict[str, Any]:
    page = service.jobs.file_page(service.find(caller, job_id), outcome, limit, place)
    after = page.next
    following = None if after is None else cursors.write("files", after.task_id, after.entries)
    return {"items": page.items, "next_cursor": following}


def _failures(
    service: Service, caller: Caller, job_id: str, limit: int, place: list[Any] | None
) -> dict[str, Any]:
    """Give groups behind one: ordered by their size, then by what names them."""
    groups = service.jobs.failures(service.find(caller, job_id))
    keyed = [((-group.count, _named(group)), group) for group in groups]
    begin = (-place[0], place[1]) if place else None
    left = [(key, group) for key, group in keyed if begin is None or key > begin]
    more = len(left) > limit
    last = left[limit - 1][0] if more else None
    return {
        "items": [group.to_dict() for _, group in left[:limit]],
        "next_cursor": None if last is None else cursors.write("failures", -last[0], last[1]),
    }


def _named(group: Any) -> str:  # noqa: ANN401
    import hashlib

    text = "\0".join([group.kind, group.step or "", group.pattern])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
