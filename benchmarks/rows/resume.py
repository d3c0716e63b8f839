"""A job killed with -9 at about half its work, and gone on with."""

from __future__ import annotations

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import PRAVAH, PYTHON, Lab, Scale, pravah

KILLED = """
import os, signal, subprocess, sys, time
files, sink, command = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
began = time.perf_counter()
job = subprocess.Popen(command, start_new_session=True)
while job.poll() is None:
    done = sum(len(names) for _, _, names in os.walk(sink))
    if done >= files / 2:
        os.killpg(job.pid, signal.SIGKILL)
        break
    time.sleep(0.1)  # looking at the sink takes CPU time from the job
job.wait()
subprocess.run(command, check=True)
print(time.perf_counter() - began)
"""


def contests(lab: Lab) -> list[Contest]:
    """Measure the two halves together against an uninterrupted run."""
    copies = 10 if lab.scale is Scale.FULL else 1
    source = lab.csv_files(copies)
    job = f"run {source} --to {{out}}/ -s compress:codec=gzip,level=6 -q"
    contest = lab.compete(
        f"Resume: {10_000 * copies:,} CSV files to gzip, killed at half",
        [
            Entrant(
                "killed at half and resumed",
                f"PRAVAH_HOME={{out}}.home {PYTHON} -c '{KILLED}' {10_000 * copies} {{out}}"
                f" {PRAVAH} {job}",
                reports_seconds=True,
            ),
            Entrant("uninterrupted", pravah(job)),
        ],
    )
    killed, whole = (figure.median_s for figure in contest.figures)
    contest.targets.append(
        Target("killed and resumed ≤ 1.02 × whole + 2 s", killed, 1.02 * whole + 2)
    )
    contest.notes.append("Both halves are timed from the first start to the second end.")
    return [contest]
