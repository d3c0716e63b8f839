"""`/processors`: what steps can be made of, as the registry describes it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import JSONResponse, Response

from pravah.api import cursors
from pravah.api.callers import READER
from pravah.api.parameters import Limit
from pravah.api.problems import Problem
from pravah.api.schemas import documented, json_answer, page_answer
from pravah.registry import registry

router = APIRouter(tags=["processors"], dependencies=[READER])


@router.get(
    "/processors",
    operation_id="list_processors",
    summary="List what steps can be made of",
    responses=documented(200, page_answer("Processor", "Processors by their names.")),
)
async def list_processors(limit: Limit = 100, cursor: str | None = None) -> Response:
    """Give processors with their parameters, by name."""
    place = cursors.read("processors", cursor, str)
    behind = place[0] if place else ""
    left = [descriptor for descriptor in registry() if descriptor.name > behind]
    more = len(left) > limit
    following = cursors.write("processors", left[limit - 1].name) if more else None
    items = [descriptor.to_dict() for descriptor in left[:limit]]
    return JSONResponse({"items": items, "next_cursor": following})


@router.get(
    "/processors/{name}",
    operation_id="get_processor",
    summary="Show a processor",
    responses=documented(200, json_answer("Processor", "The processor."), 404),
)
async def get_processor(
    name: Annotated[str, Path(description="The processor's name.", max_length=100)],
) -> Response:
    """Give a processor with its parameters and examples."""
    found = next((each for each in registry() if each.name == name), None)
    if found is None:
        raise Problem(
            404,
            "unknown_processor",
            f"there is no processor `{name}`",
            hint="`GET /processors` lists them",
        )
    return JSONResponse(found.to_dict())
