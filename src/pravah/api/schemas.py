"""The wire forms as JSON Schema, with an example of each, and how operations are documented.

The forms themselves are `to_dict` of the model; a test compares what is served with what is here.
"""

from __future__ import annotations

from typing import Any

from pravah.api.problems import MEDIA_TYPE, TYPE_URL
from pravah.model.ledger import TaskKind

Schema = dict[str, Any]
Responses = dict[int | str, dict[str, Any]]

_JOB_ID = "job_01KB0Z6N5T3V8X2Y4W6Q8R0S1T"
# As people type it: its beginning will do, where no other job of the caller's begins so. Six
# letters are the least: fewer name whatever job there is.
JOB_NAME_PATTERN = "^(job_)?[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{6,26}$"
JOB_ID_PATTERN = "^job_[0-9A-HJKMNP-TV-Z]{26}$"
_TIME: Schema = {"type": "string", "format": "date-time"}
_NO_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_NO_TEXT: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": ["number", "null"]}
_MAP: Schema = {"type": "object"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
STATUSES = ["pending", "running", "paused", "completed", "failed", "cancelled"]
OUTCOMES = ["done", "skipped", "filtered", "failed", "vanished", "poisoned", "remaining"]
# What a task's own row counts beside what its scan filtered.
ACKNOWLEDGED = ["done", "skipped", "failed", "vanished", "poisoned"]
_COUNTS = dict.fromkeys(("listed", *OUTCOMES), _COUNT)


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required)}


SCHEMAS: dict[str, Schema] = {
    "Problem": _object(
        {
            "type": {"type": "string", "format": "uri"},
            "title": _TEXT,
            "status": {"type": "integer"},
            "detail": _TEXT,
            "instance": _TEXT,
            "kind": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
            "hint": _NO_TEXT,
        },
        {"errors": {"type": "array", "items": _MAP}},
    ),
    "Job": _object(
        {
            "id": {"type": "string", "pattern": JOB_ID_PATTERN},
            "name": _NO_TEXT,
            "status": {"enum": STATUSES},
            "created_at": _TIME,
            "started_at": _NO_TIME,
            "finished_at": _NO_TIME,
            "spec": _MAP,
            "labels": {"type": "object", "additionalProperties": _TEXT},
            "priority": {"type": "integer"},
            "scan_complete": {"type": "boolean"},
            "counts": _object(_COUNTS),
            "reasons": {"type": "object", "additionalProperties": _COUNT},
            "round": {"type": "integer", "minimum": 1},
            "listed_bytes": _COUNT,
            "bytes_in": _COUNT,
            "bytes_out": _COUNT,
            "files_per_s": _NUMBER,
            "bytes_per_s": _NUMBER,
            "eta_s": _NUMBER,
            "elapsed_s": {"type": "number"},
            "error": {"type": ["object", "null"]},
            "links": {"type": "object", "additionalProperties": _TEXT},
        },
        {"rows": _MAP, "results": _MAP, "undone_at": _TIME},
    ),
    "File": _object(
        {
            "path": _TEXT,
            "outcome": {"enum": OUTCOMES},
            "outputs": _TEXTS,
            "size_bytes": _COUNT,
            "output_bytes": {"type": ["integer", "null"]},
            "attempts": _COUNT,
        },
        {
            "path_b64": _TEXT,
            "reason": _NO_TEXT,
            "checksum": _NO_TEXT,
            "duration_s": _NUMBER,
            "error": {"type": ["object", "null"]},
        },
    ),
    "Failure": _object(
        {
            "id": {"type": "string", "pattern": "^F[1-9][0-9]*$"},
            "kind": _TEXT,
            "step": _NO_TEXT,
            "message": _TEXT,
            "count": _COUNT,
            "examples": _TEXTS,
        }
    ),
    "Task": _object(
        {
            "id": _COUNT,
            "kind": {"enum": ["scan", "names", "entries", "closing"]},
            "status": {"enum": ["pending", "running", "completed", "failed", "cancelled"]},
            "round": {"type": "integer", "minimum": 1},
            "parent_id": {"type": ["integer", "null"]},
            "attempts": _COUNT,
            "entries": _COUNT,
            "size_bytes": _COUNT,
            "filtered": _COUNT,
            "bytes_in": _COUNT,
            "bytes_out": _COUNT,
            "worker_id": _NO_TEXT,
            "counts": _object(dict.fromkeys(ACKNOWLEDGED, _COUNT)),
        }
    ),
    "Worker": _object(
        {
            "id": _TEXT,
            "host": _TEXT,
            "pid": _COUNT,
            "tasks": _COUNT,
            "jobs": _COUNT,
            "silent_s": {"type": ["integer", "null"]},
            "joined_at": _NO_TIME,
            "version": _NO_TEXT,
        }
    ),
    "Processor": _object(
        {
            "name": _TEXT,
            "version": _COUNT,
            "summary": _TEXT,
            "shape": {"enum": ["map", "expand", "reduce", "inspect"]},
            "input": _TEXT,
            "output": _TEXT,
            "pure": {"type": "boolean"},
            "primary": _NO_TEXT,
            "parameters": _MAP,
            "examples": {"type": "array", "items": _MAP},
        }
    ),
    "Report": _object(
        {
            "job": _TEXT,
            "status": _TEXT,
            "counts": _MAP,
            "failures": {"type": "array", "items": _MAP},
        }
    ),
    "Plan": _object(
        {
            "spec": _MAP,
            "entries": _COUNT,
            "bytes": _COUNT,
            "outputs": _TEXTS,
            "problems": {"type": "array", "items": _MAP},
            "predicted": {"type": ["object", "null"]},
        }
    ),
    "JobWithFiles": _object(
        {
            "spec": {"type": "object", "description": "A job spec without places in `source`."},
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "Files with their relative names; they are the source.",
            },
        }
    ),
    "JobChange": {
        "type": "object",
        "properties": {
            "priority": {"type": "integer", "minimum": -1000, "maximum": 1000},
            "limits": {"$ref": "#/components/schemas/Limits"},
            "on_error": {"$ref": "#/components/schemas/OnError"},
        },
        "additionalProperties": False,
        "minProperties": 1,
    },
    "Undone": _object(
        {
            "job": {"type": "string", "pattern": JOB_ID_PATTERN},
            "dry_run": {"type": "boolean"},
            **dict.fromkeys(("removed", "changed", "gone", "failed", "replaced"), _COUNT),
            "failures": {"type": "array", "items": _MAP},
        }
    ),
    "Mention": _object({"job": _MAP, "file": _MAP, "inputs": _COUNT}),
    "Record": _MAP,
    "Health": _object({"status": {"enum": ["ok"]}}),
}

