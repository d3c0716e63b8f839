"""Listing a large tree of small directories: names alone, and with sizes and times."""

from __future__ import annotations

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import Lab, pravah, python

OS_WALK = """
import os, sys
print(sum(len(files) for _, _, files in os.walk(sys.argv[1])))
"""

OS_SCANDIR_STAT = """
import os, sys
waiting, size = [sys.argv[1]], 0
while waiting:
    with os.scandir(waiting.pop()) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                size += entry.stat(follow_symlinks=False).st_size
print(size)
"""

# Start-up has a row of its own: the two that follow count what happens after the imports.
TIMED_OS_WALK = """
import os, sys, time
began = time.perf_counter()
sum(len(files) for _, _, files in os.walk(sys.argv[1]))
print(time.perf_counter() - began)
"""

TIMED_SCAN = """
import sys, time
import pyarrow
import pravah.engine  # which `scan` would load
from pravah import scan
began = time.perf_counter()
batches = pyarrow.RecordBatchReader.from_stream(scan(sys.argv[1], stat=len(sys.argv) > 2))
sum(batch.num_rows for batch in batches)
print(time.perf_counter() - began)
"""


def contests(lab: Lab) -> list[Contest]:
    """Measure the command line, the Python interface, and listings with sizes."""
    return [_command_line(lab), _in_process(lab), _with_sizes(lab)]


def _command_line(lab: Lab) -> Contest:
    tree = lab.tree()
    contest = lab.compete(
        f"Scan: names of {lab.tree_files:,} files, to a pipe",
        [
            Entrant("pravah scan", pravah(f"scan {tree} | wc -l")),
            Entrant("bfs", f"bfs {tree} -type f | wc -l", needs="bfs"),
            Entrant("GNU find", f"find {tree} -type f | wc -l"),
            Entrant("fd", f"fdfind -uu --type f . {tree} | wc -l", needs="fdfind"),
            Entrant("rg --files", f"rg -uuu --files {tree} | wc -l", needs="rg"),
            Entrant("Python os.walk", f"{python(OS_WALK)} {tree}"),
        ],
    )
    ours, bfs = contest.median_s("pravah scan"), contest.median_s("bfs")
    if ours and bfs:
        contest.targets.append(
            Target("`pravah scan | wc -l` ≤ 0.6 × bfs + 0.1 s", ours, 0.6 * bfs + 0.1)
        )
    return contest


def _in_process(lab: Lab) -> Contest:
    tree = lab.tree()
    entrants = [
        Entrant("pravah.scan, Arrow", f"{python(TIMED_SCAN)} {tree}", reports_seconds=True),
        Entrant("os.walk", f"{python(TIMED_OS_WALK)} {tree}", reports_seconds=True),
    ]
    if limit := lab.limit():
        entrants += [
            Entrant(f"limit: getdents64, {threads} threads", f"{limit} {tree} {threads}")
            for threads in (1, 2, 4)
        ]
    if peers := lab.peers():
        entrants += [
            Entrant(f"{library}, 4 threads", f"{peers} {library} {tree} 4")
            for library in ("jwalk", "ignore")
        ]
        entrants.append(Entrant("walkdir", f"{peers} walkdir {tree} 1"))
    contest = lab.compete(f"Scan: names of {lab.tree_files:,} files, in the process", entrants)
    contest.notes.append(
        "The two Python entrants count the time after their imports; the others are whole programs "
        "that keep no names, Pravah collects all of them into Arrow batches."
    )
    ours = contest.median_s("pravah.scan, Arrow") or 0.0
    for claim, share, peer in (
        ("all names in Arrow ≤ 1.4 × limit", 1.4, "limit: getdents64, 4 threads"),
        ("all names in Arrow ≤ 0.6 × jwalk", 0.6, "jwalk, 4 threads"),
        ("`pravah.scan` ≤ 0.5 × os.walk", 0.5, "os.walk"),
    ):
        if theirs := contest.median_s(peer):
            contest.targets.append(Target(claim, ours, share * theirs))
    return contest


def _with_sizes(lab: Lab) -> Contest:
    tree = lab.tree()
    entrants = [
        Entrant(
            "pravah.scan, Arrow, stat", f"{python(TIMED_SCAN)} {tree} stat", reports_seconds=True
        ),
        Entrant("pravah scan --stat --count", pravah(f"scan {tree} --stat --count")),
        Entrant("du -s", f"du -s {tree}"),
        Entrant("find -printf size", f"find {tree} -type f -printf '%s\\n' | wc -l"),
        Entrant("Python os.scandir + stat", f"{python(OS_SCANDIR_STAT)} {tree}"),
    ]
    if limit := lab.limit():
        entrants.append(Entrant("limit with statx, 2 threads", f"{limit} {tree} 2 stat"))
    contest = lab.compete(f"Scan: sizes and times of {lab.tree_files:,} files", entrants)
    ours, least = (
        contest.median_s(entrants[0].name),
        contest.median_s("limit with statx, 2 threads"),
    )
    if ours and least:
        contest.targets.append(Target("with sizes and times ≤ 1.2 × limit", ours, 1.2 * least))
    return contest
