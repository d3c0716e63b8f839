"""A ledger that is locked for too long: what was leased meanwhile is worked on all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pravah.errors import LedgerBusyError
from pravah.model.job import Counts
from pravah.model.ledger import Ledger
from pravah.model.status import JobStatus
from tests.integration.workspace import Workspace


class BusyOnce:
    """A ledger whose lock somebody else holds when one of its methods is called first."""

    def __init__(self, ledger: Ledger, method: str) -> None:
        self._ledger = ledger
        self._method = method
        self.refused = False

    def __getattr__(self, name: str) -> Any:
        if name == self._method and not self.refused:
            return self._refuse
        return getattr(self._ledger, name)

    def _refuse(self, *_: object, **__: object) -> Callable[[], None]:
        self.refused = True
        raise LedgerBusyError("somebody else holds the ledger's write lock")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("method", ["job", "unit", "load", "decide_names", "close"])
def test_lease_taken_before_the_ledger_was_locked_is_not_forgotten(
    workspace: Workspace, method: str
) -> None:
    workspace.write("a/x.txt")
    workspace.write("b/y.txt")
    sink = {"uri": str(workspace.sink), "path": "all/{name}"}
    job = workspace.submit("copy", sink=sink)
    ledger: Any = BusyOnce(workspace.jobs._ledger, method)
    supervisor = workspace.jobs.supervisor(job.id)
    supervisor._ledger = supervisor._crew._ledger = ledger
    ended = supervisor.run().job
    assert ledger.refused
    assert ended is not None
    assert (ended.status, ended.books.counts) == (JobStatus.COMPLETED, Counts(listed=2, done=2))
    assert sorted(workspace.outputs()) == ["all/x.txt", "all/y.txt"]
