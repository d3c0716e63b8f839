"""`POST /jobs/{job_id}/undo`: take back what an ended job has created."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api.callers import SUBMITTER
from pravah.api.orders import audit, origin
from pravah.api.parameters import Flag, JobId
from pravah.api.schemas import documented, json_answer
from pravah.api.service import caller_of, request_id_of, service_of
from pravah.model.ids import shown
from pravah.model.spec import JobSpec

router = APIRouter(tags=["jobs"], dependencies=[SUBMITTER])


@router.post(
    "/jobs/{job_id}/undo",
    operation_id="undo_job",
    summary="Take back the outputs that a job created",
    responses=documented(200, json_answer("Undone", "What was removed, or would be."), 404, 409),
)
async def undo_job(
    request: Request,
    job_id: JobId,
    dry_run: Annotated[Flag, Query(description="Only tell what would be removed.")] = False,  # noqa: FBT002
) -> Response:
    """Remove the outputs of an ended job that nobody has changed since.

    Its sink lies below the caller's roots. Refused where the job replaced files, or where its
    sources are gone.
    """
    service, caller = service_of(request), caller_of(request)
    request_id = request_id_of(request)

    def undo() -> dict[str, Any]:
        found = service.find(caller, job_id)
        spec = JobSpec.parse(service.application.ledger.job(found).spec)
        service.containment.check_outputs(spec, caller)
        undone = service.jobs.undo(found, dry_run=dry_run)
        if not dry_run:
            service.application.ledger.note(found, "undo_called", origin(caller, request_id))
            audit("outputs of a job taken back", caller, request_id, job=found)
        return {"job": shown(found), "dry_run": dry_run, **undone.to_dict()}

    return JSONResponse(await service.slow.run(undo))
