"""ListObjectsV2 and ListMultipartUploads; a token says behind which key the next page begins."""

from __future__ import annotations

import base64
import bisect
import random
from collections.abc import Iterable
from urllib.parse import quote

from tests.s3_double.documents import Element, document, time_in_document
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.store import Bucket, Store

_MOST_KEYS = 1_000


def list_objects(request: Request, store: Store) -> Response:
    """List keys, or what they have in common up to a delimiter."""
    if not store.quirks.allows_listing:
        raise S3Error(403, "AccessDenied")
    bucket = store.bucket(request.bucket)
    asked = min(_number(request.query.get("max-keys"), _MOST_KEYS), _MOST_KEYS)
    most = store.quirks.page_size or asked
    keys, prefixes, last, truncated = _page(request, store, bucket, most)
    if not store.quirks.lists_in_order:
        random.Random(len(keys)).shuffle(keys)
    write = _url_encoded if request.query.get("encoding-type") == "url" else _text
    children: list[Element] = [
        ("Name", request.bucket),
        ("Prefix", write(request.query.get("prefix", "").encode())),
        ("KeyCount", str(len(keys) + len(prefixes))),
        ("MaxKeys", str(asked)),
        ("IsTruncated", "true" if truncated else "false"),
    ]
    if "encoding-type" in request.query:
        children.append(("EncodingType", "url"))
    if "delimiter" in request.query:
        children.append(("Delimiter", write(request.query["delimiter"].encode())))
    if truncated:
        children.append(("NextContinuationToken", token(last)))
    children += [("Contents", _contents(bucket, key, write(key))) for key in keys]
    children += [("CommonPrefixes", [("Prefix", write(prefix))]) for prefix in prefixes]
    return Response(body=document("ListBucketResult", children))


def list_uploads(request: Request, store: Store) -> Response:
    """List what was begun and not ended, on one page."""
    prefix = request.query.get("prefix", "").encode()
    write = _url_encoded if request.query.get("encoding-type") == "url" else _text
    uploads = sorted(store.bucket(request.bucket).uploads.values(), key=lambda u: (u.key, u.id))
    children: list[Element] = [("Bucket", request.bucket), ("IsTruncated", "false")]
    children += [
        (
            "Upload",
            [
                ("Key", write(upload.key)),
                ("UploadId", upload.id),
                ("Initiated", time_in_document(upload.begun_s)),
            ],
        )
        for upload in uploads
        if upload.key.startswith(prefix)
    ]
    return Response(body=document("ListMultipartUploadsResult", children))


def token(after: bytes) -> str:
    """Give the token of a page that begins behind a key."""
    return base64.b64encode(b"after:" + after).decode()


def begins_behind(request: Request) -> bytes:
    """Give the key behind which the page of a request begins."""
    if given := request.query.get("continuation-token"):
        return base64.b64decode(given).removeprefix(b"after:")
    return request.query.get("start-after", "").encode()


def _page(
    request: Request, store: Store, bucket: Bucket, most: int
) -> tuple[list[bytes], list[bytes], bytes, bool]:
    prefix = request.query.get("prefix", "").encode()
    delimiter = request.query.get("delimiter", "").encode()
    after = begins_behind(request)
    if not store.quirks.honours_start_after and "continuation-token" not in request.query:
        after = b""
    keys: list[bytes] = []
    prefixes: list[bytes] = []
    last = after
    at = max(bisect.bisect_right(bucket.keys, after), bisect.bisect_left(bucket.keys, prefix))
    while at < len(bucket.keys) and bucket.keys[at].startswith(prefix):
        key = bucket.keys[at]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        common = key[: cut + len(delimiter)] if cut >= 0 else None
        if len(keys) + len(prefixes) >= most:
            return keys, prefixes, last, True
        if common is None:
            keys.append(key)
            last = key
            at += 1
        else:
            prefixes.append(common)
            # Behind everything that the prefix stands for.
            last = common + b"\xff"
            at = bisect.bisect_left(bucket.keys, last)
    return keys, prefixes, last, False


def _contents(bucket: Bucket, key: bytes, written: str) -> Iterable[Element]:
    stored = bucket.objects[key]
    return [
        ("Key", written),
        ("LastModified", time_in_document(stored.modified_s)),
        ("ETag", stored.etag),
        ("Size", str(len(stored.body))),
        ("StorageClass", stored.metadata.get("x-amz-storage-class", "STANDARD")),
    ]


def _number(text: str | None, default: int) -> int:
    if text is None:
        return default
    if not text.isdecimal():
        raise S3Error(400, "InvalidArgument")
    return int(text)


def _url_encoded(key: bytes) -> str:
    return quote(key, safe="/-_.~*")


def _text(key: bytes) -> str:
    return key.decode()
