"""`/docs` and `/openapi.json`: the API described, for people and for programs.

The page and all that it loads come from here: it works without the internet, and under a policy
that lets in no script of anybody else.
"""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from pravah.api.schemas import documented

# Swagger UI sets styles of elements itself, and draws its icons as `data:` images.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "start.js": "text/javascript",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Pravah API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; <a href="/openapi.json">the document</a> does not.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def docs() -> Response:
    """Give the page."""
    headers = {"Content-Security-Policy": POLICY}
    return Response(_PAGE, headers=headers, media_type="text/html")


@router.get("/docs/{asset}")
async def asset(asset: str) -> Response:
    """Give a file of the page: one of those that are listed, never one that a path names."""
    from starlette.exceptions import HTTPException

    if asset not in _ASSETS:
        raise HTTPException(404)
    body = files("pravah.api").joinpath("swagger_ui", asset).read_bytes()
    headers = {"Cache-Control": "public, max-age=3600"}
    return Response(body, headers=headers, media_type=_ASSETS[asset])


@router.get("/openapi.json", responses=documented(200, {"description": "The document."}))
async def openapi(request: Request) -> Response:
    """Give the OpenAPI document."""
    return JSONResponse(request.app.openapi())
