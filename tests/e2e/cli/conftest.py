"""Fixtures of the command line's tests."""

import time
from pathlib import Path

import pytest

from tests.e2e.cli.bucket import bucket, double, minio_bucket
from tests.e2e.cli.harness import Cli

__all__ = ["bucket", "cli", "data", "double", "minio_bucket", "settled"]

# A file that changed within the last two seconds may do so again unnoticed: it is never taken
# for unchanged.
RACY_S = 2.1


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    (tmp_path / "work").mkdir()
    return Cli(tmp_path / "home", tmp_path / "work")


@pytest.fixture
def data(cli: Cli) -> Path:
    """Make a small source: five files in two directories."""
    source = cli.directory / "data"
    (source / "deep").mkdir(parents=True)
    for name in ("a.csv", "b.csv", "deep/c.csv", "deep/d.txt", "empty"):
        content = b"" if name == "empty" else f"id,name\n1,{name}\n".encode() * 50
        (source / name).write_bytes(content)
    return source


@pytest.fixture
def settled(data: Path) -> Path:
    """Make the same source, old enough to be skipped when it is unchanged."""
    time.sleep(RACY_S)
    return data