EXAMPLES: dict[str, Any] = {
    "Job": {
        "id": _JOB_ID,
        "name": "nightly",
        "status": "running",
        "created_at": "2026-11-26T07:30:00.000000Z",
        "started_at": "2026-11-26T07:30:00.120000Z",
        "finished_at": None,
        "spec": {"version": 1, "source": {"uri": "file:///data/in"}, "steps": ["compress"]},
        "labels": {"team": "ingest"},
        "priority": 0,
        "scan_complete": True,
        "counts": {"listed": 20, "done": 12, "skipped": 0, "filtered": 1, "failed": 0}
        | {"vanished": 0, "poisoned": 0, "remaining": 7},
        "reasons": {},
        "round": 1,
        "listed_bytes": 196_000,
        "bytes_in": 120_000,
        "bytes_out": 40_000,
        "files_per_s": 60.0,
        "bytes_per_s": 600_000.0,
        "eta_s": 0.1,
        "elapsed_s": 0.2,
        "error": None,
        "links": {"self": f"/jobs/{_JOB_ID}"},
    },
    "File": {
        "path": "/data/in/a.csv",
        "outcome": "done",
        "outputs": ["file:///data/out/a.csv.zst"],
        "size_bytes": 48_100,
        "output_bytes": 11_200,
        "attempts": 1,
    },
    "Failure": {
        "id": "F1",
        "kind": "csv_ragged_row",
        "step": "convert",
        "message": "line 18: expected 6 fields, found 7",
        "count": 2,
        "examples": ["/data/in/a.csv"],
    },
    "Task": {
        "id": 4,
        "kind": TaskKind.ENTRIES.value,
        "status": "completed",
        "round": 1,
        "parent_id": 3,
        "attempts": 1,
        "entries": 20,
        "size_bytes": 120_000,
        "filtered": 0,
        "bytes_in": 120_000,
        "bytes_out": 40_000,
        "worker_id": None,
        "counts": {"done": 20, "skipped": 0, "failed": 0, "vanished": 0, "poisoned": 0},
    },
    "Worker": {
        "id": "01KB0Z6N5T3V8X2Y4W6Q8R0S1T",
        "host": "worker-1",
        "pid": 4121,
        "tasks": 2,
        "jobs": 1,
        "silent_s": 1,
        "joined_at": "2026-11-26T07:30:00.000000Z",
        "version": "0.1.0",
    },
    "Processor": {
        "name": "copy",
        "version": 1,
        "summary": "Copies each file as it is.",
        "shape": "map",
        "input": "bytes",
        "output": "bytes",
        "pure": True,
        "primary": None,
        "parameters": {"type": "object", "properties": {}},
        "examples": [],
    },
    "Report": {
        "job": _JOB_ID,
        "status": "completed",
        "counts": {"listed": 20, "done": 20},
        "failures": [],
    },
    "Plan": {
        "spec": {"version": 1, "source": {"uri": "file:///data/in"}, "steps": ["compress"]},
        "entries": 20,
        "bytes": 120_000,
        "outputs": ["file:///data/out/a.csv.zst"],
        "problems": [],
        "predicted": {"duration_s": 0.2, "output_bytes": 40_000},
    },
    "Undone": {
        "job": _JOB_ID,
        "dry_run": False,
        "removed": 19,
        "changed": 1,
        "gone": 0,
        "failed": 0,
        "replaced": 0,
        "failures": [],
    },
    "Mention": {
        "job": {
            "id": _JOB_ID,
            "name": "nightly",
            "status": "completed",
            "created_at": "2026-11-26T07:30:00.000000Z",
            "finished_at": "2026-11-26T07:30:02.000000Z",
        },
        "file": {"path": "/data/in/a.csv", "outcome": "done", "outputs": ["file:///out/a.csv"]},
        "inputs": 1,
    },
    "Record": {"path": "/data/in/a.csv", "lines": 12},
    "Health": {"status": "ok"},
}

