"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.workspace import Workspace


@pytest.fixture(params=["sqlite", "postgresql"])
def each_workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    """Give an empty workspace on each database."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    made = Workspace(tmp_path, url)
    yield made
    made.application.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Give an empty workspace."""
    made = Workspace(tmp_path)
    yield made
    made.application.close()
