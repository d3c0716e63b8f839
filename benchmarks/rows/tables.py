"""Tables as whole durable jobs: many small files, and one large one, from format to format.

Pravah's time has everything in it, the peers' that of Python and of their import, and a `sync -f`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.contest import Contest, Entrant, Target
from benchmarks.lab import HERE, Lab, pravah

ENGINES = ("duckdb", "polars", "pyarrow")
# What the targets add for start, job and ledger of one large file.
START_UP_S = 0.5
SIZE_TOLERANCE = 0.05


def contests(lab: Lab) -> list[Contest]:
    """Measure the small set, and one large file in each direction."""
    jobs: list[Callable[[Lab], Contest]] = [
        _small_csv_to_parquet,
        _csv_to_parquet,
        _ndjson_to_parquet,
        _parquet_to_csv,
    ]
    return [job(lab) for job in jobs]


def _small_csv_to_parquet(lab: Lab) -> Contest:
    source = lab.csv_files(1)
    contest = lab.compete(
        "Tables: 10,000 small CSV files to Parquet (zstd)",
        [
            Entrant("pravah run", pravah(f"run {source} --to {{out}}/ -s convert:parquet -q")),
            _peer("pyarrow", source, "{out}"),
        ],
    )
    theirs = contest.median_s("pyarrow")
    if theirs is not None:
        ours = contest.figures[0].median_s
        contest.targets.append(Target("≤ 0.5 × pyarrow", ours, 0.5 * theirs))
    return contest


def _csv_to_parquet(lab: Lab) -> Contest:
    return _converted(lab, "CSV to Parquet (zstd)", lab.large_csv(), "parquet", 0.75)


def _ndjson_to_parquet(lab: Lab) -> Contest:
    source = lab.large_packed("ndjson")
    return _converted(lab, "NDJSON to Parquet (zstd)", source, "parquet", 0.9)


def _parquet_to_csv(lab: Lab) -> Contest:
    source = lab.large_packed("parquet")
    return _converted(lab, "Parquet to CSV", source, "csv", 0.8)


def _converted(lab: Lab, title: str, source: Path, to: str, share: float) -> Contest:
    command = pravah(f"run {source} --to {{out}}/big.{to} -s convert:{to} -q")
    contest = lab.compete(
        f"Tables: one large file, {title}",
        [
            Entrant("pravah run", command),
            *(_peer(engine, source, f"{{out}}/big.{to}") for engine in ENGINES),
        ],
    )
    ours, *theirs = contest.figures
    if not theirs:
        return contest
    best = min(theirs, key=lambda figure: figure.median_s)
    claim = f"≤ {share} × {best.name} + {START_UP_S} s"
    bound = share * best.median_s + START_UP_S
    contest.targets.append(Target(claim, ours.median_s, bound))
    if to == "parquet":
        smallest = min(figure.output_bytes for figure in theirs)
        size_bound = (1 + SIZE_TOLERANCE) * smallest
        contest.targets.append(
            Target("output ≤ 1.05 × the smallest", ours.output_bytes, size_bound, unit="B")
        )
    return contest


def _peer(engine: str, source: Path, target: str) -> Entrant:
    script = HERE / "peers" / "tables.py"
    return Entrant(
        engine, f"{sys.executable} {script} {engine} {source} {target} && sync -f {{out}}"
    )
