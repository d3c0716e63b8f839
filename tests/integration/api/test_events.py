"""Server-sent events: in order, resumable, never back, and cheap for whoever does not read."""

from __future__ import annotations

import json
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from tests.integration.api.serving import Server

CLIENTS = int(os.environ.get("PRAVAH_API_CLIENTS", "100"))
ENDED = ("completed", "failed", "cancelled")


def follow(server: Server, job_id: str, last: int | None = None) -> Iterator[tuple[str, Any]]:
    """Give the events of a stream with their data."""
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    with server.client.stream("GET", f"/jobs/{job_id}/events", headers=headers) as stream:
        assert stream.status_code == 200, stream.status_code
        assert stream.headers["content-type"].startswith("text/event-stream")
        kind = ""
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield kind, json.loads(line.removeprefix("data: "))


def test_stream_tells_everything_in_order_and_ends_with_the_job(working: Server) -> None:
    working.workspace.fill(30)
    job_id = working.create("copy", limits={"read_rate": "3kB/s"})
    told = list(follow(working, job_id))
    numbers = [data["id"] for kind, data in told if kind != "job"]
    assert numbers == [event.id for event in working.workspace.jobs.events(job_id)]
    kinds = [kind for kind, _ in told]
    assert kinds[0] == "job_created"
    assert "job_complete" in kinds
    statuses = [data["status"] for kind, data in told if kind == "job"]
    order = ["pending", "running", "completed"]
    assert [order.index(status) for status in statuses] == sorted(map(order.index, statuses))
    assert (kinds[-1], statuses[-1]) == ("job", "completed")


def test_stream_goes_on_behind_the_last_event_that_was_seen(working: Server) -> None:
    working.workspace.fill(3)
    job_id = working.create("copy")
    working.ended(job_id)
    every = [data["id"] for kind, data in follow(working, job_id) if kind != "job"]
    for place in (0, len(every) // 2, len(every) - 2):
        rest = [data["id"] for kind, data in follow(working, job_id, every[place]) if kind != "job"]
        assert rest == every[place + 1 :]
    path, last = f"/jobs/{job_id}/events", str(every[-1])
    assert working.client.get(path, headers={"Last-Event-ID": last}).status_code == 204
    assert working.client.get(path, params={"after": last}).status_code == 204
    strange = working.client.get(path, headers={"Last-Event-ID": "no-number"})
    assert strange.text.count("event: job_created") == 1


def test_ended_job_is_never_told_to_run_again(working: Server) -> None:
    """Many follow a short job from different moments on; nobody sees it come back."""
    working.workspace.fill(10)
    job_id = working.create("copy", limits={"read_rate": "2kB/s"})
    seen: list[list[str]] = []

    def watch(delay_s: float) -> None:
        time.sleep(delay_s)
        statuses = [
            data["status"] if kind == "job" else kind for kind, data in follow(working, job_id)
        ]
        seen.append(statuses)

    threads = [threading.Thread(target=watch, args=(n * 0.1,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 12
    for statuses in seen:
        end = statuses.index("job_complete")
        assert {s for s in statuses[end:] if s in ("pending", "running", *ENDED)} == {"completed"}


def test_clients_that_never_read_cost_bounded_memory(server: Server) -> None:
    """Each asks for the events of a job with a long history, and reads nothing of it."""
    server.workspace.fill(1)
    job_id = server.create("copy")
    ledger, found = server.workspace.application.ledger, server.workspace.jobs.find(job_id)
    for number in range(300):
        ledger.note(found, "noise", {"number": number, "padding": "x" * 2000})
    list(zip(follow(server, job_id), range(301), strict=False))
    before = server.memory_bytes()
    _make_room(CLIENTS)
    idle = []
    for _ in range(CLIENTS):
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.connect(("127.0.0.1", server.port))
        raw.sendall(f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        idle.append(raw)
    try:
        deadline_s = time.monotonic() + 30
        while f"pravah_event_streams {CLIENTS}" not in server.client.get("/metrics").text:
            assert time.monotonic() < deadline_s
            time.sleep(0.2)
        for _ in range(20):
            assert server.client.get(f"/jobs/{job_id}").status_code == 200
            ledger.note(found, "noise", {"padding": "x" * 20_000})
            time.sleep(0.05)
        # A socket of the kernel, uvicorn's 64 KiB and a page of events each.
        grown = server.memory_bytes() - before
        print(f"{CLIENTS} clients: {before >> 20} MiB, and {grown >> 20} MiB more")  # noqa: T201
        assert grown < (64 << 20) + CLIENTS * (512 << 10)
    finally:
        for raw in idle:
            raw.close()
    deadline_s = time.monotonic() + 60
    while "pravah_event_streams 0\n" not in server.client.get("/metrics").text:
        assert time.monotonic() < deadline_s
        ledger.note(found, "noise", {})
        time.sleep(0.2)


def _make_room(sockets: int) -> None:
    """Have this process open so many, where the usual limit is 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, sockets + 500)), hard))
