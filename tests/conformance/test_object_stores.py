"""What S3 is, seen by boto3, the same on MinIO, on versitygw and on the tests' own double."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.object_servers import KINDS, ObjectServer
from tests.s3_double import S3Double

PART_BYTES = 5 << 20
ODD_KEYS = (
    "with space",
    "plus+and%2Fpercent",
    "emoji-\N{PARROT}",
    "nfc-\u00e9",
    "nfd-e\u0301",
    "quotes'\"<&>",
    "question?=hash#",
    "/".join(["d" * 200] * 5) + "/" + "n" * 19,  # 1,024 bytes
)


@pytest.fixture(params=[*KINDS, "double"])
def server(request: pytest.FixtureRequest) -> Iterator[ObjectServer]:
    """Give each store in turn."""
    if request.param != "double":
        yield request.getfixturevalue(request.param)
        return
    with S3Double() as double:
        yield ObjectServer("double", double.endpoint, double.access_key, double.secret_key)


@pytest.fixture
def s3(server: ObjectServer) -> Iterator[Any]:
    with server.client() as client:
        yield client


@pytest.fixture
def bucket(server: ObjectServer) -> str:
    return server.create_bucket()


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_object_that_was_put_comes_back_with_what_was_said_of_it(s3: Any, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket, Key="a/b", Body=b"hello", ContentType="text/x", Metadata={"owner": "job-1"}
    )
    head = s3.head_object(Bucket=bucket, Key="a/b")
    got = s3.get_object(Bucket=bucket, Key="a/b")

    assert got["Body"].read() == b"hello"
    assert head["ContentLength"] == 5
    assert head["ETag"] == got["ETag"] == f'"{hashlib.md5(b"hello").hexdigest()}"'
    assert (head["ContentType"], head["Metadata"]) == ("text/x", {"owner": "job-1"})


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=-2", b"89"), ("bytes=8-99", b"89")],
)
def test_range_is_what_was_asked_for(s3: Any, bucket: str, asked: str, expected: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3.get_object(Bucket=bucket, Key="k", Range=asked)

    assert got["Body"].read() == expected
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    first = b"0123456789".index(expected)
    assert got["ContentRange"] == f"bytes {first}-{first + len(expected) - 1}/10"


def test_range_behind_the_end_is_refused(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-20")
    assert code_of(error) == ("InvalidRange", 416)


def test_read_is_held_to_its_condition(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one")["ETag"]
    assert s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)["Body"].read() == b"one"
    s3.put_object(Bucket=bucket, Key="k", Body=b"two")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="k", IfMatch=etag)
    assert code_of(error) == ("PreconditionFailed", 412)


def test_missing_key_and_bucket_are_told_apart(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as missing_key:
        s3.get_object(Bucket=bucket, Key="none")
    with pytest.raises(ClientError) as missing_bucket:
        s3.get_object(Bucket="pravah-no-such-bucket", Key="none")
    assert code_of(missing_key) == ("NoSuchKey", 404)
    assert code_of(missing_bucket) == ("NoSuchBucket", 404)


def test_write_is_held_to_its_condition(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"one", IfNoneMatch="*")["ETag"]
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"0123456789abcdef0123456789abcdef"'}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=bucket, Key="k", Body=b"two", **condition)
        assert code_of(error) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=bucket, Key="k", Body=b"three", IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"three"


def test_write_that_expects_an_object_fails_where_there_is_none(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfMatch='"0123456789abcdef"')
    assert code_of(error)[1] in (404, 412)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_wrong_checksum_is_refused_and_nothing_is_stored(s3: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"x", ChecksumCRC32C="AAAAAA==")
    assert code_of(error)[1] == 400
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA256"])
def test_checksum_that_was_declared_is_told_again(s3: Any, bucket: str, algorithm: str) -> None:
    put = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 1000, ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: key[:12])
def test_odd_key_makes_the_round_trip(s3: Any, bucket: str, key: str) -> None:
    assert len(key.encode()) <= 1_024
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
    s3.delete_object(Bucket=bucket, Key=key)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_listing_gives_every_key_once_in_pages(s3: Any, bucket: str) -> None:
    keys = [f"p/{number:03}" for number in range(25)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    found: list[str] = []
    following: dict[str, str] = {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, Prefix="p/", MaxKeys=10, **following)
        found += [each["Key"] for each in page["Contents"]]
        if not page["IsTruncated"]:
            break
        following = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == keys


def test_listing_begins_behind_a_key_and_folds_at_a_delimiter(s3: Any, bucket: str) -> None:
    for key in ("a", "b/1", "b/2", "c/1", "d"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/", StartAfter="a")
    assert [each["Key"] for each in page["Contents"]] == ["d"]
    assert [each["Prefix"] for each in page["CommonPrefixes"]] == ["b/", "c/"]


def test_listing_is_in_bytewise_order(s3: Any, bucket: str) -> None:
    keys = ["Z", "a", "a-b", "a.b", "ab", "\u00e9", "\N{PARROT}"]
    for key in reversed(keys):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    found = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert found == sorted(keys, key=str.encode)


def test_deletion_of_many_tells_of_each_and_forgives_missing_ones(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    deleted = s3.delete_objects(
        Bucket=bucket, Delete={"Objects": [{"Key": "a"}, {"Key": "never-there"}]}
    )
    assert {each["Key"] for each in deleted["Deleted"]} == {"a", "never-there"}
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_copy_keeps_or_replaces_metadata_and_holds_to_its_condition(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"x", Metadata={"m": "1"})
    source = {"Bucket": bucket, "Key": "from"}
    s3.copy_object(Bucket=bucket, Key="kept", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="new",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"m": "2"},
    )
    assert s3.head_object(Bucket=bucket, Key="kept")["Metadata"] == {"m": "1"}
    assert s3.head_object(Bucket=bucket, Key="new")["Metadata"] == {"m": "2"}
    with pytest.raises(ClientError) as error:
        s3.copy_object(Bucket=bucket, Key="no", CopySource=source, CopySourceIfMatch='"other"')
    assert code_of(error) == ("PreconditionFailed", 412)


def test_parts_become_one_object(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", Metadata={"owner": "job-1"})
    named = {"Bucket": bucket, "Key": "big", "UploadId": upload["UploadId"]}
    bodies = [b"a" * PART_BYTES, b"b" * 10]
    parts = []
    for number, body in enumerate(bodies, start=1):
        etag = s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    assert [
        each["Key"] for each in s3.list_multipart_uploads(Bucket=bucket, Prefix="big")["Uploads"]
    ] == ["big"]
    assert [each["Size"] for each in s3.list_parts(**named)["Parts"]] == [PART_BYTES, 10]
    done = s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})

    digests = b"".join(hashlib.md5(body).digest() for body in bodies)
    assert done["ETag"] == f'"{hashlib.md5(digests).hexdigest()}-2"'
    got = s3.get_object(Bucket=bucket, Key="big")
    assert got["Body"].read() == b"".join(bodies)
    assert got["Metadata"] == {"owner": "job-1"}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket, Prefix="big")


def test_completion_is_held_to_its_condition(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"there")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    etag = s3.upload_part(**named, PartNumber=1, Body=b"x")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(**named, MultipartUpload=parts, IfNoneMatch="*")
    assert code_of(error) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"there"


def test_upload_that_cannot_be_completed_says_why(s3: Any, bucket: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")
    named = {"Bucket": bucket, "Key": "k", "UploadId": upload["UploadId"]}
    etags = [s3.upload_part(**named, PartNumber=n, Body=b"small")["ETag"] for n in (1, 2)]
    small = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, start=1)]
    unknown = [{"PartNumber": 1, "ETag": '"0123456789abcdef0123456789abcdef"'}]
    for parts, code in ((small, "EntityTooSmall"), (unknown, "InvalidPart")):
        with pytest.raises(ClientError) as error:
            s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        assert code_of(error) == (code, 400)
    s3.abort_multipart_upload(**named)
    with pytest.raises(ClientError) as gone:
        s3.upload_part(**named, PartNumber=1, Body=b"x")
    assert code_of(gone) == ("NoSuchUpload", 404)


def test_part_may_be_a_range_of_another_object(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="from", Body=b"0123456789")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="to")
    named = {"Bucket": bucket, "Key": "to", "UploadId": upload["UploadId"]}
    copied = s3.upload_part_copy(
        **named,
        PartNumber=1,
        CopySource={"Bucket": bucket, "Key": "from"},
        CopySourceRange="bytes=2-5",
    )
    parts = [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=bucket, Key="to")["Body"].read() == b"2345"


def test_wrong_keys_are_refused(server: ObjectServer, bucket: str) -> None:
    unknown = ObjectServer(server.kind, server.endpoint, "nobody", server.secret_key)
    wrong = ObjectServer(server.kind, server.endpoint, server.access_key, "wrong")
    told = []
    for stranger in (unknown, wrong):
        with stranger.client() as client, pytest.raises(ClientError) as error:
            client.list_objects_v2(Bucket=bucket)
        told.append(code_of(error))
    # versitygw has a word of its own for a key that nobody has.
    own = {"versitygw": ("XAdminUserNotFound", 404)}
    assert told[0] == own.get(server.kind, ("InvalidAccessKeyId", 403))
    assert told[1] == ("SignatureDoesNotMatch", 403)
