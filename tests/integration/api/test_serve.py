"""The process: how it starts, what it says, and how it ends with the workers beside it."""

from __future__ import annotations

import resource
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

from tests.integration.api.serving import Server, run
from tests.integration.workspace import Workspace

PROJECT = Path(__file__).parent.parent.parent.parent


def test_documented_script_starts_the_api() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["tool"]["pdm"]["scripts"]["start-api"] == "python -m pravah.api"


def test_sigterm_ends_server_and_worker_and_loses_nothing(each_workspace: Workspace) -> None:
    each_workspace.fill(200, size_bytes=3000)
    server = Server(each_workspace, workers=2)
    job_id = server.create("copy", limits={"read_rate": "20kB/s"})

    def at_work() -> bool:
        workers = server.client.get("/workers").json()["items"]
        return len(workers) == 2 and server.client.get(f"/jobs/{job_id}").json()["counts"]["done"]

    deadline_s = time.monotonic() + 60
    while not at_work():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert server.stop() == 0
    assert each_workspace.jobs.workers() == []
    job = each_workspace.jobs.get(job_id)
    assert job.books.counts.closed
    assert each_workspace.litter() == []
    again = Server(each_workspace, workers=1)
    each_workspace.jobs.change(job_id, {"limits": {"read_rate": "100MB/s"}})
    assert again.ended(job_id)["counts"]["done"] == 200
    again.stop()


def test_worker_that_dies_is_started_again_and_dies_with_its_server(workspace: Workspace) -> None:
    server = Server(workspace, workers=1)
    first = _worker_pid(server)
    subprocess.run(["kill", "-9", str(first)], check=True)
    deadline_s = time.monotonic() + 60
    while (second := _worker_pid(server)) == first:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    server.kill()
    deadline_s = time.monotonic() + 60
    while Path(f"/proc/{second}").exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_stream_of_events_ends_with_the_server(workspace: Workspace) -> None:
    workspace.fill(1)
    server = Server(workspace)
    job_id = server.create("copy")
    with server.client.stream("GET", f"/jobs/{job_id}/events") as stream:
        lines = stream.iter_lines()
        next(lines)
        begun_s = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        for _line in lines:
            pass
    assert server.process.wait(60) == 0
    assert time.monotonic() - begun_s < 60
    server.client.close()


def test_server_takes_more_connections_than_the_usual_limit_of_open_files(
    workspace: Workspace,
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        server = Server(workspace)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(150)]
    try:
        assert server.client.get("/readyz").status_code == 200
        assert "out of system resource" not in server.log.read_text()
    finally:
        for each in idle:
            each.close()
        server.kill()


def test_port_that_is_taken_is_told_with_its_owner(server: Server) -> None:
    ran = run(
        "serve",
        "--port",
        str(server.port),
        env=server.workspace.environment(),
        cwd=server.workspace.root,
    )
    assert ran.returncode == 2
    name = Path(f"/proc/{server.process.pid}/comm").read_text().strip()
    assert ran.stderr == (
        f"error: port {server.port} on 127.0.0.1 is taken by pid {server.process.pid} ({name})\n"
        "hint: choose another with APP_PORT or --port\n"
    )


def test_ledger_that_is_away_ends_the_start(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    env = workspace.environment({"DATABASE_URL": "postgresql://127.0.0.1:1/nothing"})
    started = subprocess.run(
        [sys.executable, "-m", "pravah.api", "--port", "1025"],
        env={**env, "APP_PORT": "1025"},
        capture_output=True,
        text=True,
    )
    assert started.returncode == 7
    assert started.stderr.startswith("error: the ledger postgresql://127.0.0.1:1/nothing")


def _worker_pid(server: Server) -> int:
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        items = server.client.get("/workers").json()["items"]
        if items:
            return int(items[-1]["pid"])
        time.sleep(0.1)
    raise AssertionError("no worker has come")
