"""Jobs over objects keep within `limits.memory` and a little beside, whatever is in flight.

`make scale` takes 10,000 small objects and ten of a GiB (PRAVAH_OBJECTS_IN_FLIGHT,
PRAVAH_LARGE_OBJECTS, PRAVAH_OBJECT_BYTES) under the default limit (PRAVAH_OBJECT_MEMORY).
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.object_places import lent
from tests.e2e.peaks import job_with_peaks
from tests.object_servers import ObjectServer

SMALL = int(os.environ.get("PRAVAH_OBJECTS_IN_FLIGHT", "500"))
LARGE = int(os.environ.get("PRAVAH_LARGE_OBJECTS", "3"))
LARGE_BYTES = int(os.environ.get("PRAVAH_OBJECT_BYTES", str(64 << 20)))
LIMIT_BYTES = int(os.environ.get("PRAVAH_OBJECT_MEMORY", str(96 << 20)))
# What the program, its threads and what it has read of the ledger take beside.
BESIDE_BYTES = 150_000_000
# Up to the most that goes the way of small files.
SMALL_BYTES = (100, 15_000, 300_000, 1 << 20)


@pytest.mark.parametrize("kind", ["small", "large"])
def test_objects_in_flight_stay_within_the_limit(
    kind: str, tmp_path: Path, minio: ObjectServer, versitygw: ObjectServer
) -> None:
    cli, source = Cli(tmp_path / "home", tmp_path), tmp_path / "source"
    names = make_small(source) if kind == "small" else make_large(source)
    with lent(minio) as near, lent(versitygw, "far") as far:
        cli.environment |= near.settings() | far.settings()
        ways = (
            ("up", source, near.uri(), "copy"),
            ("between", near.uri(), far.uri(), "copy"),
            ("down", far.uri(), tmp_path / "back", "compress:zstd"),
        )
        for way, start, end, step in ways:
            limit = ("--set", f"limits.memory={LIMIT_BYTES}B")
            job, peaks = job_with_peaks(cli, start, "--to", end, "-s", step, *limit)
            took = {"kind": kind, "way": way, "peak_bytes": peaks, "elapsed_s": job["elapsed_s"]}
            sys.stderr.write(json.dumps(took) + "\n")
            assert (job["status"], job["counts"]["done"]) == ("completed", names), way
            assert max(peaks) < LIMIT_BYTES + BESIDE_BYTES, way


def make_small(root: Path) -> int:
    """Make small files of several sizes; give their number."""
    chance = random.Random(5)
    contents = [chance.randbytes(size_bytes) for size_bytes in SMALL_BYTES]
    for number in range(SMALL):
        path = root / f"{number % 20}" / f"{number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Most are small: a tenth has the largest size.
        path.write_bytes(contents[3 if number % 10 == 0 else number % 3])
    return SMALL


def make_large(root: Path) -> int:
    """Make large files, which take no room where they are; give their number."""
    root.mkdir()
    for number in range(LARGE):
        with (root / f"large-{number}").open("wb") as large:
            large.truncate(LARGE_BYTES)
    return LARGE
