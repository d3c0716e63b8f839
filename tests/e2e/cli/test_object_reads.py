"""How objects are asked for: large ones in ranges, and a second time what a server holds back."""

from __future__ import annotations

import json
import random
import threading

import pytest

from tests.e2e.cli.harness import Cli
from tests.s3_double import Act, S3Double, meanwhile
from tests.s3_double.checksums import DEFAULT, digest
from tests.s3_double.faults import Perform
from tests.s3_double.messages import Request, Response
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

RANGE_BYTES = 8 << 20
LARGE_BYTES = 3 * RANGE_BYTES + 5
OBJECTS = 120


@pytest.fixture
def bucket(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


def put(double: S3Double, bucket: str, key: str, content: bytes) -> None:
    told = {DEFAULT: digest(DEFAULT, content)}
    double.store.buckets[bucket].put(key.encode(), Stored(content, etag_of(content), {}, told))


def test_large_object_is_asked_for_in_ranges_which_are_all_of_it_once(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    content = random.Random(6).randbytes(LARGE_BYTES)
    put(double, bucket, "in/large", content)
    assert cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")["status"] == "completed"
    assert (cli.directory / "out" / "large").read_bytes() == content
    gets = [seen.headers for seen in double.seen if seen.operation == "GetObject"]
    starts = range(0, LARGE_BYTES, RANGE_BYTES)
    wanted = [f"bytes={at}-{min(at + RANGE_BYTES, LARGE_BYTES) - 1}" for at in starts]
    assert sorted(headers["range"] for headers in gets) == sorted(wanted)
    # All behind the first one are of the object that it was of.
    conditions = [headers.get("if-match") for headers in gets]
    assert sorted(conditions, key=str) == [*[etag_of(content)] * (len(wanted) - 1), None]
    assert double.count("HeadObject") == 1


def test_object_that_has_shrunk_since_it_was_listed_is_read_as_it_is(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    put(double, bucket, "in/a", bytes(LARGE_BYTES))
    shrink = lambda: put(double, bucket, "in/a", b"small")  # noqa: E731
    double.faults.add("GetObject", meanwhile(shrink))
    assert cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")["status"] == "completed"
    assert (cli.directory / "out" / "a").read_bytes() == b"small"


def test_answer_that_is_held_back_is_asked_for_again_and_told_of(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    for number in range(OBJECTS):
        put(double, bucket, f"in/{number}", f"{number}\n".encode())
    ended = threading.Event()
    double.faults.add("GetObject", _held_until(ended), spared=OBJECTS // 2)
    try:
        job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    finally:
        ended.set()
    assert (job["status"], job["counts"]["done"]) == ("completed", OBJECTS)
    report = json.loads(cli.ok("jobs", "report", job["id"], "--json").out)
    # Had it been waited for until nobody does, the request would have been tried again, not hedged.
    assert 1 <= report["hedged"] <= OBJECTS // 20
    assert double.count("GetObject") == OBJECTS + report["hedged"]
    assert "sent a second time" in cli.ok("jobs", "report", job["id"]).out


def _held_until(ended: threading.Event) -> Act:
    def act(request: Request, perform: Perform) -> Response:
        ended.wait()
        return perform(request)

    return act
