"""Errors as RFC 9457 has them, with the `kind` and the `hint` that Pravah's errors have everywhere.

No answer holds a traceback, a path of the ledger or a value of a setting.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pravah.errors import (
    EngineError,
    ForbiddenError,
    LedgerError,
    MachineError,
    NotFoundError,
    NotYetError,
    PravahError,
    SettingError,
    SourceMissingError,
    SpecError,
    StatusError,
    StoreError,
)
from pravah.jobs import log

MEDIA_TYPE = "application/problem+json"
TYPE_URL = "https://pravah.dev/errors/"
# When to come again where nobody can know it better.
_AGAIN_S = 1

# The first class that fits decides; what is not named here is a bug of ours.
_STATUSES: tuple[tuple[type[PravahError], int], ...] = (
    (SourceMissingError, 422),
    (NotFoundError, 404),
    (ForbiddenError, 403),
    (StatusError, 409),
    (SpecError, 422),
    (NotYetError, 422),
    (LedgerError, 503),
    (StoreError, 503),
    (MachineError, 503),
    (SettingError, 500),
    (EngineError, 500),
)
_TITLES = {
    "root_not_allowed": "a path is outside the allowed roots",
    "key_missing": "a key is needed",
    "key_invalid": "the key opens nothing",
    "scope_missing": "the key is not for this",
    "internal_error": "a bug of ours",
    "ledger_unreachable": "the ledger does not answer",
    "ledger_busy": "the ledger is busy",
}


class Problem(Exception):  # noqa: N818 - the RFC's own word
    """An answer that says what is wrong with a request, or with the server."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        hint: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.hint = hint
        self.errors = errors
        self.headers = dict(headers or {})

    def to_dict(self, instance: str) -> dict[str, Any]:
        """Give the wire form."""
        form: dict[str, Any] = {
            "type": f"{TYPE_URL}{self.kind}",
            "title": _TITLES.get(self.kind, self.kind.replace("_", " ")),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "kind": self.kind,
            "hint": self.hint,
        }
        return form | ({"errors": list(self.errors)} if self.errors else {})

    def response(self, instance: str) -> Response:
        """Give the answer."""
        body = json.dumps(self.to_dict(instance)).encode("ascii")
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def busy(detail: str) -> Problem:
    """Say that there is too much to do at this moment."""
    return Problem(
        503,
        "server_busy",
        detail,
        hint="try again in a moment",
        headers={"Retry-After": str(_AGAIN_S)},
    )


def problem_of(error: Exception) -> Problem:
    """Say what an error means to whoever sent the request."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _unrouted(error)
    if isinstance(error, PravahError):
        return _of_pravah(error)
    return bug()


def bug() -> Problem:
    """Say that something of ours is wrong; what it was is in the log, under the request's id."""
    return Problem(
        500,
        "internal_error",
        "something went wrong that should not have",
        hint="report it with the id of the request, which the server's log has, too",
    )


async def answer(request: Request, error: Exception) -> Response:
    """Answer an error of a route."""
    problem = problem_of(error)
    if problem.status >= 500:
        log.error(
            f"{request.method} {request.url.path}: {error}",
            kind=problem.kind,
            causes="; ".join(getattr(error, "causes", ())) or None,
        )
    return problem.response(request.url.path)


def _of_pravah(error: PravahError) -> Problem:
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
    if isinstance(error, LedgerError):
        # Its message has the database's place, which is no business of a caller.
        return Problem(
            status,
            error.kind,
            "the ledger can't be used at this moment",
            hint="try again in a moment; the operator finds more in the server's log",
            headers={"Retry-After": str(_AGAIN_S)},
        )
    if status == 500:
        return Problem(500, error.kind, bug().detail, hint=bug().hint)
    headers = {"Retry-After": str(_AGAIN_S)} if status == 503 else {}
    detail = "; ".join([error.message, *error.causes])
    return Problem(status, error.kind, detail, hint=error.hint, headers=headers)


def _invalid(error: RequestValidationError) -> Problem:
    wrong = [
        {"where": [str(part) for part in each["loc"]], "message": _words(str(each["msg"]))}
        for each in error.errors()
    ]
    first = wrong[0]
    return Problem(
        422,
        "invalid_request",
        f"{' '.join(first['where'])}: {first['message']}",
        hint="`/docs` shows what is taken",
        errors=wrong,
    )


def _words(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _unrouted(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    if error.status_code == 404:
        return Problem(404, "route_not_found", "there is nothing at this path", hint="see `/docs`")
    if error.status_code == 405:
        return Problem(
            405,
            "method_not_allowed",
            f"this path takes {headers.get('Allow', 'another method')}",
            hint="see `/docs`",
            headers=headers,
        )
    return Problem(error.status_code, "invalid_request", str(error.detail), headers=headers)
