"""Fixtures of the conformance suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pravah.model.ledger import Ledger
from tests.conformance.ledgers import CLUSTERS, Cluster, cluster_of


@pytest.fixture(params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Give an empty database of each kind."""
    made = cluster_of(request.param, request)
    yield made
    made.close()


@pytest.fixture
def ledger(cluster: Cluster) -> Ledger:
    """Give a worker on an empty database."""
    return cluster.worker()
