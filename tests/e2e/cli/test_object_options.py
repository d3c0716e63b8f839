"""What objects have beside their content: storage class, encryption, tags, type, metadata."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.cli.bucket import Bucket
from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double, refuse
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

# More than one part.
LARGE_BYTES = (8 << 20) + 1_000


def run(cli: Cli, spec: Mapping[str, Any]) -> dict[str, Any]:
    (cli.directory / "spec.json").write_text(json.dumps(spec))
    return cli.job("-f", "spec.json")


def test_options_of_the_sink_come_with_each_object(bucket: Bucket) -> None:
    source = bucket.cli.directory / "source"
    source.mkdir()
    (source / "a.csv").write_bytes(b"id\n1\n")
    (source / "large.bin").write_bytes(random.Random(5).randbytes(LARGE_BYTES))
    options = {"tags": {"team": "in gest", "a/b": "1+2=3"}, "acl": "private"}
    job = run(
        bucket.cli,
        {
            "source": str(source),
            "steps": ["copy"],
            "sink": {"uri": bucket.uri("out/"), "s3": options},
        },
    )
    assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    for key, type_ in (("out/a.csv", "text/csv"), ("out/large.bin", "application/octet-stream")):
        assert bucket.head(key)["ContentType"] == type_
        assert bucket.tags(key) == options["tags"]


def test_storage_class_and_encryption_are_asked_for(minio_bucket: Bucket) -> None:
    bucket = minio_bucket
    source = bucket.cli.directory / "source"
    source.mkdir()
    (source / "a").write_bytes(b"1")
    (source / "large").write_bytes(random.Random(6).randbytes(LARGE_BYTES))
    options = {"storage_class": "REDUCED_REDUNDANCY", "sse": "AES256", "content_type": "text/x-own"}
    job = run(
        bucket.cli,
        {
            "source": str(source),
            "steps": ["copy"],
            "sink": {"uri": bucket.uri("out/"), "s3": options},
        },
    )
    assert job["status"] == "completed"
    for key in ("out/a", "out/large"):
        found = bucket.head(key)
        assert found["StorageClass"] == "REDUCED_REDUNDANCY"
        assert found["ServerSideEncryption"] == "AES256"
        assert found["ContentType"] == "text/x-own"


def test_every_option_is_a_header_of_the_requests_that_make_objects(
    cli: Cli, double: S3Double
) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    (cli.directory / "large.csv").write_bytes(b"id,name\n" + b"1,x\n" * (LARGE_BYTES // 4))
    (cli.directory / "small.csv").write_bytes(b"id,name\n1,x\n")
    options = {
        "storage_class": "STANDARD_IA",
        "sse": "aws:kms",
        "kms_key": "arn:aws:kms:eu-west-1:1:key/2",
        "acl": "bucket-owner-full-control",
        "tags": {"a": "b"},
    }
    spec = {
        "source": {"uri": str(cli.directory), "include": ["*.csv"]},
        "steps": ["copy", "extract_headers"],
        "sink": {"uri": f"s3://{bucket}/out/", "s3": options},
    }
    assert run(cli, spec)["status"] == "completed"
    wanted = {
        "x-amz-storage-class": "STANDARD_IA",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": "arn:aws:kms:eu-west-1:1:key/2",
        "x-amz-acl": "bucket-owner-full-control",
        "x-amz-tagging": "a=b",
    }
    made = [
        seen
        for seen in double.seen
        if seen.operation in ("PutObject", "CreateMultipartUpload") and b"probe" not in seen.key
    ]
    # The findings are objects of the sink, too.
    assert len(made) == 3
    for seen in made:
        assert {name: seen.headers.get(name) for name in wanted} == wanted, seen.key


def test_metadata_and_tags_of_objects_are_kept_where_that_is_asked_for(bucket: Bucket) -> None:
    bucket.put(
        "in/a.csv",
        b"id\n",
        Metadata={"team": "in  gest", "other": "x"},
        Tagging="a=1&b=2%203",
        ContentType="text/x-own",
        CacheControl="max-age=5",
    )
    bucket.put("in/b.csv", b"id\n")
    spec = {
        "source": bucket.uri("in/"),
        "steps": ["compress"],
        "sink": {
            "uri": bucket.uri("out/"),
            "preserve": ["mtime", "metadata", "tags"],
            "s3": {"tags": {"a": "ours"}},
        },
    }
    job = run(bucket.cli, spec)
    assert (job["status"], job["counts"]["done"]) == ("completed", 2)
    found = bucket.head("out/a.csv.zst")
    assert (found["ContentType"], found["CacheControl"]) == ("text/x-own", "max-age=5")
    own = {name: found["Metadata"].get(name) for name in ("team", "other")}
    assert own == {"team": bucket.head("in/a.csv")["Metadata"]["team"], "other": "x"}
    assert bucket.tags("out/a.csv.zst") == {"a": "ours", "b": "2 3"}
    assert bucket.tags("out/b.csv.zst") == {"a": "ours"}


@pytest.mark.parametrize("fate", ["kept by the output", "moved"])
def test_tags_that_may_not_be_read_are_never_lost(cli: Cli, double: S3Double, fate: str) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    objects = double.store.buckets[bucket]
    objects.put(b"in/a", Stored(b"1", etag_of(b"1"), tags="team=ingest"))

    def untold(request: Request, perform: Perform) -> Response:
        response = perform(request)
        response.headers.pop("x-amz-tagging-count", None)
        return response

    for operation in ("GetObject", "HeadObject"):
        double.faults.add(operation, untold, times=FOREVER)
    double.faults.add("GetObjectTagging", refuse(403, "AccessDenied"), times=FOREVER)
    if fate == "kept by the output":
        spec = {
            "source": f"s3://{bucket}/in/",
            "steps": ["copy"],
            "sink": {"uri": f"s3://{bucket}/out/", "preserve": ["tags"]},
        }
        job = run(cli, spec)
        assert (job["counts"]["failed"], [*objects.objects]) == (1, [b"in/a"])
        (failure,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
        assert failure["kind"] == "access_denied"
        return
    flags = ("-s", "copy", "--after", f"move:s3://{bucket}/kept/")
    assert cli.job(f"s3://{bucket}/in/", "--to", "out", *flags)["status"] == "completed"
    assert {key: stored.tags for key, stored in objects.objects.items()} == {
        b"kept/a": "team=ingest"
    }


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ({"s3": {"storage_class": "COLD"}}, "sink.s3.storage_class"),
        ({"s3": {"class": "STANDARD"}}, "unknown key `class`"),
        ({"s3": {"kms_key": "k"}}, "`kms_key`"),
        ({"s3": {"tags": {"a": "!"}}}, "a: !"),
        ({"s3": {"tags": {str(n): "" for n in range(11)}}}, "11 tags"),
        ({"s3": {"content_type": "csv"}}, "`text/csv` is expected"),
        ({"preserve": ["tags"]}, "files, which have no such thing"),
        ({"uri": "out/", "preserve": ["metadata"]}, "files have no such thing"),
        ({"uri": "out/", "s3": {"acl": "private"}}, "is no object store"),
    ],
)
def test_options_that_mean_nothing_are_refused_before_anything_is_done(
    cli: Cli, double: S3Double, sink: dict[str, Any], said: str
) -> None:
    cli.environment |= double.settings()
    bucket = double.create_bucket()
    spec = {"source": ".", "steps": ["copy"], "sink": {"uri": f"s3://{bucket}/out/", **sink}}
    (cli.directory / "spec.json").write_text(json.dumps(spec))
    ran = cli("plan", "-f", "spec.json")
    assert ran.code == 2
    assert said in ran.err
    assert double.count("PutObject") == 0
