"""The command line as a user has it: a process of its own, with a data directory of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent.parent.parent
PROGRAM = [sys.executable, str(PROJECT / "app" / "cli.py")]


@dataclass(frozen=True)
class Command:
    """Runs `pravah` with `home` as its data directory and without anybody's settings."""

    home: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Give the environment of the process."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PRAVAH_", "S3_", "APP_")) and name != "DATABASE_URL"
        }
        own = {"PRAVAH_HOME": str(self.home), "PRAVAH_ENV_FILE": "", "PRAVAH_DEV": "1"}
        return {**inherited, **own, **more}

    def run(self, *arguments: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and check its exit code."""
        ended = subprocess.run(
            [*PROGRAM, *map(str, arguments)],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
        )
        assert ended.returncode == expect, f"{arguments} gave {ended.returncode}\n{ended.stderr}"
        return ended

    def json(self, *arguments: str | Path, expect: int = 0) -> Any:
        """Run a command with `--json` and give the one object that it prints."""
        return json.loads(self.run(*arguments, "--json", expect=expect).stdout)

    def json_lines(self, *arguments: str | Path) -> list[Any]:
        """Run a command with `--json` and give the objects of its lines."""
        return [json.loads(line) for line in self.run(*arguments, "--json").stdout.splitlines()]


def assert_books_close(job: dict[str, Any]) -> None:
    """Check that every listed entry of a job is in exactly one outcome."""
    counts = dict(job["counts"])
    listed = counts.pop("listed")
    assert listed == sum(counts.values()), job["counts"]
