"""`/livez` and `/readyz`: for whoever restarts servers, and for whoever sends requests to them."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pravah.api.problems import Problem
from pravah.api.schemas import documented, json_answer
from pravah.api.service import service_of
from pravah.errors import PravahError

# Whoever asks waits no longer than a second or two themselves.
PATIENCE_S = 2.0

router = APIRouter(tags=["operations"])


@router.get(
    "/livez",
    operation_id="get_livez",
    summary="Tell whether the server lives",
    responses=documented(200, json_answer("Health", "It does.")),
)
async def livez() -> Response:
    """Answer; nothing else is looked at."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="get_readyz",
    summary="Tell whether the server can answer requests",
    responses=documented(200, json_answer("Health", "Its ledger answers.")),
)
async def readyz(request: Request) -> Response:
    """Ask the ledger for as good as nothing."""
    service = service_of(request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await service.quick.run(service.application.ledger.find_ids, "0")
    except (PravahError, TimeoutError):
        raise Problem(
            503,
            "not_ready",
            "the ledger does not answer",
            hint="the operator finds more in the server's log",
            headers={"Retry-After": "5"},
        ) from None
    return JSONResponse({"status": "ok"})
