"""Operations on single objects, and deletion of many."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote_to_bytes

from tests.s3_double import checksums
from tests.s3_double.documents import Element, document, parsed, time_in_document, time_in_header
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.store import Bucket, Store, Stored

LONGEST_KEY_BYTES = 1_024
_KEPT = (
    "content-type",
    "content-encoding",
    "content-disposition",
    "content-language",
    "cache-control",
    "x-amz-storage-class",
    "x-amz-server-side-encryption",
)
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def put_object(request: Request, store: Store) -> Response:
    """Store a body, where the conditions allow it."""
    bucket = store.bucket(request.bucket)
    check_key(request.key)
    sums = checksums.checked(request.headers, request.body)
    check_write(request, store, bucket)
    stored = Stored(
        request.body,
        etag_of(request.body),
        kept_headers(request.headers),
        sums,
        tags=request.headers.get("x-amz-tagging", ""),
    )
    bucket.put(request.key, stored)
    return Response(headers={"ETag": stored.etag, **checksums.headers_of(sums, "FULL_OBJECT")})


def get_object(request: Request, store: Store) -> Response:
    """Give an object, or a range of it."""
    stored = _readable(request, store)
    response = Response(headers=_headers(request, stored), body=stored.body)
    if (asked := request.headers.get("range")) is None:
        return response
    first, last = _range(asked, len(stored.body))
    response.status = 206
    response.headers["Content-Range"] = f"bytes {first}-{last}/{len(stored.body)}"
    response.body = stored.body[first : last + 1]
    # They are those of the whole.
    for name in [name for name in response.headers if name.startswith("x-amz-checksum-")]:
        del response.headers[name]
    return response


def head_object(request: Request, store: Store) -> Response:
    """Tell of an object without its body."""
    stored = _readable(request, store)
    headers = {**_headers(request, stored), "Content-Length": str(len(stored.body))}
    return Response(headers=headers)


def copy_object(request: Request, store: Store) -> Response:
    """Copy an object within the store."""
    bucket = store.bucket(request.bucket)
    check_key(request.key)
    source = copy_source(request, store)
    check_write(request, store, bucket)
    anew = request.headers.get("x-amz-metadata-directive") == "REPLACE"
    kept = kept_headers(request.headers) if anew else source.metadata
    retagged = request.headers.get("x-amz-tagging-directive") == "REPLACE"
    tags = request.headers.get("x-amz-tagging", "") if retagged else source.tags
    # A copy is one piece, whatever its source was made of.
    copied = replace(source, etag=etag_of(source.body), metadata=kept, tags=tags)
    copied = replace(copied, modified_s=Stored(b"", "").modified_s)
    bucket.put(request.key, copied)
    told: list[Element] = [
        ("ETag", copied.etag),
        ("LastModified", time_in_document(copied.modified_s)),
    ]
    return Response(body=document("CopyObjectResult", told))


def delete_object(request: Request, store: Store) -> Response:
    """Remove an object; one that is not there counts as removed."""
    bucket = store.bucket(request.bucket)
    _check_removal(store, bucket, request.key, request.headers.get("if-match"))
    bucket.remove(request.key)
    return Response(204)


def delete_objects(request: Request, store: Store) -> Response:
    """Remove up to 1,000 objects, and tell of each."""
    bucket = store.bucket(request.bucket)
    if not checksums.declared(request.headers) and "content-md5" not in request.headers:
        raise S3Error(400, "InvalidRequest")
    checksums.checked(request.headers, request.body)
    wanted = parsed(request.body)
    if len(wanted.findall("Object")) > 1_000:
        raise S3Error(400, "MalformedXML")
    quiet = wanted.findtext("Quiet") == "true"
    told: list[Element] = []
    for element in wanted.findall("Object"):
        key = element.findtext("Key") or ""
        try:
            wanted = element.findtext("ETag") if store.quirks.honours_etags_of_many else None
            _check_removal(store, bucket, key.encode(), wanted)
        except S3Error as error:
            told.append(("Error", [("Key", key), ("Code", error.code), ("Message", error.code)]))
            continue
        bucket.remove(key.encode())
        if not quiet:
            told.append(("Deleted", [("Key", key)]))
    return Response(body=document("DeleteResult", told))


def get_tagging(request: Request, store: Store) -> Response:
    """Give an object's tags."""
    pairs = parse_qsl(store.bucket(request.bucket).get(request.key).tags)
    tags: list[Element] = [("Tag", [("Key", name), ("Value", value)]) for name, value in pairs]
    return Response(body=document("Tagging", [("TagSet", tags)]))


