"""What object stores do wrong, one fault after the other (rows 34 to 44 of the catalogue).

Whatever happens to a request, the job ends with all outputs, each once and whole, and without an
upload that nobody ends.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.cli.harness import Cli
from tests.s3_double import (
    Act,
    S3Double,
    corrupt,
    loop_pages,
    meanwhile,
    ok_with,
    ok_with_error,
    refuse,
    repeat_page,
    reset_after,
    reset_before,
    slow_down,
    truncate,
    wrong_checksum,
    wrong_length,
)
from tests.s3_double.checksums import DEFAULT, digest
from tests.s3_double.faults import FOREVER, Perform
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored, Upload

# Two parts.
LARGE_BYTES = (8 << 20) + 1_000
INTERNAL_ERROR = b"<Error><Code>InternalError</Code></Error>"
SMALL = {f"d/{number}": f"{number}\n".encode() * 20 for number in range(12)}


@pytest.fixture
def bucket(cli: Cli, double: S3Double) -> str:
    cli.environment |= double.settings()
    return double.create_bucket()


@pytest.fixture(scope="session")
def files() -> dict[str, bytes]:
    return {**SMALL, "large": random.Random(4).randbytes(LARGE_BYTES)}


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def fill(double: S3Double, bucket: str, files: dict[str, bytes]) -> None:
    for key, content in files.items():
        told = {DEFAULT: digest(DEFAULT, content)}
        stored = Stored(content, etag_of(content), checksums=told)
        double.store.buckets[bucket].put(f"in/{key}".encode(), stored)


def below(double: S3Double, bucket: str, prefix: bytes) -> dict[str, bytes]:
    return {
        key.removeprefix(prefix).decode(): content
        for key, content in double.objects(bucket).items()
        if key.startswith(prefix)
    }


@pytest.mark.parametrize(
    ("operation", "act", "times"),
    [
        ("PutObject", slow_down(), 30),
        ("PutObject", slow_down(retry_after_s=1), 1),
        ("PutObject", refuse(500, "InternalError"), 3),
        ("PutObject", reset_before(), 5),
        ("PutObject", reset_after(), 5),
        ("PutObject", refuse(409, "ConditionalRequestConflict"), 3),
        ("PutObject", refuse(403, "RequestTimeTooSkewed"), 1),
        ("CreateMultipartUpload", reset_before(), 1),
        ("CreateMultipartUpload", reset_after(), 1),
        ("CreateMultipartUpload", reset_after(), 5),  # more often than a request is sent
        ("UploadPart", reset_before(), 1),
        ("UploadPart", reset_after(), 1),
        ("UploadPart", slow_down(), 3),
        ("UploadPart", refuse(404, "NoSuchUpload"), 1),
        ("CompleteMultipartUpload", ok_with_error(), 1),
        ("CompleteMultipartUpload", ok_with_error(commits=True), 1),
        ("CompleteMultipartUpload", ok_with(b""), 1),
        ("CompleteMultipartUpload", ok_with(b"<?xml version='1.0'?>\n   <Err"), 1),
        ("CompleteMultipartUpload", ok_with(b"<?xml version='1.0'?>\n  ", commits=True), 1),
        ("CompleteMultipartUpload", ok_with(INTERNAL_ERROR, "text/plain"), 1),
        ("CompleteMultipartUpload", reset_before(), 1),
        ("CompleteMultipartUpload", reset_after(), 1),
        ("CompleteMultipartUpload", refuse(409, "ConditionalRequestConflict"), 1),
        ("ListObjectsV2", reset_before(), 1),
    ],
)
def test_publishing_survives(
    cli: Cli,
    double: S3Double,
    bucket: str,
    files: dict[str, bytes],
    operation: str,
    act: Act,
    times: int,
) -> None:
    source = write(cli.directory / "source", files)
    double.faults.add(operation, act, times=times)
    job = cli.job(source, "--to", f"s3://{bucket}/out/", "-s", "copy", "--overwrite", "error")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert below(double, bucket, b"out/") == files
    assert double.uploads(bucket) == []


@pytest.mark.parametrize(
    ("operation", "act", "times"),
    [
        ("GetObject", slow_down(), 30),
        ("GetObject", refuse(503, "ServiceUnavailable"), 3),
        ("GetObject", reset_before(), 5),
        ("GetObject", truncate(kept_bytes=4), 5),
        ("GetObject", wrong_length(5), 3),
        ("ListObjectsV2", slow_down(), 3),
        ("ListObjectsV2", truncate(kept_bytes=100), 1),
        ("ListObjectsV2", repeat_page(), 1),
    ],
)
def test_reading_survives(
    cli: Cli,
    double: S3Double,
    bucket: str,
    files: dict[str, bytes],
    operation: str,
    act: Act,
    times: int,
) -> None:
    fill(double, bucket, files)
    double.faults.add(operation, act, times=times)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    found = cli.directory / "out"
    assert {name: (found / name).read_bytes() for name in files} == files


@pytest.mark.parametrize(
    ("operation", "key", "act", "spared"),
    [
        ("GetObject", "*/d/*", corrupt(), 0),
        ("GetObject", "*/d/*", wrong_checksum(), 0),
        ("GetObject", "*/large", corrupt(), 0),
        ("GetObject", "*/large", corrupt(), 1),
        ("HeadObject", "*/large", wrong_checksum(), 0),  # ranges come without one
    ],
)
def test_bytes_that_came_damaged_are_read_anew(
    cli: Cli,
    double: S3Double,
    bucket: str,
    files: dict[str, bytes],
    operation: str,
    key: str,
    act: Act,
    spared: int,
) -> None:
    fill(double, bucket, files)
    fault = double.faults.add(operation, act, key=key, times=2, spared=spared)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert fault.times == 0
    found = cli.directory / "out"
    assert {name: (found / name).read_bytes() for name in files} == files


def test_object_that_is_not_what_its_checksum_tells_fails_alone(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes]
) -> None:
    fill(double, bucket, files)
    double.faults.add("GetObject", corrupt(), key="*/d/7", times=FOREVER)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (len(files) - 1, 1)
    (failure,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert (failure["kind"], failure["examples"]) == ("verify_failed", [f"s3://{bucket}/in/d/7"])
    assert digest(DEFAULT, files["d/7"]) in failure["message"]
    assert not (cli.directory / "out" / "d" / "7").exists()


def test_object_that_is_replaced_while_it_is_read_is_read_anew(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes]
) -> None:
    fill(double, bucket, {"large": files["large"]})
    other = bytes(LARGE_BYTES)
    change: Callable[[], None] = lambda: fill(double, bucket, {"large": other})  # noqa: E731
    double.faults.add("GetObject", meanwhile(change), spared=1)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert job["status"] == "completed"
    assert (cli.directory / "out" / "large").read_bytes() == other


def test_object_that_is_replaced_on_a_server_that_ignores_if_match_is_read_anew(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    first, other = b"A" * (20 << 20), b"B" * (20 << 20)
    objects = double.store.buckets[bucket]
    objects.put(b"in/large", Stored(first, etag_of(first)))
    given: list[Request] = []

    def replace_behind_the_first(request: Request, perform: Perform) -> Response:
        given.append(request)
        if len(given) == 2:
            objects.put(b"in/large", Stored(other, etag_of(other)))
        kept = {name: value for name, value in request.headers.items() if name != "if-match"}
        return perform(replace(request, headers=kept))

    double.faults.add("GetObject", replace_behind_the_first, times=FOREVER)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert job["status"] == "completed"
    assert (cli.directory / "out" / "large").read_bytes() == other


def test_range_that_begins_elsewhere_than_was_asked_for_is_not_read(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes]
) -> None:
    objects = double.store.buckets[bucket]
    objects.put(b"in/large", Stored(files["large"], etag_of(files["large"])))

    def give_the_beginning(request: Request, perform: Perform) -> Response:
        return perform(replace(request, headers={**request.headers, "range": "bytes=0-999"}))

    double.faults.add("GetObject", give_the_beginning, spared=1, times=2)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert job["status"] == "completed"
    assert (cli.directory / "out" / "large").read_bytes() == files["large"]


def test_object_that_somebody_puts_just_before_stays(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    source = write(cli.directory / "source", {"a": b"ours", "b": b"ours"})
    theirs = Stored(b"theirs", etag_of(b"theirs"))
    change = lambda: double.store.buckets[bucket].put(b"out/a", theirs)  # noqa: E731
    double.faults.add("PutObject", meanwhile(change), key="out/a")
    job = cli.job(source, "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (1, 1)
    assert below(double, bucket, b"out/") == {"a": b"theirs", "b": b"ours"}


@pytest.mark.parametrize("count", [0, 999, 1_000, 1_001])
@pytest.mark.parametrize("page_size", [7, 1_000])
def test_all_keys_are_listed_once_whatever_the_pages(
    cli: Cli, double: S3Double, bucket: str, count: int, page_size: int
) -> None:
    empty = Stored(b"x", etag_of(b"x"))
    for number in range(count):
        double.store.buckets[bucket].put(f"in/{number % 3}/{number:04}".encode(), empty)
    double.quirks.page_size = page_size
    found = cli.ok("scan", f"s3://{bucket}/in/").out.split()
    assert len(found) == len(set(found)) == count


def test_pages_that_lead_in_a_circle_are_an_error(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes]
) -> None:
    fill(double, bucket, files)
    double.faults.add("ListObjectsV2", loop_pages(), times=1_000)
    ran = cli("scan", f"s3://{bucket}/in/")
    assert ran.code == 7
    assert "the same page again and again" in ran.err


def test_keys_that_are_no_paths_fail_and_leave_nothing_outside(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    odd = ["..", "../up", "/lead", "a//b", "a/./b", "full/"]
    good = ["a/b", "c", "new\nline", "tab\t", "é+ %2F"]
    fill(double, bucket, dict.fromkeys([*odd, *good], b"x"))
    double.store.buckets[bucket].put(b"in/marker/", Stored(b"", etag_of(b"")))
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    counts = job["counts"]
    assert (counts["listed"], counts["done"], counts["failed"]) == (11, 5, 6)
    failures = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert {failure["kind"] for failure in failures} == {"unsupported_name"}
    found = {str(p.relative_to(cli.directory)) for p in cli.directory.rglob("*") if p.is_file()}
    assert found == {f"out/{name}" for name in good}


def test_object_and_prefix_of_one_name_are_a_failure_on_disk(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    fill(double, bucket, {"a": b"1", "a/b": b"2"})
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["counts"]["done"], job["counts"]["failed"]) == (1, 1)
    job = cli.job(f"s3://{bucket}/in/", "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert below(double, bucket, b"out/") == {"a": b"1", "a/b": b"2"}


def test_store_that_is_away_in_the_middle_is_told_soon(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    fill(double, bucket, SMALL)
    double.faults.add("GetObject", reset_before(), times=10_000)
    job = cli.job(f"s3://{bucket}/in/", "--to", "out", "-s", "copy")
    assert (job["status"], job["counts"]["failed"]) == ("failed", len(SMALL))
    (failure,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert failure["kind"] == "store_unreachable"


@pytest.mark.parametrize("refused", ["ListMultipartUploads", "AbortMultipartUpload"])
def test_killed_job_goes_on_where_nobody_may_look_for_uploads(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes], refused: str
) -> None:
    source = write(cli.directory / "source", files)
    command = ("run", source, "--to", f"s3://{bucket}/out/", "-s", "copy", "--overwrite", "error")
    ran = cli(*command, env={"PRAVAH_FAILPOINTS": "ledger.window.after_commit=1"})
    assert ran.code == -9, ran.err
    double.faults.add(refused, refuse(403, "AccessDenied"), times=FOREVER)
    if refused == "AbortMultipartUpload" and not double.uploads(bucket):
        begin_upload(double, bucket, "out/large")
    (job,) = cli.ok(*command, "--json").objects()
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    assert below(double, bucket, b"out/") == files
    report = json.loads(cli.ok("jobs", "report", job["id"], "--json").out)
    assert report["swept"] is False
    assert "may still lie in the sink" in cli.ok("jobs", "report", job["id"]).out


def test_upload_that_could_not_be_given_up_is_given_up_at_the_end(
    cli: Cli, double: S3Double, bucket: str, files: dict[str, bytes]
) -> None:
    source = write(cli.directory / "source", files)
    double.faults.add("UploadPart", refuse(404, "NoSuchKey"))
    # As often as a request is sent.
    refused = double.faults.add("AbortMultipartUpload", refuse(500, "InternalError"), times=4)
    job = cli.job(source, "--to", f"s3://{bucket}/out/", "-s", "copy")
    assert refused.times == 0
    assert job["counts"]["done"] >= len(files) - 1
    assert double.uploads(bucket) == []


def test_doctor_warns_where_nobody_may_look_for_uploads(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    double.faults.add("ListMultipartUploads", refuse(403, "AccessDenied"), times=FOREVER)
    tried = {line["name"]: line for line in
             cli.ok("doctor", f"s3://{bucket}/", "--json").objects()}  # fmt: skip
    assert (tried["uploads"]["verdict"], tried["delete"]["verdict"]) == ("warning", "ok")
    assert "a rule of the bucket" in tried["uploads"]["hint"]


@pytest.mark.parametrize(("to", "operation"), [("out", "GetObject"), ("s3", "CopyObject")])
def test_object_in_an_archive_is_skipped_with_its_reason(
    cli: Cli, double: S3Double, bucket: str, to: str, operation: str
) -> None:
    fill(double, bucket, SMALL)
    # What asks the server how it copies is let pass.
    spared = 1 if operation == "CopyObject" else 0
    double.faults.add(operation, refuse(403, "InvalidObjectState"), times=3, spared=spared)
    target = f"s3://{bucket}/out/" if to == "s3" else to
    job = cli.job(f"s3://{bucket}/in/", "--to", target, "-s", "copy")
    assert job["status"] == "completed"
    assert (job["counts"]["done"], job["counts"]["skipped"]) == (len(SMALL) - 3, 3)
    assert job["reasons"]["skipped:archived"] == 3


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "PutObject", "UploadPart"])
def test_keys_that_expire_in_the_middle_are_renewed(
    cli: Cli, double: S3Double, files: dict[str, bytes], tmp_path: Path, operation: str
) -> None:
    bucket = double.create_bucket()
    with KeyService(double) as service:
        # The service stands for that of a container; nothing of the tester's own is looked for.
        cli.environment |= {
            "S3_ENDPOINT_URL": double.endpoint,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": service.url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "HOME": str(tmp_path),
        }
        source: Path | str = write(cli.directory / "source", files)
        target = f"s3://{bucket}/out/"
        if operation in {"GetObject", "HeadObject"}:
            fill(double, bucket, files)
            source = f"s3://{bucket}/in/"
            # A copy by the server looks at each object first.
            target = "out" if operation == "GetObject" else target
        expire = lambda: double.store.expired_tokens.update(service.given)  # noqa: E731
        double.faults.add(operation, expired(expire))
        job = cli.job(source, "--to", target, "-s", "copy")
    assert (job["status"], job["counts"]["done"]) == ("completed", len(files))
    # Processes ask for themselves: the command's own, and the runner, which renews its keys once.
    assert 2 < len(service.given) < 6
    secret = double.secret_key.encode()
    assert not any(secret in p.read_bytes() for p in cli.home.rglob("*") if p.is_file())


@pytest.mark.parametrize("more_bytes", [-1, 0, 1])
def test_object_of_one_part_is_put_and_a_larger_one_goes_in_parts(
    cli: Cli, double: S3Double, bucket: str, more_bytes: int
) -> None:
    part_bytes = 8 << 20
    (cli.directory / "a").write_bytes(bytes(part_bytes + more_bytes))
    (cli.directory / "empty").write_bytes(b"")
    flags = ("--include", "a", "--include", "empty", "-s", "copy")
    assert cli.job(".", "--to", f"s3://{bucket}/out/", *flags)["status"] == "completed"
    assert double.count("CompleteMultipartUpload") == (more_bytes > 0)
    assert below(double, bucket, b"out/") == {"a": bytes(part_bytes + more_bytes), "empty": b""}


def test_file_that_no_object_can_hold_is_refused_before_anything_is_sent(
    cli: Cli, double: S3Double, bucket: str
) -> None:
    with (cli.directory / "huge").open("wb") as file:
        file.truncate(6 << 40)
    job = cli.job("huge", "--to", f"s3://{bucket}/out/", "-s", "copy")
    (failure,) = cli.ok("jobs", "failures", job["id"], "--json").objects()
    assert failure["kind"] == "output_too_large"
    assert double.count("CreateMultipartUpload") == 0


def begin_upload(double: S3Double, bucket: str, key: str) -> None:
    """Have somebody begin an upload, and never end it."""
    upload = Upload(double.store.next_id(), key.encode(), {}, "", "FULL_OBJECT", "")
    double.store.buckets[bucket].uploads[upload.id] = upload


def expired(expire: Callable[[], object]) -> Act:
    """Have all keys that were given so far expire, with this very request."""

    def act(_request: Request, _perform: Perform) -> Response:
        expire()
        raise S3Error(400, "ExpiredToken")

    return act


class KeyService:
    """Gives keys as the service of a container does, each with another token."""

    def __init__(self, double: S3Double) -> None:
        self.given: list[str] = []

        class Answers(BaseHTTPRequestHandler):
            def do_GET(handler) -> None:  # noqa: N805 - beside the service's own self
                self.given.append(f"token-{len(self.given)}")
                keys = {
                    "AccessKeyId": double.access_key,
                    "SecretAccessKey": double.secret_key,
                    "Token": self.given[-1],
                    "Expiration": "2099-01-01T00:00:00Z",
                }
                body = json.dumps(keys).encode()
                handler.send_response(200)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
