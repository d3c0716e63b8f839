"""Stands before every route: who comes in, how much may be sent, and what the log tells of it.

Public paths are compared as a whole, never by how they begin or end, and everything else needs a
caller: also paths and methods that do not exist, so that nobody learns which ones do.
"""

from __future__ import annotations

import asyncio
import re
import time
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from pravah import tracing
from pravah.api.problems import Problem, bug, problem_of
from pravah.api.service import Service
from pravah.api.uploads import LASTS_S
from pravah.errors import PravahError
from pravah.jobs import log
from pravah.model.ids import new_id
from pravah.tracing import Span, Trace

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# The documentation has no secrets, and whoever asks whether the server lives has no key.
PUBLIC = frozenset(
    {
        "/livez",
        "/readyz",
        "/docs",
        "/docs/swagger-ui.css",
        "/docs/swagger-ui-bundle.js",
        "/docs/start.js",
        "/openapi.json",
    }
)
# A job spec is written by a person; the command line takes no larger one either.
LARGEST_BODY_BYTES = 1 << 20
BODY_TIMEOUT_S = 30.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
# Names under which a browser of this machine reaches it: any other one was made up to get in here
# (DNS rebinding), where no key is asked for.
_LOCAL_NAMES = re.compile(r"(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?\Z", re.IGNORECASE)
_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Let a request in, or answer it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            await self._admit(scope, exchange)
            await self._app(scope, exchange.receive, exchange.send)
        except Problem as problem:
            await exchange.answer(problem)
        except ClientDisconnect:
            pass  # there is nobody to tell
        except PravahError as error:
            # Before any route: the ledger, which has the keys, is away for a moment.
            log.error(f"{scope['method']} {scope['path']}: {error}", kind=error.kind)
            await exchange.answer(problem_of(error))
        except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a client
            _tell_bug(scope, error)
            meant = problem_of(error)
            await exchange.answer(meant if meant.status < 500 else bug())
        finally:
            self._tell(scope, exchange)

    async def _admit(self, scope: MutableMapping[str, Any], exchange: _Exchange) -> None:
        headers = exchange.headers
        if _doubled(headers, "authorization") or _doubled(headers, "host"):
            raise Problem(400, "invalid_request", "a header is given twice that can be there once")
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy that believes the other one sees another request (RFC 9112, section 6.3).
            raise Problem(400, "invalid_http", "the body has two lengths, which need not agree")
        if scope["path"] not in PUBLIC:
            authorization = headers.get("authorization")
            callers = self._service.callers
            caller = callers.recognise(authorization)
            if caller is None:
                caller = await self._service.quick.run(callers.identify, authorization)
            if caller.key_id == "local":
                _refuse_strangers(headers, self._service.application.settings.cors_origins)
            exchange.caller = caller.name
            scope["state"]["caller"] = caller
            self._service.rates.take(caller)
        uploads = self._service.uploads
        if uploads.meant(scope["method"], scope["path"], headers):
            exchange.allow(uploads.most_bytes, LASTS_S)
        length = headers.get("content-length")
        if length is not None and (not length.isdecimal() or int(length) > exchange.most_bytes):
            raise too_large(exchange.most_bytes)

    def _tell(self, scope: MutableMapping[str, Any], exchange: _Exchange) -> None:
        """Count the request, and write its line of the access log."""
        took_s = time.monotonic() - exchange.began_s
        route = scope.get("route")
        template = str(getattr(route, "path", "none"))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._service.metrics.note(template, method, exchange.status or 499, took_s)
        if exchange.trace is not None:
            _write_span(exchange, method, template)
        log.debug(
            f"{scope['method']} {scope['path']}",
            status=exchange.status or "gone",
            duration_ms=round(took_s * 1000, 1),
            request=exchange.request_id,
            trace=exchange.trace.trace_id if exchange.trace else None,
            caller=exchange.caller,
            client=(scope.get("client") or ("-",))[0],
        )


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class _Exchange:
    """One request and its answer, with the limits of the one and the headers of the other."""

    def __init__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.headers = Headers(scope=scope)
        sent = self.headers.get("x-request-id", "")
        self.request_id = sent if _REQUEST_ID.match(sent) else f"req_{new_id()}"
        scope.setdefault("state", {})["request_id"] = self.request_id
        self.parent = Trace.parse(self.headers.get("traceparent"))
        self.trace = _own_place(self.parent)
        if self.trace is not None:
            scope["state"]["traceparent"] = str(self.trace)
        self.began_s = time.monotonic()
        self.status: int | None = None
        self.caller: str | None = None
        self.most_bytes = LARGEST_BODY_BYTES
        self._ends_s = self.began_s + BODY_TIMEOUT_S
        self._body_bytes = 0
        self._body_ended = not _has_body(self.headers)

    def allow(self, most_bytes: int, lasts_s: float) -> None:
        """Allow a body that is larger, and takes longer, than others."""
        self.most_bytes = most_bytes
        self._ends_s = self.began_s + lasts_s

    async def receive(self) -> Message:
        """Hand on a part of the body; refuse one that is too large, or comes too slowly."""
        if self._body_ended:
            return await self._receive()
        left_s = min(BODY_TIMEOUT_S, self._ends_s - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left_s))
        except TimeoutError:
            raise Problem(
                408,
                "body_timeout",
                f"the body did not come within {BODY_TIMEOUT_S:g} s",
            ) from None
        if message["type"] == "http.request":
            self._body_bytes += len(message.get("body", b""))
            self._body_ended = not message.get("more_body", False)
            if self._body_bytes > self.most_bytes:
                raise too_large(self.most_bytes)
        return message

    async def send(self, message: Message) -> None:
        """Hand on a part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            sent = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name, value) for name, value in _HEADERS.items() if name not in sent),
                (b"x-request-id", self.request_id.encode("ascii")),
            ]
            if not self._body_ended:
                # Nobody reads the rest, which may have no end.
                message["headers"].append((b"connection", b"close"))
        await self._send(message)

    async def answer(self, problem: Problem) -> None:
        """Answer with a problem, unless an answer has begun: then its end is missing."""
        if self.status is not None:
            return
        request = Request(self._scope)
        await problem.response(request.url.path)(self._scope, self._receive, self.send)


def _own_place(parent: Trace | None) -> Trace | None:
    """Give the place of a request in its client's trace, or in a new one where traces are kept."""
    if parent is not None:
        return parent.child() if tracing.enabled() else parent
    return Trace.about(new_id()) if tracing.enabled() else None


