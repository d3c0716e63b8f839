"""What becomes of sources in an object store once their outputs are safe: removed, or moved."""

from __future__ import annotations

import gzip
import json
import random
import time

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.s3_double import (
    S3Double,
    ok_with,
    ok_with_error,
    refuse,
    reset_after,
    reset_before,
    slow_down,
)
from tests.s3_double.faults import Perform, meanwhile
from tests.s3_double.messages import Request, Response
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

NAMES = ("a.txt", "b c.txt", "d/e+f.txt", "d/g%2Fh.txt", "d/é/ü😀&<>.txt", "d/empty")
LARGE_BYTES = (8 << 20) + 1_000


def fill(bucket: Bucket) -> dict[str, bytes]:
    files = {name: name.encode() * 9 * ("empty" not in name) for name in NAMES}
    for name, content in files.items():
        bucket.put(f"in/{name}", content, Metadata={"of": "us"}, Tagging="t=1")
    return files


def test_objects_are_removed_when_their_outputs_are_safe(bucket: Bucket) -> None:
    files = fill(bucket)
    flags = ("-s", "compress:gzip", "--after", "delete")
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), *flags)
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert bucket.keys("in/") == []
    found = {key.removesuffix(".gz"): gzip.decompress(body)
             for key, body in bucket.objects("out/").items()}  # fmt: skip
    assert found == files


def test_objects_are_removed_by_requests_of_many(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for number in range(1_200):
        body = str(number).encode()
        double.store.buckets[bucket].put(f"in/{number % 3}/{number}".encode(), stored(body))
    flags = ("-s", "copy", "--after", "delete")
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", *flags)
    assert (job["status"], job["counts"]["done"]) == ("completed", 1_200)
    assert double.objects(bucket) == {}
    # By which requests objects go is found out with one that was put for that.
    alone = [seen.key for seen in double.seen if seen.operation == "DeleteObject"]
    assert [key for key in alone if b"probe" not in key] == []
    assert double.count("DeleteObjects") <= 4


def test_what_was_put_to_find_out_by_a_killed_worker_goes_after_an_hour(
    cli: Cli, double: S3Double
) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    objects = double.store.buckets[bucket]
    objects.put(b"in/a", stored(b"1"))
    for name, age_s in (("new", 60), ("old", 4_000)):
        left = Stored(b"", stored(b"").etag, modified_s=time.time() - age_s)
        objects.put(f"in/_pravah/.pravah-probe-{name}".encode(), left)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", "delete")
    assert (job["status"], job["counts"]["done"]) == ("completed", 1)
    assert list(double.objects(bucket)) == [b"in/_pravah/.pravah-probe-new"]


def test_objects_move_with_what_they_have(bucket: Bucket) -> None:
    files = fill(bucket)
    flags = ("-s", "compress:zstd", "--after", f"move:{bucket.uri('gone/')}")
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), *flags)
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert bucket.keys("in/") == []
    assert bucket.objects("gone/") == files
    assert bucket.head("gone/a.txt")["Metadata"]["of"] == "us"
    assert bucket.tags("gone/a.txt") == {"t": "1"}
    assert [key for key in bucket.keys("") if "_pravah" in key] == []


def test_files_are_removed_when_their_outputs_are_objects(minio_bucket: Bucket) -> None:
    bucket, source = minio_bucket, minio_bucket.cli.directory / "source"
    source.mkdir()
    (source / "a").write_bytes(b"1")
    (source / "large").write_bytes(random.Random(8).randbytes(LARGE_BYTES))
    job = bucket.cli.job(source, "--to", bucket.uri("out/"), "-s", "copy", "--after", "delete")
    assert job["status"] == "completed"
    assert list(source.iterdir()) == []
    assert set(bucket.keys("out/")) == {"out/a", "out/large"}


def test_object_that_stands_where_one_is_moved_to_stays_with_its_source(bucket: Bucket) -> None:
    fill(bucket)
    bucket.put("gone/a.txt", b"theirs")
    flags = ("-s", "copy", "--after", f"move:{bucket.uri('gone/')}")
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), *flags)
    assert (job["status"], job["error"]["kind"]) == ("failed", "after_failed")
    assert job["counts"]["done"] == len(NAMES)
    assert bucket.keys("in/") == ["in/a.txt"]
    assert bucket.get("gone/a.txt") == b"theirs"


