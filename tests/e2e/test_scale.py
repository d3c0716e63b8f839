"""A job of many entries keeps within its bounds of memory and database, whatever their number.

`make scale` runs it with ten million entries (PRAVAH_SCALE), as the targets say, and over a million
real files (PRAVAH_SCALE_FILES), half of them in one directory. How long things took is told, not
judged.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli, assert_books_close
from tests.e2e.peaks import family, peak_bytes

ENTRIES = int(os.environ.get("PRAVAH_SCALE", "100000"))
# What the targets allow any process, and each file; a build that is not optimised needs no more.
PEAK_BYTES = 300_000_000
DATABASE_BYTES_PER_FILE = 30
LOG_BYTES_PER_FILE = 64
# Pages that a database begins with, or has read once more than it has to.
START_BYTES = 3_000_000
FILES = int(os.environ.get("PRAVAH_SCALE_FILES", "4000"))
FILES_PER_DIRECTORY = 100
# Files that fail: somebody else's file is at the name of their output.
TAKEN = 7
LOOK_EVERY_S = 0.02


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_job_of_many_entries_stays_within_its_bounds(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    took = _run(tmp_path, url)
    sys.stderr.write(json.dumps({"database": database, "entries": ENTRIES, **took}) + "\n")
    assert (took["status"], took["done"]) == ("completed", ENTRIES)
    assert took["supervisor_peak_bytes"] < PEAK_BYTES
    assert took["runner_peak_bytes"] < PEAK_BYTES
    slack = START_BYTES / ENTRIES
    assert took["database_bytes_per_file"] < DATABASE_BYTES_PER_FILE + slack
    assert took["log_bytes_per_file"] < LOG_BYTES_PER_FILE + slack


def _run(home: Path, url: str) -> dict[str, Any]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PRAVAH_")},
        "PRAVAH_HOME": str(home),
        "PRAVAH_ENV_FILE": "",
        "PRAVAH_DEV": "1",
        "DATABASE_URL": url,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.synthetic", str(ENTRIES)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    took: dict[str, Any] = json.loads(ran.stdout.splitlines()[0])
    return took


def test_job_of_many_files_stays_within_its_bounds_and_answers(tmp_path: Path) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    taken = _make_files(source, sink)
    cli = Cli(tmp_path / "home", tmp_path)
    began_s = time.monotonic()
    command = cli.command("run", source, "--to", f"{sink}/", "-s", "copy", "--json", "-q")
    running = subprocess.Popen(command, env=cli.env(), cwd=tmp_path, stdout=subprocess.PIPE)
    first_output_s, peaks, answers = None, dict[int, int](), list[dict[str, float]]()
    while running.poll() is None:
        for process in family(running.pid):
            peaks[process] = max(peaks.get(process, 0), peak_bytes(process))
        if first_output_s is None:
            if _has_output(sink, taken):
                first_output_s = round(time.monotonic() - began_s, 3)
        elif not answers or FILES > 100_000:
            answers.append(_asked(cli))
        time.sleep(LOOK_EVERY_S)
    answers = answers or [_asked(cli)]
    job = json.loads(running.communicate()[0])

    took = {
        "files": FILES,
        "took_s": round(time.monotonic() - began_s, 1),
        "first_output_s": first_output_s,
        "peak_bytes": sorted(peaks.values()),
        "slowest": {key: max(asked[key] for asked in answers) for key in answers[0]},
        "asked": len(answers),
    }
    sys.stderr.write(json.dumps(took) + "\n")
    assert_books_close(job)
    assert (job["counts"]["done"], job["counts"]["failed"]) == (FILES - TAKEN, TAKEN)
    failed = cli.ok("jobs", "files", job["id"], "--outcome", "failed", "--json").objects()
    assert sorted(Path(file["path"]).name for file in failed) == sorted(path.name for path in taken)
    assert max(peaks.values()) < PEAK_BYTES


def _make_files(source: Path, sink: Path) -> list[Path]:
    """Make empty files, half of them in one directory; give outputs' names that are taken."""
    flat = source / "flat"
    flat.mkdir(parents=True)
    names = [flat / f"file-{number:07}" for number in range(FILES // 2)]
    for number in range(FILES - len(names)):
        if number % FILES_PER_DIRECTORY == 0:
            directory = source / "tree" / f"{number // 10_000:03}" / f"{number // 100 % 100:02}"
            directory.mkdir(parents=True)
        names.append(directory / f"file-{number:07}")
    for name in names:
        name.touch()
    taken = [sink / name.relative_to(source) for name in names[:: FILES // TAKEN][:TAKEN]]
    for path in taken:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("somebody else's")
    return taken


def _has_output(sink: Path, taken: list[Path]) -> bool:
    return any(path not in taken for path in _walked(sink))


def _walked(sink: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(sink):
        yield from (Path(parent, name) for name in names if not name.startswith(".pravah-"))


_ASK = """
import json, time
import pravah
(job,) = pravah.jobs.list()
began = time.monotonic()
job.refresh()
shown = time.monotonic()
failed = list(job.files("failed"))
print(json.dumps({"show_s": shown - began, "failed_s": time.monotonic() - shown}))
"""


def _asked(cli: Cli) -> dict[str, float]:
    """Ask for the job and its failed files, in a process whose imports do not count."""
    command = [sys.executable, "-c", _ASK]
    ran = subprocess.run(command, env=cli.env(), cwd=cli.directory, capture_output=True, check=True)
    took: dict[str, float] = json.loads(ran.stdout)
    return took
