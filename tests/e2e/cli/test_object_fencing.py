"""Servers without conditional writes: found out once, told of, and nobody's object is replaced."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli
from tests.s3_double import S3Double, refuse, reset_after
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

LARGE_BYTES = (8 << 20) + 1_000


def refuse_conditions(request: Request, perform: Perform) -> Response:
    if {"if-match", "if-none-match"} & request.headers.keys():
        raise S3Error(501, "NotImplemented")
    return perform(request)


def write(root: Path) -> dict[str, bytes]:
    files = {"a": b"ours", "b": b"ours", "large": random.Random(10).randbytes(LARGE_BYTES)}
    root.mkdir()
    for name, content in files.items():
        (root / name).write_bytes(content)
    return files


@pytest.fixture
def bucket(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


@pytest.mark.parametrize("how", ["ignores", "refuses"])
def test_server_without_conditions_is_told_of_and_loses_nothing(
    cli: Cli, double: S3Double, bucket: str, how: str
) -> None:
    files = write(cli.directory / "source")
    theirs = Stored(b"theirs", etag_of(b"theirs"))
    double.store.buckets[bucket].put(b"out/b", theirs)
    double.quirks.honours_conditions = False
    if how == "refuses":
        double.faults.add("PutObject", refuse(501, "NotImplemented"))
    job = cli.job("source", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert double.objects(bucket) == {
        b"out/a": files["a"],
        b"out/b": b"theirs",
        b"out/large": files["large"],
    }
    report = json.loads(cli.ok("jobs", "report", job["id"], "--json").out)
    assert report["fencing"] == "weak"
    assert "weak" in cli.ok("jobs", "report", job["id"]).out
    plain = [seen for seen in double.seen if seen.operation == "PutObject" and seen.key == b"out/a"]
    assert [{"if-match", "if-none-match"} & seen.headers.keys() for seen in plain] == [set()]


def test_keys_are_looked_at_where_nobody_may_ask_whether_conditions_hold(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    files = write(cli.directory / "source")
    double.quirks.honours_conditions = False

    def refuse_and_put(request: Request, perform: Perform) -> Response:
        double.store.buckets[bucket].put(b"out/b", Stored(b"theirs", etag_of(b"theirs")))
        return refuse(403, "AccessDenied")(request, perform)

    double.faults.add("PutObject", refuse_and_put, key="*probe*", times=99)
    job = cli.job("source", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    assert double.objects(bucket) == {
        b"out/a": files["a"],
        b"out/b": b"theirs",
        b"out/large": files["large"],
    }


def test_copies_of_a_server_without_conditions_are_looked_at_before(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    large = random.Random(11).randbytes(LARGE_BYTES)
    for name, body in (("a", b"ours"), ("b", b"ours"), ("large", large)):
        double.store.buckets[bucket].put(f"in/{name}".encode(), Stored(body, etag_of(body)))
    double.store.buckets[bucket].put(b"out/b", Stored(b"theirs", etag_of(b"theirs")))
    double.quirks.honours_conditions = False
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (2, 1)
    found = double.objects(bucket)
    assert [found[key] for key in (b"out/a", b"out/b", b"out/large")] == [b"ours", b"theirs", large]
    assert len(found) == 6
    # One large enough to be worth three requests.
    assert job["reasons"]["done:server_copy"] == 1


def test_server_with_conditions_is_asked_once_and_keeps_nothing(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    write(cli.directory / "source")
    job = cli.job("source", "--to", f"s3://{bucket}/out/", "-s", "copy")
    report = json.loads(cli.ok("jobs", "report", job["id"], "--json").out)
    assert "fencing" not in report
    asked = [seen for seen in double.seen if b"probe" in seen.key]
    assert [seen.operation for seen in asked] == ["PutObject"]
    assert len(double.objects(bucket)) == 3


@pytest.mark.parametrize("how", ["ignores", "refuses"])
def test_doctor_tells_of_weak_fencing(cli: Cli, double: S3Double, bucket: str, how: str) -> None:
    double.quirks.honours_conditions = False
    if how == "refuses":
        double.faults.add("PutObject", refuse_conditions, times=FOREVER)
    tried = {line["name"]: line for line in
             cli.ok("doctor", f"s3://{bucket}/", "--json").objects()}  # fmt: skip
    assert tried["conditional"]["verdict"] == "warning"
    assert "weak fencing" in tried["conditional"]["text"]
    assert double.objects(bucket) == {}


@pytest.mark.parametrize("refused", ["conditions", "nothing"])
def test_findings_are_put_once_whatever_the_store_knows_and_answers(
    cli: Cli, double: S3Double, bucket: str, refused: str
) -> None:
    (cli.directory / "a.csv").write_bytes(b"id,name\n1,x\n")
    if refused == "conditions":
        double.faults.add("PutObject", refuse_conditions, times=FOREVER)
    else:
        double.faults.add("PutObject", reset_after(), key="*results*")
    job = cli.job("a.csv", "--to", f"s3://{bucket}/out/", "-s", "extract_headers")
    assert job["status"] == "completed", job["error"]
    assert [*double.objects(bucket)] == [f"out/_pravah/{job['id']}/results.ndjson".encode()]
