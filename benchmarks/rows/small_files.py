"""Whole durable jobs over many small CSV files: compress, copy, checksum, headers.

Pravah's time has everything in it: process start, scan, tasks, group commit, ledger and report.
The peers get a `sync -f`, because Pravah's outputs are on disk when it ends.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import Lab, Scale, pravah

COPIES_FULL = 10
# Where start-up shows: what the targets add to the peer's time on the small set.
START_UP_S = 0.5
SIZE_TOLERANCE = 0.03

_EACH = "cd {out} && find . -name '*.csv' -print0 | xargs -0"


def contests(lab: Lab) -> list[Contest]:
    """Measure the five jobs on the small set, and at full scale on ten copies of it."""
    sizes = (1, COPIES_FULL) if lab.scale is Scale.FULL else (1,)
    jobs: list[Callable[[Lab, int], Contest]] = [_zstd, _gzip, _copy, _checksum, _headers]
    return [job(lab, copies) for copies in sizes for job in jobs]


def _zstd(lab: Lab, copies: int) -> Contest:
    source = lab.csv_files(copies)
    peer = "find | xargs zstd"
    contest = lab.compete(
        _title("compress to zstd", copies),
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s compress:zstd -q")),
            Entrant(
                peer,
                f"cd {source} && find . -type f -print0"
                " | xargs -0 -P2 -n 500 zstd -q -3 --output-dir-mirror {out} && sync -f {out}",
                needs="zstd",
            ),
        ],
    )
    _hold(contest, peer, "zstd", 1.0, copies)
    return contest


def _gzip(lab: Lab, copies: int) -> Contest:
    source = lab.csv_files(copies)
    peer = "find | xargs gzip"
    # gzip and pigz write beside their input, so each round gets a copy before the clock starts.
    copied = f"cp -r {source}/. {{out}} && sync -f {{out}}"
    removed = "find {out} -name '*.csv' -delete"
    # On the small set only: it takes six times as long as gzip, and no target is about it.
    pigz = Entrant(
        "find | xargs pigz",
        f"{_EACH} -n 500 pigz -6 -k -p2 && sync -f {{out}}",
        prepare=copied,
        finish=removed,
        needs="pigz",
    )
    contest = lab.compete(
        _title("compress to gzip, level 6", copies),
        [
            Entrant(
                "pravah run",
                pravah(f"run {source} --to {{out}}/ -s compress:codec=gzip,level=6 -q"),
            ),
            Entrant(
                peer,
                f"{_EACH} -P2 -n 500 gzip -6 -k && sync -f {{out}}",
                prepare=copied,
                finish=removed,
            ),
            *([pigz] if copies == 1 else []),
        ],
    )
    _hold(contest, peer, "gzip", 0.6, copies)
    ours, theirs = (figure.output_bytes for figure in contest.figures[:2])
    contest.targets.append(
        Target("output ≤ 1.03 × gzip's", ours, (1 + SIZE_TOLERANCE) * theirs, unit="B")
    )
    return contest


def _copy(lab: Lab, copies: int) -> Contest:
    source = lab.csv_files(copies)
    contest = lab.compete(
        _title("copy", copies),
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s copy -q")),
            Entrant("cp -r", f"cp -r {source}/. {{out}} && sync -f {{out}}"),
        ],
    )
    _hold(contest, "cp -r", "copy", 1.5, copies)
    return contest


def _checksum(lab: Lab, copies: int) -> Contest:
    source = lab.csv_files(copies)
    names = f"find {source} -type f -print0 | xargs -0"
    contest = lab.compete(
        _title("checksum", copies),
        [
            Entrant("pravah run (xxh3)", pravah(f"run {source} -s checksum -q")),
            Entrant("cat", f"{names} cat >/dev/null"),
            Entrant("b3sum", f"{names} -P2 b3sum >/dev/null", needs="b3sum"),
            Entrant("xxhsum", f"{names} -P2 xxhsum -H3 >/dev/null", needs="xxhsum"),
            Entrant("sha256sum", f"{names} -P2 -n 500 sha256sum >/dev/null"),
        ],
    )
    _hold(contest, "cat", "checksum", 1.0, copies)
    return contest


def _headers(lab: Lab, copies: int) -> Contest:
    source = lab.csv_files(copies)
    contest = lab.compete(
        _title("extract_headers", copies),
        [
            Entrant("pravah run", pravah(f"run {source} -s extract_headers -q")),
            Entrant("cat", f"find {source} -type f -print0 | xargs -0 cat >/dev/null"),
        ],
    )
    _hold(contest, "cat", "headers", 1.0, copies)
    return contest


def _title(job: str, copies: int) -> str:
    return f"Small files: {job}, {10_000 * copies:,} CSV files"


def _hold(contest: Contest, peer: str, job: str, share: float, copies: int) -> None:
    """Hold the first entrant against a share of the peer's time."""
    theirs = contest.median_s(peer)
    if theirs is None:
        return
    if copies == 1:
        claim, bound = f"{job} ≤ {peer} + {START_UP_S} s", theirs + START_UP_S
    else:
        claim, bound = f"{job} ≤ {share} × {peer}", share * theirs
    contest.targets.append(Target(claim, contest.figures[0].median_s, bound))
