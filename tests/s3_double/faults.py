"""What goes wrong, and when: each fault takes some requests of one operation and bends them.

An act is given the request and what would perform it: it may do that before, after or never.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from tests.s3_double import listing
from tests.s3_double.documents import error_document
from tests.s3_double.messages import LineCutError, Request, Response, S3Error

Perform = Callable[[Request], Response]
Act = Callable[[Request, Perform], Response]
FOREVER = 1 << 62
_TOKEN = re.compile(rb"<NextContinuationToken>(.*?)</NextContinuationToken>")


@dataclass
class Fault:
    """An act on the next `times` requests that match, once `spared` of them have passed."""

    operation: str
    act: Act
    key: str = "*"
    times: int = 1
    spared: int = 0

    def takes(self, request: Request) -> bool:
        """Tell whether a request is meant, and count it."""
        key = request.key.decode("utf-8", "surrogateescape")
        if self.operation not in ("*", request.operation) or not fnmatchcase(key, self.key):
            return False
        if self.spared > 0:
            self.spared -= 1
            return False
        if self.times < 1:
            return False
        self.times -= 1
        return True


class Faults:
    """The script: the first fault that takes a request bends it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._script: list[Fault] = []

    def add(
        self, operation: str, act: Act, *, key: str = "*", times: int = 1, spared: int = 0
    ) -> Fault:
        """Have requests of an operation (`*`: any) go wrong; keys match as file names do."""
        fault = Fault(operation, act, key, times, spared)
        with self._lock:
            self._script.append(fault)
        return fault

    def clear(self) -> None:
        """Have nothing go wrong any more."""
        with self._lock:
            self._script.clear()

    def apply(self, request: Request, perform: Perform) -> Response:
        """Perform a request as the script says."""
        with self._lock:
            taken = next((fault for fault in self._script if fault.takes(request)), None)
        return taken.act(request, perform) if taken else perform(request)


def refuse(status: int, code: str, headers: dict[str, str] | None = None) -> Act:
    """Answer with an error, and do nothing."""

    def act(_request: Request, _perform: Perform) -> Response:
        raise S3Error(status, code, headers)

    return act


def slow_down(retry_after_s: int | None = None) -> Act:
    """Ask for fewer requests."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return refuse(503, "SlowDown", headers)


def ok_with_error(code: str = "InternalError", *, commits: bool = False) -> Act:
    """Answer 200 with an error in the body, as Complete and Copy may."""

    def act(request: Request, perform: Perform) -> Response:
        if commits:
            perform(request)
        body = error_document(code, request.path)
        return Response(headers={"Content-Type": "application/xml"}, body=body)

    return act


def ok_with(body: bytes, content_type: str = "application/xml", *, commits: bool = False) -> Act:
    """Answer 200 with something else than what was asked for."""

    def act(request: Request, perform: Perform) -> Response:
        if commits:
            perform(request)
        return Response(headers={"Content-Type": content_type}, body=body)

    return act


def reset_before() -> Act:
    """Reset the connection without having done anything."""

    def act(_request: Request, _perform: Perform) -> Response:
        raise LineCutError

    return act


def reset_after() -> Act:
    """Do it, and reset the connection in place of the answer."""

    def act(request: Request, perform: Perform) -> Response:
        perform(request)
        raise LineCutError

    return act


def truncate(kept_bytes: int = 1) -> Act:
    """Send only so much of the body, then cut the line."""

    def act(request: Request, perform: Perform) -> Response:
        return replace(perform(request), sent_bytes=kept_bytes)

    return act


def corrupt() -> Act:
    """Turn a bit of the body; headers tell what it was."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        body = bytearray(response.body)
        body[len(body) // 2] ^= 1
        return replace(response, body=bytes(body))

    return act


def wrong_checksum() -> Act:
    """Declare checksums that are not the body's."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        for name, value in response.headers.items():
            if name.startswith("x-amz-checksum-") and not name.endswith("-type"):
                digest = base64.b64decode(value.partition("-")[0])
                response.headers[name] = base64.b64encode(
                    bytes([digest[0] ^ 1]) + digest[1:]
                ).decode()
        return response

    return act


def wrong_length(more_bytes: int) -> Act:
    """Declare a longer body than comes; a shorter one with a negative number."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        return replace(response, declared_bytes=len(response.body) + more_bytes)

    return act


def delay(seconds: float) -> Act:
    """Answer later."""

    def act(request: Request, perform: Perform) -> Response:
        time.sleep(seconds)
        return perform(request)

    return act


def meanwhile(change: Callable[[], object]) -> Act:
    """Have somebody change something just before, as an object between two ranges of it."""

    def act(request: Request, perform: Perform) -> Response:
        change()
        return perform(request)

    return act


def repeat_page() -> Act:
    """Have the next page be this one once more."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        return _lead(response, listing.token(listing.begins_behind(request)).encode())

    return act


def skip_page() -> Act:
    """Have the page behind this one be left out."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        found = _TOKEN.search(response.body)
        if found is None:
            return response
        behind = perform(
            replace(request, query={**request.query, "continuation-token": found[1].decode()})
        )
        further = _TOKEN.search(behind.body)
        # With nothing behind the page that is left out, it is as if it had never been there.
        return _lead(response, further[1]) if further else _ended(response)

    return act


def loop_pages() -> Act:
    """Lead to the same page again and again, by one token; meant for many times."""

    def act(request: Request, perform: Perform) -> Response:
        response = perform(request)
        given = request.query.get("continuation-token")
        same = given or listing.token(listing.begins_behind(request))
        return _lead(response, same.encode())

    return act


def _lead(response: Response, token: bytes) -> Response:
    """Have a page lead somewhere, also one that is the last."""
    written = b"<NextContinuationToken>" + token + b"</NextContinuationToken>"
    body = _TOKEN.sub(b"", response.body)
    body = body.replace(b"<IsTruncated>false<", b"<IsTruncated>true<")
    return replace(response, body=body.replace(b"</IsTruncated>", b"</IsTruncated>" + written))


def _ended(response: Response) -> Response:
    body = _TOKEN.sub(b"", response.body)
    return replace(response, body=body.replace(b"<IsTruncated>true<", b"<IsTruncated>false<"))
