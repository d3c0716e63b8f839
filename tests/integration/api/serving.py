"""A real server of the API in a process of its own, on a workspace of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from pravah.model.keys import ApiKey, Scope, digest, new_secret
from tests.integration.workspace import Workspace
from tests.ports import free_port

# Well above what anything here takes on a busy machine.
PATIENCE_S = 60


class Server:
    """`python -m pravah.api` on a free port; callers reach the workspace and nothing else."""

    def __init__(self, workspace: Workspace, *, workers: int = 0, **environment: str) -> None:
        self.workspace = workspace
        self.port = free_port()
        self.host = environment.pop("APP_HOST", "127.0.0.1")
        self.log = workspace.root / f"server-{self.port}.log"
        own = {
            "APP_HOST": self.host,
            "APP_PORT": str(self.port),
            "PRAVAH_WORKERS": str(workers),
            "PRAVAH_ALLOWED_ROOTS": str(workspace.root),
            "PRAVAH_DEV": "1",
            "LOG_LEVEL": "DEBUG",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pravah.api"],
                env=workspace.environment({**own, **environment}),
                cwd=workspace.root,
                stderr=log,
            )
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=PATIENCE_S)
        self._wait()

    def _wait(self) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.client.get("/livez").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the server does not answer")

    def key(self, scope: Scope = Scope.SUBMIT, **fields: Any) -> dict[str, str]:
        """Make a key; give the header that sends it."""
        key_id, secret = new_secret()
        key = ApiKey(id=key_id, name="test", scope=scope, digest=digest(secret), **fields)
        self.workspace.application.keys.add(key)
        return {"Authorization": f"Bearer {secret}"}

    def spec(self, *steps: Any, **keys: Any) -> dict[str, Any]:
        """Make the spec of a job over source and sink."""
        own = {"source": str(self.workspace.source), "sink": str(self.workspace.sink)}
        spec = {**own, "steps": list(steps), **keys}
        return {key: value for key, value in spec.items() if value is not None}

    def create(self, *steps: Any, headers: Mapping[str, str] | None = None, **keys: Any) -> str:
        """Create a job; give its id."""
        answer = self.client.post("/jobs", json=self.spec(*steps, **keys), headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def ended(self, job_id: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Wait until a job has ended."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            job = self.client.get(f"/jobs/{job_id}", headers=headers).json()
            if job["status"] in ("completed", "failed", "cancelled"):
                return job
            time.sleep(0.05)
        raise AssertionError(f"{job_id} has not ended: {json.dumps(job)}")

    def memory_bytes(self) -> int:
        """Tell the memory that the server itself takes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) << 10

    def stop(self) -> int:
        """End it as an operator does; give its exit code."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def kill(self) -> None:
        """End it at once."""
        self.client.close()
        self.process.kill()
        self.process.wait()


def run(*arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [sys.executable, "-m", "pravah", *arguments]
    return subprocess.run(
        command, env={**os.environ, **env}, cwd=cwd, capture_output=True, text=True
    )
