"""Which operation a request is, and its way to the answer: signature, faults, operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, unquote_to_bytes

from tests.s3_double import listing, multipart, objects, roles, signature
from tests.s3_double.documents import Element, document, error_document
from tests.s3_double.faults import Faults
from tests.s3_double.messages import Request, Response, S3Error
from tests.s3_double.store import Bucket, Store

Operation = Callable[[Request, Store], Response]


def answer(request: Request, store: Store, faults: Faults) -> Response:
    """Answer a request that was read; what fails is an answer, too."""
    try:
        named = named_request(request)
        signature.check(named, store)
        _refuse_checksums(named, store)
        return faults.apply(named, lambda asked: _performed(asked, store))
    except S3Error as error:
        return error_response(error, request)


def error_response(error: S3Error, request: Request) -> Response:
    """Write an error as an answer."""
    headers = {"Content-Type": "application/xml", **error.headers}
    bodiless = request.method == "HEAD" or error.status == 304
    body = b"" if bodiless else error_document(error.code, request.path)
    return Response(error.status, headers, body)


def named_request(request: Request) -> Request:
    """Find bucket, key and operation of a request."""
    bucket, _, key = unquote_to_bytes(request.path).removeprefix(b"/").partition(b"/")
    pairs = parse_qsl(request.query_text, keep_blank_values=True)
    query = dict(pairs)
    named = replace(request, bucket=bucket.decode("ascii", "replace"), key=key, query=query)
    return replace(named, operation=_operation(named))


def _performed(request: Request, store: Store) -> Response:
    operation = _OPERATIONS.get(request.operation)
    if operation is None:
        raise S3Error(501, "NotImplemented")
    with store.lock:
        response = operation(request, store)
    if response.body.startswith(b"<?xml"):
        response.headers.setdefault("Content-Type", "application/xml")
    return response


def _operation(request: Request) -> str:
    method, query = request.method, request.query
    if not request.bucket:
        return "AssumeRole" if method == "POST" else "ListBuckets"
    if not request.key:
        return _of_bucket(method, query)
    copies = "x-amz-copy-source" in request.headers
    if "uploadId" in query:
        part = "UploadPartCopy" if copies else "UploadPart"
        uploads = {
            "PUT": part,
            "POST": "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
            "GET": "ListParts",
        }
        return uploads.get(method, "")
    if "uploads" in query and method == "POST":
        return "CreateMultipartUpload"
    if "tagging" in query:
        return "GetObjectTagging" if method == "GET" else ""
    single = {
        "PUT": "CopyObject" if copies else "PutObject",
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "DELETE": "DeleteObject",
    }
    return single.get(method, "")


def _of_bucket(method: str, query: dict[str, str]) -> str:
    if method == "POST":
        return "DeleteObjects" if "delete" in query else ""
    if method != "GET":
        return {"PUT": "CreateBucket", "HEAD": "HeadBucket"}.get(method, "")
    if "location" in query:
        return "GetBucketLocation"
    if "uploads" in query:
        return "ListMultipartUploads"
    return "ListObjectsV2" if query.get("list-type") == "2" else ""


def _refuse_checksums(request: Request, store: Store) -> None:
    newer = (name for name in request.headers if name.startswith(("x-amz-checksum-", "x-amz-sdk-")))
    if not store.quirks.takes_checksums and any(newer):
        raise S3Error(501, "NotImplemented")


def _list_buckets(_: Request, store: Store) -> Response:
    names: list[Element] = [("Bucket", [("Name", name)]) for name in sorted(store.buckets)]
    return Response(body=document("ListAllMyBucketsResult", [("Buckets", names)]))


def _create_bucket(request: Request, store: Store) -> Response:
    if request.bucket in store.buckets:
        raise S3Error(409, "BucketAlreadyOwnedByYou")
    store.buckets[request.bucket] = Bucket()
    return Response()


def _head_bucket(request: Request, store: Store) -> Response:
    store.bucket(request.bucket)
    return Response()


def _location(request: Request, store: Store) -> Response:
    store.bucket(request.bucket)
    return Response(body=document("LocationConstraint", []))


_OPERATIONS: dict[str, Operation] = {
    "AbortMultipartUpload": multipart.abort,
    "AssumeRole": roles.assume_role,
    "CompleteMultipartUpload": multipart.complete,
    "CopyObject": objects.copy_object,
    "CreateBucket": _create_bucket,
    "CreateMultipartUpload": multipart.create,
    "DeleteObject": objects.delete_object,
    "DeleteObjects": objects.delete_objects,
    "GetBucketLocation": _location,
    "GetObject": objects.get_object,
    "GetObjectTagging": objects.get_tagging,
    "HeadBucket": _head_bucket,
    "HeadObject": objects.head_object,
    "ListBuckets": _list_buckets,
    "ListMultipartUploads": listing.list_uploads,
    "ListObjectsV2": listing.list_objects,
    "ListParts": multipart.list_parts,
    "PutObject": objects.put_object,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.upload_part_copy,
}
