"""Fixtures of the command line's tests."""

from pathlib import Path

import pytest

from tests.e2e.cli.harness import Cli


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
        (source / name).write_bytes(
            b"" if name == "empty" else f"id,name\n1,{name}\n".encode() * 50
        )
    return source
