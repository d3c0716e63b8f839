"""Checksums as S3 declares and checks them: of a whole object, and composed of its parts'."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable, Mapping

from awscrt import checksums as crt

from tests.s3_double.messages import S3Error

_PREFIX = "x-amz-checksum-"
_DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "crc32c": lambda data: crt.crc32c(data).to_bytes(4, "big"),
    "crc64nvme": lambda data: crt.crc64nvme(data).to_bytes(8, "big"),
    "sha1": lambda data: hashlib.sha1(data).digest(),
    "sha256": lambda data: hashlib.sha256(data).digest(),
}
# What S3 computes by itself where a client declares nothing.
DEFAULT = "crc64nvme"


def digest(algorithm: str, data: bytes) -> str:
    """Give a checksum as headers have it: its bytes in base64."""
    return base64.b64encode(_DIGESTS[algorithm](data)).decode()


def composed(algorithm: str, parts: Iterable[str]) -> str:
    """Give the checksum of the parts' checksums, with their number."""
    decoded = [base64.b64decode(part) for part in parts]
    return f"{digest(algorithm, b''.join(decoded))}-{len(decoded)}"


def declared(headers: Mapping[str, str]) -> dict[str, str]:
    """Give what a request declares of its body, by algorithm."""
    found = {name: headers.get(_PREFIX + name) for name in _DIGESTS}
    return {name: value for name, value in found.items() if value}


def checked(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Compare a body with all that was declared of it; give its checksums."""
    md5 = headers.get("content-md5")
    if md5 and base64.b64encode(hashlib.md5(body).digest()).decode() != md5:
        raise S3Error(400, "BadDigest")
    values = declared(headers)
    for algorithm, value in values.items():
        if digest(algorithm, body) != value:
            raise S3Error(400, "BadDigest")
    return values or {DEFAULT: digest(DEFAULT, body)}


def headers_of(checksums: Mapping[str, str], kind: str) -> dict[str, str]:
    """Give the headers that tell an object's checksums."""
    told = {_PREFIX + algorithm: value for algorithm, value in checksums.items()}
    return {**told, "x-amz-checksum-type": kind} if told else {}
