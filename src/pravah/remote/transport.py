"""HTTP to one server: JSON, pages and streams; answers that are problems become errors.

Connections are kept and used again, each by one thread at a time. A request is sent again only
where that can't do anything twice.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from pravah import __version__
from pravah.errors import (
    ForbiddenError,
    NotFoundError,
    NotYetError,
    PravahError,
    ServerError,
    SourceMissingError,
    SpecError,
    StatusError,
)

# A server that does not send a byte for so long will not send one any more.
TIMEOUT_S = 60.0
# A server that has answered before is waited for while it starts anew.
PATIENCE_S = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 5.0
_PIECE_BYTES = 64 << 10
# What says nothing about the request: the same one may be answered in a moment.
_BUSY = (429, 503)
_BUSY_KINDS = ("idempotency_in_flight",)
_NOT_BUSY_KINDS = ("too_many_jobs",)
_BY_KIND: Mapping[str, type[PravahError]] = {
    "source_missing": SourceMissingError,
    "not_yet": NotYetError,
}
# What a server tells about HTTP, told for whoever has a command line.
_HINTS: Mapping[str, str] = {
    "job_not_found": "`pravah jobs list` shows the latest",
    "key_missing": "PRAVAH_API_KEY takes a key; `pravah keys create` makes one where the server is",
}
_BY_STATUS: Mapping[int, type[PravahError]] = {
    401: ForbiddenError,
    403: ForbiddenError,
    404: NotFoundError,
    409: StatusError,
    429: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
}
_BROKEN = (OSError, http.client.HTTPException)


class Answer(NamedTuple):
    """What came of a request that has something done."""

    status: int
    form: Any


class Transport:
    """Sends requests to the server at `url`, with a key where there is one."""

    def __init__(self, url: str, key: str | None, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        self.url = url.rstrip("/")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._headers = {"User-Agent": f"pravah/{__version__}", "Accept": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []
        self._has_answered = False

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Give what is at a path."""
        with self._answered("GET", _target(path, query), repeatable=True) as answer:
            return _json(answer.read())

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        repeatable: bool = False,
        timeout_s: float | None = None,
    ) -> Answer:
        """Have something done; with a key, or where it is `repeatable`, sent again if need be.

        The answer may take `timeout_s`, else as long as every other one.
        """
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode("ascii")
        again = repeatable or idempotency_key is not None
        target = _target(path, query)
        with self._answered(
            method, target, headers, data, repeatable=again, timeout_s=timeout_s
        ) as answer:
            return Answer(answer.status, _json(answer.read()))

    def pages(
        self, path: str, query: Mapping[str, Any] | None = None, limit: int | None = None
    ) -> Iterator[Any]:
        """Give the items of a list, page by page, at most so many."""
        asked = dict(query or {})
        while True:
            if limit is not None:
                asked["limit"] = min(limit, 1_000)
            page = self.get(path, asked)
            items = page["items"] if limit is None else page["items"][:limit]
            yield from items
            limit = None if limit is None else limit - len(items)
            if page["next_cursor"] is None or limit == 0:
                return
            asked["cursor"] = page["next_cursor"]

    def stream(
        self, path: str, accept: str, query: Mapping[str, Any] | None = None
    ) -> Generator[bytes]:
        """Give a long answer in pieces, as they come."""
        target, headers = _target(path, query), {"Accept": accept}
        with self._answered("GET", target, headers, repeatable=True) as answer:
            try:
                while piece := answer.read1(_PIECE_BYTES):
                    yield piece
            except _BROKEN as error:
                raise self._unreachable(error) from error

    def close(self) -> None:
        """Close what is open."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    @contextmanager
    def _answered(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        repeatable: bool,
        timeout_s: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give an answer that is no problem; its connection is kept once it is read whole."""
        deadline, wait_s = time.monotonic() + PATIENCE_S, _FIRST_WAIT_S
        while True:
            connection = self._connection(timeout_s or self._timeout_s)
            try:
                answer = self._asked(connection, method, target, headers or {}, body)
            except _BROKEN as error:
                connection.close()
                again = repeatable and self._has_answered
                if not again or time.monotonic() + wait_s > deadline:
                    raise self._unreachable(error) from error
            else:
                self._has_answered = True
                if answer.status < 300:
                    try:
                        yield answer
                    finally:
                        self._keep(connection, answer)
                    return
                problem = self._problem(answer)
                told_s = _retry_after_s(answer)
                self._keep(connection, answer)
                busy = repeatable and _is_busy(answer.status, problem.kind)
                wait_s = max(wait_s, told_s)
                if not busy or time.monotonic() + wait_s > deadline:
                    raise problem
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    def _asked(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> http.client.HTTPResponse:
        used = connection.sock is not None
        try:
            connection.request(method, self._prefix + target, body, {**self._headers, **headers})
            return connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # A kept connection that the server has closed meanwhile: it never saw the request.
            if not used or method != "GET":
                raise
            connection.close()
            connection.request(method, self._prefix + target, body, {**self._headers, **headers})
            return connection.getresponse()

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        with self._lock:
            kept = self._idle.pop() if self._idle else None
        if kept is not None:
            kept.timeout = timeout_s
            if kept.sock is not None:
                kept.sock.settimeout(timeout_s)
            return kept
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout_s, context=context
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def _keep(
        self, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse
    ) -> None:
        if not answer.isclosed():
            connection.close()  # nobody has read it to its end
            return
        with self._lock:
            self._idle.append(connection)

    def _unreachable(self, error: Exception) -> ServerError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServerError(
            f"can't reach the server {self.url}",
            causes=(reason.lower().rstrip("."),),
            hint="PRAVAH_URL names it; `--local` works without it",
        )

    def _problem(self, answer: http.client.HTTPResponse) -> PravahError:
        """Read what is wrong, as the server tells it."""
        body = answer.read()
        try:
            told = json.loads(body)
            kind, detail, hint = str(told["kind"]), str(told["detail"]), told.get("hint")
        except (ValueError, KeyError, TypeError):
            return ServerError(
                f"{self.url} answers with {answer.status} {answer.reason}, and not as Pravah does",
                kind="not_a_server",
                hint="PRAVAH_URL names a server of Pravah; is another one in between?",
            )
        default = PravahError if answer.status >= 500 else SpecError
        error = _BY_KIND.get(kind) or _BY_STATUS.get(answer.status, default)
        return error(detail, kind=kind, hint=_HINTS.get(kind, hint))


def segment(text: str) -> str:
    """Write a part of a path, whatever people have typed."""
    return quote(text, safe="")


def _is_busy(status: int, kind: str) -> bool:
    return kind in _BUSY_KINDS or (status in _BUSY and kind not in _NOT_BUSY_KINDS)


def _target(path: str, query: Mapping[str, Any] | None) -> str:
    asked = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(asked)}" if asked else path


def _json(body: bytes) -> Any:  # noqa: ANN401 - as above
    return json.loads(body) if body else None


def _retry_after_s(answer: http.client.HTTPResponse) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(float(told), PATIENCE_S) if told.isdecimal() else 0.0
