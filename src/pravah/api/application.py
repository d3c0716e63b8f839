"""The application: the routes, what they share, and the guard before them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from pravah.api import (
    accounts,
    events,
    health,
    jobs,
    metrics,
    pages,
    processors,
    results,
    steering,
    stories,
    undo,
    workers,
)
from pravah.api.cors import Cors
from pravah.api.guard import Guard
from pravah.api.openapi import document
from pravah.api.problems import Problem, answer
from pravah.api.service import Service
from pravah.errors import PravahError

ROUTERS = (
    jobs.router,
    steering.router,
    undo.router,
    stories.router,
    accounts.router,
    results.router,
    events.router,
    processors.router,
    workers.router,
    metrics.router,
    health.router,
    pages.router,
)


def application(service: Service) -> Guard | Cors:
    """Put the application of a service together."""
    guard = Guard(routed(service), service)
    origins = service.application.settings.cors_origins
    return Cors(guard, origins) if origins else guard


def routed(service: Service) -> FastAPI:
    """Give the routes without the guard: who comes here has a caller."""
    app = FastAPI(
        title="Pravah",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.service = service
    for router in ROUTERS:
        # Flat, and not as routers within the router: 405 names the methods of all routes of a path.
        app.router.routes += router.routes
    for kind in (Problem, PravahError, RequestValidationError):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(HTTPException, _answer_unrouted)
    described: dict[bool, dict[str, Any]] = {}

    def openapi() -> dict[str, Any]:
        keys = not service.callers.may_be_open
        if keys not in described:
            described[keys] = document(app, keys=keys)
        return described[keys]

    app.openapi = openapi  # type: ignore[method-assign]
    app.openapi()  # every request is compared with it: the first one shall not wait
    return app


async def _answer_unrouted(request: Request, error: Exception) -> Response:
    """Answer for paths and methods that there are not; the latter with all that there are."""
    if isinstance(error, HTTPException) and error.status_code == 405:
        allowed: set[str] = set()
        for route in request.app.routes:
            if route.matches(request.scope)[0] is not Match.NONE:
                allowed |= set(getattr(route, "methods", None) or ())
        error = HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
    return await answer(request, error)
