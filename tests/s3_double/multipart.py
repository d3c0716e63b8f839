"""Multipart uploads, from their beginning to their completion or abortion."""

from __future__ import annotations

import hashlib
from xml.etree.ElementTree import Element as Parsed

from tests.s3_double import checksums
from tests.s3_double.documents import Element, document, parsed, time_in_document
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.objects import check_key, check_write, copy_source, etag_of, kept_headers
from tests.s3_double.store import Store, Stored, Upload

_MOST_PARTS = 10_000


def create(request: Request, store: Store) -> Response:
    """Begin an upload."""
    check_key(request.key)
    if {"if-none-match", "if-match"} & request.headers.keys():
        raise S3Error(501, "NotImplemented")
    algorithm = request.headers.get("x-amz-checksum-algorithm", "").lower()
    default = "FULL_OBJECT" if algorithm in ("", "crc64nvme") else "COMPOSITE"
    upload = Upload(
        store.next_id(),
        request.key,
        kept_headers(request.headers),
        algorithm,
        request.headers.get("x-amz-checksum-type", default),
        request.headers.get("x-amz-tagging", ""),
    )
    store.bucket(request.bucket).uploads[upload.id] = upload
    told = [("Bucket", request.bucket), ("Key", request.key.decode()), ("UploadId", upload.id)]
    return Response(body=document("InitiateMultipartUploadResult", told))


def upload_part(request: Request, store: Store) -> Response:
    """Take a part; the same number again replaces it."""
    upload = _upload(request, store)
    sums = checksums.checked(request.headers, request.body)
    if upload.algorithm and upload.algorithm not in sums:
        sums[upload.algorithm] = checksums.digest(upload.algorithm, request.body)
    part = Stored(request.body, etag_of(request.body), checksums=sums)
    upload.parts[_number(request)] = part
    told = checksums.headers_of(sums, upload.checksum_kind)
    return Response(headers={"ETag": part.etag, **told})


def upload_part_copy(request: Request, store: Store) -> Response:
    """Take a part of another object."""
    upload = _upload(request, store)
    body = copy_source(request, store).body
    if asked := request.headers.get("x-amz-copy-source-range"):
        first, _, last = asked.removeprefix("bytes=").partition("-")
        if int(last) >= len(body):
            raise S3Error(400, "InvalidRange")
        body = body[int(first) : int(last) + 1]
    algorithm = upload.algorithm or checksums.DEFAULT
    part = Stored(body, etag_of(body), checksums={algorithm: checksums.digest(algorithm, body)})
    upload.parts[_number(request)] = part
    told: list[Element] = [("ETag", part.etag), ("LastModified", time_in_document(part.modified_s))]
    return Response(body=document("CopyPartResult", told))


def complete(request: Request, store: Store) -> Response:
    """Make an object of the parts that the body names."""
    bucket = store.bucket(request.bucket)
    upload = _upload(request, store)
    named = parsed(request.body).findall("Part")
    parts = _chosen(upload, named, store.quirks.smallest_part_bytes)
    check_write(request, store, bucket)
    body = b"".join(part.body for part in parts)
    sums = _whole(upload, parts, body)
    for algorithm, value in checksums.declared(request.headers).items():
        if sums.get(algorithm) != value:
            raise S3Error(400, "BadDigest")
    digests = b"".join(hashlib.md5(part.body).digest() for part in parts)
    etag = f'"{hashlib.md5(digests).hexdigest()}-{len(parts)}"'
    stored = Stored(body, etag, upload.metadata, sums, upload.checksum_kind, upload.tags)
    bucket.put(request.key, stored)
    del bucket.uploads[upload.id]
    told = [("Bucket", request.bucket), ("Key", request.key.decode()), ("ETag", etag)]
    return Response(body=document("CompleteMultipartUploadResult", told))


def abort(request: Request, store: Store) -> Response:
    """Give an upload up."""
    upload = _upload(request, store)
    del store.bucket(request.bucket).uploads[upload.id]
    return Response(204)


def list_parts(request: Request, store: Store) -> Response:
    """List the parts that have arrived, on one page."""
    upload = _upload(request, store)
    told: list[Element] = [
        ("Bucket", request.bucket),
        ("Key", request.key.decode()),
        ("UploadId", upload.id),
        ("IsTruncated", "false"),
    ]
    for number, part in sorted(upload.parts.items()):
        size = str(len(part.body))
        told.append(("Part", [("PartNumber", str(number)), ("ETag", part.etag), ("Size", size)]))
    return Response(body=document("ListPartsResult", told))


def _upload(request: Request, store: Store) -> Upload:
    return store.bucket(request.bucket).upload(request.query["uploadId"], request.key)


def _number(request: Request) -> int:
    text = request.query.get("partNumber", "")
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_PARTS:
        raise S3Error(400, "InvalidArgument")
    return int(text)


def _chosen(upload: Upload, named: list[Parsed], smallest_bytes: int) -> list[Stored]:
    numbers = [int(part.findtext("PartNumber") or 0) for part in named]
    if not numbers:
        raise S3Error(400, "MalformedXML")
    if numbers != sorted(set(numbers)):
        raise S3Error(400, "InvalidPartOrder")
    parts = []
    for number, element in zip(numbers, named, strict=True):
        part = upload.parts.get(number)
        told = (element.findtext("ETag") or "").strip('"')
        if part is None or part.etag.strip('"') != told:
            raise S3Error(400, "InvalidPart")
        for algorithm, value in part.checksums.items():
            if (element.findtext(f"Checksum{algorithm.upper()}") or value) != value:
                raise S3Error(400, "InvalidPart")
        parts.append(part)
    if any(len(part.body) < smallest_bytes for part in parts[:-1]):
        raise S3Error(400, "EntityTooSmall")
    return parts


def _whole(upload: Upload, parts: list[Stored], body: bytes) -> dict[str, str]:
    """Give the checksum of the whole object, as its upload was begun."""
    algorithm = upload.algorithm or checksums.DEFAULT
    if upload.checksum_kind == "FULL_OBJECT":
        return {algorithm: checksums.digest(algorithm, body)}
    return {algorithm: checksums.composed(algorithm, [part.checksums[algorithm] for part in parts])}
