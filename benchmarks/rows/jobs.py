"""Many little jobs that are submitted at once, from their creation to the last end."""

from __future__ import annotations

import shlex

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PROJECT, PYTHON, Lab, pravah

JOBS = 1_000
JOBS_PER_S = 100


def contests(lab: Lab) -> list[Contest]:
    """Measure one worker, and two side by side, over a thousand jobs of one file each."""
    home = "PRAVAH_HOME={out}.home"
    submit = f"cd {shlex.quote(str(PROJECT))} && {home} {shlex.quote(str(PYTHON))} -m benchmarks.submit_jobs {{out}} {JOBS}"
    worker = pravah("worker --until-idle 2>/dev/null")
    contest = lab.compete(
        f"Job management: {JOBS:,} jobs of one small file (SQLite)",
        [
            Entrant("create the jobs", submit),
            Entrant("pravah worker", worker, prepare=submit),
            Entrant("two workers", f"{worker} & {worker}; wait", prepare=submit),
        ],
    )
    created_s, worked_s = contest.figures[0].median_s, contest.figures[1].median_s
    contest.targets = [
        Target(
            "≥ 100 jobs/s, one worker", JOBS / worked_s, JOBS_PER_S, unit="jobs/s", at_least=True
        ),
        Target(
            "≥ 100 jobs/s, created and worked on one after the other",
            JOBS / (created_s + worked_s),
            JOBS_PER_S,
            unit="jobs/s",
            at_least=True,
        ),
    ]
    contest.notes += [
        "Each job is a whole one: planned, scanned, its file published and synced, its report written.",
        "Procrastinate 3.10 did 357 jobs/s and PgQueuer 1.6 17,900 where the targets were set: entries of a queue, without files.",
    ]
    return [contest]
