"""What one has to wait for before anything happens."""

from __future__ import annotations

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import Lab, pravah, python

ROUNDS = 20  # short runs are noisy, and cheap

TARGETS_S = {
    "pravah --version": 0.090,
    "pravah --help": 0.090,
    "pravah scan, 10 files": 0.120,
    "pravah run, 10 files": 0.600,
}


def contests(lab: Lab) -> list[Contest]:
    """Measure the smallest commands beside the interpreter and its imports."""
    ten = lab.ten_files()
    contest = lab.compete(
        "Start-up",
        [
            Entrant("pravah --version", pravah("--version")),
            Entrant("pravah --help", pravah("--help")),
            Entrant("pravah scan, 10 files", pravah(f"scan {ten}")),
            Entrant("pravah run, 10 files", pravah(f"run {ten} --to {{out}}/ -s compress:zstd -q")),
            Entrant("python -c pass", python("pass")),
            Entrant("python -c 'import typer'", python("import typer")),
            Entrant("python -c 'import sqlalchemy'", python("import sqlalchemy")),
            Entrant("python -c 'import pydantic'", python("import pydantic")),
        ],
        rounds=ROUNDS,
    )
    for name, bound_s in TARGETS_S.items():
        measured = contest.median_s(name)
        if measured is not None:
            contest.targets.append(Target(f"`{name}` ≤ {bound_s * 1000:.0f} ms", measured, bound_s))
    return [contest]
