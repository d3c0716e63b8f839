"""The demo's job: started, killed half-way, resumed, and compared with its sources.

Works as a user would, through the command line in child processes; the ledger is only read.
"""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from pravah.bootstrap import application
from pravah.cli.console import Console
from pravah.cli.demo.dataset import Made
from pravah.cli.figures import count, share
from pravah.errors import PravahError
from pravah.model.ids import shown
from pravah.model.job import Job
from pravah.settings import Settings

# Past a third of the files there are windows behind and windows ahead.
KILL_SHARE = 0.35
POLL_S = 0.02
# Far above what the slowest machine took; a job that hangs must not hang CI.
PATIENCE_S = 300.0
STEP = "compress:gzip"
CHUNK_BYTES = 1 << 20


class DemoError(PravahError):
    """The demo did not see what it promises to show."""

    kind = "demo_failed"


class Drill:
    """One job over the made files, and what is expected of it."""

    def __init__(self, root: Path, made: Made, console: Console) -> None:
        self._root = root
        self._made = made
        self._console = console
        self._home = root / "home"
        own = {"PRAVAH_HOME": str(self._home), "PRAVAH_ENV_FILE": "", "DATABASE_URL": ""}
        self._environment = os.environ | own
        self._application = application(Settings(self._environment))

    def close(self) -> None:
        """Close the ledger."""
        self._application.close()

    def run_and_kill(self) -> str:
        """Start the job and kill all of its processes in the middle; say how far it was."""
        self._announce()
        child = subprocess.Popen(
            self._command(), env=self._environment, cwd=self._root, start_new_session=True
        )
        try:
            job = self._wait_for_the_middle(child)
        finally:
            with suppress(ProcessLookupError):  # it ended by itself, which is told elsewhere
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        counts = job.books.counts
        done = f"{count(counts.done)} of {count(self._made.files)} files"
        return f"{share(counts.accounted, self._made.files)}, after {done}"

    def resume(self) -> None:
        """Run the same command again, to the end."""
        self._announce()
        ended = subprocess.run(self._command(), env=self._environment, cwd=self._root, check=False)
        if ended.returncode != 0:
            raise DemoError(
                f"the resumed job ended with exit code {ended.returncode}, 0 was expected"
            )

    def compare(self) -> int:
        """Compare every output with its source; give how many there are."""
        source, sink = self._root / "data", self._root / "out"
        sources = [path for path in source.rglob("*") if path.is_file() and not path.is_symlink()]
        expected = {sink / f"{path.relative_to(source)}.gz" for path in sources}
        found = {path for path in sink.rglob("*") if not path.is_dir()}
        if expected != found:
            odd = next(iter(expected ^ found))
            numbers = f"{len(found)} outputs were found, {len(expected)} expected"
            raise DemoError(f"{numbers}; one difference is {odd}")
        for path in sources:
            if not _equal(path, sink / f"{path.relative_to(source)}.gz"):
                raise DemoError(f"the output of {path} is not its source")
        return len(expected)

    def print_report(self) -> None:
        """Print the report as `jobs report` does."""
        job = self._latest()
        if job is None:
            raise DemoError("the job is not in the ledger")
        command = [sys.executable, "-m", "pravah", "jobs", "report", shown(job.id)]
        subprocess.run(command, env=self._environment, cwd=self._root, check=True)

    def _command(self) -> list[str]:
        return [sys.executable, "-m", "pravah", "run", "data", "--to", "out", "-s", STEP]

    def _announce(self) -> None:
        self._console.say(f"$ pravah run data --to out -s {STEP}")

    def _wait_for_the_middle(self, child: subprocess.Popen[bytes]) -> Job:
        until_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < until_s:
            job = self._latest()
            if job and job.books.counts.accounted >= KILL_SHARE * self._made.files:
                return job
            if child.poll() is not None:
                raise DemoError(
                    f"the job ended with exit code {child.returncode} before it could be killed",
                    hint="`--files` makes it longer",
                )
            time.sleep(POLL_S)
        raise DemoError(f"the job did not get to its middle in {PATIENCE_S:.0f} s")

    def _latest(self) -> Job | None:
        """Look into the demo's ledger, which the job's process makes when it begins."""
        if not (self._home / "pravah.db").exists():
            return None
        return next(self._application.jobs.all(), None)


def _equal(source: Path, output: Path) -> bool:
    with source.open("rb") as plain, gzip.open(output, "rb") as packed:
        while True:
            chunk = plain.read(CHUNK_BYTES)
            if chunk != packed.read(CHUNK_BYTES):
                return False
            if not chunk:
                return True
