"""`/why` and `/which`: what the jobs of a caller know of one file, from either end.

The file's path lies below the caller's roots, as the places of a job do.
"""

from __future__ import annotations

import base64
import binascii
import os
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from pravah.api.callers import READER
from pravah.api.problems import Problem
from pravah.api.schemas import documented, page_answer
from pravah.api.service import caller_of, service_of
from pravah.jobs.story import End
from pravah.model.uri import is_object_uri

# A job is looked through in about a tenth of a second for each 100,000 files.
MOST_JOBS = 100
_LONGEST_PATH = 4096

router = APIRouter(tags=["jobs"], dependencies=[READER])

FilePath = Annotated[
    str | None,
    Query(
        pattern=r"^(/|s3(\+[A-Za-z0-9_-]+)?://)[^\x00]*$",
        max_length=_LONGEST_PATH,
        description="A whole path of the server, or the URI of an object.",
    ),
]
PathBytes = Annotated[
    str | None,
    Query(
        pattern=r"^[A-Za-z0-9+/]+={0,2}$",
        max_length=2 * _LONGEST_PATH,
        description="The same as base64, for a path that is not UTF-8.",
    ),
]
Jobs = Annotated[
    int, Query(ge=1, le=MOST_JOBS, description="Look into so many jobs, the latest ones.")
]


@router.get(
    "/why",
    operation_id="get_why",
    summary="Tell what became of a file, job by job",
    responses=documented(200, page_answer("Mention", "Jobs that have listed it.")),
)
async def get_why(
    request: Request, path: FilePath = None, path_b64: PathBytes = None, jobs: Jobs = 10
) -> Response:
    """Give the latest jobs that have listed a source, the latest first, and what became of it."""
    return await _story(request, End.SOURCE, _bytes_of(path, path_b64), jobs)


@router.get(
    "/which",
    operation_id="get_which",
    summary="Tell which job made an output, and what of",
    responses=documented(200, page_answer("Mention", "Jobs that have made it.")),
)
async def get_which(
    request: Request, path: FilePath = None, path_b64: PathBytes = None, jobs: Jobs = 10
) -> Response:
    """Give the latest jobs that have made an output, the latest first, and of what."""
    return await _story(request, End.OUTPUT, _bytes_of(path, path_b64), jobs)


async def _story(request: Request, end: End, path: bytes, jobs: int) -> Response:
    service, caller = service_of(request), caller_of(request)

    def look() -> list[dict[str, Any]]:
        service.containment.check_path(end, path, caller)
        found = service.jobs.story(path, end, jobs, caller.team)
        return [mention.to_dict() for mention in found]

    return JSONResponse({"items": await service.slow.run(look), "next_cursor": None})


def _bytes_of(path: str | None, path_b64: str | None) -> bytes:
    """Read the path in the one form or the other."""
    try:
        told = base64.b64decode(path_b64, validate=True) if path_b64 is not None else None
    except binascii.Error:
        raise _unreadable("`path_b64` is no base64") from None
    if (path is None) == (told is None):
        raise _unreadable("one of `path` and `path_b64` is expected")
    whole = told if told is not None else _encoded(path or "")
    if not (whole.startswith(b"/") or is_object_uri(os.fsdecode(whole))) or b"\0" in whole:
        raise _unreadable("a whole path, or the URI of an object, is expected")
    return whole


def _encoded(path: str) -> bytes:
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:
        raise _unreadable("`path` is no text") from None


def _unreadable(detail: str) -> Problem:
    return Problem(422, "invalid_request", detail, hint="as in `/why?path=/data/in/a.csv`")
