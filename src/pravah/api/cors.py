"""Cross-origin requests: pages of the origins that the operator names may call, and no others.

Nothing is said to browsers unless PRAVAH_CORS_ORIGINS is set. Pages send a key as programs do:
cookies and other credentials of browsers are never allowed. A preflight, which browsers send
without the key, is answered before the guard, and alike for every path: it tells nobody what there
is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers

if TYPE_CHECKING:
    from pravah.api.guard import Guard

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
_PREFLIGHT = (
    (b"access-control-allow-methods", b"GET, POST, PATCH, DELETE"),
    (
        b"access-control-allow-headers",
        b"Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Request-ID, traceparent",
    ),
    # Firefox keeps an answer for a day, Chromium for two hours.
    (b"access-control-max-age", b"7200"),
    (b"content-length", b"0"),
)
# What pages read beside the few headers that they always may.
_EXPOSED = b"Location, Retry-After, X-Request-ID, Idempotent-Replayed, Allow, WWW-Authenticate"


class Cors:
    """An ASGI application around the guard."""

    def __init__(self, guard: Guard, origins: frozenset[str]) -> None:
        self._guard = guard
        self._origins = origins

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Message]],
        send: Send,
    ) -> None:
        """Answer a preflight; hand on everything else, and name the origin in its answer."""
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        origin = headers.get("origin", "")
        if origin not in self._origins:
            await self._guard(scope, receive, send)
            return
        allowed = (
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"vary", b"Origin"),
        )
        if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            start = {"type": "http.response.start", "status": 204}
            await send({**start, "headers": [*allowed, *_PREFLIGHT]})
            await send({"type": "http.response.body"})
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                exposed = (b"access-control-expose-headers", _EXPOSED)
                message["headers"] = [*message["headers"], *allowed, exposed]
            await send(message)

        await self._guard(scope, receive, send_allowed)
