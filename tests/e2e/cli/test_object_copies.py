"""Copies that the store makes by itself: no byte of them passes by Pravah."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.conftest import RACY_S
from tests.e2e.cli.harness import Cli
from tests.object_servers import ObjectServer
from tests.s3_double import (
    Act,
    S3Double,
    ok_with,
    ok_with_error,
    refuse,
    reset_after,
    reset_before,
    slow_down,
)
from tests.s3_double.faults import meanwhile
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

# Above what a server without conditional copies is asked to copy.
LARGE_BYTES = (11 << 20) + 1_000
SMALL = {f"d/{number}": f"{number}\n".encode() * 20 for number in range(12)} | {"empty": b""}


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    return {**SMALL, "d/é+ %2F": b"x", "large": random.Random(9).randbytes(LARGE_BYTES)}


def stored(content: bytes) -> Stored:
    return Stored(content, etag_of(content), {"x-amz-meta-of": "us", "content-type": "text/x-own"})


def fill(cli: Cli, double: S3Double, files: dict[str, bytes]) -> str:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    for key, content in files.items():
        double.store.buckets[bucket].put(f"in/{key}".encode(), stored(content))
    return bucket


def below(double: S3Double, bucket: str, prefix: bytes) -> dict[str, bytes]:
    return {
        key.removeprefix(prefix).decode(): content
        for key, content in double.objects(bucket).items()
        if key.startswith(prefix)
    }


def test_copy_within_a_server_gives_equal_objects_and_tells_how(
    bucket: Bucket, files: dict[str, bytes]
) -> None:
    for name, content in files.items():
        bucket.put(f"in/{name}", content)
    command = (bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "copy", "--overwrite", "error")
    job = bucket.cli.job(*command)
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert bucket.objects("out/") == files
    # Some servers heed conditions of copies, and others only those of completed uploads.
    assert job["reasons"]["done:server_copy"] in (1, len(files))
    report = json.loads(bucket.cli.ok("jobs", "report", job["id"], "--json").out)
    assert report["copies"] == {
        "server": job["reasons"]["done:server_copy"],
        "streamed": len(files) - job["reasons"]["done:server_copy"],
    }
    assert bucket.uploads(["out/large"]) == []
    assert [key for key in bucket.keys("") if "_pravah" in key] == []


def test_copy_in_small_parts_on_a_real_server(bucket: Bucket, files: dict[str, bytes]) -> None:
    bucket.put("in/large", files["large"], Metadata={"of": "us"}, Tagging="t=1")
    bucket.cli.environment["PRAVAH_S3_LARGEST_COPY_BYTES"] = str(5 << 20)
    flags = ("-s", "copy", "--preserve", "metadata,tags")
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), *flags)
    assert job["reasons"] == {"done:server_copy": 1}
    assert bucket.get("out/large") == files["large"]
    assert bucket.head("out/large")["Metadata"]["of"] == "us"
    assert bucket.tags("out/large") == {"t": "1"}


def test_no_byte_of_a_copy_is_read(cli: Cli, double: S3Double, files: dict[str, bytes]) -> None:
    bucket = fill(cli, double, files)
    cli.environment["PRAVAH_S3_LARGEST_COPY_BYTES"] = str(5 << 20)
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert job["reasons"] == {"done:server_copy": len(files)}
    assert below(double, bucket, b"out/") == files
    asked = {seen.operation for seen in double.seen if b"probe" not in seen.key}
    assert not asked & {"GetObject", "PutObject"}
    assert double.count("UploadPartCopy") == 3
    kept = double.store.buckets[bucket].objects[b"out/d/1"].metadata
    assert kept["x-amz-meta-pravah"].startswith(".pravah-")
    assert "x-amz-meta-of" not in kept


@pytest.mark.parametrize(
    ("flags", "server"),
    [
        (("-s", "copy", "--verify", "content"), 0),
        (("-s", "copy", "--preserve", "metadata"), 13),
        (("-s", "copy", "-s", "compress"), 0),
    ],
)
def test_only_plain_copies_are_the_servers(
    cli: Cli, double: S3Double, flags: tuple[str, ...], server: int
) -> None:
    bucket = fill(cli, double, SMALL)
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", *flags)
    assert (job["status"], job["counts"]["done"]) == ("completed", len(SMALL))
    assert job["reasons"].get("done:server_copy", 0) == server


def test_copy_to_another_connection_passes_by(
    minio_bucket: Bucket, versitygw: ObjectServer, files: dict[str, bytes]
) -> None:
    bucket, other = minio_bucket, versitygw.create_bucket()
    for name, value in versitygw.settings().items():
        bucket.cli.environment[f"PRAVAH_S3_LAB_{name.removeprefix('S3_')}"] = value
    bucket.put("in/large", files["large"])
    job = bucket.cli.job(bucket.uri("in/"), "--to", f"s3+lab://{other}/out/", "-s", "copy")
    assert (job["status"], job["reasons"]) == ("completed", {})


@pytest.mark.parametrize(
    ("operation", "act", "times"),
    [
        ("CopyObject", reset_before(), 3),
        ("CopyObject", reset_after(), 3),
        ("CopyObject", slow_down(), 9),
        ("CopyObject", ok_with_error(), 2),
        ("CopyObject", ok_with_error(commits=True), 2),
        ("CopyObject", ok_with(b""), 2),
        ("CopyObject", ok_with(b"<CopyObjectRes", commits=True), 2),
        ("CopyObject", refuse(409, "ConditionalRequestConflict"), 3),
        ("CopyObject", refuse(501, "NotImplemented"), 1),
        ("UploadPartCopy", reset_after(), 1),
        ("UploadPartCopy", refuse(404, "NoSuchUpload"), 1),
        ("UploadPartCopy", ok_with_error(), 1),
        ("UploadPartCopy", ok_with(b""), 1),
        ("CompleteMultipartUpload", ok_with_error(commits=True), 1),
        ("CompleteMultipartUpload", reset_after(), 1),
    ],
)
def test_copying_survives(
    cli: Cli, double: S3Double, files: dict[str, bytes], operation: str, act: Act, times: int
) -> None:
    bucket = fill(cli, double, files)
    cli.environment["PRAVAH_S3_LARGEST_COPY_BYTES"] = str(5 << 20)
    double.faults.add(operation, act, times=times)
    flags = ("-s", "copy", "--overwrite", "error")
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", *flags)
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert below(double, bucket, b"out/") == files
    assert double.uploads(bucket) == []
    assert below(double, bucket, b"out/_pravah/") == {}


@pytest.mark.parametrize("operation", ["CopyObject", "UploadPartCopy"])
def test_object_that_is_replaced_before_it_is_copied_is_copied_as_it_is_then(
    cli: Cli, double: S3Double, operation: str
) -> None:
    name = "large" if operation == "UploadPartCopy" else "small"
    content = bytes(LARGE_BYTES if name == "large" else 9)
    bucket = fill(cli, double, {name: content})
    cli.environment["PRAVAH_S3_LARGEST_COPY_BYTES"] = str(5 << 20)
    later = stored(content + b"later")
    change = lambda: double.store.buckets[bucket].put(f"in/{name}".encode(), later)  # noqa: E731
    double.faults.add(operation, meanwhile(change), spared=1)
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert job["status"] == "completed"
    assert below(double, bucket, b"out/") == {name: later.body}


def test_object_that_somebody_puts_just_before_stays(cli: Cli, double: S3Double) -> None:
    bucket = fill(cli, double, {"a": b"ours", "b": b"ours"})
    change = lambda: double.store.buckets[bucket].put(b"out/a", stored(b"theirs"))  # noqa: E731
    double.faults.add("CopyObject", meanwhile(change), key="out/a")
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (1, 1)
    assert below(double, bucket, b"out/") == {"a": b"theirs", "b": b"ours"}


def test_second_copy_skips_what_has_not_changed(cli: Cli, double: S3Double) -> None:
    bucket = fill(cli, double, SMALL)
    for key, found in list(double.store.buckets[bucket].objects.items()):
        old = Stored(found.body, found.etag, modified_s=found.modified_s - 2 * RACY_S)
        double.store.buckets[bucket].put(key, old)
    command = (f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert cli.job(*command)["counts"]["done"] == len(SMALL)
    again = cli.job(*command)
    assert again["counts"]["skipped"] == len(SMALL)


@pytest.mark.parametrize(
    ("operation", "key", "spared"),
    [
        ("CopyObject", "out/*", 5),
        ("UploadPartCopy", "out/large", 1),
        ("CompleteMultipartUpload", "out/large", 0),
        ("DeleteObjects", "*", 0),
    ],
)
def test_copying_killed_at_a_request_ends_the_same(
    cli: Cli, double: S3Double, files: dict[str, bytes], operation: str, key: str, spared: int
) -> None:
    bucket = fill(cli, double, files)
    cli.environment["PRAVAH_S3_LARGEST_COPY_BYTES"] = str(5 << 20)
    flags = ("-s", "copy", "--overwrite", "error", "--after", f"move:s3://{bucket}/gone/")
    command = ("run", f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", *flags, "--json")
    running: list[subprocess.Popen[bytes]] = []
    kill: Callable[[], None] = lambda: os.killpg(running[0].pid, signal.SIGKILL)  # noqa: E731
    double.faults.add(operation, meanwhile(kill), key=key, spared=spared)
    process = subprocess.Popen(
        cli.command(*command), cwd=cli.directory, env=cli.env(), process_group=0,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    running.append(process)
    assert process.wait(60) == -signal.SIGKILL
    double.faults.clear()
    (job,) = cli.ok(*command).objects()
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert below(double, bucket, b"out/") == files
    assert below(double, bucket, b"gone/") == files
    # One that was put to find out how objects are removed stays for an hour.
    assert {name: body for name, body in below(double, bucket, b"in/").items() if body} == {}
    assert double.uploads(bucket) == []
