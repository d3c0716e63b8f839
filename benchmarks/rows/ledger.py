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
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import HERE, PROJECT, PYTHON, Lab
from tests.postgres import served

ROUNDS = 5
FILES_PER_S = 200_000.0
TIMES_PGQUEUER = 10
DATABASE_BYTES_PER_FILE = 30
LOG_BYTES_PER_FILE = 64
PEAK_BYTES = 300_000_000

# Of the queues; each does so many jobs in a few seconds.
QUEUED_JOBS = {"PgQueuer": 20_000, "Procrastinate": 1_000}


def contests(lab: Lab) -> list[Contest]:
    """Measure the rate of entries, and the bytes of database and of log that each costs."""
    entries, many = lab.tree_files, 10 * lab.tree_files
    with served(durable=True) as server:
        ledgers = {"SQLite": "", "PostgreSQL": server.create_ledger()}
        contest = lab.compete(
            f"Ledger: a do-nothing job over {entries:,} synthetic entries",
            [
                *(_pravah(name, url, entries) for name, url in ledgers.items()),
                *_queues(lab, server.create_ledger()),
            ],
            rounds=ROUNDS,
        )
        contest.targets += _rates(contest, ledgers, entries)
        for name, url in ledgers.items():
            contest.targets += _costs(name, _taken(url, many), many)
    contest.notes += [
        "Sizes and times of the entries differ as those of real files do; PostgreSQL runs as it does for its users, with fsync.",
        "The queues work on one job per file, "
        + " and ".join(f"{jobs:,} by {name}" for name, jobs in QUEUED_JOBS.items())
        + "; the time to put them in is not counted.",
    ]
    return [contest]


def _pravah(name: str, url: str, entries: int) -> Entrant:
    return Entrant(
        name,
        f"cd {shlex.quote(str(PROJECT))} && PRAVAH_HOME={{out}}.home "
        f"{shlex.quote(str(PYTHON))} -m benchmarks.synthetic {entries}",
        environment={"DATABASE_URL": url},
        reports_seconds=True,
    )


def _queues(lab: Lab, url: str) -> list[Entrant]:
    program, script = lab.queues(), HERE / "peers" / "queues.py"
    return [
        Entrant(
            name,
            f"{shlex.quote(str(program))} {shlex.quote(str(script))} {name.lower()} {jobs} 2>&1",
            environment={"DATABASE_URL": url},
            reports_seconds=True,
        )
        for name, jobs in QUEUED_JOBS.items()
        if program is not None
    ]


def _rates(contest: Contest, ledgers: Iterable[str], entries: int) -> list[Target]:
    """Hold the rates against the absolute bound, and against that of the fastest queue."""
    rates = {name: entries / seconds for name in ledgers if (seconds := contest.median_s(name))}
    found = [(name, rate, FILES_PER_S, "200,000 files/s") for name, rate in rates.items()]
    if (queue_s := contest.median_s("PgQueuer")) is not None:
        bound = TIMES_PGQUEUER * QUEUED_JOBS["PgQueuer"] / queue_s
        found += [(name, rate, bound, "10 × PgQueuer") for name, rate in rates.items()]
    return [
        Target(f"{name}: ≥ {words}", rate, bound, unit="files/s", at_least=True)
        for name, rate, bound, words in found
    ]


def _costs(name: str, took: Mapping[str, Any], entries: int) -> list[Target]:
    """Hold what a larger job costs against its bounds."""
    database, log = took["database_bytes_per_file"], took["log_bytes_per_file"]
    peak = max(took["supervisor_peak_bytes"], took["runner_peak_bytes"])
    of = f"{name}, {entries:,} entries"
    found = [
        Target(f"{of}: database ≤ 30 bytes a file", database, DATABASE_BYTES_PER_FILE, unit="B"),
        Target(f"{of}: ≤ 300 MB in any process", peak, PEAK_BYTES, unit="B"),
    ]
    if log:
        found.append(Target(f"{of}: log ≤ 64 bytes a file", log, LOG_BYTES_PER_FILE, unit="B"))
    return found


def _taken(url: str, entries: int) -> dict[str, Any]:
    """Run once, and give what the run tells of itself."""
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
