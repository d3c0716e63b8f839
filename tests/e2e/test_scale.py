"""A job of many entries keeps within its bounds of memory and database, whatever their number.

`make scale` runs it with ten million entries (PRAVAH_SCALE), as the targets say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENTRIES = int(os.environ.get("PRAVAH_SCALE", "100000"))
# What the targets allow any process, and each file; a build that is not optimised needs no more.
PEAK_BYTES = 300_000_000
DATABASE_BYTES_PER_FILE = 30
LOG_BYTES_PER_FILE = 64
# Pages that a database begins with, or has read once more than it has to.
START_BYTES = 3_000_000


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
