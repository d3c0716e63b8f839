"""The proxy of the benchmarks passes everything on, and holds back pages of listings only."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.object_servers import ObjectServer
from tests.s3_double import S3Double

DELAY_MS = 400


@pytest.fixture
def double() -> Iterator[S3Double]:
    with S3Double() as started:
        yield started


@pytest.fixture
def server(double: S3Double) -> Iterator[ObjectServer]:
    """Give the double behind a proxy in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.delaying_proxy", double.endpoint]
    with subprocess.Popen(
        [*command, "--delay-ms", str(DELAY_MS)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        yield ObjectServer("proxy", endpoint, double.access_key, double.secret_key)
        process.terminate()


def test_proxy_passes_bodies_both_ways_and_holds_back_listings(
    double: S3Double, server: ObjectServer
) -> None:
    bucket = double.create_bucket()
    body = bytes(range(256)) * 4_000
    with server.client() as s3:
        s3.put_object(Bucket=bucket, Key="k", Body=body)
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == body
        began = time.monotonic()
        assert s3.list_objects_v2(Bucket=bucket, Prefix="k")["KeyCount"] == 1
        assert time.monotonic() - began >= DELAY_MS / 1_000