# What every route may answer; 401 and 403 are the guard's.
_COMMON = {
    400: ("invalid_json", "the body is no JSON"),
    401: ("key_missing", "this server wants a key with each request"),
    403: ("scope_missing", "the key is for `read`, this needs `submit`"),
    404: ("job_not_found", "no job `job_01KB…`"),
    405: ("method_not_allowed", "this path takes GET"),
    406: ("not_acceptable", "`image/png` is no format of results"),
    408: ("body_timeout", "the body did not come within 30 s"),
    409: ("wrong_status", "can't retry job_01KB…: it is running, not ended"),
    413: ("body_too_large", "the body is larger than 1,048,576 bytes"),
    415: ("unsupported_media_type", "the body is `text/plain`, `application/json` is expected"),
    422: ("invalid_request", "query limit: input should be at most 1000"),
    429: ("too_many_requests", "the key may send 500 requests a second"),
    500: ("internal_error", "something went wrong that should not have"),
    503: ("server_busy", "too many requests wait"),
    507: ("no_room_for_upload", "the server has no room for the files at this moment"),
}
_ALWAYS = (400, 401, 403, 422, 429, 500, 503)


def page_of(name: str) -> Schema:
    """Give the schema of a page of a list."""
    items = {"type": "array", "items": reference(name)}
    return _object({"items": items, "next_cursor": _NO_TEXT})


def reference(name: str) -> Schema:
    """Point to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def json_answer(name: str, description: str) -> dict[str, Any]:
    """Document an answer in JSON."""
    content = {"schema": reference(name), "example": EXAMPLES[name]}
    return {"description": description, "content": {"application/json": content}}


def page_answer(name: str, description: str) -> dict[str, Any]:
    """Document a page of a list."""
    example = {"items": [EXAMPLES[name]], "next_cursor": None}
    content = {"schema": page_of(name), "example": example}
    return {"description": description, "content": {"application/json": content}}


def text_answer(media_type: str, example: str, *others: str) -> dict[str, Any]:
    """Document an answer that is a text, or bytes of other types."""
    content: dict[str, Any] = {media_type: {"schema": _TEXT, "example": example}}
    content |= {other: {"schema": {"type": "string", "format": "binary"}} for other in others}
    return {"description": "What was asked for.", "content": content}


def documented(status: int, answer: dict[str, Any], *problems: int) -> Responses:
    """Document an operation: its answer, and each problem that it may meet."""
    listed = sorted({*_ALWAYS, *problems})
    return {status: answer, **{each: _problem(each) for each in listed}}


def _problem(status: int) -> dict[str, Any]:
    kind, detail = _COMMON[status]
    example = {
        "type": f"{TYPE_URL}{kind}",
        "title": kind.replace("_", " "),
        "status": status,
        "detail": detail,
        "instance": "/jobs",
        "kind": kind,
        "hint": None,
    }
    content = {"schema": reference("Problem"), "example": example}
    return {"description": kind.replace("_", " "), "content": {MEDIA_TYPE: content}}
