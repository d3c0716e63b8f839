"""A bucket that a job reads or writes, seen by boto3: what is in it, and what was left behind."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.object_servers import ObjectServer

# Keys of one request that removes objects: a busy server may need a minute for a thousand.
_MOST_KEYS = 100


@dataclass(frozen=True)
class Place:
    """A bucket of its own on a server, under the name of the connection that leads there."""

    server: ObjectServer
    client: Any
    bucket: str
    connection: str = ""  # empty: the default one

    def uri(self, key: str = "") -> str:
        scheme = f"s3+{self.connection}" if self.connection else "s3"
        return f"{scheme}://{self.bucket}/{key}"

    def settings(self) -> dict[str, str]:
        """Give the settings by which the connection is known."""
        if not self.connection:
            return self.server.settings()
        prefix = f"PRAVAH_S3_{self.connection.upper()}_"
        return {
            prefix + name.removeprefix("S3_"): value
            for name, value in self.server.settings().items()
        }

    def put_tree(self, root: Path, prefix: str) -> None:
        """Put every file below a directory."""
        for path in filter(Path.is_file, root.rglob("*")):
            self.client.upload_file(str(path), self.bucket, prefix + str(path.relative_to(root)))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Give the sizes of all objects, by their keys below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix
        )
        return {
            found["Key"].removeprefix(prefix): found["Size"]
            for page in pages
            for found in page.get("Contents", ())
        }

    def digests(self, prefix: str = "") -> dict[str, str]:
        """Give the SHA-256 of every object's content, by its key below a prefix."""
        found = {}
        for key in self.sizes(prefix):
            body = self.client.get_object(Bucket=self.bucket, Key=prefix + key)["Body"]
            digest = hashlib.sha256()
            for piece in body.iter_chunks(1 << 20):
                digest.update(piece)
            found[key] = digest.hexdigest()
        return found

    def owned(self, prefix: str = "") -> int:
        """Count the objects that say that a job of ours has made them."""
        count = 0
        for key in self.sizes(prefix):
            with contextlib.suppress(self.client.exceptions.ClientError):  # it is gone
                head = self.client.head_object(Bucket=self.bucket, Key=prefix + key)
                count += "pravah" in head["Metadata"]
        return count

    def uploads(self, *keys: str) -> list[str]:
        """Give the keys of uploads that nobody has ended; MinIO finds them by whole keys only."""
        return [
            upload["Key"]
            for key in keys
            for upload in self.client.list_multipart_uploads(Bucket=self.bucket, Prefix=key).get(
                "Uploads", ()
            )
        ]

    def clear(self) -> None:
        """Remove every object: what a test has put there may be large."""
        keys = [{"Key": key} for key in self.sizes()]
        for start in range(0, len(keys), _MOST_KEYS):
            some = {"Objects": keys[start : start + _MOST_KEYS], "Quiet": True}
            self.client.delete_objects(Bucket=self.bucket, Delete=some)


@contextlib.contextmanager
def lent(server: ObjectServer, connection: str = "") -> Iterator[Place]:
    """Give a new bucket, and empty it in the end."""
    with server.client() as client:
        place = Place(server, client, server.create_bucket(), connection)
        try:
            yield place
        finally:
            place.clear()
            client.delete_bucket(Bucket=place.bucket)
