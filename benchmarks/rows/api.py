"""What the API takes to answer while a worker beside it works on a large job.

The targets are those of a ledger on PostgreSQL, as a service has it; an embedded one, which has one
writer at a time, is told beside it.
"""

from __future__ import annotations

import shlex

from benchmarks.api_load import POSTS_PER_S, RATE_PER_S
from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PROJECT, PYTHON, Lab
from tests.postgres import served

ROUNDS = 5
# Long enough to be worked on while the requests are sent.
ENTRIES = 10_000_000
TARGETS_S = {("POST", 50): 0.010, ("POST", 99): 0.050, ("GET", 99): 0.025}


def contests(lab: Lab) -> list[Contest]:
    """Measure percentiles of answers to `POST /jobs` and `GET /jobs/{id}`."""
    with served(durable=True) as server:
        contest = lab.compete(
            "API: answers while a job over a million files and more runs",
            [
                _entrant(ledger, url, method, percentile)
                for ledger, url in (("PostgreSQL", server.create_ledger()), ("SQLite", ""))
                for method, percentile in TARGETS_S
            ],
            rounds=ROUNDS,
        )
    for figure, ((method, percentile), bound_s) in zip(
        contest.figures, TARGETS_S.items(), strict=False
    ):
        target = f"{method} p{percentile} ≤ {bound_s * 1000:.0f} ms"
        contest.targets.append(Target(target, figure.median_s, bound_s))
    contest.notes.append(
        f"GETs at {RATE_PER_S} a second, POSTs at {POSTS_PER_S}, each timed from the moment at which it "
        "was due; server, worker and clients share the machine."
    )
    return [contest]


def _entrant(ledger: str, url: str, method: str, percentile: int) -> Entrant:
    command = f"-m benchmarks.api_load {method} {percentile} {ENTRIES}"
    return Entrant(
        f"{method} p{percentile}, {ledger}",
        f"cd {shlex.quote(str(PROJECT))} && {shlex.quote(str(PYTHON))} {command}",
        environment={"DATABASE_URL": url},
        reports_seconds=True,
    )
