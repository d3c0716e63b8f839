"""Drives the installed command as a user does: a process, its two streams, its exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Well above what any command of these tests takes on a busy machine.
PATIENCE_S = 120


@dataclass
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """Read stdout as NDJSON."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Cli:
    """`pravah` with a data directory and a working directory of its own."""

    home: Path
    directory: Path
    environment: dict[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S

    def command(self, *arguments: str | bytes | Path) -> list[str | bytes]:
        """Give the argument list of a process that runs this command."""
        return [sys.executable, "-m", "pravah", *map(os.fspath, arguments)]

    def env(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the environment: nothing of the tester's own settings or `.env`."""
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("PRAVAH_", "S3_", "APP_"))
        }
        clean.pop("DATABASE_URL", None)
        clean.pop("NO_COLOR", None)
        own = {"PRAVAH_HOME": str(self.home), "PRAVAH_ENV_FILE": "", "PRAVAH_DEV": "1"}
        return clean | own | self.environment | dict(extra or {})

    def __call__(
        self,
        *arguments: str | bytes | Path,
        stdin: str | None = None,
        prefix: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> Ran:
        """Run a command to its end."""
        ran = subprocess.run(
            [*prefix, *self.command(*arguments)],
            input=None if stdin is None else stdin.encode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=self.directory,
            env=self.env(env),
            timeout=self.patience_s,
        )
        decode = "utf-8", "surrogateescape"
        return Ran(ran.returncode, ran.stdout.decode(*decode), ran.stderr.decode(*decode))

    def ok(self, *arguments: str | bytes | Path) -> Ran:
        """Run a command that has to succeed."""
        ran = self(*arguments)
        assert ran.code == 0, ran.err
        return ran

    def job(self, *arguments: str | bytes | Path) -> dict[str, Any]:
        """Run a job and give its wire form, however it ended."""
        ran = self("run", *arguments, "--json")
        assert ran.out, ran.err
        (job,) = ran.objects()
        assert_books_close(job)
        return job


def assert_books_close(job: Mapping[str, Any]) -> None:
    counts = dict(job["counts"])
    assert counts.pop("listed") == sum(counts.values())
