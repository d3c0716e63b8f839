"""A pipeline that does next to nothing, through the full durable ledger.

Entries are synthetic and the sink is `null:`, so what remains is the scan, the tasks, their windows
and transactions. The bytes that each entry costs, and the memory of the largest process, are
measured too.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from typing import Any

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PROJECT, PYTHON, Lab
from tests.postgres import served

ROUNDS = 5
FILES_PER_S = 200_000
DATABASE_BYTES_PER_FILE = 30
LOG_BYTES_PER_FILE = 64
PEAK_BYTES = 300_000_000


def contests(lab: Lab) -> list[Contest]:
    """Measure the rate of entries, and the bytes of database and of log that each costs."""
    entries = 10 * lab.tree_files
    with served(durable=True) as server:
        ledgers = {"SQLite": "", "PostgreSQL": server.create_ledger()}
        contest = lab.compete(
            f"Ledger: a do-nothing job over {entries:,} synthetic entries",
            [
                Entrant(
                    name,
                    f"cd {shlex.quote(str(PROJECT))} && PRAVAH_HOME={{out}}.home "
                    f"{shlex.quote(str(PYTHON))} -m benchmarks.synthetic {entries}",
                    environment={"DATABASE_URL": url},
                    reports_seconds=True,
                )
                for name, url in ledgers.items()
            ],
            rounds=ROUNDS,
        )
        taken = {name: _taken(url, entries) for name, url in ledgers.items()}
    for name, took in taken.items():
        seconds = contest.median_s(name) or took["took_s"]
        database, log = took["database_bytes_per_file"], took["log_bytes_per_file"]
        peak = max(took["supervisor_peak_bytes"], took["runner_peak_bytes"])
        contest.targets += [
            Target(
                f"{name}: ≥ 200,000 files/s",
                entries / seconds,
                FILES_PER_S,
                unit="files/s",
                at_least=True,
            ),
            Target(
                f"{name}: database ≤ 30 bytes a file", database, DATABASE_BYTES_PER_FILE, unit="B"
            ),
            Target(f"{name}: ≤ 300 MB in any process", peak, PEAK_BYTES, unit="B"),
        ]
        if log:
            contest.targets.append(
                Target(f"{name}: log ≤ 64 bytes a file", log, LOG_BYTES_PER_FILE, unit="B")
            )
    contest.notes += [
        "Sizes and times of the entries differ as those of real files do; PostgreSQL runs as it does for its users, with fsync.",
        "Procrastinate 3.10 did 357 jobs/s and PgQueuer 1.6 17,900, one job per file, where the targets were set; they were not run here.",
    ]
    return [contest]


def _taken(url: str, entries: int) -> dict[str, Any]:
    """Run once more, and give what the run tells of itself."""
    with tempfile.TemporaryDirectory() as home:
        ran = subprocess.run(
            [str(PYTHON), "-m", "benchmarks.synthetic", str(entries)],
            cwd=PROJECT,
            env={**os.environ, "DATABASE_URL": url, "PRAVAH_HOME": home},
            stdout=subprocess.PIPE,
            check=True,
        )
    took: dict[str, Any] = json.loads(ran.stdout.splitlines()[0])
    return took
