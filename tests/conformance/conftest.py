"""Fixtures of the conformance suites."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pravah.model.ledger import Ledger
from tests.conformance.ledgers import CLUSTERS, Cluster


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cluster]:
    """Give an empty database of each kind."""
    made = CLUSTERS[request.param](tmp_path)
    yield made
    made.close()


@pytest.fixture
def ledger(cluster: Cluster) -> Ledger:
    """Give a worker on an empty database."""
    return cluster.worker()
