"""Prefixes with many pages: read in ranges by several at once, and each key listed once."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.s3_double import Act, S3Double, refuse
from tests.s3_double.faults import Perform
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

# More than a page; the full figure is 5,000.
SERVED_KEYS = int(os.environ.get("PRAVAH_TEST_LISTED_KEYS", "1200"))

SHAPES: dict[str, Callable[[int], str]] = {
    "counted": lambda number: f"f{number:06}.csv",
    "counted without zeros": lambda number: f"{number}",
    "one stem": lambda number: f"2026-01-01T00:00:00-measurement-{number * 7:08}",
    "uuids": lambda number: str(uuid.UUID(int=random.Random(number).getrandbits(128))),
    "emoji": lambda number: "".join(chr(0x1F600 + int(digit)) for digit in f"{number:05}"),
    "one hot range": lambda number: f"{number:04x}" if number % 20 == 0 else f"hot-{number:09}",
    "directories": lambda number: f"d{number:05}/x",
    "borders of names": lambda number: (
        f"k{number // 5:04}" + ("", "!", "-x", "/y", "0z")[number % 5]
    ),
}


@pytest.fixture
def bucket_of_double(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


def fill(double: S3Double, bucket: str, names: list[str], body: bytes = b"x") -> None:
    stored = Stored(body, etag_of(body))
    for name in names:
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored)


def listings(double: S3Double) -> list[dict[str, str]]:
    return [seen.query for seen in double.seen if seen.operation == "ListObjectsV2"]


def listed(cli: Cli, bucket: str) -> list[str]:
    found = cli.ok("scan", f"s3://{bucket}/in/", "--json").objects()
    prefix = f"s3://{bucket}/in/"
    return sorted(line["path"].removeprefix(prefix) for line in found)


@pytest.mark.parametrize(
    ("shape", "count"),
    [*(("counted", count) for count in (0, 1, 999, 1_000, 1_001)), *((s, 5_000) for s in SHAPES)],
)
def test_keys_of_any_shape_are_each_listed_once(
    cli: Cli, double: S3Double, bucket_of_double: str, shape: str, count: int
) -> None:
    names = [SHAPES[shape](number) for number in range(count)]
    fill(double, bucket_of_double, names)
    assert listed(cli, bucket_of_double) == sorted(set(names))
    if count == 5_000:
        assert any("start-after" in query for query in listings(double))


@pytest.mark.parametrize("shape", ["counted", "uuids", "emoji", "borders of names"])
def test_keys_of_real_stores_are_each_listed_once(bucket: Bucket, shape: str) -> None:
    names = {SHAPES[shape](number) for number in range(SERVED_KEYS)}
    # Both keep objects as files, and have none beside a directory of its name.
    names = {name for name in names if f"{name}/y" not in names}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: bucket.put(f"in/{name}", b"x"), names))
    assert listed(bucket.cli, bucket.name) == sorted(names)


def _refuse_start_after(code: int) -> Act:
    refused = refuse(code, "NotImplemented")

    def act(request: Request, perform: Perform) -> Response:
        return (refused if "start-after" in request.query else lambda r, p: p(r))(request, perform)

    return act


@pytest.mark.parametrize("how", ["ignored", "refused", "unordered"])
def test_store_that_cannot_begin_at_a_key_is_listed_by_one_reader(
    cli: Cli, double: S3Double, bucket_of_double: str, how: str
) -> None:
    names = [SHAPES["counted"](number) for number in range(3_000)]
    fill(double, bucket_of_double, names)
    double.quirks.page_size = 100
    double.quirks.honours_start_after = how != "ignored"
    double.quirks.lists_in_order = how != "unordered"
    if how == "refused":
        double.faults.add("ListObjectsV2", _refuse_start_after(501), times=10_000)
    assert listed(cli, bucket_of_double) == names
    # The pages there are, what was asked for before the first answer told, and of that at most a
    # few that had nobody to go back to.
    assert len(listings(double)) <= 30 + 2 * 16 + 3 * 30


def test_refusal_for_another_reason_is_told(
    cli: Cli, double: S3Double, bucket_of_double: str
) -> None:
    fill(double, bucket_of_double, [SHAPES["counted"](number) for number in range(3_000)])

    def act(request: Request, perform: Perform) -> Response:
        if "start-after" in request.query:
            raise S3Error(403, "AccessDenied")
        return perform(request)

    double.faults.add("ListObjectsV2", act, times=10_000)
    ran = cli("scan", f"s3://{bucket_of_double}/in/")
    assert ran.code == 7
    assert "AccessDenied" in ran.err


def _slow(request: Request, perform: Perform) -> Response:
    time.sleep(0.15)
    return perform(request)


def _names(cli: Cli, job: dict[str, Any], prefix: str) -> list[str]:
    found = cli.ok("jobs", "files", job["id"], "--json").objects()
    return sorted(line["path"].removeprefix(prefix) for line in found)


@pytest.mark.parametrize(
    ("sink", "emission"),
    [("nowhere", 1), ("nowhere", 2), ("another prefix", 2), ("a directory", 1)],
)
def test_job_killed_while_it_lists_goes_on_where_it_was(
    cli: Cli, double: S3Double, bucket_of_double: str, sink: str, emission: int
) -> None:
    names = [SHAPES["counted"](number) for number in range(1_000)]
    fill(double, bucket_of_double, names)
    double.quirks.page_size = 20
    double.faults.add("ListObjectsV2", _slow, times=10_000)
    to: tuple[str | Path, ...] = {
        "nowhere": (),
        "another prefix": ("--to", f"s3://{bucket_of_double}/out/"),
        "a directory": ("--to", cli.directory / "out"),
    }[sink]
    step = "copy" if to else "checksum"
    command = ("run", f"s3://{bucket_of_double}/in/", *to, "-s", step, "--json")
    ran = cli(*command, env={"PRAVAH_FAILPOINTS": f"ledger.emit.after_commit={emission}"})
    assert ran.code == -9, ran.err
    ran = cli(*command)
    assert ran.code == 0, ran.err
    job = json.loads(ran.out.splitlines()[-1])
    counts = job["counts"]
    assert (job["status"], counts["listed"], counts["done"]) == ("completed", 1_000, 1_000)
    assert _names(cli, job, f"s3://{bucket_of_double}/in/") == names
