"""The documented set-up, step by step and as it is written, with servers on the published ports.

What `docker-compose up -d postgres minio` publishes on this machine, PostgreSQL on 5432 and MinIO
on 9000, is published here by the tests' own servers; no hosts file names `pravah_db`. Steps 1 to 4
(clone, `.env`, core, packages) are what `make setup` has done when tests run; with
PRAVAH_DOCUMENTED=full they are done in a fresh clone, which takes minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import object_servers, postgres

PROJECT = Path(__file__).parent.parent.parent
FULL = os.environ.get("PRAVAH_DOCUMENTED") == "full"
PATIENCE_S = 1_800 if FULL else 120
PORTS = {"pravah_db": 5432, "pravah_minio": 9000, "the API": 8000}


class Shell:
    """A terminal in a checkout, in which a reader types what is documented."""

    def __init__(self, checkout: Path, home: Path) -> None:
        self.checkout = checkout
        hidden = ("PRAVAH_", "S3_", "APP_", "DATABASE_URL", "VIRTUAL_ENV")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        # `make setup` brings its own PDM; a reader's is on the PATH, too.
        path = f"{PROJECT / '.cache/pdm/bin'}:{kept['PATH']}"
        own = {"PATH": path, "PDM_CHECK_UPDATE": "false", "PDM_NON_INTERACTIVE": "1"}
        self.environment = {**kept, **own, "PRAVAH_HOME": str(home), "PRAVAH_DEV": "1"}

    def type(self, command: str) -> str:
        """Run a command to its end; give what it printed to stdout."""
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE_S,
        )
        assert ran.returncode == 0, f"{command}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Leave a command running."""
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


@pytest.fixture
def servers() -> Iterator[None]:
    """Publish what the Compose file does."""
    for name, port in PORTS.items():
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                taken = f"port {port} of {name} is taken on this machine"
                pytest.fail(taken) if FULL else pytest.skip(taken)
    keys = {"access_key": "minioadmin", "secret_key": "minioadmin"}
    with (
        postgres.served(port=PORTS["pravah_db"]) as database,
        object_servers.served("minio", PORTS["pravah_minio"], **keys) as store,
    ):
        database.execute("postgres", "CREATE ROLE \"user\" LOGIN PASSWORD 'password'")
        database.execute("postgres", 'CREATE DATABASE pravah_db OWNER "user"')
        with store.client() as client:
            client.create_bucket(Bucket="pravah-local-bucket")
        yield


@pytest.fixture
def shell(tmp_path: Path, servers: None) -> Shell:  # noqa: ARG001 - they have to be there
    """Give a checkout with what steps 1 to 4 make: here the one of the tests, or a clone of it."""
    if FULL:
        subprocess.run(["git", "clone", "--quiet", PROJECT, tmp_path / "pravah"], check=True)
        made = Shell(tmp_path / "pravah", tmp_path / "home")
        made.type("cp .env.example .env")
        made.type("make build-rust")
        made.type("pdm install")
        return made
    made = Shell(PROJECT, tmp_path / "home")
    # The `.env` of whoever runs the tests is not touched.
    shutil.copy(PROJECT / ".env.example", tmp_path / ".env")
    made.environment["PRAVAH_ENV_FILE"] = str(tmp_path / ".env")
    made.environment["PRAVAH_ALLOWED_ROOTS"] = str(tmp_path)
    return made


def asked(path: str, body: dict[str, Any] | None = None, key: str = "") -> Any:
    """Ask the API as its documentation says."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://localhost:8000{path}", data, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return answer.read()


def until_answered(path: str) -> bytes:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            found: bytes = asked(path)
        except OSError:
            assert time.monotonic() < deadline, "the API does not answer"
            time.sleep(0.2)
        else:
            return found


def test_documented_steps_work_as_written(shell: Shell, tmp_path: Path) -> None:
    shell.type("pdm run alembic upgrade head")
    assert "PostgreSQL" in shell.type("pdm run python app/cli.py db status")
    assert "jobs" in shell.type("pdm run python app/cli.py --help")

    api = shell.start("pdm run start-api")
    try:
        assert b"swagger" in until_answered("/docs").lower()
        source = (shell.checkout / "data" if FULL else tmp_path) / "input"
        source.mkdir(parents=True)
        (source / "a.csv").write_text("id,name\n1,x\n")
        # The documented address is not the loopback's: a key is needed, and made.
        key = (tmp_path / "home" / "admin.key").read_text().strip()
        spec = {"source": str(source), "steps": ["extract_headers"]}
        job = json.loads(asked("/jobs", spec, key))
        deadline = time.monotonic() + PATIENCE_S
        while (found := json.loads(asked(f"/jobs/{job['id']}", key=key)))["status"] != "completed":
            assert found["status"] in ("pending", "running"), found
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (record,) = map(json.loads, asked(f"/jobs/{job['id']}/results", key=key).splitlines())
        assert [column["name"] for column in record["columns"]] == ["id", "name"]
        listed = shell.type("pdm run python app/cli.py jobs list --json")
        assert [json.loads(line)["id"] for line in listed.splitlines()] == [job["id"]]
    finally:
        os.killpg(api.pid, signal.SIGTERM)
        api.wait(PATIENCE_S)
