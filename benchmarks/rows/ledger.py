"""A pipeline that does next to nothing, through the full durable ledger.

The files are empty and the sink is `null:`, so what remains is the scan, the tasks, their
windows and transactions. The ledger's size on disk is measured too.
"""

from __future__ import annotations

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import Lab, pravah

ROUNDS = 5
FILES_PER_S = 200_000
BYTES_PER_FILE = 30


def contests(lab: Lab) -> list[Contest]:
    """Measure the rate of entries, and the bytes of database that each costs."""
    tree, files = lab.tree(), lab.tree_files
    do_nothing = f"run {tree} --to null: -s copy -q"
    contest = lab.compete(
        f"Ledger: a do-nothing job over {files:,} files (SQLite)",
        [
            Entrant("pravah run, sink null:", pravah(do_nothing)),
            Entrant("pravah scan --stat --count", pravah(f"scan {tree} --stat --count")),
            Entrant(
                "the ledger's bytes",
                # The home is inside `{out}` here, so that its size is this entrant's output.
                pravah(do_nothing).replace("{out}.home", "{out}/home"),
            ),
        ],
        rounds=ROUNDS,
    )
    job_s, ledger = contest.figures[0].median_s, contest.figures[2]
    contest.targets = [
        Target("≥ 200,000 files/s", files / job_s, FILES_PER_S, unit="files/s", at_least=True),
        Target("ledger ≤ 30 bytes a file", ledger.output_bytes / files, BYTES_PER_FILE, unit="B"),
    ]
    contest.notes += [
        "PgQueuer 1.6 did 17,900 jobs/s, one job per file, where the targets were set; it needs a PostgreSQL server and was not run here.",
        "The source files are real, so opening, reading and closing each is part of the time.",
    ]
    return [contest]
