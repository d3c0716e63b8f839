"""`/workers`: who works on the ledger's jobs."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pravah.api import cursors
from pravah.api.callers import READER
from pravah.api.parameters import Limit
from pravah.api.schemas import documented, page_answer
from pravah.api.service import service_of

router = APIRouter(tags=["operations"], dependencies=[READER])


@router.get(
    "/workers",
    operation_id="list_workers",
    summary="List who works, on how much",
    responses=documented(200, page_answer("Worker", "Workers in the order in which they came.")),
)
async def list_workers(request: Request, limit: Limit = 100, cursor: str | None = None) -> Response:
    """Give workers in the order in which they came."""
    service = service_of(request)
    place = cursors.read("workers", cursor, str)
    behind = place[0] if place else ""
    workers = await service.quick.run(service.jobs.workers)
    left = sorted((w for w in workers if w.id > behind), key=lambda worker: worker.id)
    more = len(left) > limit
    following = cursors.write("workers", left[limit - 1].id) if more else None
    items = [worker.to_dict() for worker in left[:limit]]
    return JSONResponse({"items": items, "next_cursor": following})
