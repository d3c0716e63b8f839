"""Objects that their outputs replace: each once, with all that it has beside its content."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double, meanwhile
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

TABLE = b"id,name\n1,Asha\n2,Ravi\n"
SELECTED = b"name\nAsha\nRavi\n"
SELECT = ("--in-place", "-s", "select: {columns: [name]}")
LARGE_BYTES = (20 << 20) + 7


def test_output_takes_the_place_of_its_source_and_keeps_what_that_has(bucket: Bucket) -> None:
    cli = bucket.cli
    told = {"ContentType": "text/x-own", "Metadata": {"team": "ingest"}, "Tagging": "a=1&b=2"}
    bucket.put("in/d/a.csv", TABLE, **told)
    bucket.put("other/a.csv", TABLE)
    job = cli.job(bucket.uri("in/"), *SELECT)
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert bucket.objects("") == {"in/d/a.csv": SELECTED, "other/a.csv": TABLE}
    head = bucket.head("in/d/a.csv")
    assert (head["ContentType"], head["Metadata"]["team"]) == ("text/x-own", "ingest")
    assert bucket.tags("in/d/a.csv") == {"a": "1", "b": "2"}
    # What a job has put there is not processed again.
    again = cli.job(bucket.uri("in/"), *SELECT, "--new")
    assert again["reasons"] == {"skipped:unchanged": 1}
    assert bucket.get("in/d/a.csv") == SELECTED


def test_source_goes_where_its_output_has_another_name(bucket: Bucket) -> None:
    large = random.Random(31).randbytes(LARGE_BYTES)
    for key, body in (("in/a.bin", large), ("in/d/b.txt", b"b\n"), ("in/empty", b"")):
        bucket.put(key, body)
    compress = ("--in-place", "-s", "compress:codec=zstd,level=1")
    planned = bucket.cli.ok("plan", bucket.uri("in/"), *compress).out
    assert "none: each source is replaced by its output" in planned
    job = bucket.cli.job(bucket.uri("in/"), *compress)
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)
    assert sorted(bucket.keys()) == ["in/a.bin.zst", "in/d/b.txt.zst", "in/empty.zst"]
    job = bucket.cli.job(bucket.uri("in/"), "--in-place", "-s", "decompress")
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)
    assert bucket.objects("in/") == {"a.bin": large, "d/b.txt": b"b\n", "empty": b""}


def test_one_object_and_a_whole_bucket_are_replaced_like_a_prefix(bucket: Bucket) -> None:
    for key in ("a.csv", "d/b.csv"):
        bucket.put(key, TABLE)
    assert bucket.cli.job(bucket.uri("d/b.csv"), *SELECT)["counts"]["done"] == 1
    assert bucket.objects("") == {"a.csv": TABLE, "d/b.csv": SELECTED}
    job = bucket.cli.job(bucket.uri(), *SELECT, "--include", "a.csv")
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert bucket.objects("") == {"a.csv": SELECTED, "d/b.csv": SELECTED}


def test_output_that_another_source_has_the_name_of_is_not_made(bucket: Bucket) -> None:
    for key in ("in/a.txt", "in/a.txt.zst"):
        bucket.put(key, key.encode())
    job = bucket.cli.job(bucket.uri("in/"), "--in-place", "-s", "compress:codec=zstd")
    assert job["counts"]["failed"] == 1
    assert bucket.get("in/a.txt") == b"in/a.txt"


@pytest.fixture
def doubled(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


def put(double: S3Double, bucket: str, key: bytes, body: bytes) -> None:
    double.store.buckets[bucket].put(key, Stored(body, etag_of(body)))


@pytest.mark.parametrize("conditions", [True, False])
@pytest.mark.parametrize("before", ["GetObject", "HeadObject"])
def test_object_that_comes_while_its_forerunner_is_read_is_not_replaced(
    cli: Cli, double: S3Double, doubled: str, before: str, *, conditions: bool
) -> None:
    """It is read itself, in another try; whether the key was looked at before or behind it."""
    double.quirks.honours_conditions = conditions
    put(double, doubled, b"in/a.csv", TABLE)
    later = b"id,name\n3,Uma\n"
    come = meanwhile(lambda: put(double, doubled, b"in/a.csv", later))
    double.faults.add(before, come, key="in/a.csv")
    job = cli.job(f"s3://{doubled}/in/", *SELECT)
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert double.objects(doubled) == {b"in/a.csv": b"name\nUma\n"}


def test_nothing_is_processed_twice_where_a_worker_dies_as_it_has_replaced_an_object(
    cli: Cli, double: S3Double, doubled: str
) -> None:
    """Selecting a column of what has been selected would fail, or be another output."""
    for number in range(20):
        put(double, doubled, f"in/{number:02}.csv".encode(), TABLE)
    run = ("run", f"s3://{doubled}/in/", "--in-place", "-s", "filter_rows:id > 1", "-s",
           "select: {columns: [name]}", "-q")  # fmt: skip
    killed = subprocess.Popen(
        cli.command(*run), cwd=cli.directory, env=cli.env(), start_new_session=True
    )
    done = meanwhile(lambda: os.killpg(killed.pid, signal.SIGKILL))
    double.faults.add("PutObject", done, key="in/07.csv")
    assert killed.wait(60) == -signal.SIGKILL
    cli.ok(*run)
    assert set(double.objects(doubled).values()) == {b"name\nRavi\n"}
    (job,) = cli.ok("jobs", "list", "--json").objects()
    assert (job["status"], job["counts"]["done"]) == ("completed", 20)


def test_files_beside_objects_are_not_replaced_in_one_job(
    cli: Cli, double: S3Double, doubled: str, tmp_path: Path
) -> None:
    put(double, doubled, b"in/a.csv", TABLE)
    (tmp_path / "a.csv").write_bytes(TABLE)
    ran = cli("run", f"s3://{doubled}/in/", tmp_path / "a.csv", *SELECT)
    assert ran.code == 2
    assert "`in_place`, and the sources" in ran.err
    assert "hint: make it a job for each bucket" in ran.err