def _write_span(exchange: _Exchange, method: str, template: str) -> None:
    if not tracing.enabled() or exchange.trace is None:
        return
    ended_ns = time.time_ns()
    status = exchange.status or 499
    tracing.write(
        Span(
            name=f"{method} {template}",
            place=exchange.trace,
            parent=exchange.parent,
            began_ns=ended_ns - round((time.monotonic() - exchange.began_s) * 1e9),
            ended_ns=ended_ns,
            # Named as OpenTelemetry's conventions for HTTP have it; nothing of what was sent.
            attributes={
                "http.request.method": method,
                "http.route": template,
                "http.response.status_code": status,
                "pravah.request": exchange.request_id,
            },
            error=f"answered with {status}" if status >= 500 else None,
            serves=True,
        )
    )


def too_large(most_bytes: int) -> Problem:
    """Say that a body is too large."""
    return Problem(
        413,
        "body_too_large",
        f"the body is larger than {most_bytes:,} bytes",
        hint="names of many files go into a list, and the list into `source.files_from`",
    )


def _has_body(headers: Headers) -> bool:
    """Tell whether a request says that a body follows its head."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _refuse_strangers(headers: Headers, known: frozenset[str]) -> None:
    """Refuse other sites' pages in a browser of this machine, where nobody needs a key.

    Those of an origin that the operator has named are no strangers.
    """
    if not _LOCAL_NAMES.match(headers.get("host", "localhost")):
        raise Problem(
            403,
            "host_not_allowed",
            "without keys this server answers to `localhost` only",
            hint="`pravah keys create` makes a key; with one any name will do",
        )
    origin = headers.get("origin")
    own = (origin or "").partition("://")[2] == headers.get("host")
    if origin is not None and not own and origin not in known:
        raise Problem(
            403,
            "origin_not_allowed",
            "a page of another site has sent this request",
            hint="`pravah keys create` makes a key, which pages have to send",
        )


def _doubled(headers: Headers, name: str) -> bool:
    return len(headers.getlist(name)) > 1


def _tell_bug(scope: MutableMapping[str, Any], error: Exception) -> None:
    request_id = scope.get("state", {}).get("request_id")
    told = "".join(traceback.format_exception(error))
    log.error(f"{scope['method']} {scope['path']} failed: {told}", request=request_id)
