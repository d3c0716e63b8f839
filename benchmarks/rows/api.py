"""What the API takes to answer while a worker beside it works on a large job."""

from __future__ import annotations

import shlex

from benchmarks.api_load import POSTS_PER_S, RATE_PER_S
from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PROJECT, PYTHON, Lab

ROUNDS = 5
# Long enough to be worked on while the requests are sent.
ENTRIES = 10_000_000
TARGETS_S = {("POST", 50): 0.010, ("POST", 99): 0.050, ("GET", 99): 0.025}


def contests(lab: Lab) -> list[Contest]:
    """Measure percentiles of answers to `POST /jobs` and `GET /jobs/{id}`."""
    contest = lab.compete(
        "API: answers while a job over a million files and more runs",
        [_entrant(method, percentile) for method, percentile in TARGETS_S],
        rounds=ROUNDS,
    )
    for figure, ((method, percentile), bound_s) in zip(
        contest.figures, TARGETS_S.items(), strict=True
    ):
        target = f"{method} p{percentile} ≤ {bound_s * 1000:.0f} ms"
        contest.targets.append(Target(target, figure.median_s, bound_s))
    contest.notes.append(
        f"GETs at {RATE_PER_S} a second, POSTs at {POSTS_PER_S}, each timed from the moment at which it "
        "was due; server, worker and clients share the machine."
    )
    return [contest]


def _entrant(method: str, percentile: int) -> Entrant:
    command = f"-m benchmarks.api_load {method} {percentile} {ENTRIES}"
    return Entrant(
        f"{method} p{percentile}",
        f"cd {shlex.quote(str(PROJECT))} && {shlex.quote(str(PYTHON))} {command}",
        reports_seconds=True,
    )
