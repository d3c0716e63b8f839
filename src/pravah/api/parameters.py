"""Parameters that several routes take, with what the document says of them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BeforeValidator, WithJsonSchema

from pravah.api.schemas import JOB_ID_PATTERN

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
    WithJsonSchema({"type": "string", "pattern": JOB_ID_PATTERN}),
]
Limit = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="At most so many items.")]


def _outcome(value: object) -> str:
    if value not in OUTCOMES:
        raise ValueError(f"one of {', '.join(OUTCOMES)} is expected")
    return str(value)


Outcome = Annotated[
    str,
    BeforeValidator(_outcome),
    WithJsonSchema({"type": "string", "enum": OUTCOMES}),
]
