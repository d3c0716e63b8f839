"""Parameters that several routes take, with what the document says of them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BeforeValidator, WithJsonSchema

from pravah.api.problems import Problem
from pravah.api.schemas import JOB_NAME_PATTERN

MOST_ITEMS = 1000
# Filtered entries are counted by rule, and named nowhere.
OUTCOMES = ["done", "skipped", "failed", "vanished", "poisoned", "remaining"]


def _flag(value: object) -> bool:
    """Read `true` and `false`; Pydantic would take `on` and `1` as well."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise ValueError("`true` or `false` is expected")


Flag = Annotated[bool, BeforeValidator(_flag), WithJsonSchema({"type": "boolean"})]
JobId = Annotated[
    str,
    Path(description="The job's id, or how it begins."),
    WithJsonSchema({"type": "string", "pattern": JOB_NAME_PATTERN}),
]
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="At most so many items.")]


def refuse_unknown(request: Request) -> None:
    """Refuse a parameter that the operation does not have: it was meant to do something."""
    described = request.app.openapi()["paths"].get(request.scope["route"].path, {})
    operation = described.get(request.method.lower(), {})
    known = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
    for name in request.query_params:
        if name not in known:
            meant = get_close_matches(name, known, n=1)
            told = ", ".join(known) or "none"
            raise Problem(
                422,
                "invalid_request",
                f"query: unknown parameter `{name[:60]}`",
                hint=f"did you mean `{meant[0]}`?" if meant else f"known are: {told}",
            )


def _outcome(value: object) -> str:
    if value not in OUTCOMES:
        raise ValueError(f"one of {', '.join(OUTCOMES)} is expected")
    return str(value)


Outcome = Annotated[
    str,
    BeforeValidator(_outcome),
    WithJsonSchema({"type": "string", "enum": OUTCOMES}),
]
