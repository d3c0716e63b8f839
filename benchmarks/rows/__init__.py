"""The rows of the table: each module measures one subject and gives its contests."""

from collections.abc import Callable

from benchmarks.contest import Contest
from benchmarks.lab import Lab
from benchmarks.rows import (
    api,
    incremental,
    jobs,
    large_file,
    ledger,
    objects,
    objects_list,
    resume,
    scan,
    small_files,
    start_up,
    tables,
)

ROWS: dict[str, Callable[[Lab], list[Contest]]] = {
    "start-up": start_up.contests,
    "scan": scan.contests,
    "small-files": small_files.contests,
    "large-file": large_file.contests,
    "tables": tables.contests,
    "objects": objects.contests,
    "ledger": ledger.contests,
    "jobs": jobs.contests,
    "api": api.contests,
    "objects-list": objects_list.contests,
    "incremental": incremental.contests,
    "resume": resume.contests,
}
