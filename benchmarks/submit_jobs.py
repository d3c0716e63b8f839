"""Submit many jobs of one small file each; `python -m benchmarks.submit_jobs DIRECTORY JOBS`."""

from __future__ import annotations

import sys
from pathlib import Path

from pravah.bootstrap import application
from pravah.jobs.service import Reuse
from pravah.model.spec import JobSpec


def main() -> None:
    """Write the sources, then create the jobs, with three priorities and two labels."""
    directory, jobs = Path(sys.argv[1]), int(sys.argv[2])
    opened = application()
    for number in range(jobs):
        source = directory / "in" / f"{number:05}"
        source.mkdir(parents=True)
        (source / "a.txt").write_bytes(b"one small file\n")
        spec = {
            "source": str(source),
            "sink": str(directory / "out" / source.name),
            "steps": ["copy"],
            "priority": number % 3,
            "labels": {"team": "ab"[number % 2]},
        }
        opened.jobs.create(JobSpec.parse(spec), reuse=Reuse.NOTHING)
    opened.close()


main()
