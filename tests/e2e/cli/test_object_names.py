"""`--files-from` over objects: names of a list are keys, and the list may be an object itself."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double, refuse, reset_before
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

KEYS = ("a.csv", "b c.csv", "deep/d%20.csv", "deep/er/é😀.csv", "deep/x.txt", "other/e.csv")
# More than a unit has is 8,192; the full figure is 20,000.
NAMES = int(os.environ.get("PRAVAH_TEST_NAMED_KEYS", "400"))
COPY = ("-s", "copy", "--files-from")


def fill(bucket: Bucket) -> None:
    for key in KEYS:
        bucket.put(f"in/{key}", key.encode())


def run(bucket: Bucket, names: str, *further: str) -> dict[str, Any]:
    listed = bucket.cli.directory / "list"
    listed.write_text(names)
    return bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), *COPY, listed, *further)


def failures(cli: Cli, job: dict[str, Any]) -> dict[str, str]:
    lines = cli.ok("jobs", "files", job["id"], "--outcome", "failed", "--json").objects()
    return {line["path"]: line["error"]["kind"] for line in lines}


def test_keys_of_a_list_are_done_once_each_and_nothing_else(bucket: Bucket) -> None:
    fill(bucket)
    wanted = [key for key in KEYS if key not in ("deep/x.txt", "other/e.csv")]
    names = [*wanted, "a.csv", bucket.uri("in/deep/d%20.csv")]
    job = run(bucket, "\n".join(names))
    assert (job["status"], job["counts"]["listed"]) == ("completed", len(wanted))
    assert bucket.objects("out/") == {key: key.encode() for key in wanted}
    sizes = bucket.cli.ok("jobs", "files", job["id"], "--json").objects()
    assert {line["path"]: line["size_bytes"] for line in sizes} == {
        bucket.uri(f"in/{key}"): len(key.encode()) for key in wanted
    }


def test_prefix_in_a_list_is_listed_once_with_what_is_below(bucket: Bucket) -> None:
    fill(bucket)
    job = run(bucket, "deep/\ndeep/x.txt\na.csv\n", "--exclude", "er/")
    assert (job["counts"]["done"], job["counts"]["filtered"]) == (3, 1)
    assert set(bucket.objects("out/")) == {"a.csv", "deep/d%20.csv", "deep/x.txt"}
    everything = run(bucket, f"{bucket.uri('in/')}\na.csv\n", "--overwrite", "always")
    assert everything["counts"]["done"] == len(KEYS)


def test_filters_hold_for_named_keys(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    fill(bucket)
    filters = ("--include", "*.csv", "--exclude", "other/", "--max-size", "10B")
    job = run(bucket, "\n".join((*KEYS, "none.txt")), *filters)
    assert set(bucket.objects("out/")) == {"a.csv", "b c.csv"}
    assert (job["counts"]["done"], job["counts"]["filtered"]) == (2, 5)


def test_key_that_is_missing_is_dealt_with_as_missing_says(bucket: Bucket) -> None:
    fill(bucket)
    names = "a.csv\nnone\nno/none\ngone/\ndeep\na.csv/below\n"
    job = run(bucket, names)
    assert (job["status"], job["counts"]["done"], job["counts"]["failed"]) == ("failed", 1, 5)
    missing = ("none", "no/none", "gone", "deep", "a.csv/below")
    kinds = {bucket.uri(f"in/{name}"): "source_missing" for name in missing}
    assert failures(bucket.cli, job) == kinds
    ignored = run(bucket, names, "--missing", "ignore", "--overwrite", "always")
    assert (ignored["status"], ignored["counts"]["filtered"]) == ("completed", 5)
    bucket.put("in/none", b"late")
    retried = bucket.cli("jobs", "retry", job["id"], "--json")
    assert retried.objects()[0]["counts"]["done"] == 2, retried.err
    assert bucket.get("out/none") == b"late"


def test_keys_that_are_no_paths_fail_and_are_not_taken_for_others(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    fill(bucket)
    job = run(bucket, "./a.csv\ndeep//x.txt\na.csv\n")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (1, 2)
    assert failures(bucket.cli, job) == {
        bucket.uri("in/./a.csv"): "unsupported_name",
        bucket.uri("in/deep//x.txt"): "unsupported_name",
    }


@pytest.mark.parametrize("name", ["../other", "deep/../../x", "/etc/passwd", "s3://other/in/a.csv"])
def test_name_outside_of_the_prefix_is_refused(minio_bucket: Bucket, name: str) -> None:
    fill(minio_bucket)
    (minio_bucket.cli.directory / "list").write_text(f"a.csv\n{name}\n")
    ran = minio_bucket.cli("run", minio_bucket.uri("in/"), "--to", "out", *COPY, "list")
    assert ran.code == 2
    assert f"line 2 names `{name}`" in ran.err


def test_list_may_be_an_object_of_any_form(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    cli = bucket.cli
    fill(bucket)
    bucket.put("lists/names.txt", b"a.csv\ndeep/x.txt\n")
    bucket.put("lists/nul names", b"a.csv\0deep/x.txt\0")
    command = (bucket.uri("in/"), "--to", bucket.uri("out/"), "--overwrite", "always", *COPY)
    first = cli.job(*command, bucket.uri("lists/names.txt"))
    assert (first["status"], first["counts"]["done"]) == ("completed", 2)
    cli.ok("jobs", "report", first["id"], "-o", bucket.uri("lists/account.ndjson"))
    cli.ok("jobs", "report", first["id"], "-o", bucket.uri("lists/account.parquet"))
    for name in ("nul names", "account.ndjson", "account.parquet"):
        job = cli.job("--new", *command, bucket.uri(f"lists/{name}"))
        assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    # Of local files, too.
    (cli.directory / "in").mkdir()
    (cli.directory / "in" / "a.csv").write_bytes(b"local")
    bucket.put("lists/local.txt", b"a.csv\n")
    job = cli.job("in", "--to", "out", *COPY, bucket.uri("lists/local.txt"))
    assert (cli.directory / "out" / "a.csv").read_bytes() == b"local"


def test_list_that_cannot_be_read_is_one_error_with_a_hint(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    fill(bucket)
    for listed, code, told in (
        (bucket.uri("none.txt"), 3, "no list `s3://"),
        (bucket.uri("lists/"), 2, "is a prefix, and a list is one object"),
        ("s3://nobody-has-this-bucket/list.txt", 7, "NoSuchBucket"),
        ("s3+none://bucket/list.txt", 7, "there is no connection `none`"),
    ):
        ran = bucket.cli("run", bucket.uri("in/"), "--to", "out", *COPY, listed)
        assert (ran.code, told in ran.err, "\nhint: " in ran.err) == (code, True, True), ran.err
    ran = bucket.cli("run", "s3://nobody-has-this-bucket/in/", "--to", "out", *COPY, "-", stdin="a")
    assert (ran.code, "NoSuchBucket" in ran.err) == (7, True), ran.err


def test_failed_keys_of_a_job_are_the_list_of_another(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    fill(bucket)
    bucket.put("in/ok.gz", gzip.compress(b"content"))
    first = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("out/"), "-s", "decompress")
    assert first["counts"]["failed"] == len(KEYS)
    job = bucket.cli.job("--to", bucket.uri("again/"), *COPY, f"job:{first['id']}/failed")
    assert (job["status"], job["counts"]["listed"]) == ("completed", len(KEYS))
    assert bucket.objects("again/") == {key: key.encode() for key in KEYS}


def test_sink_below_the_source_is_left_out_of_a_list(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    fill(bucket)
    bucket.put("in/out/old", b"old")
    (bucket.cli.directory / "list").write_text("a.csv\nout/old\nout/deep/er\n")
    job = bucket.cli.job(bucket.uri("in/"), "--to", bucket.uri("in/out/"), *COPY, "list")
    assert (job["counts"]["done"], job["counts"]["filtered"]) == (1, 2)


@pytest.mark.parametrize("side", ["before", "after"])
def test_many_keys_are_each_done_once_through_a_kill(minio_bucket: Bucket, side: str) -> None:
    bucket = minio_bucket
    names = [f"n/{number:05}" for number in range(NAMES)]
    for name in names[::10]:
        bucket.put(f"in/{name}", name.encode())
    (bucket.cli.directory / "list").write_text("\n".join(names))
    command = ("run", bucket.uri("in/"), "--to", bucket.uri("out/"), *COPY, "list", "--json")
    command = (*command, "--missing", "ignore")
    ran = bucket.cli(*command, env={"PRAVAH_FAILPOINTS": f"ledger.emit.{side}_commit=1"})
    assert ran.code == -9, ran.err
    ran = bucket.cli(*command)
    assert ran.code == 0, ran.err
    counts = json.loads(ran.out.splitlines()[-1])["counts"]
    done = len(names[::10])
    assert (counts["done"], counts["filtered"]) == (done, NAMES - done)
    assert bucket.objects("out/") == {name: name.encode() for name in names[::10]}


@pytest.fixture
def filled(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    name = double.create_bucket()
    for key in ("a", "b", "c"):
        double.store.buckets[name].put(f"in/{key}".encode(), Stored(b"x", etag_of(b"x")))
    return name


def test_key_that_may_not_be_looked_at_fails_alone(
    cli: Cli, double: S3Double, filled: str, tmp_path: Path
) -> None:
    def act(request: Request, perform: Perform) -> Response:
        refused = request.key.endswith(b"/b")
        return (refuse(403, "AccessDenied") if refused else lambda r, p: p(r))(request, perform)

    double.faults.add("HeadObject", act, times=FOREVER)
    (tmp_path / "list").write_text("a\nb\nc\n")
    job = cli.job(f"s3://{filled}/in/", "--to", "out", *COPY, tmp_path / "list")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert failures(cli, job) == {f"s3://{filled}/in/b": "access_denied"}


def test_looks_survive_what_passes(cli: Cli, double: S3Double, filled: str, tmp_path: Path) -> None:
    double.faults.add("HeadObject", reset_before(), times=3)
    double.faults.add("HeadObject", refuse(503, "SlowDown"), times=5)
    (tmp_path / "list").write_text("a\nb\nc\n")
    job = cli.job(f"s3://{filled}/in/", "--to", "out", *COPY, tmp_path / "list")
    assert (job["status"], job["counts"]["done"]) == ("completed", 3)


def test_bucket_that_is_gone_is_no_list_of_missing_keys(
    cli: Cli, double: S3Double, filled: str, tmp_path: Path
) -> None:
    def act(request: Request, perform: Perform) -> Response:
        double.store.buckets.pop(filled, None)
        return perform(request)

    double.faults.add("HeadObject", act, times=FOREVER)
    (tmp_path / "list").write_text("a\nb\nc\n")
    flags = (*COPY, tmp_path / "list", "--missing", "ignore")
    ran = cli("run", f"s3://{filled}/in/", "--to", "out", *flags)
    assert ran.code != 0
    assert "NoSuchBucket" in ran.err