def test_object_stays_where_a_server_ignores_conditions_too(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    objects = double.store.buckets[bucket]
    for name in (b"a", b"b"):
        objects.put(b"in/" + name, stored(name))
    objects.put(b"gone/a", stored(b"theirs"))
    double.quirks.honours_conditions = False
    flags = ("-s", "compress:gzip", "--after", f"move:s3://{bucket}/gone/")
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", *flags)
    assert (job["status"], job["error"]["kind"]) == ("failed", "after_failed")
    assert double.objects(bucket) == {b"in/a": b"a", b"gone/a": b"theirs", b"gone/b": b"b"}


@pytest.mark.parametrize("after", ["delete", "move"])
@pytest.mark.parametrize(
    ("point", "code"),
    [("ledger.close.before_commit=1", -9), ("ledger.window.after_commit=1", -9)],
)
def test_killed_job_comes_to_its_end(
    minio_bucket: Bucket, after: str, point: str, code: int
) -> None:
    bucket, cli = minio_bucket, minio_bucket.cli
    files = fill(bucket)
    fate = "delete" if after == "delete" else f"move:{bucket.uri('gone/')}"
    command = ("run", bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "copy", "--after", fate)
    ran = cli(*command, "--json", env={"PRAVAH_FAILPOINTS": point})
    assert ran.code == code, ran.err
    # Whatever has happened: nothing is gone that does not stand elsewhere.
    assert {*bucket.objects("out/")} | {*bucket.objects("in/")} >= {*files}
    (job,) = cli.ok(*command, "--json").objects()
    assert job["status"] == "completed"
    assert bucket.objects("out/") == files
    assert bucket.keys("in/") == []
    assert bucket.objects("gone/") == ({} if after == "delete" else files)


@pytest.mark.parametrize(
    ("operation", "act", "times"),
    [
        ("DeleteObjects", reset_before(), 1),
        ("DeleteObjects", reset_after(), 1),
        ("DeleteObjects", slow_down(), 3),
        ("DeleteObjects", ok_with_error(), 1),
        ("DeleteObjects", refuse(501, "NotImplemented"), 1),
        ("CopyObject", reset_after(), 3),
        ("CopyObject", ok_with_error(commits=True), 2),
        ("CopyObject", ok_with(b"<?xml version='1.0'?>\n  "), 2),
        ("CopyObject", ok_with(b"<Error><Code>InternalError</Code></Error>", "text/plain"), 2),
    ],
)
def test_fate_survives(cli: Cli, double: S3Double, operation: str, act: object, times: int) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    files = {f"d/{number}": str(number).encode() for number in range(9)}
    for name, content in files.items():
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(content))
    # By which copies a server heeds conditions is found out with one elsewhere.
    key = "gone/d/*" if operation == "CopyObject" else "*"
    double.faults.add(operation, act, key=key, times=times)  # type: ignore[arg-type]
    flags = ("-s", "compress", "--after", f"move:s3://{bucket}/gone/")
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", *flags)
    assert job["status"] == "completed"
    found = double.objects(bucket)
    assert found == {f"gone/{name}".encode(): content for name, content in files.items()}


@pytest.mark.parametrize("operation", ["DeleteObjects", "HeadObject"])
def test_object_that_is_put_meanwhile_stays(cli: Cli, double: S3Double, operation: str) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for name in ("a", "b"):
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(b"read"))
    change = lambda: double.store.buckets[bucket].put(b"in/a", stored(b"later"))  # noqa: E731
    double.faults.add(operation, meanwhile(change))
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", "delete")
    assert job["status"] == "completed"
    assert double.objects(bucket) == {b"in/a": b"later"}
    assert (cli.directory / "out" / "a").read_bytes() == b"read"


@pytest.mark.parametrize("alone", ["heeded", "ignored"])
def test_first_object_that_is_put_meanwhile_stays_where_requests_of_many_ignore_etags(
    cli: Cli, double: S3Double, alone: str
) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for name in range(4):
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(b"read"))
    double.quirks.honours_etags_of_many = False
    double.quirks.honours_conditions = alone == "heeded"
    change = lambda: double.store.buckets[bucket].put(b"in/0", stored(b"later"))  # noqa: E731
    double.faults.add("DeleteObjects", meanwhile(change))
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", "delete")
    assert job["status"] == "completed"
    assert double.objects(bucket) == {b"in/0": b"later"}
    report = json.loads(cli.ok("jobs", "report", job["id"], "--json").out)
    assert (report["after"]["finished"], report["after"]["changed"]) == (3, 1)
    assert ("fencing" in report["after"]) == (alone == "ignored")


def test_object_that_is_put_behind_its_copy_stays(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for name in ("a", "b"):
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(b"read"))

    def change_behind(request: Request, perform: Perform) -> Response:
        response = perform(request)
        double.store.buckets[bucket].put(b"in/a", stored(b"later"))
        return response

    double.faults.add("CopyObject", change_behind, key="gone/a")
    move = f"move:s3://{bucket}/gone/"
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", move)
    assert job["status"] == "completed"
    assert double.objects(bucket) == {b"in/a": b"later", b"gone/a": b"read", b"gone/b": b"read"}


def test_sources_stay_where_copies_are_only_said_to_be_there(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for name in ("a", "b"):
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(b"read"))
    copied = b"<CopyObjectResult><ETag>&quot;1&quot;</ETag></CopyObjectResult>"
    double.faults.add("CopyObject", ok_with(copied), key="gone/a", times=99)
    move = f"move:s3://{bucket}/gone/"
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", move)
    assert (job["status"], job["error"]["kind"]) == ("failed", "after_failed")
    assert double.objects(bucket) == {b"in/a": b"read", b"gone/b": b"read"}


def test_sources_stay_where_they_may_not_be_removed(cli: Cli, double: S3Double) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for name in ("a", "b"):
        double.store.buckets[bucket].put(f"in/{name}".encode(), stored(b"read"))
    double.faults.add("DeleteObjects", refuse(403, "AccessDenied"), times=99)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy", "--after", "delete")
    assert (job["status"], job["counts"]["done"]) == ("failed", 2)
    assert job["error"]["kind"] == "after_failed"
    assert len(double.objects(bucket)) == 2


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("s3://{bucket}/in/", "gone", "in another store"),
        (".", "s3://{bucket}/gone/", "in another store"),
        ("s3://{bucket}/in/", "s3://{bucket}/in/gone/", "lies in them"),
        ("s3://{bucket}/in/", "s3://{bucket}/in/", "lies in them"),
    ],
)
def test_moves_that_are_none_are_refused(
    cli: Cli, double: S3Double, source: str, target: str, said: str
) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    double.store.buckets[bucket].put(b"in/a", stored(b"1"))
    move = f"move:{target.format(bucket=bucket)}"
    ran = cli("plan", source.format(bucket=bucket), "--to", "out", "-s", "copy", "--after", move)
    assert (ran.code, said in ran.err) == (2, True), ran.err
    assert list(double.objects(bucket)) == [b"in/a"]


def stored(content: bytes) -> Stored:
    return Stored(content, etag_of(content))
