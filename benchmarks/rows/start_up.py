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

# The entrant that tells how fast a machine starts Python programs, and what it took where the
# targets were set.
YARDSTICK, YARDSTICK_S = "python -c 'import sqlalchemy'", 0.209


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
            Entrant(YARDSTICK, python("import sqlalchemy")),
            Entrant("python -c 'import pydantic'", python("import pydantic")),
        ],
        rounds=ROUNDS,
    )
    for name, bound_s in TARGETS_S.items():
        measured = contest.median_s(name)
        if measured is not None:
            contest.targets.append(Target(f"`{name}` ≤ {bound_s * 1000:.0f} ms", measured, bound_s))
    yardstick_s = contest.median_s(YARDSTICK)
    run_s, run_bound_s = contest.median_s("pravah run, 10 files"), TARGETS_S["pravah run, 10 files"]
    if yardstick_s is not None and run_s is not None:
        share = run_bound_s / YARDSTICK_S
        claim = f"`pravah run, 10 files` ≤ {share:.2f} × `import sqlalchemy`, as on the targets' machine"
        contest.targets.append(Target(claim, run_s, share * yardstick_s))
    return [contest]
