"""Whole durable jobs over one large CSV file: compress, decompress, copy, checksum.

Pravah's time has everything in it: process start, scan, task, ledger and report. The peers get a
`sync -f`, because Pravah's output is on disk when it ends.
"""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import Lab, pravah

# What the targets add to the peer's time for start, job and ledger.
START_UP_S = 0.5
SIZE_TOLERANCE = 0.03


def contests(lab: Lab) -> list[Contest]:
    """Measure the jobs on 256 MB, and at full scale on 1.02 GB."""
    jobs: list[Callable[[Lab], Contest]] = [
        _zstd,
        _gzip,
        _gunzip_one_member,
        _gunzip_many_members,
        _unzstd_one_frame,
        _unzstd_many_frames,
        _copy,
        _checksum,
    ]
    return [job(lab) for job in jobs]


def _zstd(lab: Lab) -> Contest:
    source = lab.large_csv()
    peer = "zstd -3 -T2"
    contest = lab.compete(
        "One large file: compress to zstd",
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s compress:zstd -q")),
            Entrant(peer, _durable(f"zstd -q -3 -T2 {source} -o {{out}}/big.zst"), needs="zstd"),
        ],
    )
    return _held(contest, peer, 1.0)


def _gzip(lab: Lab) -> Contest:
    source = lab.large_csv()
    peer = "pigz -6 -p2"
    contest = lab.compete(
        "One large file: compress to gzip, level 6",
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s compress:gzip -q")),
            Entrant(peer, _durable(f"pigz -6 -p2 -c {source} >{{out}}/big.gz"), needs="pigz"),
        ],
    )
    if len(contest.figures) > 1:
        ours, theirs = (figure.output_bytes for figure in contest.figures[:2])
        bound = (1 + SIZE_TOLERANCE) * theirs
        contest.targets.append(Target("output ≤ 1.03 × pigz's", ours, bound, unit="B"))
    return _held(contest, peer, 0.5)


def _gunzip_one_member(lab: Lab) -> Contest:
    return _unpacked(lab, "gunzip, one foreign member", "gzip -6", "pigz -d", 0.7)


def _gunzip_many_members(lab: Lab) -> Contest:
    return _unpacked(lab, "gunzip, members of ours", "pravah gzip", "pigz -d", 0.4)


def _unzstd_one_frame(lab: Lab) -> Contest:
    return _unpacked(lab, "unzstd, one foreign frame", "zstd -3", "zstd -d", 1.0)


def _unzstd_many_frames(lab: Lab) -> Contest:
    return _unpacked(lab, "unzstd, frames of ours", "pravah zstd", "zstd -d", 1.0)


def _unpacked(lab: Lab, title: str, packer: str, peer: str, share: float) -> Contest:
    packed = lab.large_packed(packer)
    others = [peer] if packer.endswith("zstd") or peer == "zstd -d" else [peer, "gzip -d"]
    contest = lab.compete(
        f"One large file: {title}",
        [
            Entrant("pravah run", pravah(f"run {packed} --to {{out}}/ -s decompress -q")),
            *(
                Entrant(other, _durable(f"{other} -c {packed} >{{out}}/big.csv"), needs=other[:4])
                for other in others
            ),
        ],
    )
    return _held(contest, peer, share)


def _copy(lab: Lab) -> Contest:
    source = lab.large_csv()
    contest = lab.compete(
        "One large file: copy",
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s copy -q")),
            Entrant("cp", _durable(f"cp {source} {{out}}/big.csv")),
        ],
    )
    return _held(contest, "cp", 1.0)


def _checksum(lab: Lab) -> Contest:
    source = lab.large_csv()
    contest = lab.compete(
        "One large file: checksum",
        [
            Entrant("pravah run (xxh3)", pravah(f"run {source} -s checksum -q")),
            Entrant("cat", f"cat {source} >/dev/null"),
            Entrant("xxhsum -H3", f"xxhsum -H3 {source}", needs="xxhsum"),
        ],
    )
    return _held(contest, "cat", 1.0)


def _durable(command: str) -> str:
    return f"{command} && sync -f {{out}}"


def _held(contest: Contest, peer: str, share: float) -> Contest:
    """Hold the first entrant against a share of the peer's time."""
    theirs = contest.median_s(peer)
    if theirs is not None:
        claim = f"{share} × {peer} + {START_UP_S} s"
        bound = share * theirs + START_UP_S
        contest.targets.append(Target(f"≤ {claim}", contest.figures[0].median_s, bound))
    return contest
