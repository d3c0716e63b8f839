"""Files that come with a request: streamed to disk, bounded, the job's own, and gone with it."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import httpx

from pravah.model.keys import Scope
from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace

MIB = 1 << 20


def send(
    server: Server,
    files: dict[str, bytes] | list[tuple[str, bytes]],
    headers: dict[str, str] | None = None,
    params: dict[str, str] | None = None,
    **spec: Any,
) -> httpx.Response:
    """Send a spec, `count` by default, with files."""
    pairs = list(files.items()) if isinstance(files, dict) else files
    sent = json.dumps({"steps": ["count"], **spec})
    parts: list[tuple[str, Any]] = [("spec", (None, sent, "application/json"))]
    parts += [("file", (name, content)) for name, content in pairs]
    return server.client.post("/jobs", files=parts, headers=headers, params=params)


def kept(server: Server) -> list[str]:
    """Give what lies below the directory of uploads, by relative path."""
    root = server.workspace.home / "uploads"
    return sorted(str(path.relative_to(root)) for path in root.glob("*/*"))


def test_files_that_come_with_the_request_are_the_source(working: Server) -> None:
    sent = send(working, {"a.txt": b"one\ntwo\n", "deep/er/b.txt": b"three\n"})
    assert sent.status_code == 201, sent.text
    job_id = sent.json()["id"]
    job = working.ended(job_id)
    assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    results = working.client.get(f"/jobs/{job_id}/results").text.splitlines()
    records = [json.loads(line) for line in results]
    assert [record["lines"] for record in records] == [2, 1]
    assert records[1]["path"].endswith(f"/{job_id.removeprefix('job_')}/deep/er/b.txt")
    (place,) = (working.workspace.home / "uploads").glob("*/*")
    assert place.stat().st_mode & 0o077 == 0
    assert working.client.delete(f"/jobs/{job_id}").status_code == 204
    assert kept(working) == []


def test_outputs_go_where_the_spec_says_and_filters_hold(working: Server) -> None:
    sink = working.workspace.root / "out"
    files = {"a.csv": b"id\n1\n", "b.txt": b"no"}
    sent = send(working, files, source={"include": ["*.csv"]}, sink=str(sink), steps=["copy"])
    assert working.ended(sent.json()["id"])["counts"]["filtered"] == 1
    assert [path.name for path in sink.iterdir()] == ["a.csv"]
    outside = send(working, files, sink="/etc", steps=["copy"])
    assert (outside.status_code, outside.json()["kind"]) == (403, "root_not_allowed")


def test_same_key_makes_one_job_of_the_same_bytes_and_none_of_others(server: Server) -> None:
    headers = {"Idempotency-Key": "once"}
    first = send(server, {"a": b"1", "b": b"2"}, headers)
    again = send(server, [("b", b"2"), ("a", b"1")], headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    for files in ({"a": b"1", "b": b"3"}, {"a": b"1"}, {"a": b"1", "c": b"2"}):
        other = send(server, files, headers)
        assert (other.status_code, other.json()["kind"]) == (422, "idempotency_key_reused")
    assert len(server.client.get("/jobs").json()["items"]) == 1
    assert len(kept(server)) == 1


def test_plan_of_files_that_are_sent_creates_nothing(server: Server) -> None:
    plan = send(server, {"a": b"1", "b": b"2"}, params={"dry_run": "true"})
    assert (plan.status_code, plan.json().get("entries")) == (200, 2), plan.text
    assert server.client.get("/jobs").json()["items"] == []
    assert kept(server) == []


BAD_NAMES = [
    "/etc/passwd",
    "../x",
    "a/../../x",
    "a/./b",
    "a//b",
    "a/",
    "..",
    ".",
    "a\x00b",
    "a\nb",
    ".pravah-x",
    "a/_pravah/b",
    "x" * 256,
    "/".join("abcdefghijklmnopq"),
]


def test_name_that_could_lead_elsewhere_is_refused(server: Server) -> None:
    for name in BAD_NAMES:
        with connected(server) as raw:
            head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
            spec = _part('name="spec"', b'{"steps": ["count"]}')
            answer = _post(raw, _body(spec, f"{head}x\r\n".encode()))
        status = answer.partition(b"\r\n")[0]
        assert b" 422 " in status or b" 400 " in status, name
        assert b"invalid_file_name" in answer or b"invalid_multipart" in answer, name
        assert kept(server) == []


def test_name_that_comes_twice_is_refused(server: Server) -> None:
    for names in (("a", "a"), ("a", "a/b"), ("a/b", "a")):
        refused = send(server, [(name, b"x") for name in names])
        assert (refused.status_code, refused.json()["kind"]) == (422, "duplicate_file_name"), names
    assert kept(server) == []


def test_name_that_is_not_utf_8_is_kept_as_it_is(server: Server) -> None:
    part = _part('name="file"; filename="\udcff.txt"', b"x")
    with connected(server) as raw:
        answer = _post(raw, _body(_part('name="spec"', b'{"steps": ["count"]}'), part))
    assert b" 201 " in answer.partition(b"\r\n")[0], answer
    (place,) = os.listdir(
        next((server.workspace.home / "uploads").glob("*/*")).__fspath__().encode()
    )
    assert place == b"\xff.txt"


def test_spec_that_names_other_sources_is_refused(server: Server) -> None:
    specs: list[tuple[dict[str, Any], str]] = [
        ({"source": {"uri": "/etc"}}, "invalid_spec"),
        ({"source": "/etc"}, "invalid_spec"),
        ({"source": {"files_from": "/etc/passwd"}}, "invalid_spec"),
        ({"in_place": True, "steps": ["compress"]}, "invalid_spec"),
        ({"steps": ["nothing"]}, "unknown_processor"),
    ]
    for spec, kind in specs:
        refused = send(server, {"a": b"1"}, **spec)
        assert (refused.status_code, refused.json()["kind"]) == (422, kind), spec
        assert kept(server) == []


def test_bodies_that_are_none_are_refused(server: Server) -> None:
    spec = _part('name="spec"', b'{"steps": ["count"]}')
    file = _part('name="file"; filename="a"', b"x")
    bodies = {
        "spec_missing": _body(file),
        "no_files": _body(spec),
        "unknown_part": _body(spec, file, _part('name="else"', b"x")),
        "invalid_json": _body(_part('name="spec"', b"{"), file),
        "invalid_file_name": _body(spec, _part('name="file"', b"x")),
    }
    for kind, body in bodies.items():
        with connected(server) as raw:
            assert f'"kind": "{kind}"'.encode() in _post(raw, body), kind
    broken = [
        _body(spec, file)[:-20],
        b"no boundary at all",
        _body(b"X: " + b"y" * 20_000 + b"\r\n\r\n\r\n"),
        _body(spec, spec, file),
        _body(b"Content-Disposition: attachment\r\n\r\nx\r\n"),
        _body(b"Content-Transfer-Encoding: base64\r\n" + file),
    ]
    for body in broken:
        with connected(server) as raw:
            answer = _post(raw, body)
        assert b" 400 " in answer.partition(b"\r\n")[0], body[:80]
        assert b"invalid_multipart" in answer
    without = server.client.post(
        "/jobs", content=b"x", headers={"Content-Type": "multipart/form-data"}
    )
    assert (without.status_code, without.json()["kind"]) == (400, "invalid_multipart")
    assert kept(server) == []
    assert "Traceback" not in server.log.read_text()


def test_files_beyond_the_limit_are_refused_in_bounded_memory(workspace: Workspace) -> None:
    server = Server(workspace, PRAVAH_UPLOAD_LIMIT="200MiB")
    try:
        send(server, {"warm": b"up"})
        before = server.memory_bytes()
        large = send(server, {"large": os.urandom(MIB) * 150})
        assert large.status_code == 201, large.text
        with connected(server) as raw:
            head = "Transfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=XX"
            raw.sendall(f"POST /jobs HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
            begin = b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            raw.sendall(b"%x\r\n%s\r\n" % (len(begin), begin))
            sent, chunk = 0, b"100000\r\n" + b"x" * MIB + b"\r\n"
            try:
                while sent < 1000 * MIB:
                    raw.sendall(chunk)
                    sent += MIB
            except OSError:
                pass
            assert 200 * MIB < sent + MIB < 400 * MIB
        assert server.memory_bytes() - before < 64 * MIB
        many = send(server, [(f"f{number}", b"") for number in range(1001)])
        assert (many.status_code, many.json()["kind"]) == (413, "upload_too_large")
        _wait_until(lambda: len(kept(server)) == 2)
    finally:
        server.kill()


def test_client_that_goes_away_leaves_nothing(server: Server) -> None:
    raw = connected(server)
    half = _body(_part('name="spec"', b"{}"), _part('name="file"; filename="a"', b"x" * MIB))
    raw.sendall(_head(len(half)) + half[: MIB // 2])
    _wait_until(lambda: len(kept(server)) == 1)
    raw.close()
    _wait_until(lambda: kept(server) == [])
    assert "Traceback" not in server.log.read_text()


def test_key_without_the_right_sends_nothing(workspace: Workspace) -> None:
    server = Server(workspace, PRAVAH_ADMIN_KEY="admin-key-of-the-tests")
    try:
        body = os.urandom(MIB) * 20
        for headers, status in ((server.key(Scope.READ), 403), ({}, 401)):
            with connected(server) as raw:
                fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
                head = _head(len(body)).replace(b"\r\n\r\n", b"\r\n" + fields.encode() + b"\r\n")
                raw.sendall(head)
                answer = raw.recv(1 << 16)
            assert f" {status} ".encode() in answer.partition(b"\r\n")[0]
            assert b"connection: close" in answer.lower()
        assert kept(server) == []
        small = send(server, {"a": b"1"}, server.key(team="red", roots=()))
        assert small.status_code == 201, small.text
    finally:
        server.kill()


def test_limit_of_zero_takes_no_files(workspace: Workspace) -> None:
    server = Server(workspace, PRAVAH_UPLOAD_LIMIT="0")
    try:
        refused = send(server, {"a": b"1"})
        assert (refused.status_code, refused.json()["kind"]) == (415, "unsupported_media_type")
    finally:
        server.kill()


def test_files_of_jobs_that_are_gone_are_swept_and_others_stay(server: Server) -> None:
    """Pruned by a worker, or left by a server that died: the next sweep removes them."""
    lives, gone = (send(server, {"a": b"1"}).json()["id"] for _ in range(2))
    server.workspace.jobs.work(gone)
    server.workspace.jobs.delete(gone)
    (root,) = (server.workspace.home / "uploads").iterdir()
    for left in ("arriving-01KB0Z6N5T3V8X2Y4W6Q8R0S1T", "01KB0Z6N5T3V8X2Y4W6Q8R0S1T"):
        (root / left).mkdir()
    fresh = root / "arriving-01KB0Z6N5T3V8X2Y4W6Q8R0S1V"
    _age(root)
    fresh.mkdir()
    server.stop()
    again = Server(server.workspace)
    try:
        expected = sorted([lives.removeprefix("job_"), fresh.name])
        _wait_until(lambda: sorted(path.name for path in root.iterdir()) == expected)
    finally:
        again.kill()


def _age(root: Path) -> None:
    for directory in root.iterdir():
        os.utime(directory, (time.time() - 7200,) * 2)


def _wait_until(condition: Any) -> None:
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def connected(server: Server) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=30)


def _part(disposition: str, content: bytes) -> bytes:
    head = f"Content-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode("utf-8", "surrogateescape") + content + b"\r\n"


def _body(*parts: bytes) -> bytes:
    return b"".join(b"--XX\r\n" + part for part in parts) + b"--XX--\r\n"


def _head(size_bytes: int) -> bytes:
    return (
        "POST /jobs HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary=XX\r\nContent-Length: {size_bytes}\r\n\r\n"
    ).encode()


def _post(raw: socket.socket, body: bytes) -> bytes:
    raw.sendall(_head(len(body)) + body)
    answer = raw.recv(1 << 16)
    while b"\r\n\r\n" not in answer or not answer.rstrip().endswith(b"}"):
        piece = raw.recv(1 << 16)
        if not piece:
            break
        answer += piece
    return answer
