"""A second run over unchanged files, which has to look at source and sink and at nothing else."""

from __future__ import annotations

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PRAVAH, Lab, Scale, pravah

ROUNDS = 5


def contests(lab: Lab) -> list[Contest]:
    """Measure a run that skips everything against the scans of source and sink."""
    # One job has filled a sink; the ledger that knows of it is copied for each round.
    source = lab.tree() if lab.scale is Scale.FULL else lab.csv_files(copies=1)
    files = lab.tree_files if lab.scale is Scale.FULL else 10_000
    first = f"run {source} --to {{out}}/sink -s copy -q"
    contest = lab.compete(
        f"Incremental: a second run over {files:,} unchanged files",
        [
            Entrant("pravah run, all unchanged", pravah(first), prepare=_first_run(first)),
            Entrant(
                "pravah scan --stat of source and sink",
                f"{pravah(f'scan {source} --stat --count')}"
                f" && {pravah('scan {out}/sink --stat --count')}",
                prepare=_first_run(first),
            ),
        ],
        rounds=ROUNDS,
    )
    again, scans = (figure.median_s for figure in contest.figures)
    contest.targets.append(Target("second run ≤ 2 × the two scans", again, 2 * scans))
    return [contest]


def _first_run(arguments: str) -> str:
    # Times within 2 s of the read are racy and would be done again: the data sets are older.
    return f"PRAVAH_HOME={{out}}.home {PRAVAH} {arguments} && sync -f {{out}}"
