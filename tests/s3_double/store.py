"""What the double holds: buckets, objects and uploads, in memory, in bytewise order of keys."""

from __future__ import annotations

import bisect
import itertools
import threading
import time
from dataclasses import dataclass, field

from tests.s3_double.messages import S3Error


@dataclass(frozen=True)
class Stored:
    """One object as it stands; replaced as a whole, never changed."""

    body: bytes
    etag: str
    metadata: dict[str, str] = field(default_factory=dict)
    """Headers that come back with it: content type, `x-amz-meta-…`, storage class."""
    checksums: dict[str, str] = field(default_factory=dict)
    checksum_kind: str = "FULL_OBJECT"
    tags: str = ""
    modified_s: float = field(default_factory=time.time)


@dataclass
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    id: str
    key: bytes
    metadata: dict[str, str]
    algorithm: str
    checksum_kind: str
    tags: str
    begun_s: float = field(default_factory=time.time)
    parts: dict[int, Stored] = field(default_factory=dict)


@dataclass
class Bucket:
    """Objects by key, and the keys in order."""

    objects: dict[bytes, Stored] = field(default_factory=dict)
    keys: list[bytes] = field(default_factory=list)
    uploads: dict[str, Upload] = field(default_factory=dict)

    def put(self, key: bytes, stored: Stored) -> None:
        if key not in self.objects:
            bisect.insort(self.keys, key)
        self.objects[key] = stored

    def remove(self, key: bytes) -> None:
        if self.objects.pop(key, None) is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]

    def get(self, key: bytes) -> Stored:
        if key not in self.objects:
            raise S3Error(404, "NoSuchKey")
        return self.objects[key]

    def upload(self, upload_id: str, key: bytes) -> Upload:
        found = self.uploads.get(upload_id)
        if found is None or found.key != key:
            raise S3Error(404, "NoSuchUpload")
        return found


@dataclass
class Quirks:
    """What other stores do otherwise than Amazon's; the defaults are what that does."""

    page_size: int | None = None
    """Keys on a page, whatever was asked for; None: what was asked for, at most 1,000."""
    honours_conditions: bool = True
    honours_start_after: bool = True
    honours_etags_of_many: bool = True
    """Whether a deletion of many heeds the ETags in it."""
    takes_checksums: bool = True
    """Whether the headers of newer checksums are understood, or refused with 501."""
    allows_listing: bool = True
    """Without the right to list, a missing key is told as 403."""
    lists_in_order: bool = True
    """S3 Express lists in no order."""
    smallest_part_bytes: int = 5 << 20
    checks_signatures: bool = True


class Store:
    """All buckets; whoever reads or changes holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.buckets: dict[str, Bucket] = {}
        self.quirks = Quirks()
        self.credentials: dict[str, str] = {}
        self.expired_tokens: set[str] = set()
        self.roles_last_s = [3_600.0]
        """How long the keys of a role last that is assumed; the last one holds for all others."""
        self._numbers = itertools.count(1)

    def bucket(self, name: str) -> Bucket:
        if name not in self.buckets:
            raise S3Error(404, "NoSuchBucket")
        return self.buckets[name]

    def next_id(self) -> str:
        return f"upload-{next(self._numbers):08}"