def copy_source(request: Request, store: Store) -> Stored:
    """Give what a copy is made of, where its conditions hold."""
    given = request.headers["x-amz-copy-source"].lstrip("/").partition("?")[0]
    name, _, key = given.partition("/")
    source = store.bucket(name).get(unquote_to_bytes(key))
    wanted = request.headers.get("x-amz-copy-source-if-match")
    if wanted is not None and not _names(wanted, source):
        raise S3Error(412, "PreconditionFailed")
    return source


def check_key(key: bytes) -> None:
    """Refuse a key that S3 can't have."""
    if len(key) > LONGEST_KEY_BYTES:
        raise S3Error(400, "KeyTooLongError")
    try:
        key.decode()
    except UnicodeDecodeError:
        raise S3Error(400, "InvalidURI") from None


def check_write(request: Request, store: Store, bucket: Bucket) -> None:
    """Hold a write to its conditions."""
    if not store.quirks.honours_conditions:
        return
    there = bucket.objects.get(request.key)
    if request.headers.get("if-none-match") == "*" and there is not None:
        raise S3Error(412, "PreconditionFailed")
    if (wanted := request.headers.get("if-match")) is None:
        return
    if there is None:
        raise S3Error(404, "NoSuchKey")
    if not _names(wanted, there):
        raise S3Error(412, "PreconditionFailed")


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Give the headers of a write that come back with each read."""
    own = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
    kept = {name: headers[name] for name in _KEPT if name in headers}
    if coding := kept.pop("content-encoding", "").replace("aws-chunked", "").strip(" ,"):
        kept["content-encoding"] = coding
    return {"content-type": "binary/octet-stream", **kept, **own}


def etag_of(body: bytes) -> str:
    """Give the entity tag of an object in one piece."""
    return f'"{hashlib.md5(body).hexdigest()}"'


def _readable(request: Request, store: Store) -> Stored:
    bucket = store.bucket(request.bucket)
    if request.key not in bucket.objects and not store.quirks.allows_listing:
        raise S3Error(403, "AccessDenied")
    stored = bucket.get(request.key)
    headers = request.headers
    if "if-match" in headers and not _names(headers["if-match"], stored):
        raise S3Error(412, "PreconditionFailed")
    if "if-none-match" in headers and _names(headers["if-none-match"], stored):
        raise S3Error(304, "NotModified", {"ETag": stored.etag})
    since = headers.get("if-unmodified-since")
    if since and int(stored.modified_s) > parsedate_to_datetime(since).timestamp():
        raise S3Error(412, "PreconditionFailed")
    return stored


def _headers(request: Request, stored: Stored) -> dict[str, str]:
    told = {
        "ETag": stored.etag,
        "Last-Modified": time_in_header(stored.modified_s),
        "Accept-Ranges": "bytes",
        **stored.metadata,
    }
    if stored.tags:
        told["x-amz-tagging-count"] = str(len(parse_qsl(stored.tags)))
    if request.headers.get("x-amz-checksum-mode") == "ENABLED":
        told |= checksums.headers_of(stored.checksums, stored.checksum_kind)
    return told


def _range(asked: str, size_bytes: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return 0, size_bytes - 1
    first, last = found.groups()
    if first == "":
        start, end = max(0, size_bytes - int(last)), size_bytes - 1
    else:
        start, end = int(first), min(int(last) if last else size_bytes, size_bytes - 1)
    if start >= size_bytes or start > end:
        raise S3Error(416, "InvalidRange", {"Content-Range": f"bytes */{size_bytes}"})
    return start, end


def _check_removal(store: Store, bucket: Bucket, key: bytes, wanted: str | None) -> None:
    if wanted is None or not store.quirks.honours_conditions:
        return
    if key in bucket.objects and not _names(wanted, bucket.objects[key]):
        raise S3Error(412, "PreconditionFailed")


def _names(condition: str, stored: Stored) -> bool:
    tags = [tag.strip().strip('"') for tag in condition.split(",")]
    return "*" in tags or stored.etag.strip('"') in tags
