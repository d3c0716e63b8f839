"""Fixtures of the tests of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.api.serving import Server
from tests.integration.workspace import Workspace


@pytest.fixture
def server(workspace: Workspace) -> Iterator[Server]:
    """Give a server without workers on SQLite, open to this machine."""
    made = Server(workspace)
    yield made
    made.kill()


@pytest.fixture
def working(each_workspace: Workspace) -> Iterator[Server]:
    """Give a server with a worker on each database."""
    made = Server(each_workspace, workers=1)
    yield made
    made.stop()
