"""A bucket of one test, and the command line with the settings that lead to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cli.harness import Cli
from tests.object_servers import ObjectServer
from tests.s3_double import S3Double


class Bucket:
    """A bucket of one test, and the command line with the settings that lead to it."""

    def __init__(self, cli: Cli, server: ObjectServer, client: Any) -> None:
        self.cli, self.server, self.client = cli, server, client
        self.name = server.create_bucket()
        cli.environment |= server.settings()

    def uri(self, key: str = "") -> str:
        return f"s3://{self.name}/{key}"

    def put(self, key: str, body: bytes = b"content\n", **further: Any) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body, **further)

    def head(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.head_object(Bucket=self.name, Key=key)
        return found

    def tags(self, key: str) -> dict[str, str]:
        found = self.client.get_object_tagging(Bucket=self.name, Key=key)
        return {tag["Key"]: tag["Value"] for tag in found["TagSet"]}

    def get(self, key: str) -> bytes:
        body: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def objects(self, prefix: str) -> dict[str, bytes]:
        return {key.removeprefix(prefix): self.get(key) for key in self.keys(prefix)}

    def uploads(self, keys: list[str]) -> list[Any]:
        """List uploads that nobody has ended; MinIO finds them by whole keys only."""
        return [
            upload
            for key in keys
            for upload in self.client.list_multipart_uploads(Bucket=self.name, Prefix=key).get(
                "Uploads", ()
            )
        ]


@pytest.fixture
def bucket(cli: Cli, object_server: ObjectServer) -> Iterator[Bucket]:
    with object_server.client() as client:
        yield Bucket(cli, object_server, client)


@pytest.fixture
def minio_bucket(cli: Cli, minio: ObjectServer) -> Iterator[Bucket]:
    with minio.client() as client:
        yield Bucket(cli, minio, client)


@pytest.fixture
def double() -> Iterator[S3Double]:
    with S3Double() as started:
        yield started
