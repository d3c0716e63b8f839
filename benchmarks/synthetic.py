"""Work on a job over entries without files; `python -m benchmarks.synthetic ENTRIES`.

The whole path of a job, from its creation to its report, on the ledger of DATABASE_URL; apart from
any file system, since sources are `synthetic:` and the sink is `null:`. What it took is told as
JSON, and then once more the seconds alone.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

from pravah.bootstrap import Application, application, ledger_facts
from pravah.jobs import planner
from pravah.jobs.observer import Progress, Unobserved
from pravah.model.ids import new_id
from pravah.model.job import Job
from pravah.model.ledger import NewJob
from pravah.model.spec import JobSpec

KIB = 1024


class Watch(Unobserved):
    """Notes when the first entry was done."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.first_done_s: float | None = None

    def on_progress(self, progress: Progress) -> None:
        """Look whether anything is done yet."""
        if self.first_done_s is None and progress.counts.done > 0:
            self.first_done_s = time.monotonic() - self.began_s


def create(opened: Application, entries: int) -> str:
    """Store a job that copies so many entries to nowhere; give its id."""
    spec = JobSpec.parse({"source": str(Path.cwd()), "sink": "null:", "steps": ["copy"]})
    planned = planner.plan(spec, bytes(Path.cwd()), new_id())
    job = NewJob(
        id=planned.plan["job"],
        spec=planned.spec.to_dict(),
        plan={**planned.plan, "roots": [{"uri": f"synthetic:{entries}"}]},
        spec_hash=f"synthetic:{entries}",
        pipeline_hash=planned.pipeline_hash,
        scope=None,
    )
    opened.ledger.create(job)
    return job.id


def run(entries: int) -> dict[str, Any]:
    """Work on such a job; give what it took."""
    opened = application()
    before = _written_bytes(opened), ledger_facts(opened.settings).size_bytes
    watch = Watch()
    job = opened.jobs.work(create(opened, entries), observer=watch).job
    took_s = time.monotonic() - watch.began_s
    after = _written_bytes(opened), ledger_facts(opened.settings).size_bytes
    opened.close()
    return {
        "status": str(job.status) if job else None,
        "done": _done(job),
        "took_s": round(took_s, 3),
        "files_per_s": round(entries / took_s),
        "first_done_s": watch.first_done_s and round(watch.first_done_s, 3),
        "log_bytes_per_file": round((after[0] - before[0]) / entries, 2),
        "database_bytes_per_file": round((after[1] - before[1]) / entries, 2),
        "supervisor_peak_bytes": _own_peak_bytes(),
        "runner_peak_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KIB,
    }


def _written_bytes(opened: Application) -> int:
    """Give how far PostgreSQL's log is; SQLite's is not counted, it is moved into the database."""
    if not opened.settings.database_url.startswith("postgres"):
        return 0
    from pravah.db.postgres import postgres_engine, postgresql_url

    engine = postgres_engine(postgresql_url(opened.settings.database_url))
    with engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT CAST(pg_current_wal_insert_lsn() - CAST('0/0' AS pg_lsn) AS BIGINT)"
        ).scalar_one()
    engine.dispose()
    return int(found)


def _done(job: Job | None) -> int:
    return job.books.counts.done if job else 0


def _own_peak_bytes() -> int:
    """Give this process's peak since its exec; what getrusage says has that of its parent in it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (peak,) = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak) * KIB


if __name__ == "__main__":
    took = run(int(sys.argv[1]))
    print(json.dumps(took))
    print(took["took_s"])
