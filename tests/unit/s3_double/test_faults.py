"""The double does wrong what it is told to, seen by boto3, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ResponseStreamingError
from botocore.httpchecksum import FlexibleChecksumError

from tests.object_servers import ObjectServer
from tests.s3_double import (
    S3Double,
    corrupt,
    delay,
    loop_pages,
    meanwhile,
    ok_with_error,
    refuse,
    repeat_page,
    reset_after,
    reset_before,
    skip_page,
    slow_down,
    truncate,
    wrong_checksum,
    wrong_length,
)
from tests.s3_double.objects import etag_of
from tests.s3_double.store import Stored

EMPTY = Stored(b"", etag_of(b""))


@pytest.fixture
def double() -> Iterator[S3Double]:
    with S3Double() as started:
        yield started


@pytest.fixture
def s3(double: S3Double) -> Iterator[Any]:
    server = ObjectServer("double", double.endpoint, double.access_key, double.secret_key)
    with server.client() as client:
        yield client


@pytest.fixture
def bucket(double: S3Double) -> str:
    return double.create_bucket()


def put(s3: Any, bucket: str, key: str = "k", body: bytes = b"0123456789") -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=body)


def pages(s3: Any, bucket: str, most: int = 10) -> tuple[list[str], list[str]]:
    """Read pages as a simple client does; give the keys, and the tokens that led on."""
    keys: list[str] = []
    tokens: list[str] = []
    for _ in range(most):
        following = {"ContinuationToken": tokens[-1]} if tokens else {}
        page = s3.list_objects_v2(Bucket=bucket, **following)
        keys += [each["Key"] for each in page.get("Contents", [])]
        if not page["IsTruncated"]:
            break
        tokens.append(page["NextContinuationToken"])
    return keys, tokens


def test_fault_takes_so_many_requests_once_others_have_passed(
    double: S3Double, s3: Any, bucket: str
) -> None:
    put(s3, bucket)
    double.faults.add("GetObject", slow_down(retry_after_s=7), times=2, spared=1)
    s3.get_object(Bucket=bucket, Key="k")
    for _ in range(2):
        with pytest.raises(ClientError) as error:
            s3.get_object(Bucket=bucket, Key="k")
        assert error.value.response["Error"]["Code"] == "SlowDown"
        headers = error.value.response["ResponseMetadata"]["HTTPHeaders"]
        assert headers["retry-after"] == "7"
    s3.get_object(Bucket=bucket, Key="k")
    assert double.count("GetObject") == 4


def test_fault_takes_only_keys_that_match(double: S3Double, s3: Any, bucket: str) -> None:
    double.faults.add("PutObject", refuse(409, "ConditionalRequestConflict"), key="bad*", times=9)
    put(s3, bucket, "good")
    with pytest.raises(ClientError) as error:
        put(s3, bucket, "bad-1")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert list(double.objects(bucket)) == [b"good"]


def test_reset_before_commits_nothing_and_after_it_everything(
    double: S3Double, s3: Any, bucket: str
) -> None:
    double.faults.add("PutObject", reset_before())
    with pytest.raises(ConnectionClosedError):
        put(s3, bucket)
    assert double.objects(bucket) == {}
    double.faults.add("PutObject", reset_after())
    with pytest.raises(ConnectionClosedError):
        put(s3, bucket)
    assert double.objects(bucket) == {b"k": b"0123456789"}


def test_truncated_body_breaks_in_the_middle(double: S3Double, s3: Any, bucket: str) -> None:
    put(s3, bucket)
    double.faults.add("GetObject", truncate(kept_bytes=4))
    got = s3.get_object(Bucket=bucket, Key="k")
    with closing(got["Body"]) as body, pytest.raises(ResponseStreamingError):
        body.read()


def test_wrong_length_is_declared(double: S3Double, s3: Any, bucket: str) -> None:
    put(s3, bucket)
    double.faults.add("GetObject", wrong_length(5))
    got = s3.get_object(Bucket=bucket, Key="k")
    assert got["ContentLength"] == 15
    with closing(got["Body"]) as body, pytest.raises(ResponseStreamingError):
        body.read()


def test_corrupt_body_and_wrong_checksum_are_seen_by_who_checks(
    double: S3Double, s3: Any, bucket: str
) -> None:
    put(s3, bucket)
    for act in (corrupt(), wrong_checksum()):
        double.faults.add("GetObject", act)
        got = s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        with closing(got["Body"]) as body, pytest.raises(FlexibleChecksumError):
            body.read()


@pytest.mark.parametrize("commits", [False, True])
def test_success_with_an_error_in_its_body_is_an_error(
    double: S3Double, s3: Any, bucket: str, *, commits: bool
) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    parts = [{"PartNumber": 1, "ETag": s3.upload_part(**named, PartNumber=1, Body=b"x")["ETag"]}]
    double.faults.add("CompleteMultipartUpload", ok_with_error("InternalError", commits=commits))
    with pytest.raises(ClientError):
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert (double.objects(bucket) == {b"k": b"x"}) == commits
    assert (double.uploads(bucket) == []) == commits


def test_object_that_is_replaced_between_two_ranges_fails_the_second(
    double: S3Double, s3: Any, bucket: str
) -> None:
    put(s3, bucket)
    first = s3.get_object(Bucket=bucket, Key="k", Range="bytes=0-4")
    double.faults.add("GetObject", meanwhile(lambda: put(s3, bucket, body=b"other")))
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=5-9", IfMatch=first["ETag"])
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412


def test_delay_holds_the_answer_back(double: S3Double, s3: Any, bucket: str) -> None:
    put(s3, bucket)
    double.faults.add("HeadObject", delay(0.2))
    began = time.monotonic()
    s3.head_object(Bucket=bucket, Key="k")
    assert time.monotonic() - began >= 0.2


def test_pages_repeat_vanish_and_loop(double: S3Double, s3: Any, bucket: str) -> None:
    keys = [f"{number:02}" for number in range(6)]
    for key in keys:
        put(s3, bucket, key)
    double.quirks.page_size = 2
    assert pages(s3, bucket)[0] == keys

    double.faults.add("ListObjectsV2", repeat_page())
    assert pages(s3, bucket)[0] == [*keys[:2], *keys]
    double.faults.add("ListObjectsV2", skip_page())
    assert pages(s3, bucket)[0] == [*keys[:2], *keys[4:]]
    double.faults.add("ListObjectsV2", loop_pages(), spared=1, times=100)
    found, tokens = pages(s3, bucket, most=6)
    assert found == [*keys[:2], *keys[2:4] * 5]
    assert len(set(tokens)) == 1


@pytest.mark.parametrize("page_size", [999, 1_000, 1_001])
def test_page_size_is_what_the_store_likes(
    double: S3Double, s3: Any, bucket: str, page_size: int
) -> None:
    for number in range(1_002):
        double.store.buckets[bucket].put(f"{number:04}".encode(), EMPTY)
    double.quirks.page_size = page_size
    first = s3.list_objects_v2(Bucket=bucket)
    assert first["KeyCount"] == page_size
    assert len(pages(s3, bucket)[0]) == 1_002


def test_store_without_start_after_lists_from_the_beginning(
    double: S3Double, s3: Any, bucket: str
) -> None:
    for key in ("a", "b"):
        put(s3, bucket, key)
    double.quirks.honours_start_after = False
    assert s3.list_objects_v2(Bucket=bucket, StartAfter="a")["KeyCount"] == 2


def test_store_without_conditions_overwrites(double: S3Double, s3: Any, bucket: str) -> None:
    put(s3, bucket)
    double.quirks.honours_conditions = False
    s3.put_object(Bucket=bucket, Key="k", Body=b"new", IfNoneMatch="*")
    assert double.objects(bucket) == {b"k": b"new"}


def test_store_without_new_checksums_refuses_their_headers(
    double: S3Double, s3: Any, bucket: str
) -> None:
    double.quirks.takes_checksums = False
    with pytest.raises(ClientError) as error:
        put(s3, bucket)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501


def test_missing_key_is_forbidden_to_who_may_not_list(
    double: S3Double, s3: Any, bucket: str
) -> None:
    double.quirks.allows_listing = False
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="none")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_expired_token_is_refused_and_a_new_one_is_taken(double: S3Double, bucket: str) -> None:
    import boto3
    from botocore.config import Config

    double.store.expired_tokens.add("old")
    for token, code in (("old", "ExpiredToken"), ("new", None)):
        s3 = boto3.client(
            "s3",
            endpoint_url=double.endpoint,
            aws_access_key_id=double.access_key,
            aws_secret_access_key=double.secret_key,
            aws_session_token=token,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )
        try:
            s3.list_objects_v2(Bucket=bucket)
            told = None
        except ClientError as error:
            told = error.response["Error"]["Code"]
        assert told == code


def test_clock_that_is_off_is_refused(
    s3: Any, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = datetime.now(UTC) - timedelta(hours=1)
    # The one or the other signs, as the native library is there or not.
    for signer in ("botocore.auth", "botocore.crt.auth"):
        monkeypatch.setattr(f"{signer}.get_current_datetime", lambda **_: late)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket=bucket)
    assert error.value.response["Error"]["Code"] == "RequestTimeTooSkewed"


def test_keys_that_real_stores_refuse_are_listed_as_they_are(
    double: S3Double, s3: Any, bucket: str
) -> None:
    odd = ["..", "../up", "/lead", "a", "a//b", "a/./b", "a/b", "dir/", "new\nline", "tab\t"]
    for key in odd:
        double.store.buckets[bucket].put(key.encode(), EMPTY)
    found = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == sorted(odd)
    assert s3.get_object(Bucket=bucket, Key="a//b")["ContentLength"] == 0


def test_most_at_once_counts_requests_in_flight(double: S3Double, s3: Any, bucket: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    put(s3, bucket)
    double.faults.add("GetObject", delay(0.3), times=4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: s3.get_object(Bucket=bucket, Key="k"), range(4)))
    assert double.most_at_once == 4
