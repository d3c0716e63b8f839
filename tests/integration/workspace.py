"""A workspace with sources, a sink and a data directory of its own, and jobs on the real engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pravah.bootstrap import Application, application
from pravah.jobs.service import JobService
from pravah.model.job import Job
from pravah.model.spec import JobSpec
from pravah.settings import Settings

WORKER = """
import sys
from pravah.bootstrap import application
opened = application()
opened.jobs.work(sys.argv[1] if len(sys.argv) > 1 else None)
opened.close()
"""


class Workspace:
    """Directories of one test, and an application on them."""

    def __init__(self, root: Path, database_url: str = "") -> None:
        self.root = root
        self._database_url = database_url
        self.source = root / "source"
        self.sink = root / "sink"
        self.home = root / "home"
        self.source.mkdir(exist_ok=True)
        self.settings = Settings(self.environment())
        self.application: Application = application(self.settings)

    def beside(self) -> Workspace:
        """Give another application on the same directories."""
        return Workspace(self.root, self._database_url)

    @property
    def jobs(self) -> JobService:
        return self.application.jobs

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment of a process that works here."""
        own = {
            "PRAVAH_HOME": str(self.home),
            "PRAVAH_ENV_FILE": "",
            "DATABASE_URL": self._database_url,
        }
        kept = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
        return {**kept, **own, **(extra or {})}

    def write(self, name: str, content: bytes = b"content\n") -> Path:
        """Write a source file."""
        path = self.source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def fill(self, files: int, size_bytes: int = 200) -> None:
        """Write many files in a few directories."""
        for number in range(files):
            self.write(f"d{number % 7}/f{number:05}.txt", f"{number} ".encode() * (size_bytes // 6))

    def spec(self, *steps: str | dict[str, Any], **keys: Any) -> JobSpec:
        """Make a spec over source and sink."""
        mapping = {"source": str(self.source), "sink": str(self.sink), "steps": list(steps)}
        return JobSpec.parse({k: v for k, v in {**mapping, **keys}.items() if v is not None})

    def submit(self, *steps: str | dict[str, Any], **keys: Any) -> Job:
        """Create a job."""
        return self.jobs.create(self.spec(*steps, **keys)).job

    def run(self, *steps: str | dict[str, Any], **keys: Any) -> Job:
        """Create a job and work on it until it ends."""
        job = self.submit(*steps, **keys)
        return self.finish(job)

    def finish(self, job: Job) -> Job:
        """Work on a job until it ends."""
        ended = self.jobs.work(job.id).job
        assert ended is not None
        assert ended.books.counts.closed
        return ended

    def worker(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process that works on a job."""
        command = [sys.executable, "-c", WORKER, *arguments]
        return subprocess.Popen(command, env=self.environment(environment))

    def script(self, text: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process that runs some Python here."""
        command = [sys.executable, "-c", text]
        return subprocess.Popen(command, env=self.environment(environment))

    def command(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process of the command line here."""
        command = [sys.executable, "-m", "pravah", *arguments]
        return subprocess.Popen(command, env=self.environment(environment))

    def outputs(self) -> dict[str, bytes]:
        """Give every file below the sink, datasets left out."""
        return {
            str(path.relative_to(self.sink)): path.read_bytes()
            for path in self.sink.rglob("*")
            if path.is_file() and "_pravah" not in path.parts
        }

    def litter(self) -> list[str]:
        """List temporaries that were left behind."""
        return [str(p) for p in self.sink.rglob(".*") if p.name.startswith(".pravah-")]

    def lines(self, job: Job, outcome: str | None = None) -> list[dict[str, Any]]:
        """Give the account of each file."""
        return [json.loads(line) for line in self.jobs.files(job.id, outcome)]
