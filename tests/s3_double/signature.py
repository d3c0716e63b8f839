"""Signature Version 4, checked from what arrived: a client that encodes a key otherwise fails.

By "Authenticating Requests (AWS Signature Version 4)" of the Amazon S3 API Reference. The
signatures of single chunks of a body are not looked at.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from tests.s3_double.messages import Request, S3Error
from tests.s3_double.store import Store

_ALLOWED_SKEW = timedelta(minutes=15)
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/(s3|sts)/aws4_request,\s*"
    r"SignedHeaders=([^,]+),\s*Signature=([0-9a-f]{64})"
)
_WITHOUT_HASH = ("UNSIGNED-PAYLOAD", "STREAMING-")


def check(request: Request, store: Store) -> None:
    """Refuse a request that is not signed by a known key, at about this time."""
    if not store.quirks.checks_signatures:
        return
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        raise S3Error(403, "AccessDenied")
    access_key, day, region, service, names, signature = found.groups()
    secret = store.credentials.get(access_key)
    if secret is None:
        raise S3Error(403, "InvalidAccessKeyId")
    if request.headers.get("x-amz-security-token") in store.expired_tokens:
        raise S3Error(400, "ExpiredToken")
    sent = request.headers.get("x-amz-date", "")
    _check_time(sent)
    # Elsewhere than in S3 nobody says it: it is that of the body.
    own = hashlib.sha256(request.body).hexdigest() if service == "sts" else ""
    payload = request.headers.get("x-amz-content-sha256", own)
    hashed = not payload.startswith(_WITHOUT_HASH)
    if hashed and hashlib.sha256(request.body).hexdigest() != payload:
        raise S3Error(400, "XAmzContentSHA256Mismatch")
    scope = f"{day}/{region}/{service}/aws4_request"
    canonical = hashlib.sha256(_canonical(request, names, payload).encode()).hexdigest()
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = _hmac(key, part)
    told = f"AWS4-HMAC-SHA256\n{sent}\n{scope}\n{canonical}"
    if not hmac.compare_digest(_hmac(key, told).hex(), signature):
        raise S3Error(403, "SignatureDoesNotMatch")


def _check_time(sent: str) -> None:
    try:
        at = datetime.strptime(sent, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise S3Error(403, "AccessDenied") from None
    if abs(datetime.now(UTC) - at) > _ALLOWED_SKEW:
        raise S3Error(403, "RequestTimeTooSkewed")


def _canonical(request: Request, names: str, payload: str) -> str:
    path = quote(unquote_to_bytes(request.path), safe="/-_.~")
    pairs = parse_qsl(request.query_text, keep_blank_values=True, errors="surrogateescape")
    encoded = sorted((_encoded(name), _encoded(value)) for name, value in pairs)
    query = "&".join(f"{name}={value}" for name, value in encoded)
    headers = "".join(
        f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names.split(";")
    )
    return f"{request.method}\n{path}\n{query}\n{headers}\n{names}\n{payload}"


def _encoded(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe="-_.~")


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
