"""Jobs over objects keep within `limits.memory` and a little beside, whatever is in flight.

`make scale` takes 10,000 small objects and ten of a GiB (PRAVAH_OBJECTS_IN_FLIGHT,
PRAVAH_LARGE_OBJECTS, PRAVAH_OBJECT_BYTES) under the default limit (PRAVAH_OBJECT_MEMORY). The
large ones then take 12.5 GiB of disk (5/4 of their size), the small ones 4 GiB, until they end.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli
from tests.e2e.object_places import lent
from tests.e2e.peaks import command_with_peaks, job_with_peaks
from tests.object_servers import ObjectServer
from tests.s3_double import Act, S3Double
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response
from tests.s3_double.store import Stored

SMALL = int(os.environ.get("PRAVAH_OBJECTS_IN_FLIGHT", "500"))
LARGE = int(os.environ.get("PRAVAH_LARGE_OBJECTS", "3"))
LARGE_BYTES = int(os.environ.get("PRAVAH_OBJECT_BYTES", str(64 << 20)))
LIMIT_BYTES = int(os.environ.get("PRAVAH_OBJECT_MEMORY", str(96 << 20)))
# What the program, its threads and what it has read of the ledger take beside.
BESIDE_BYTES = 150_000_000
# How long nothing is asked for before a slow sink takes an object.
QUIET_S = 0.5
STRIDE_BYTES = 1 << 20
# Up to the most that goes the way of small files.
SMALL_BYTES = (100, 15_000, 300_000, 1 << 20)


# Small tasks that a worker has in work at once, of at most 14, and objects of each: three batches.
JOBS, HELD = 8, 20


@pytest.mark.parametrize("kind", ["small", "large"])
def test_objects_in_flight_stay_within_the_limit(
    kind: str, tmp_path: Path, minio: ObjectServer, versitygw: ObjectServer
) -> None:
    cli, source = Cli(tmp_path / "home", tmp_path), tmp_path / "source"
    names = make_small(source) if kind == "small" else make_large(source)
    back = tmp_path / "back"
    with lent(minio) as near, lent(versitygw, "far") as far:
        cli.environment |= near.settings() | far.settings()
        # What is not needed any more is removed: disks are small.
        ways: tuple[tuple[str, str | Path, str | Path, str, Callable[[], object]], ...] = (
            ("up", source, near.uri(), "copy", lambda: shutil.rmtree(source)),
            ("between", near.uri(), far.uri(), "compress:zstd", far.clear),
            ("down", near.uri(), back, "compress:zstd", lambda: shutil.rmtree(back)),
        )
        for way, start, end, step, clear in ways:
            limit = ("--set", f"limits.memory={LIMIT_BYTES}B")
            job, peaks = job_with_peaks(cli, start, "--to", end, "-s", step, *limit)
            clear()
            record(kind, way, LIMIT_BYTES, job, peaks)
            assert (job["status"], job["counts"]["done"]) == ("completed", names), way
            assert max(peaks) < LIMIT_BYTES + BESIDE_BYTES, way


def test_objects_that_wait_for_a_slow_sink_stay_within_the_limit(tmp_path: Path) -> None:
    """Small tasks could hold all of their largest small objects, as they came and as they go."""
    cli, limit_bytes = Cli(tmp_path / "home", tmp_path), 64 << 20
    content = Stored(random.Random(7).randbytes(1 << 20), '"1"')
    # Of two servers, so that requests to one never wait for those to the other.
    with S3Double() as near, S3Double() as far:
        further = far.settings().items()
        cli.environment |= near.settings()
        cli.environment |= {f"PRAVAH_S3_FAR_{name[3:]}": value for name, value in further}
        bucket, target = near.create_bucket(), far.create_bucket()
        far.faults.add("PutObject", sink_of_last_resort(near), key="out-*/f-*", times=FOREVER)
        for job in range(JOBS):
            for number in range(HELD):
                near.store.buckets[bucket].put(f"in-{job}/f-{number}".encode(), content)
            ends = (f"s3://{bucket}/in-{job}/", "--to", f"s3+far://{target}/out-{job}/")
            limit = ("--set", f"limits.memory={limit_bytes}B")
            cli.ok("jobs", "create", *ends, "-s", "compress:zstd", *limit, "--json")
        _, peaks = command_with_peaks(cli, "worker", "--until-idle", "-q")
    jobs = cli.ok("jobs", "list", "--json").objects()
    record("held", "between", limit_bytes, jobs[0], peaks)
    assert [(job["status"], job["counts"]["done"]) for job in jobs] == [("completed", HELD)] * JOBS
    assert max(peaks) < limit_bytes + BESIDE_BYTES


def sink_of_last_resort(source: S3Double) -> Act:
    """Take objects only while nobody asks for others, and keep nothing of them."""

    def act(_request: Request, _perform: Perform) -> Response:
        before = -1
        while before != (asked := source.count("GetObject")):
            before = asked
            time.sleep(QUIET_S)
        return Response(headers={"ETag": '"2"'})

    return act


def record(kind: str, way: str, limit_bytes: int, job: dict[str, Any], peaks: list[int]) -> None:
    """Tell the peak of each process, and what it has to stay below."""
    bound_bytes = limit_bytes + BESIDE_BYTES
    took = {"kind": kind, "way": way, "peak_bytes": peaks, "bound_bytes": bound_bytes}
    sys.stderr.write(json.dumps(took | {"elapsed_s": job["elapsed_s"]}) + "\n")


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
    """Make large files, a quarter of which can't be compressed; give their number."""
    root.mkdir()
    chance = random.Random(6)
    for number in range(LARGE):
        with (root / f"large-{number}").open("wb") as large:
            for start in range(0, LARGE_BYTES, STRIDE_BYTES):
                large.seek(start)
                large.write(chance.randbytes(STRIDE_BYTES // 4))
            large.truncate(LARGE_BYTES)
    return LARGE
