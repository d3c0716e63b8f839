"""What strangers and slow clients send: refused by 4xx, in bounded memory, while others go on.

Sizes are small by default; `PRAVAH_API_CLIENTS` makes them those of the targets.
"""

from __future__ import annotations

import json
import os
import re
import socket
import time
from typing import Any

import pytest

from tests.integration.api.serving import Server

CLIENTS = int(os.environ.get("PRAVAH_API_CLIENTS", "60"))
# What a server may grow by while clients misbehave: far below what they send or never read.
GROWTH_BYTES = 64 << 20
JSON = {"Content-Type": "application/json"}


def test_errors_everywhere_have_one_form(server: Server) -> None:
    answers = {
        404: server.client.get("/nothing"),
        405: server.client.put("/jobs"),
        415: server.client.post("/jobs", content=b"{}", headers={"Content-Type": "text/plain"}),
        422: server.client.get("/jobs", params={"limit": "many"}),
        400: server.client.post("/jobs", content=b"{", headers=JSON),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == status
        assert re.fullmatch("[a-z_]+", problem["kind"])
        assert problem["type"].endswith(problem["kind"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
    assert set(answers[405].headers["allow"].split(", ")) == {"GET", "POST"}
    assert answers[422].json()["errors"][0]["where"] == ["query", "limit"]


def test_bug_tells_nothing_of_itself(server: Server) -> None:
    """A ledger that breaks under the server: no path, no traceback, and the id to ask for."""
    server.workspace.fill(1)
    server.create("copy")
    server.workspace.application.close()
    for path in server.workspace.home.glob("pravah.db*"):
        path.write_bytes(b"no database" * 1000)
    answer = server.client.get("/jobs", headers={"X-Request-ID": "find-me"})
    # It is the ledger with the keys, so the guard meets it first: no bug, and worth another try.
    assert (answer.status_code, answer.json()["kind"][:6]) == (503, "ledger")
    assert answer.headers["retry-after"]
    assert "Traceback" not in server.log.read_text()
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(server.workspace.home) not in answer.text
    assert "Traceback" not in answer.text
    assert server.client.get("/livez").status_code == 200
    assert server.client.get("/readyz").json()["kind"] == "not_ready"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b'{"a": NaN}', "invalid_json"),
        (b'{"a": Infinity}', "invalid_json"),
        (b'{"a": 1e999}', "invalid_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"a": 1, "a": 2}', "invalid_json"),
        (b"[" * 100_000, "json_too_deep"),
        (b'{"a":' * 50 + b"1" + b"}" * 50, "json_too_deep"),
        (b"[]", "invalid_spec"),
        (b"null", "invalid_spec"),
        (b'{"source": "a", "steps": ["copy"], "sinc": "b"}', "invalid_spec"),
        (b'{"source": "a\\u0000", "steps": ["copy"]}', "invalid_text"),
        (b'{"source": "a", "steps": ["copy"], "name": "\\ud800"}', "invalid_text"),
        (b'{"source": "a", "steps": ["nothing"]}', "unknown_processor"),
        (b'{"source": "a", "steps": [{"copy": {}, "name": 1}]}', "invalid_spec"),
    ],
)
def test_malformed_body_is_refused(server: Server, body: bytes, kind: str) -> None:
    answer = server.client.post("/jobs", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert answer.json()["kind"] == kind


def test_brackets_in_texts_are_no_depth(server: Server) -> None:
    spec = server.spec("copy", name="[" * 100 + '\\"{')
    server.workspace.fill(1)
    assert server.client.post("/jobs", json=spec).status_code == 201


@pytest.mark.parametrize(
    "job_id",
    ["../x", "..%2f..%2fetc", "job_", "x" * 3000, "%00", "job_01'; DROP TABLE jobs;--", "*"],
)
def test_id_that_is_none_is_not_found(server: Server, job_id: str) -> None:
    for path in ("", "/files", "/results", "/events"):
        answer = server.client.get(f"/jobs/{job_id}{path}")
        assert answer.status_code == 404, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_text_of_sql_is_a_text(server: Server) -> None:
    server.workspace.fill(1)
    name = "'; DROP TABLE jobs; -- %s :status"
    job_id = server.create("copy", name=name, labels={"a'b": 'c"; --'})
    named = server.client.get("/jobs", params={"name": name}).json()["items"]
    labelled = server.client.get("/jobs", params={"label": "a'b=c\"; --"}).json()["items"]
    assert [job["id"] for job in named] == [job["id"] for job in labelled] == [job_id]


def test_huge_body_is_refused_in_bounded_memory(server: Server) -> None:
    server.client.get("/openapi.json")
    before = server.memory_bytes()
    told = server.client.post("/jobs", content=b" " * (2 << 20), headers=JSON)
    assert (told.status_code, told.json()["kind"]) == (413, "body_too_large")
    # In chunks, without a length, and without end.
    with connected(server) as raw:
        raw.sendall(head("POST", "/jobs", "Transfer-Encoding: chunked", *headers_of(JSON)))
        sent, chunk = 0, b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            while sent < 256 << 20:
                raw.sendall(chunk)
                sent += len(chunk)
        except OSError:
            pass
        assert sent < 64 << 20
    assert server.client.get("/livez").status_code == 200
    assert server.memory_bytes() - before < GROWTH_BYTES


def test_body_that_nobody_reads_ends_the_connection(workspace: Any) -> None:
    """Who has no key, or the wrong one, does not keep the server busy with a body without end."""
    server = Server(workspace, PRAVAH_ADMIN_KEY="admin-key-of-the-tests")
    try:
        for path, status in (("/jobs", b" 401 "), ("/livez", b" 405 ")):
            with connected(server) as raw:
                raw.sendall(head("POST", path, "Transfer-Encoding: chunked", *headers_of(JSON)))
                sent, chunk = 0, b"10000\r\n" + b" " * 0x10000 + b"\r\n"
                try:
                    while sent < 64 << 20:
                        raw.sendall(chunk)
                        sent += len(chunk)
                except OSError:
                    pass
                assert sent < 64 << 20, path
            with connected(server) as raw:
                raw.sendall(head("POST", path, "Content-Length: 5"))
                answer = read_all(raw)
                assert status in answer.partition(b"\r\n")[0]
        assert server.client.get("/livez").status_code == 200
    finally:
        server.kill()


def test_huge_head_is_refused(server: Server) -> None:
    with connected(server) as raw:
        raw.sendall(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * (1 << 20))
        answer = read_all(raw)
    assert b" 400 " in answer
    assert b"application/problem+json" in answer


def test_slow_heads_are_cut_off_while_others_are_answered(server: Server) -> None:
    """Slowloris: a byte of the head now and then, from many connections."""
    before = server.memory_bytes()
    slow = [connected(server) for _ in range(CLIENTS)]
    for raw in slow:
        raw.sendall(b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n")
    begun_s = time.monotonic()
    open_ones = list(slow)
    while open_ones and time.monotonic() - begun_s < 60:
        assert server.client.get("/livez").status_code == 200
        time.sleep(0.5)
        still = []
        for raw in open_ones:
            try:
                raw.sendall(b"X")
                raw.settimeout(0.001)
                if raw.recv(1) == b"":
                    raise ConnectionError
            except TimeoutError:
                still.append(raw)
            except OSError:
                raw.close()
        open_ones = still
    assert open_ones == []
    assert server.memory_bytes() - before < GROWTH_BYTES


def test_body_that_stops_coming_ends_with_408(
    workspace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    from pravah.api import guard

    monkeypatch.setattr(guard, "BODY_TIMEOUT_S", 0.05)

    async def never() -> Any:
        await asyncio.sleep(60)

    async def ask() -> None:
        scope = {"type": "http", "method": "POST", "path": "/jobs", "state": {}}
        scope |= {"headers": [(b"content-length", b"10")]}
        exchange = guard._Exchange(scope, never, never)  # type: ignore[arg-type]
        await exchange.receive()

    with pytest.raises(guard.Problem) as caught:
        asyncio.run(ask())
    assert (caught.value.status, caught.value.kind) == (408, "body_timeout")
    assert workspace


def test_what_is_no_http_is_refused(server: Server) -> None:
    for text in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\0" * 100):
        with connected(server) as raw:
            raw.sendall(text + b"\r\n\r\n")
            assert b" 400 " in read_all(raw).partition(b"\r\n")[0]
    doubled = head("GET", "/jobs", "Host: localhost", "Authorization: a", "Authorization: b")
    with connected(server) as raw:
        raw.sendall(doubled)
        assert b" 400 " in raw.recv(1 << 16)
    two = head("POST", "/jobs", "Content-Length: 5", "Transfer-Encoding: chunked")
    with connected(server) as raw:
        raw.sendall(two + b"0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = read_all(raw)
        assert b" 400 " in answer.partition(b"\r\n")[0]
        assert answer.count(b"HTTP/1.1") == 1
    assert server.client.get("/livez").status_code == 200


def test_docs_work_offline_under_a_strict_policy(server: Server) -> None:
    page = server.client.get("/docs")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(links) == 4
    for link in links:
        assert link.startswith("/")
        assert server.client.get(link).status_code == 200
    assert not re.search(r"<script(?![^>]*src=)", page.text)
    assert server.client.get("/docs/..%2fguard.py").status_code == 404
    assert server.client.get("/docs/README.md").status_code == 404


def test_metrics_have_labels_of_ours_only(server: Server) -> None:
    server.workspace.fill(1)
    server.create("copy")
    for number in range(20):
        server.client.get(f"/made-up/{number}")
        server.client.get(f"/jobs/job_ZZZZZ{number}")
    server.client.request("BREW", "/jobs")
    text = server.client.get("/metrics").text
    assert "made-up" not in text
    assert "BREW" not in text
    assert 'pravah_jobs{status="pending"} 1' in text
    assert re.search(
        r'requests_total\{route="/jobs/\{job_id\}",method="GET",status="4xx"\} 20', text
    )
    assert "pravah_ledger_up 1" in text
    for line in text.splitlines():
        assert re.fullmatch(
            r"# (HELP|TYPE) .+|[a-z_]+(\{[^{}]*(\{\w+\}[^{}]*)*\})? [0-9.e+-]+", line
        ), line


def connected(server: Server) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def head(method: str, path: str, *lines: str) -> bytes:
    """Write the head of a request."""
    named = (
        lines if any(line.startswith("Host:") for line in lines) else ("Host: localhost", *lines)
    )
    return "\r\n".join([f"{method} {path} HTTP/1.1", *named, "", ""]).encode()


def headers_of(headers: dict[str, str]) -> list[str]:
    """Write headers as lines."""
    return [f"{name}: {value}" for name, value in headers.items()]


def read_all(raw: socket.socket) -> bytes:
    """Read until the other side closes."""
    parts = []
    try:
        while part := raw.recv(1 << 16):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)


def test_known_shapes_of_schemas_are_those_of_the_wire(server: Server) -> None:
    """What is documented has the keys that are served, and none beside them."""
    from pravah.api.schemas import SCHEMAS

    server.workspace.fill(1)
    job_id = server.create("copy")
    job = server.client.get(f"/jobs/{job_id}").json()
    assert set(job) <= set(SCHEMAS["Job"]["properties"])
    assert set(job) >= set(SCHEMAS["Job"]["required"])
    (task,) = server.client.get(f"/jobs/{job_id}/tasks").json()["items"]
    assert set(task) == set(SCHEMAS["Task"]["properties"])
    processors = server.client.get("/processors").json()["items"]
    assert set(processors[0]) == set(SCHEMAS["Processor"]["properties"])
    assert server.client.get("/processors/copy").json() in processors
    assert server.client.get("/processors/none").json()["kind"] == "unknown_processor"
    assert json.dumps(job)
