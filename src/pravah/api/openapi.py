"""The OpenAPI document: FastAPI's, with the wire forms and the job spec as the registry has it."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from pravah import __version__
from pravah.api.guard import PUBLIC
from pravah.api.schemas import SCHEMAS
from pravah.registry import job_spec_schema, registry

_ABOUT = """Runs a pipeline of steps over every file of a directory, as a durable job.

Errors are RFC 9457's problems with a stable `kind`; lists are `{items, next_cursor}`."""
_METHODS = ("get", "post", "put", "patch", "delete")


def document(app: FastAPI, *, keys: bool) -> dict[str, Any]:
    """Compose the document of a server; with `keys` of one that wants a key."""
    composed: dict[str, Any] = get_openapi(
        title="Pravah",
        version=__version__,
        description=_ABOUT,
        routes=app.routes,
        openapi_version="3.1.0",
    )
    components = composed.setdefault("components", {})
    components["schemas"] = {**SCHEMAS, **_spec_schemas()}
    if keys:
        scheme = {"type": "http", "scheme": "bearer", "description": "`prv_…`"}
        components["securitySchemes"] = {"key": scheme}
    for path, operations in composed["paths"].items():
        for method, operation in operations.items():
            if method in _METHODS:
                _complete(operation, path, keys=keys)
    return composed


def _complete(operation: dict[str, Any], path: str, *, keys: bool) -> None:
    if keys and path not in PUBLIC:
        operation["security"] = [{"key": []}]
    if path in PUBLIC:
        for status in ("401", "403"):
            operation["responses"].pop(status, None)
    request_id = {"description": "Under which the log knows it.", "schema": {"type": "string"}}
    for response in operation["responses"].values():
        response.setdefault("headers", {})["X-Request-ID"] = request_id


def _spec_schemas() -> dict[str, Any]:
    """Give the job spec's schema in parts, as components."""
    text = json.dumps(job_spec_schema(registry()))
    schema: dict[str, Any] = json.loads(text.replace("#/$defs/", "#/components/schemas/"))
    parts: dict[str, Any] = schema.pop("$defs", {})
    schema.pop("$schema", None)
    return {"JobSpec": schema, **parts}
