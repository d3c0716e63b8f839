"""Requests over real connections, to a server that answers, refuses and hangs up as it is told."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

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
from pravah.remote import transport
from pravah.remote.transport import Transport

OK: tuple[int, Any] = (200, {"ok": True})
BUSY = (503, {"kind": "server_busy", "detail": "too many requests wait", "hint": "again"})
HANG_UP = (0, None)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of lines that were cut: that is what is tested."""


class Script:
    """Answers in the order in which they are given; the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [OK]
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.takes_s = 0.0
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                script.seen.append((self.command, self.path, dict(self.headers), body))
                time.sleep(script.takes_s)
                status, form = script.answers[0]
                if len(script.answers) > 1:
                    del script.answers[0]
                if status == 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                data = form if isinstance(form, bytes) else json.dumps(form).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None:
                pass

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(transport, "_FIRST_WAIT_S", 0.01)
    made = Script()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join(10)


@pytest.fixture
def client(script: Script) -> Iterator[Transport]:
    made = Transport(script.url, "prv_key")
    yield made
    made.close()


def test_requests_carry_key_and_query_and_use_one_connection(
    script: Script, client: Transport
) -> None:
    assert client.get("/jobs", {"status": "failed", "name": None}) == {"ok": True}
    client.get("/jobs")
    method, path, headers, _ = script.seen[0]
    assert (method, path) == ("GET", "/jobs?status=failed")
    assert headers["Authorization"] == "Bearer prv_key"
    assert len(client._idle) == 1


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (401, "key_invalid", ForbiddenError),
        (403, "root_not_allowed", ForbiddenError),
        (404, "route_not_found", NotFoundError),
        (409, "wrong_status", StatusError),
        (422, "invalid_spec", SpecError),
        (422, "source_missing", SourceMissingError),
        (422, "not_yet", NotYetError),
        (429, "too_many_jobs", ServerError),
        (500, "internal_error", PravahError),
    ],
)
def test_problem_becomes_the_error_that_it_was(
    script: Script, client: Transport, status: int, kind: str, expected: type[PravahError]
) -> None:
    script.answers = [(status, {"kind": kind, "detail": "what", "hint": "next"})]
    with pytest.raises(expected) as error:
        client.get("/jobs/x")
    assert type(error.value) is expected
    assert (error.value.kind, error.value.message, error.value.hint) == (kind, "what", "next")
    assert len(script.seen) == 1


def test_hint_about_http_becomes_one_about_the_command_line(
    script: Script, client: Transport
) -> None:
    script.answers = [(404, {"kind": "job_not_found", "detail": "no job", "hint": "`GET /jobs`"})]
    with pytest.raises(NotFoundError) as error:
        client.get("/jobs/x")
    assert error.value.hint == "`pravah jobs list` shows the latest"


def test_answer_that_is_not_ours_says_so(script: Script, client: Transport) -> None:
    script.answers = [(404, b"<html>nginx</html>")]
    with pytest.raises(ServerError) as error:
        client.get("/jobs")
    assert error.value.kind == "not_a_server"


def test_busy_server_is_asked_again(script: Script, client: Transport) -> None:
    script.answers = [BUSY, BUSY, OK]
    assert client.get("/jobs") == {"ok": True}
    assert len(script.seen) == 3


def test_line_that_is_cut_is_mended_where_the_server_has_answered_before(
    script: Script, client: Transport
) -> None:
    script.answers = [OK, HANG_UP, HANG_UP, OK]
    client.get("/jobs")
    assert client.get("/jobs") == {"ok": True}


def test_post_is_sent_again_only_under_its_key(script: Script, client: Transport) -> None:
    client.get("/jobs")
    script.answers = [HANG_UP, (201, {"id": 1})]
    answer = client.send("POST", "/jobs", body={"a": 1}, idempotency_key="k")
    assert answer == (201, {"id": 1})
    posts = [seen for seen in script.seen if seen[0] == "POST"]
    assert [seen[2]["Idempotency-Key"] for seen in posts] == ["k", "k"]
    assert posts[0][3] == posts[1][3] == b'{"a": 1}'

    script.answers = [HANG_UP, OK]
    with pytest.raises(ServerError):
        client.send("POST", "/jobs/x/retry")
    assert sum(seen[1] == "/jobs/x/retry" for seen in script.seen) == 1


def test_answer_may_take_as_long_as_its_request_says(script: Script) -> None:
    hasty = Transport(script.url, None, timeout_s=0.2)
    assert hasty.get("/jobs") == {"ok": True}
    script.takes_s = 0.5
    for _ in range(2):
        assert hasty.send("POST", "/jobs/x/undo", timeout_s=60).form == {"ok": True}
    assert len(hasty._idle) == 1
    with pytest.raises(ServerError, match="can't reach"):
        hasty.send("POST", "/jobs/x/cancel")
    hasty.close()


def test_server_that_is_not_there_is_told_at_once(script: Script) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ServerError) as error:
        Transport(f"http://127.0.0.1:{port}", None).get("/jobs")
    assert error.value.kind == "server_unreachable"
    assert error.value.causes == ("connection refused",)
    assert script.seen == []


def test_pages_are_read_to_the_limit(script: Script, client: Transport) -> None:
    script.answers = [
        (200, {"items": [1, 2], "next_cursor": "c"}),
        (200, {"items": [3, 4], "next_cursor": "d"}),
    ]
    assert list(client.pages("/jobs", limit=3)) == [1, 2, 3]
    assert [seen[1] for seen in script.seen] == ["/jobs?limit=3", "/jobs?limit=1&cursor=c"]


def test_stream_that_is_left_closes_its_connection(script: Script, client: Transport) -> None:
    script.answers = [(200, b"x" * 500_000)]
    pieces = client.stream("/jobs/x/results", "text/csv")
    assert next(pieces)
    pieces.close()
    assert client._idle == []
